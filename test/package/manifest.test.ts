import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NODES } from "../engines/binaries.ts";
import { importsOf, root } from "./imports.ts";

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

fields("asks its users for nothing", () => {
  for (const kind of ["dependencies", "peerDependencies", "optionalDependencies", "bundleDependencies"])
    assert.not.ok(kind in manifest);
});

fields("has no script that installing it could run, and nothing that a package manager would build by itself", () => {
  for (const script of ["preinstall", "install", "postinstall"]) assert.not.ok(script in manifest.scripts, script);
  assert.is(manifest.gypfile, false, "in a checkout npm leaves node-gyp alone");
  assert.not.ok(manifest.files.includes("binding.gyp"), "npm, pnpm and yarn run node-gyp where one lies");
});

fields("builds all of it before the tests, and nothing is published without the prebuilt shims", () => {
  assert.match(manifest.scripts.pretest, "build");
  assert.match(manifest.scripts.start, "dist/cli/main.js run");
  assert.match(manifest.scripts.prepublishOnly, "--check");
});

fields("has a command that can be run, as the file that it names says in its first line", () => {
  assert.equal(manifest.bin, { "dma-window": "lib/cli/main.js" });
  assert.match(readFileSync(join(root, manifest.bin["dma-window"]), "utf8"), /^#!\/usr\/bin\/env node\n/);
});

fields("exports files that exist, each with its types", () => {
  assert.equal(Object.keys(manifest.exports), [
    ".",
    "./core",
    "./model",
    "./trace",
    "./prebuilds/*.node",
    "./package.json",
  ]);
  for (const [name, target] of Object.entries<string | { types: string; default: string }>(manifest.exports)) {
    const paths = typeof target === "string" ? [target] : [target.types, target.default];
    for (const path of paths) if (!path.includes("*")) accessSync(join(root, path), constants.R_OK);
    if (typeof target === "string") continue;
    assert.equal(Object.keys(target), ["types", "default"], `${name}: types come first, or they are not found`);
    assert.is(target.types, target.default.replace(/\.js$/, ".d.ts"));
  }
});

fields.run();

const packed = suite("the package as it is published");

interface Packed {
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** Without the scripts: what is there is what would be packed. */
function pack(): Packed {
  const child = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, encoding: "utf8" });
  assert.is(child.status, 0, child.stderr);
  // An array, and from npm 12 on an object by the package's name.
  const [only] = Object.values(JSON.parse(child.stdout) as Record<string, Packed>);
  return only as Packed;
}

const { files: listed, unpackedSize } = pack();
const files = new Set(listed.map(({ path }) => path));
const shims = ["x64", "arm64", "ppc64le"].map((name) => `prebuilds/linux-${name}/vfio_shim.node`);
/** They need cross compilers: where those are not, npm publish refuses, and so does the check that it asks. */
const hasPrebuilds = existsSync(join(root, "prebuilds/SHA256SUMS"));

/** Everything that may be in it, but for chunks, whose names change with what is in them. */
const wanted = [
  ...["CHANGELOG.md", "LICENSE", "README.md", "package.json"],
  ...["shim/README.md", "shim/build.mjs", "shim/compile.mjs"],
  ...["index", "core", "model/index", "trace/index"].flatMap((name) => [`lib/${name}.js`, `lib/${name}.d.ts`]),
  "lib/cli/main.js",
  ...(hasPrebuilds ? [...shims, "prebuilds/SHA256SUMS", "prebuilds/sources.json.br"] : []),
  ...(manifest.files as readonly string[]).filter((path) => /^(docs|examples)\//.test(path)),
];

packed(
  "has what is wanted, to the file, and nothing else: no sources, maps, tests, measurements, nor builds with asserts",
  () => {
    const chunk = /^lib\/chunks\/[\w-]+\.(js|d\.ts)$/;
    assert.equal([...files].filter((path) => !chunk.test(path)).sort(), wanted.sort());
    assert.ok([...files].some((path) => chunk.test(path)));
  },
);

packed(
  "takes less than 1.88 MB: code 0.97, declarations and what they say 0.25, shims and their sources 0.30, documents 0.35",
  () => {
    assert.ok(unpackedSize < 1_880_000, `${unpackedSize} bytes`);
  },
);

packed("has every file that one of its own imports", () => {
  for (const path of files) {
    if (!/^lib\/.*\.js$/.test(path)) continue;
    for (const { to, ours } of importsOf(path, readFileSync(join(root, path), "utf8"))) {
      assert.ok(!ours || files.has(to), `${path} imports ${to}`);
    }
  }
});

packed("has every document that one of its own leads to", () => {
  for (const path of files) {
    if (!path.endsWith(".md")) continue;
    for (const [, to = ""] of readFileSync(join(root, path), "utf8").matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (!/^\w+:/.test(to)) assert.ok(files.has(join(dirname(path), to)), `${path} leads to ${to}`);
    }
  }
});

packed("says in the changelog what is in its version", () => {
  const text = readFileSync(join(root, "CHANGELOG.md"), "utf8");
  const versions = [...text.matchAll(/^## (.+)$/gm)].map(([, version]) => version);
  assert.ok(versions.includes(manifest.version) || versions[0] === "Unreleased", versions.join());
  for (const version of versions) assert.match(version ?? "", /^(Unreleased|\d+\.\d+\.\d+)\b/);
});

packed.run();
