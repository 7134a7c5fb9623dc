// What npm runs as `prepare`: it builds a checkout, and leaves an installed package alone.
//
// npm runs it in a checkout (npm ci, npm install), before it packs one (npm pack, a dependency by its git address), and in
// everything that is a link: npm link, a workspace, a package in pnpm's store, of which `npm rebuild dma-window` thinks as of a
// link. Only the first two can build: asconfig.json and tsconfig.build.json are not published.
//
// The shim needs a compiler, and may do without one: then that is said, and all but the real kernel works. DMA_WINDOW_SKIP_SHIM=1
// leaves it out.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildShim } from "../shim/build.mjs";
import { build, missingTools } from "./build.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const has = (path) => existsSync(join(root, path));

if (has("asconfig.json") && has("tsconfig.build.json")) await prepare();

async function prepare() {
  const missing = missingTools();
  if (missing.length === 0) {
    prepareShim();
    try {
      await build();
    } catch (error) {
      console.error(`dma-window: ${error.message}; dist/ is as it was.`);
      process.exitCode = 1;
    }
    return;
  }
  const why = `${root} is a checkout without its development dependencies (no ${missing.join(", ")})`;
  if (has("dist/index.js")) {
    console.error(`dma-window: ${why}; its dist/ is left as it is.`);
    return;
  }
  console.error(`dma-window: ${why}, and was never built: run npm ci in it first.`);
  process.exitCode = 1;
}

function prepareShim() {
  if (process.env.DMA_WINDOW_SKIP_SHIM !== "1") {
    buildShim();
    return;
  }
  console.log(
    "dma-window: DMA_WINDOW_SKIP_SHIM=1, so the native shim is not built; the software kernel works without it.",
  );
}
