/** Where a call into this library came from: the first line of a stack that is neither the library's own nor Node's. */

/** The directory of the library's files, as stacks name it: where this file is, by its own stack. Not known in a bundle, which is one file. */
const own = /(?:file:\/\/)?(\/[^\n]*)\/call-site\.\w+:/.exec(new Error("").stack ?? "")?.[1];
const directories = own === undefined ? [] : [`${own}/`, `${decodeURIComponent(own)}/`];

/** Calls of the library's own between the program's and this one, and some to spare. */
const DEEP = 40;

/** `at main (/home/me/driver.mjs:12:20)`; undefined in a bundle, and where the engine has no stacks. */
export function callSite(): string | undefined {
  if (own === undefined) return undefined;
  const lines = stack().split("\n").slice(1);
  const isForeign = (line: string) => !line.includes("node:") && !directories.some((one) => line.includes(one));
  return lines.find(isForeign)?.trim();
}

function stack(): string {
  const { stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = DEEP;
    return new Error("").stack ?? "";
  } catch {
    return ""; // frozen
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  }
}
