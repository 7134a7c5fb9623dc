import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NODES } from "../engines/binaries.ts";
import { filesIn, importsOf, root } from "./imports.ts";

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const fields = suite("package.json");

fields("says what the package is: ES modules, for Node 20.19 and later on Linux, under the MIT licence", () => {
  assert.is(manifest.name, "dma-window");
  assert.is(manifest.type, "module");
  assert.equal(manifest.engines, { node: ">=20.19" });
  assert.equal(manifest.os, ["linux"]);
  assert.is(manifest.license, "MIT");
  assert.match(manifest.version, /^\d+\.\d+\.\d+$/);
  assert.match(readFileSync(join(root, "LICENSE"), "utf8"), /MIT License/i);
});

fields("names the Nodes that all tests run on, as the README does", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [oldest, ...others] = NODES;
  assert.match(
    readme,
    `Node ${oldest} (from ${oldest}.19 on), ${others.slice(0, -1).join(", ")} or ${others.at(-1)}, on Linux`,
  );
});

fields("asks its users for nothing but the shim's headers", () => {
  assert.equal(Object.keys(manifest.dependencies), ["node-addon-api"]);
  for (const kind of ["peerDependencies", "optionalDependencies", "bundleDependencies"])
    assert.not.ok(kind in manifest);
});

fields("builds the shim on installing without failing the installation, and all of it before the tests", () => {
  assert.is(manifest.scripts.install, "node shim/install.mjs");
  assert.match(manifest.scripts.pretest, "build");
  assert.match(manifest.scripts.start, "dist/cli/main.js run");
});

fields("has a command that can be run, as the file that it names says in its first line", () => {
  assert.equal(manifest.bin, { "dma-window": "dist/cli/main.js" });
  assert.match(readFileSync(join(root, manifest.bin["dma-window"]), "utf8"), /^#!\/usr\/bin\/env node\n/);
});

fields("exports files that exist, each with its types", () => {
  assert.equal(Object.keys(manifest.exports), [".", "./core", "./model", "./trace", "./package.json"]);
  for (const [name, target] of Object.entries<string | { types: string; default: string }>(manifest.exports)) {
    const paths = typeof target === "string" ? [target] : [target.types, target.default];
    for (const path of paths) accessSync(join(root, path), constants.R_OK);
    if (typeof target === "string") continue;
    assert.equal(Object.keys(target), ["types", "default"], `${name}: types come first, or they are not found`);
    assert.is(target.types, target.default.replace(/\.js$/, ".d.ts"));
  }
});

fields.run();

const packed = suite("the package as it is published");

interface Packed {
  readonly files: readonly { readonly path: string }[];
}

function pack(): Set<string> {
  const child = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, encoding: "utf8" });
  assert.is(child.status, 0, child.stderr);
  const [only] = JSON.parse(child.stdout) as readonly Packed[];
  return new Set(only?.files.map(({ path }) => path));
}

const files = pack();

packed("has what is needed to run: the core, the library, the command, the types", () => {
  const needed = ["core.wasm", "index.js", "index.d.ts", "core.js", "core.d.ts", "model/index.js", "model/index.d.ts"];
  for (const path of [...needed, "cli/main.js"]) assert.ok(files.has(`dist/${path}`), path);
  for (const path of ["package.json", "README.md", "LICENSE", "CHANGELOG.md"]) assert.ok(files.has(path), path);
});

packed("has what is needed to build the shim: every file of it, and how", () => {
  assert.ok(files.has("binding.gyp"));
  for (const path of filesIn("shim")) assert.ok(files.has(path), path);
});

packed("has the sources that its source maps lead to", () => {
  for (const path of files) {
    if (!path.endsWith(".js.map")) continue;
    const { sources } = JSON.parse(readFileSync(join(root, path), "utf8")) as { sources: readonly string[] };
    for (const source of sources) {
      const full = join(dirname(path), source);
      // A file whose source has been renamed or removed stays in dist until somebody clears it.
      if (existsSync(join(root, full))) assert.ok(files.has(full), `${path} comes from ${full}`);
    }
  }
});

packed("has every file that one of its own imports", () => {
  for (const path of files) {
    if (!/^dist\/.*\.js$/.test(path)) continue;
    for (const { to, ours } of importsOf(path, readFileSync(join(root, path), "utf8"))) {
      assert.ok(!ours || files.has(to), `${path} imports ${to}`);
    }
  }
});

packed("has nothing else: no tests, no measurements, nothing that was built for this machine", () => {
  const parts = ["assembly", "dist", "shim", "src", "tools"];
  const alone = ["CHANGELOG.md", "LICENSE", "README.md", "binding.gyp", "package.json"];
  for (const path of files) {
    assert.ok(alone.includes(path) || parts.includes(path.split("/")[0] ?? ""), path);
    assert.not.match(path, /\.(test\.ts|node|log|tgz|o|orig|tmp)$|node_modules|(^|\/)build\//);
  }
});

packed.run();
