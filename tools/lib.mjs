// Makes lib/ of dist/: what is published. dist/ has each source file by itself, for the tests and for whoever works here; a package of
// that has three times the bytes, and a thousand files.
//
//     lib/index.js, core.js, ...    the entry points that package.json exports, and the command, each with what it alone needs
//     lib/chunks/                   what several of them need
//     lib/**/*.d.ts                 the declarations that the entry points' lead to, with their documentation

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** In dist/ and in lib/, without their endings. */
export const entries = ["index", "core", "model/index", "trace/index"];
const commands = ["cli/main"];

/** esbuild is asked for only here: a checkout without it can be told so. */
export function makeLib(root, dist, lib) {
  const { buildSync } = createRequire(join(root, "package.json"))("esbuild");
  buildSync({
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
    // Errors and pictures of objects say the names of classes, and stacks those of functions.
    keepNames: true,
    legalComments: "none",
    logLevel: "error",
  });
  for (const name of declarationsFrom(dist)) {
    mkdirSync(dirname(join(lib, name)), { recursive: true });
    // The compiler indents by four spaces.
    const text = readFileSync(join(dist, name), "utf8").replace(/^(?: {4})+/gm, (spaces) => "\t".repeat(spaces.length / 4));
    writeFileSync(join(lib, name), text);
  }
}

/** Those of the entry points, and all that they lead to. */
function declarationsFrom(dist) {
  const found = new Set(entries.map((name) => `${name}.d.ts`));
  for (const name of found) {
    const text = readFileSync(join(dist, name), "utf8");
    for (const [, to] of text.matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
      found.add(join(dirname(name), to.replace(/\.[jt]s$/, ".d.ts")));
    }
  }
  return found;
}
