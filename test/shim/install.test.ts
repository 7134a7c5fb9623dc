import { spawnSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../../", import.meta.url));
const prefix = dirname(dirname(process.execPath));
const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
test.after(() => rmSync(directory, { recursive: true }));

const copy = join(directory, "with-node-gyp");
const bareCopy = join(directory, "without-node-gyp");
const nowhere = join(directory, "empty");
mkdirSync(nowhere);
for (const target of [copy, bareCopy]) {
  for (const part of ["shim", "binding.gyp", "package.json"])
    cpSync(join(root, part), join(target, part), { recursive: true });
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));

const log = "build/shim-install.log";
const addon = "build/Release/vfio_shim.node";

/** The install step in a copy of the package, cut off from the network and from what npm says to its scripts. */
function install(where: string, environment: Record<string, string>) {
  const { npm_config_node_gyp: _, ...inherited } = process.env;
  const child = spawnSync(process.execPath, [join(where, "shim/install.mjs")], {
    cwd: directory,
    encoding: "utf8",
    env: { ...inherited, npm_config_nodedir: prefix, ...environment },
  });
  return { status: child.status, printed: child.stdout + child.stderr };
}

/** A build from earlier on, which a failed one leaves. */
function leaveOldBuild(where: string): void {
  mkdirSync(join(where, "build/Release"), { recursive: true });
  writeFileSync(join(where, addon), "an older build");
}

function explains({ status, printed }: ReturnType<typeof install>, why: RegExp): void {
  assert.is(status, 0);
  assert.match(printed, why);
  assert.match(printed, /ERR_SHIM_UNAVAILABLE/);
  assert.match(printed, /modelKernel\(\)/);
  assert.match(printed, /apt-get install g\+\+ make python3/);
  assert.match(printed, /npm rebuild dma-window/);
  assert.ok(printed.trimEnd().split("\n").length <= 8, "one short message");
  assert.not.match(printed, /gyp ERR|^\s+at /m);
  assert.match(printed, log);
}

test("a compiler that fails is explained, nothing of the build is left but its log, and installing goes on", () => {
  explains(install(copy, { CXX: "false" }), /node-gyp failed/);
  assert.match(readFileSync(join(copy, log), "utf8"), /gyp ERR/);
  assert.equal(readdirSync(join(copy, "build")), ["shim-install.log"]);
});

test("a build that fails leaves the shim that was there, and says so beside why", () => {
  leaveOldBuild(copy);
  const again = install(copy, { CXX: "false", CC: "false" });
  explains(again, /node-gyp failed/);
  assert.match(again.printed, /earlier build stays/);
  assert.is(readFileSync(join(copy, addon), "utf8"), "an older build");
  assert.equal(readdirSync(join(copy, "build")).sort(), ["Release", "shim-install.log"]);
});

test("a build that succeeds takes the place of the former one by a rename, and its log and leftovers go", () => {
  // Nothing to build it with: no headers, or a compiler that is switched off for these tests.
  if (!existsSync(join(prefix, "include/node/node_api.h")) || process.env.CXX === "false") return;
  mkdirSync(join(copy, "build/fresh-ended"), { recursive: true });
  writeFileSync(join(copy, log), "why an earlier one failed");
  leaveOldBuild(copy);
  const former = openSync(join(copy, addon), "r"); // as a program that has it loaded
  try {
    const { status, printed } = install(copy, {});
    assert.is(status, 0);
    assert.is(printed, "");
    assert.is(readFileSync(former, "utf8"), "an older build");
  } finally {
    closeSync(former);
  }
  assert.equal(readdirSync(join(copy, "build")), ["Release"]);
  const load = spawnSync(process.execPath, ["-p", `require(${JSON.stringify(join(copy, addon))}).pageSize()`]);
  assert.is(load.status, 0, String(load.stderr));
  const built = readFileSync(join(copy, addon));
  explains(install(copy, { CXX: "false", CC: "false" }), /node-gyp failed/);
  assert.ok(built.equals(readFileSync(join(copy, addon))));
});

test("a compiler that does not exist is explained in the same way", () => {
  leaveOldBuild(copy);
  explains(install(copy, { CXX: "/nonexistent" }), /node-gyp failed/);
  assert.match(readFileSync(join(copy, log), "utf8"), /nonexistent/);
});

test("a machine without python and make is explained in the same way", () => {
  leaveOldBuild(copy);
  explains(install(copy, { PATH: nowhere }), /node-gyp failed/);
});

test("a machine without node-gyp is told so", () => {
  leaveOldBuild(bareCopy);
  explains(install(bareCopy, { PATH: nowhere }), /there is no node-gyp/);
});

test("DMA_WINDOW_SKIP_SHIM=1 builds nothing, and leaves what is there alone", () => {
  rmSync(join(copy, "build"), { recursive: true, force: true });
  const { status, printed } = install(copy, { DMA_WINDOW_SKIP_SHIM: "1" });
  assert.is(status, 0);
  assert.is(printed.trimEnd().split("\n").length, 1);
  assert.match(printed, /DMA_WINDOW_SKIP_SHIM/);
  assert.not(existsSync(join(copy, "build")));
  leaveOldBuild(copy);
  install(copy, { DMA_WINDOW_SKIP_SHIM: "1" });
  assert.is(readFileSync(join(copy, addon), "utf8"), "an older build");
});

test.run();
