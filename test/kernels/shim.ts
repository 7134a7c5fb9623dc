/** The shim, compiled for a guest: request numbers differ between architectures, so each needs its own. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./guests.ts";
import { output } from "./unpack.ts";

/** The shim for an architecture; built only when its sources have changed. Node-API's headers are npm's, and the same everywhere. */
export function shimFor(architecture: Architecture, root: string, cache: string): string {
  const sources = join(root, "shim");
  const hash = createHash("sha256");
  for (const name of readdirSync(sources).sort()) hash.update(name).update(readFileSync(join(sources, name)));
  const directory = join(cache, architecture.debian, "shim");
  const built = join(directory, `${hash.digest("hex").slice(0, 16)}.node`);
  if (existsSync(built)) return built;
  mkdirSync(directory, { recursive: true });
  const unfinished = `${built}.${process.pid}`;
  output(architecture.compiler, [
    ...["-std=c++17", "-O2", "-shared", "-fPIC", "-fno-exceptions", "-Wall", "-Wextra", "-Werror"],
    ...["-DNAPI_VERSION=8", "-DNAPI_DISABLE_CPP_EXCEPTIONS", "-DNODE_ADDON_API_DISABLE_DEPRECATED"],
    `-I${join(root, "node_modules/node-api-headers/include")}`,
    `-I${join(root, "node_modules/node-addon-api")}`,
    join(sources, "vfio_shim.cc"),
    ...["-o", unfinished],
  ]);
  renameSync(unfinished, built);
  return built;
}
