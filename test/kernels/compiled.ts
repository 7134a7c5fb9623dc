/** What is compiled for a guest: the shim, since request numbers differ between architectures, and the conformance suite's program. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./guests.ts";
import { output } from "./unpack.ts";

const WARNINGS = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"];

/** The shim for an architecture. Node-API's headers are npm's, and the same everywhere. */
export function shimFor(architecture: Architecture, root: string, cache: string): string {
  const sources = join(root, "shim");
  const files = readdirSync(sources).map((name) => join(sources, name));
  return compiled(architecture, cache, { name: "shim", suffix: ".node", files }, [
    ...[...WARNINGS, "-shared", "-fPIC", "-fno-exceptions"],
    ...["-DNAPI_VERSION=8", "-DNAPI_DISABLE_CPP_EXCEPTIONS", "-DNODE_ADDON_API_DISABLE_DEPRECATED"],
    `-I${join(root, "node_modules/node-api-headers/include")}`,
    `-I${join(root, "node_modules/node-addon-api")}`,
    join(sources, "vfio_shim.cc"),
  ]);
}

/** The program that makes calls which the shim does not make, with all that it needs in it. */
export function rawProgramFor(architecture: Architecture, root: string, cache: string): string {
  const source = join(root, "test/conformance/raw.cc");
  return compiled(architecture, cache, { name: "raw", suffix: "", files: [source] }, [
    ...WARNINGS,
    "-static",
    "-s",
    source,
  ]);
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
  { debian, compiler }: Architecture,
  cache: string,
  { name, suffix, files }: Product,
  words: readonly string[],
): string {
  const hash = createHash("sha256");
  for (const file of [...files].sort()) hash.update(file.slice(file.lastIndexOf("/") + 1)).update(readFileSync(file));
  const directory = join(cache, debian, name);
  const built = join(directory, `${hash.digest("hex").slice(0, 16)}${suffix}`);
  if (existsSync(built)) return built;
  mkdirSync(directory, { recursive: true });
  const unfinished = `${built}.${process.pid}`;
  output(compiler, [...words, "-o", unfinished]);
  renameSync(unfinished, built);
  return built;
}
