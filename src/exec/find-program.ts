import { accessSync, constants, type Stats, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

/** The file of a program, as a shell finds it: by `PATH` where its name has no slash. Or why there is none: 126 or 127, as shells say it. */
export function findProgram(
  name: string,
  path: string,
): { readonly file: string } | { readonly status: 126 | 127; readonly why: string } {
  const candidates = name.includes("/")
    ? [resolve(name)]
    : path.split(delimiter).map((folder) => join(folder || ".", name));
  let refused: string | undefined;
  for (const file of candidates) {
    const status = statusOf(file);
    if (status === undefined) continue;
    if (status.isDirectory()) refused = `${file} is a directory`;
    else if (!mayExecute(file)) refused = `${file} may not be executed`;
    else return { file };
  }
  return refused === undefined
    ? { status: 127, why: `there is no program ${name}${name.includes("/") ? "" : " in PATH"}` }
    : { status: 126, why: refused };
}

/** `undefined` also where nobody may look: a folder of `PATH` that is another user's is passed over. */
function statusOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}

function mayExecute(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
