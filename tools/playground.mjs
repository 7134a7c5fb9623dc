// Makes docs/playground.html: one file that needs nothing else, no server and no network.
//
//     node tools/playground.mjs [FILE]
//
//     tools/playground/page.html    its style.css and its main.ts, with all that this needs of src/, become part of it;
//                                   POLICY: this script and this style alone, known by their digests, and no connection to anywhere
//
// The same sources give the same bytes, wherever the checkout lies.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const self = fileURLToPath(import.meta.url);
const root = fileURLToPath(new URL("..", import.meta.url));
const sources = join(root, "tools/playground");

/** The page's text. */
export async function playgroundPage() {
  if (!existsSync(join(root, "src/core-wasm.ts"))) throw new Error("the core is not built: run npm run build first");
  const [script, style] = await Promise.all([bundled(), minified()]);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const parts = {
    '<link rel="stylesheet" href="style.css">': `<style>${style}</style>`,
    '<script type="module" src="main.ts"></script>': `<script type="module">${script}</script>`,
    POLICY: policyFor(script, style),
    VERSION: version,
  };
  const page = readFileSync(join(sources, "page.html"), "utf8");
  const places = new RegExp(Object.keys(parts).join("|"), "g");
  // In one walk: what stands in a part is not looked at again.
  return page.replace(places, (place) => parts[place]);
}

async function bundled() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["tools/playground/main.ts"],
    bundle: true,
    write: false,
    minify: true,
    platform: "browser", // an import of Node's fails here
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    logLevel: "error",
  });
  return outputFiles[0].text; // esbuild writes no "</script" into it
}

async function minified() {
  const { code } = await transform(readFileSync(join(sources, "style.css"), "utf8"), { loader: "css", minify: true });
  return code;
}

/** Nothing but this very script and style; pictures that are in the page itself; wasm, which is in the script. */
function policyFor(script, style) {
  return [
    "default-src 'none'",
    `script-src ${digest(script)} 'wasm-unsafe-eval'`,
    `style-src ${digest(style)}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

function digest(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

if (process.argv[1] && realpathSync(process.argv[1]) === self) {
  const file = process.argv[2] ?? join(root, "docs/playground.html");
  const page = await playgroundPage();
  writeFileSync(file, page);
  console.log(`${file}: ${page.length} bytes. Open it in a browser.`);
}
