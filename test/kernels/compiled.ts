/** What is compiled for a guest: the shim, since request numbers differ between architectures, and the conformance suite's program. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { compileShim, headersOf } from "../../shim/compile.mjs";
import type { Architecture } from "./guests.ts";
import { output } from "./unpack.ts";

const WARNINGS = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"];

/** The shim for an architecture: the one that shim/build.mjs makes. */
export function shimFor(architecture: Architecture, root: string, cache: string): string {
  const directory = join(root, "shim");
  const files = readdirSync(directory).map((name) => join(directory, name));
  return compiled(architecture, cache, { name: "shim", suffix: ".node", files }, (output) => {
    const wanted = { compiler: architecture.compiler, directory, headers: headersOf(root), output, more: ["-Werror"] };
    const { why, said } = compileShim(wanted);
    if (why !== undefined) throw new Error(`the shim was not built: ${why}\n${said}`);
  });
}

/** The program that makes calls which the shim does not make, with all that it needs in it. */
export function rawProgramFor(architecture: Architecture, root: string, cache: string): string {
  const source = join(root, "test/conformance/raw.cc");
  return compiled(architecture, cache, { name: "raw", suffix: "", files: [source] }, (made) => {
    output(architecture.compiler, [...WARNINGS, "-static", "-s", source, "-o", made]);
  });
}

interface Product {
  /** Of its directory in the cache. */
  readonly name: string;
  readonly suffix: string;
  /** Its sources. */
  readonly files: readonly string[];
}

/** Built only when its sources have changed. */
function compiled(
  { debian }: Architecture,
  cache: string,
  { name, suffix, files }: Product,
  make: (output: string) => void,
): string {
  const hash = createHash("sha256");
  for (const file of [...files].sort()) hash.update(file.slice(file.lastIndexOf("/") + 1)).update(readFileSync(file));
  const directory = join(cache, debian, name);
  const built = join(directory, `${hash.digest("hex").slice(0, 16)}${suffix}`);
  if (existsSync(built)) return built;
  mkdirSync(directory, { recursive: true });
  const unfinished = `${built}.${process.pid}`;
  make(unfinished);
  renameSync(unfinished, built);
  return built;
}
