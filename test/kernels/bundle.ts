/** The programs for the guests, each with this library in one file. */
import { join } from "node:path";
import { build } from "esbuild";

/** An ES module that needs nothing but Node and the shim, from a file of this package. */
export async function bundle(root: string, from: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [from],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20",
    // The examples import the package by its name: of the library there is to be one copy.
    alias: { "dma-window": join(root, "src/index.ts") },
    // uvu reaches for Node's modules by require, which an ES module has not; and Node can be asked for them from 20.16 on alone: the
    // newest build for POWER that npm has is 20.11.
    banner: {
      js:
        'import { createRequire as __require } from "node:module"; const require = __require(import.meta.url); ' +
        "process.getBuiltinModule ??= require;",
    },
  });
  const [only] = outputFiles;
  if (only === undefined) throw new Error("esbuild gave nothing");
  return only.contents;
}
