import { fileURLToPath } from "node:url";
import { compileShim, headersOf } from "../../shim/compile.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Compiles the shim to `output` with `more` options, `-fsyntax-only` for one; `undefined` where there is no compiler. */
export function compiledShim(output: string, ...more: readonly string[]): { why?: string; said: string } | undefined {
  const made = compileShim({
    ...{ compiler: "g++", directory: `${root}shim`, headers: headersOf(root) },
    ...{ output, more: ["-Werror=cpp", ...more] },
  });
  return made.why === "there is no g++" ? undefined : made;
}
