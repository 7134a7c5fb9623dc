/**
 * Modules of Node's, found when they are needed and not imported: so whoever reads no file of this machine can be put into a
 * bundle for a browser, where there are none. Bun and Deno have them too.
 */
import type * as crypto from "node:crypto";
import type * as fs from "node:fs";
import { DmaWindowError } from "./errors.ts";

interface Builtins {
  readonly "node:crypto": typeof crypto;
  readonly "node:fs": typeof fs;
}

/** `undefined` where there is no such module, as in a browser. */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] | undefined {
  return globalThis.process?.getBuiltinModule?.(name) as Builtins[Name] | undefined;
}

/** @throws `ERR_NO_MACHINE_FILES` where there are no files, as in a browser. */
export function fileSystem(): Builtins["node:fs"] {
  const found = builtin("node:fs");
  if (found !== undefined) return found;
  throw new DmaWindowError(
    "ERR_NO_MACHINE_FILES",
    "there is no file system here, as in a browser, so nothing of this machine can be read: hand over the files of another " +
      "one (kernel.files), or the text itself (parseIomem)",
  );
}
