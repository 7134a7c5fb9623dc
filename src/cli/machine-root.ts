/** `--root DIR`: below which directory a machine's files lie. */
import { statSync } from "node:fs";
import { UsageError } from "./usage.ts";

/** A machine without files has no devices and no VFIO: whoever misspells a directory is not to be told that. @throws UsageError */
export function checkRoot(root: string | undefined): void {
  if (root === undefined || isDirectory(root)) return;
  throw new UsageError(`--root takes a directory with a machine's files, such as /host; no such directory: ${root}`);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "ENAMETOOLONG") return false;
    throw new UsageError(
      `--root takes a directory with a machine's files; ${path} may not be looked at: ${code ?? error}`,
    );
  }
}
