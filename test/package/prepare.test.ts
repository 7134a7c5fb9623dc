/** What npm's scripts do to dist/ and lib/: build a checkout, whole or not at all, and leave an installed package alone. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { unpack } from "../../src/unpack.ts";
import { root } from "./imports.ts";
import { execute, Home } from "./installed.ts";

const home = new Home();
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
/** What of a published package may run; and that of an earlier one, whose link in a project may have npm run `prepare`. */
const published = ["package.json", "README.md", "lib", "shim/build.mjs", "shim/compile.mjs", "tools"];
const settings = ["asconfig.json", "tsconfig.json", "tsconfig.build.json"];
/** What a checkout has besides. */
const sources = ["CHANGELOG.md", "assembly", "dist", "docs", "shim", "src"];

/** A tree with these parts of this checkout. */
function tree(name: string, parts: readonly string[]): string {
  const at = join(home.at, name);
  for (const part of parts) cpSync(join(root, part), join(at, part), { recursive: true });
  return at;
}

/**
 * A checkout that can build, with compilers of a moment: they write what they are told to, and fail where the source says
 * "MISTAKE". What the true ones make is tested by everything else.
 */
function checkout(name: string): string {
  const at = tree(name, [...published, ...settings, ...sources]);
  const library = `
    const { cpSync, readFileSync, writeFileSync } = require("node:fs");
    const after = (option) => process.argv[process.argv.indexOf(option) + 1];
    const compile = (source, make) => {
      if (readFileSync(source, "utf8").includes("MISTAKE")) process.exit(2);
      make();
    };
  `;
  const compilers = {
    "assemblyscript/bin/asc.js":
      'compile("assembly/index.ts", () => writeFileSync(after("--outFile"), after("--target")));',
    "binaryen/bin/wasm-opt": 'writeFileSync(after("-o"), readFileSync(after("-o"), "utf8") + " small");',
    "typescript/bin/tsc": 'compile("src/index.ts", () => cpSync("former", after("--outDir"), { recursive: true }));',
  };
  for (const [path, program] of Object.entries(compilers)) {
    const file = join("node_modules", path);
    mkdirSync(join(at, file, ".."), { recursive: true });
    writeFileSync(join(at, file), library + program);
    writeFileSync(join(at, "node_modules", path.split("/")[0] ?? "", "package.json"), "{}");
  }
  for (const real of [
    "esbuild",
    "@esbuild",
    "rollup",
    "@rollup",
    "rollup-plugin-dts",
    "@typescript",
    "@types",
    "undici-types",
  ]) {
    if (existsSync(join(root, "node_modules", real)))
      symlinkSync(join(root, "node_modules", real), join(at, "node_modules", real));
  }
  cpSync(join(at, "dist"), join(at, "former"), { recursive: true, filter: (path) => !path.endsWith(".wasm") });
  return at;
}

const env = { DMA_WINDOW_SKIP_SHIM: "1" };
const prepare = (at: string) => execute("npm", ["run", "--silent", "prepare"], { cwd: at, env });
const build = (at: string, ...only: readonly string[]) =>
  execute(process.execPath, ["tools/build.mjs", ...only], { cwd: at });

function works(at: string): void {
  const program = `import("${at}/lib/index.js").then(({ planWindow }) => console.log(typeof planWindow))`;
  assert.is(execute(process.execPath, ["--eval", program]).stdout, "function\n");
}

/** A file in lib/ that no build makes: it is gone once another build was put there. */
const mark = (at: string) => writeFileSync(join(at, "lib/mark"), "");
const isMarked = (at: string) => existsSync(join(at, "lib/mark"));

const installed = suite("an installed package");

installed("is left alone by prepare, without a word", () => {
  const at = tree("installed", published);
  mark(at);
  const { status, stdout, stderr } = prepare(at);
  assert.equal([status, stdout, stderr], [0, "", ""]);
  assert.ok(isMarked(at));
  works(at);
});

for (const [layout, link] of [
  ["in npm's node_modules", undefined],
  ["behind a link, as in pnpm's store", "node_modules/.pnpm/dma-window@0.1.0/node_modules/dma-window"],
  ["a workspace", "packages/dma-window"],
] as const) {
  installed(`survives a rebuild (${layout})`, () => {
    const user = join(home.at, layout.replaceAll(/\W+/g, "-"));
    const at = tree(join(layout.replaceAll(/\W+/g, "-"), link ?? "node_modules/dma-window"), published);
    mkdirSync(join(user, "node_modules"), { recursive: true });
    if (link !== undefined) symlinkSync(at, join(user, "node_modules/dma-window"));
    const workspaces = layout === "a workspace" ? { workspaces: ["packages/*"] } : {};
    writeFileSync(
      join(user, "package.json"),
      JSON.stringify({
        name: "user",
        version: "1.0.0",
        dependencies: { "dma-window": manifest.version },
        ...workspaces,
      }),
    );
    const { status, stderr } = execute("npm", ["rebuild", "dma-window", "--offline"], { cwd: user, env });
    assert.is(status, 0, stderr);
    works(join(user, "node_modules/dma-window"));
  });
}

installed.run();

const building = suite("a checkout");

building("is built by prepare; a build that fails leaves what was there, to the file", () => {
  const at = checkout("checkout");
  mark(at);
  const path = join(at, "src/index.ts");
  const whole = readFileSync(path, "utf8");
  writeFileSync(path, `${whole}\n// MISTAKE\n`);
  const failed = prepare(at);
  assert.is.not(failed.status, 0);
  assert.match(failed.stderr, /tsc failed.*dist\/ is as it was/);
  assert.ok(isMarked(at));
  works(at);

  writeFileSync(path, whole);
  const { status, stderr } = prepare(at);
  assert.is(status, 0, stderr);
  assert.not(isMarked(at));
  works(at);
  const made = (name: string) => readFileSync(join(at, `dist/${name}.wasm`), "utf8");
  assert.equal(["core", "core.scalar", "core.asserts"].map(made), ["release small", "scalar small", "asserts"]);
  const [core, scalar] = [...readFileSync(join(at, "src/core-wasm.ts"), "utf8").matchAll(/: "(.*)"/g)].map(([, text]) =>
    Buffer.from(text ?? "", "base64"),
  );
  const release = unpack(core ?? Buffer.of());
  assert.is(Buffer.from(release).toString(), "release small");
  assert.is(Buffer.from(unpack(scalar ?? Buffer.of(), release)).toString(), "scalar small");
  assert.equal(
    execute("ls", ["-A"], { cwd: at })
      .stdout.split("\n")
      .filter((name) => name.startsWith(".")),
    [],
    "nothing of either build is left",
  );
});

building("can build the core alone, whose compiler's failing changes nothing either", () => {
  const at = checkout("core");
  const path = join(at, "assembly/index.ts");
  const whole = readFileSync(path, "utf8");
  const before = readFileSync(join(at, "src/core-wasm.ts"), "utf8");
  writeFileSync(path, "MISTAKE");
  const failed = build(at, "core");
  assert.is(failed.status, 1);
  assert.match(failed.stderr, /asc failed/);
  assert.is(readFileSync(join(at, "src/core-wasm.ts"), "utf8"), before);
  writeFileSync(path, whole);
  mark(at);
  assert.is(build(at, "core").status, 0);
  assert.ok(isMarked(at));
  works(at);
});

building("is not built anew where what it is made of, and what it made, are as they were", () => {
  const at = checkout("changed");
  const program = `import { isMade } from "${at}/tools/made.mjs"; console.log(isMade("${at}"))`;
  const isMade = () => execute(process.execPath, ["--input-type=module", "--eval", program]).stdout === "true\n";
  rmSync(join(at, "dist/made.json"), { force: true });
  assert.not(isMade());
  mark(at);
  assert.is(build(at, "changed").status, 0);
  assert.not(isMarked(at));
  assert.match(build(at, "changed").stdout, "of these sources already");
  for (const name of ["src/errors.ts", "assembly/alloc/tlsf.ts", "docs/guide.md", "lib/index.js", "dist/core.wasm"]) {
    const path = join(at, name);
    const bytes = readFileSync(path);
    for (const other of [`${bytes} `, undefined]) {
      if (other === undefined) rmSync(path);
      else writeFileSync(path, other);
      assert.not(isMade(), name);
      writeFileSync(path, bytes);
      assert.ok(isMade(), name);
    }
  }
  mark(at);
  assert.not(isMade(), "a file that no build makes");
  rmSync(join(at, "lib/mark"));
  assert.is(build(at, "core").status, 0);
  assert.not(isMade(), "a part that was made alone");
});

building("without its compilers keeps what was built; what never was cannot be used, and that is said", () => {
  const at = tree("without", [...published, ...settings, ...sources]);
  const kept = prepare(at);
  assert.is(kept.status, 0);
  assert.match(
    kept.stderr,
    /without its development dependencies \(no asc, wasm-opt, tsc, esbuild, rollup, rollup-plugin-dts\).*left as it is/,
  );
  works(at);
  rmSync(join(at, "dist"), { recursive: true });
  const refused = prepare(at);
  assert.is.not(refused.status, 0);
  assert.match(refused.stderr, /never built: run npm ci in it first/);
});

building.after(() => home.remove());
building.run();
