// Makes lib/ of dist/: what is published. dist/ has each source file by itself, for the tests and for whoever works here; a package of
// that has three times the bytes, and a thousand files.
//
//     lib/index.js, core.js, ...    the entry points that package.json exports, and the command, each with what it alone needs
//     lib/chunks/                   what several of them need
//     lib/index.d.ts, ...           what of the declarations the entry points lead to, with its documentation

import { existsSync } from "node:fs";
import { join } from "node:path";

/** In dist/ and in lib/, without their endings. */
const entries = ["index", "core", "model/index", "trace/index"];
const commands = ["cli/main"];

/** The packages that do it. They are loaded only here: a checkout that has them not can be told so. */
export const makers = ["esbuild", "rollup", "rollup-plugin-dts"];

/** @throws Error that says why not */
export async function makeLib(dist, lib) {
  await bundleCode(dist, lib);
  await bundleDeclarations(dist, lib);
}

async function bundleCode(dist, lib) {
  const { build } = await import("esbuild");
  await build({
    absWorkingDir: dist,
    entryPoints: [...entries, ...commands].map((name) => `${name}.js`),
    outdir: lib,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[hash]",
    format: "esm",
    platform: "node",
    target: "node20.19",
    minify: true,
    // An error that nobody catches is shown with its line.
    lineLimit: 160,
    // Errors and pictures of objects say the names of classes, and stacks those of functions.
    keepNames: true,
    legalComments: "none",
    logLevel: "error",
  });
}

async function bundleDeclarations(dist, lib) {
  const { rollup } = await import("rollup");
  const { dts } = await import("rollup-plugin-dts");
  const input = Object.fromEntries(entries.map((name) => [name, join(dist, `${name}.d.ts`)]));
  const external = /^node:/;
  const refuse = ({ message }) => {
    throw new Error(message);
  };
  const bundle = await rollup({ input, external, plugins: [dts()], onwarn: refuse });
  const chunkFileNames = "chunks/[hash].d.ts";
  // It indents by four spaces.
  const plugins = [
    { name: "tabs", renderChunk: (code) => code.replace(/^(?: {4})+/gm, (by) => "\t".repeat(by.length / 4)) },
  ];
  await bundle.write({ dir: lib, format: "es", entryFileNames: "[name].d.ts", chunkFileNames, plugins });
  await bundle.close();
  for (const name of entries)
    if (!existsSync(join(lib, `${name}.d.ts`))) throw new Error(`${name} has no declarations`);
}
