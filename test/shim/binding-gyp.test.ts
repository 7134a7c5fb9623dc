/** binding.gyp, for builds by node-gyp: what it says is what compile.mjs does, and a shim comes of it. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileShim } from "../../shim/compile.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Target {
  readonly target_name: string;
  readonly type?: string;
  readonly sources?: readonly string[];
  readonly include_dirs?: readonly string[];
  readonly defines?: readonly string[];
  readonly cflags_cc?: readonly string[];
}

/** JSON, but for its comment. */
const gyp = JSON.parse(readFileSync(join(root, "binding.gyp"), "utf8").replace(/^#.*$/gm, "")) as {
  readonly conditions: readonly [[string, { targets: readonly Target[] }, { targets: readonly Target[] }]];
};
const [[condition, { targets: onLinux }, { targets: elsewhere }]] = gyp.conditions;

/** What compile.mjs tells a compiler. */
const words = compileShim({ compiler: "echo", directory: "shim", headers: ["headers"], output: "output" })
  .said.trim()
  .split(" ");

test("compiles what compile.mjs compiles, with the same options; that it is a shared object node-gyp says itself", () => {
  assert.is(condition, "OS=='linux'");
  assert.is(onLinux.length, 1);
  const { target_name, sources = [], defines = [], cflags_cc = [] } = onLinux[0] as Target;
  assert.is(target_name, "vfio_shim");
  assert.equal(
    [
      ...cflags_cc,
      "-shared",
      "-fPIC",
      ...defines.map((name) => `-D${name}`),
      "-Iheaders",
      ...sources,
      "-o",
      "output",
    ].sort(),
    [...words].sort(),
  );
});

test("has nothing to compile elsewhere", () => {
  assert.equal(elsewhere, [{ target_name: "vfio_shim", type: "none" }]);
});

const directory = mkdtempSync(join(tmpdir(), "dma-window-gyp-"));
test.after(() => rmSync(directory, { recursive: true }));

/** node-gyp in a copy of the checkout. Where Node's headers do not lie beside Node it looks for them in its cache and downloads them. */
function rebuild(): { status: number | null; said: string } {
  for (const part of ["shim", "package.json", "binding.gyp"])
    cpSync(join(root, part), join(directory, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const program = createRequire(join(root, "package.json")).resolve("node-gyp/bin/node-gyp.js");
  const beside = dirname(dirname(process.execPath));
  const headers = existsSync(join(beside, "include/node/node_api.h")) ? [`--nodedir=${beside}`] : [];
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "rebuild", ...headers], {
    cwd: directory,
    encoding: "utf8",
    env: { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) },
    timeout: 180_000,
  });
  return { status, said: `${stdout}${stderr}` };
}

/** Why nothing can be built on this machine. */
function hindrance(said: string): string | undefined {
  if (process.env.CXX === "false") return "a compiler";
  if (/find Python.*(could not|not found)|Could not find any Python/i.test(said)) return "Python";
  if (/not found: make|(make|g\+\+|c\+\+): (not found|No such file)/.test(said)) return "make and a compiler";
  if (/ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|response downloading/.test(said)) return "Node's headers";
  return undefined;
}

const { status, said } = rebuild();
const lacking = status === 0 ? undefined : hindrance(said);

if (lacking !== undefined) {
  test(`builds nothing on a machine without ${lacking}`, () => assert.is.not(status, 0));
} else {
  test("builds a shim without a warning, which loads and is whole", () => {
    assert.is(status, 0, said);
    assert.not.match(said, /warning:/);
    const program =
      'const shim = require("./build/Release/vfio_shim.node"); console.log(shim.pageSize(), Object.keys(shim).sort().join())';
    const child = spawnSync(process.execPath, ["-e", program], { cwd: directory, encoding: "utf8" });
    assert.is(child.status, 0, child.stderr);
    const exported = [...readFileSync(join(root, "shim/vfio_shim.cc"), "utf8").matchAll(/exports\.Set\("(\w+)"/g)];
    assert.ok(exported.length > 20);
    for (const [, name = ""] of exported) assert.match(child.stdout, new RegExp(`[ ,]${name}\\b`));
  });
}

test.run();
