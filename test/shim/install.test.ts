import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../../", import.meta.url));
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
    env: { ...inherited, npm_config_nodedir: dirname(dirname(process.execPath)), ...environment },
  });
  return { status: child.status, printed: child.stdout + child.stderr };
}

/** A build from earlier on, which a failed one must not leave. */
function leaveOldBuild(where: string): void {
  mkdirSync(join(where, "build/Release"), { recursive: true });
  writeFileSync(join(where, addon), "an older build");
}

function explains(where: string, { status, printed }: ReturnType<typeof install>, why: RegExp): void {
  assert.is(status, 0);
  assert.match(printed, why);
  assert.match(printed, /ERR_SHIM_UNAVAILABLE/);
  assert.match(printed, /modelKernel\(\)/);
  assert.match(printed, /apt-get install g\+\+ make python3/);
  assert.match(printed, /npm rebuild dma-window/);
  assert.ok(printed.trimEnd().split("\n").length <= 8, "one short message");
  assert.not.match(printed, /gyp ERR|^\s+at /m);
  assert.match(printed, log);
  assert.not(existsSync(join(where, addon)));
  assert.not(existsSync(join(where, "build/Makefile")));
}

test("a compiler that fails is explained, nothing of the build is left but its log, and installing goes on", () => {
  leaveOldBuild(copy);
  explains(copy, install(copy, { CXX: "false" }), /node-gyp failed/);
  assert.match(readFileSync(join(copy, log), "utf8"), /gyp ERR/);
});

test("a compiler that does not exist is explained in the same way", () => {
  leaveOldBuild(copy);
  explains(copy, install(copy, { CXX: "/nonexistent" }), /node-gyp failed/);
  assert.match(readFileSync(join(copy, log), "utf8"), /nonexistent/);
});

test("a machine without python and make is explained in the same way", () => {
  leaveOldBuild(copy);
  explains(copy, install(copy, { PATH: nowhere }), /node-gyp failed/);
});

test("a machine without node-gyp is told so", () => {
  leaveOldBuild(bareCopy);
  explains(bareCopy, install(bareCopy, { PATH: nowhere }), /there is no node-gyp/);
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
