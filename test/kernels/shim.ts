/** The shim, compiled for a guest: request numbers differ between architectures, so each needs its own. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { compileShim, headersOf } from "../../shim/compile.mjs";
import type { Architecture } from "./guests.ts";

/** The shim for an architecture; built only when its sources have changed. It is the one that shim/build.mjs makes. */
export function shimFor(architecture: Architecture, root: string, cache: string): string {
  const sources = join(root, "shim");
  const hash = createHash("sha256");
  for (const name of readdirSync(sources).sort()) hash.update(name).update(readFileSync(join(sources, name)));
  const directory = join(cache, architecture.debian, "shim");
  const built = join(directory, `${hash.digest("hex").slice(0, 16)}.node`);
  if (existsSync(built)) return built;
  mkdirSync(directory, { recursive: true });
  const unfinished = `${built}.${process.pid}`;
  const { why, said } = compileShim({
    ...{ compiler: architecture.compiler, directory: sources, headers: headersOf(root) },
    ...{ output: unfinished, more: ["-Werror"] },
  });
  if (why !== undefined) throw new Error(`the shim was not built: ${why}\n${said}`);
  renameSync(unfinished, built);
  return built;
}
