// Builds dist/ from assembly/ and src/, and of that lib/, which is published.
//
//     node tools/build.mjs         all of it, beside what is there, and puts it in place when it is whole
//     node tools/build.mjs changed the same, where what it is made of, or what it made, is not as it was: made.mjs
//     node tools/build.mjs core    the builds of the core and the allocator alone
//     node tools/build.mjs alloc   those of the allocator alone
//     node tools/build.mjs draft core|alloc    the releases of one of them, right but not small: for a look at a change
//
// A build that fails leaves dist/ as it was: a program that is linked to this checkout goes on.
//
//     assembly/       -> core.wasm, core.scalar.wasm, core.asserts.wasm -> src/core-wasm.ts: the first two as text
//     assembly/alloc/ -> alloc.wasm, alloc.asserts.wasm -> src/alloc-wasm.ts: the first as text
//     src/            -> JavaScript and types
//     dist/           -> lib/, in few files: lib.mjs
//     docs/           -> lib/documents.json.br: documents.mjs

import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packDocuments } from "./documents.mjs";
import { makeLib, makers } from "./lib.mjs";
import { pack } from "./lz4.mjs";
import { forgetMade, isMade, noteMade } from "./made.mjs";
import { putInPlace } from "./put-in-place.mjs";

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const dist = join(root, "dist");
const lib = join(root, "lib");
const require = createRequire(import.meta.url);

/** What makes dist/ and lib/, each a file that Node runs; all of them are development dependencies. */
const tools = {
  asc: () => require.resolve("assemblyscript/bin/asc.js"),
  "wasm-opt": () => join(dirname(require.resolve("binaryen/package.json")), "bin/wasm-opt"),
  tsc: () => join(dirname(require.resolve("typescript/package.json")), "bin/tsc"),
  ...Object.fromEntries(makers.map((name) => [name, () => require.resolve(name)])),
};

/**
 * The builds by the name of their file: asc's target, and what `wasm-opt` may use; asserts are left as they are. The allocator has
 * a configuration of its own, because asc adds the entries of a target to those that all targets have.
 */
const builds = [
  { build: "core", target: "release", features: ["--enable-bulk-memory", "--enable-simd"] },
  { build: "core.scalar", target: "scalar", features: ["--enable-bulk-memory"] },
  { build: "core.asserts", target: "asserts" },
  {
    build: "alloc",
    config: "asconfig.alloc.json",
    target: "release",
    features: ["--enable-bulk-memory", "--enable-threads"],
  },
  { build: "alloc.asserts", config: "asconfig.alloc.json", target: "asserts" },
  {
    build: "alloc.shared",
    config: "asconfig.shared.json",
    target: "release",
    features: ["--enable-bulk-memory", "--enable-threads"],
  },
  { build: "alloc.shared.asserts", config: "asconfig.shared.json", target: "asserts" },
];

/** The programs that are not here: none where everything can be built. */
export function missingTools() {
  return Object.entries(tools)
    .filter(([, path]) => {
      try {
        return !existsSync(path());
      } catch {
        return true;
      }
    })
    .map(([name]) => name);
}

/**
 * @param only "core" or "alloc", or nothing for all
 * @param draft no asserts, and no last optimisation: a third of the time
 * @throws Error that says which program failed; what it said is on the terminal already.
 */
export async function build(only, draft = false) {
  const fresh = join(root, `.dist-${process.pid}`);
  const freshLib = join(root, `.lib-${process.pid}`);
  try {
    mkdirSync(fresh);
    buildCore(fresh, (build) => build.startsWith(only === "alloc" || draft ? only : ""), draft);
    if (only !== undefined) {
      forgetMade(root);
      for (const name of readdirSync(fresh)) renameSync(join(fresh, name), join(dist, name));
    } else {
      run("tsc", "-p", "tsconfig.build.json", "--outDir", fresh);
      await makeLib(fresh, freshLib);
      packDocuments(root, freshLib);
      putInPlace(fresh, dist);
      putInPlace(freshLib, lib);
      noteMade(root);
    }
  } finally {
    for (const rest of [fresh, freshLib]) rmSync(rest, { recursive: true, force: true });
  }
}

/** @throws as `build` */
export async function buildChanged() {
  if (isMade(root)) console.log("dma-window: dist/ and lib/ are of these sources already.");
  else await build();
}

/** The builds that are wanted. The text of the others is that of the files in dist/. */
function buildCore(directory, isWanted, draft) {
  for (const { build, config, target, features } of builds.filter((each) => isWanted(each.build))) {
    if (draft && target === "asserts") continue;
    const file = join(directory, `${build}.wasm`);
    run("asc", ...(config ? ["--config", config] : []), "--target", target, "--outFile", file);
    if (features && !draft) run("wasm-opt", "-Oz", ...features, file, "-o", file);
  }
  const bytes = (build) => readFileSync(join(isWanted(build) ? directory : dist, `${build}.wasm`));
  const text = (build, before) => pack(bytes(build), before).toString("base64");
  writeText("src/core-wasm.ts", [
    "/**",
    " * The builds of the core that a process may run, packed (tools/lz4.mjs), as base64: so they are wherever this module is, in a bundle",
    " * too. The one without SIMD is packed behind the other.",
    " */",
    'export const CORE_WASM: Readonly<Record<"core" | "core.scalar", string>> = {',
    `  core: "${text("core")}",`,
    `  "core.scalar": "${text("core.scalar", bytes("core"))}",`,
    "};",
  ]);
  writeText("src/alloc-wasm.ts", [
    "/** The allocator, packed, as base64, for the same reason as the core. */",
    `export const ALLOC_WASM: string = "${text("alloc")}";`,
  ]);
  writeText("src/alloc-shared-wasm.ts", [
    "/** The module for pools that workers share, packed, as base64, for the same reason as the core. */",
    `export const ALLOC_SHARED_WASM: string = "${text("alloc.shared")}";`,
  ]);
}

function writeText(path, lines) {
  writeFileSync(join(root, path), ["// Written by tools/build.mjs. Not kept in git.", "", ...lines, ""].join("\n"));
}

function run(tool, ...parameters) {
  const { status, signal, error } = spawnSync(process.execPath, [tools[tool](), ...parameters], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`${tool} failed: ${error?.message ?? (signal || `exit code ${status}`)}`);
}

if (process.argv[1] && realpathSync(process.argv[1]) === self) {
  try {
    const [word, part] = process.argv.slice(2);
    if (word === "changed") await buildChanged();
    else if (word === "draft") await build(part, true);
    else await build(word);
  } catch (error) {
    console.error(`dma-window: ${error.message}; dist/ is as it was.`);
    process.exitCode = 1;
  }
}
