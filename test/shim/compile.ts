import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The directory of node_api.h; `undefined` where this Node, or one beside it, was installed without headers. */
function nodeHeaders(): string | undefined {
  const prefixes = [dirname(dirname(process.execPath)), "/usr", "/usr/local"];
  return prefixes.map((prefix) => join(prefix, "include/node")).find((path) => existsSync(join(path, "node_api.h")));
}

/** Compiles the shim with `more` options; `undefined` where there is no compiler, or no headers. */
export function compileShim(...more: readonly string[]): { status: number | null; stderr: string } | undefined {
  const headers = nodeHeaders();
  if (headers === undefined) return undefined;
  const napi = dirname(createRequire(import.meta.url).resolve("node-addon-api/package.json"));
  const defines = ["-DNAPI_VERSION=8", "-DNAPI_DISABLE_CPP_EXCEPTIONS"];
  const options = ["-std=c++17", "-Wall", "-Wextra", "-Werror=cpp", "-fPIC", "-fno-exceptions", ...defines, ...more];
  const sources = [`-I${headers}`, `-I${napi}`, join(root, "shim/vfio_shim.cc")];
  const { error, status, stderr } = spawnSync("g++", [...options, ...sources], { encoding: "utf8" });
  return error === undefined ? { status, stderr } : undefined;
}
