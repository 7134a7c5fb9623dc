/** The command that builds the shim where no prebuilt one suits: in a checkout, and in a package, which has an archive of sources. */
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
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../../", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
test.after(() => rmSync(directory, { recursive: true }));

const checkout = join(directory, "checkout");
const installed = join(directory, "user/node_modules/dma-window");
for (const part of ["shim", "package.json"]) cpSync(join(root, part), join(checkout, part), { recursive: true });
symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
for (const part of ["shim/build.mjs", "shim/compile.mjs", "package.json"])
  cpSync(join(root, part), join(installed, part));
if (existsSync(join(root, "prebuilds")))
  cpSync(join(root, "prebuilds"), join(installed, "prebuilds"), { recursive: true });
const nowhere = join(directory, "empty");
mkdirSync(nowhere);

const log = "build/shim-build.log";
const addon = "build/Release/vfio_shim.node";
const hasCompiler =
  process.env.CXX !== "false" &&
  (process.env.PATH ?? "").split(delimiter).some((path) => existsSync(join(path, "g++")));

/** The command in a copy of the package, from a directory that has nothing to do with it. */
function build(where: string, environment: Record<string, string> = {}) {
  const child = spawnSync(process.execPath, [join(where, "shim/build.mjs")], {
    cwd: directory,
    encoding: "utf8",
    env: { ...process.env, ...environment },
  });
  return { status: child.status, printed: child.stdout + child.stderr };
}

/** A build from earlier on, which a failed one leaves. */
function leaveOldBuild(where: string): void {
  mkdirSync(join(where, "build/Release"), { recursive: true });
  writeFileSync(join(where, addon), "an older build");
}

function explains({ status, printed }: ReturnType<typeof build>, why: RegExp): void {
  assert.is(status, 1);
  assert.match(printed, why);
  assert.match(printed, /ERR_SHIM_UNAVAILABLE/);
  assert.match(printed, /modelKernel\(\)/);
  assert.match(printed, /apt-get install g\+\+; on Alpine: apk add g\+\+ linux-headers/);
  assert.match(printed, /node .*shim\/build\.mjs/);
  assert.ok(printed.trimEnd().split("\n").length <= 8, "one short message");
  assert.not.match(printed, /^\s+at /m);
  assert.match(printed, log);
}

const loads = (file: string) =>
  spawnSync(process.execPath, ["-p", `require(${JSON.stringify(file)}).pageSize()`], { encoding: "utf8" });

test("a compiler that fails is explained, and nothing of the build is left but its log", () => {
  explains(build(checkout, { CXX: "false" }), /false failed/);
  assert.match(readFileSync(join(checkout, log), "utf8"), /^The native shim was not built: false failed\. \(Node v/);
  assert.equal(readdirSync(join(checkout, "build")), ["shim-build.log"]);
});

test("a build that fails leaves the shim that was there, and says so beside why", () => {
  leaveOldBuild(checkout);
  const again = build(checkout, { CXX: "false" });
  explains(again, /false failed/);
  assert.match(again.printed, /earlier build stays/);
  assert.is(readFileSync(join(checkout, addon), "utf8"), "an older build");
  assert.equal(readdirSync(join(checkout, "build")).sort(), ["Release", "shim-build.log"]);
});

test("what the compiler said is in the log", () => {
  if (!hasCompiler) return;
  explains(build(checkout, { CXXFLAGS: "-fno-such-option" }), /g\+\+ failed/);
  assert.match(readFileSync(join(checkout, log), "utf8"), /-fno-such-option/);
});

test("a build that succeeds takes the place of the former one by a rename, and its log and leftovers go", () => {
  if (!hasCompiler) return;
  mkdirSync(join(checkout, "build/fresh-ended"), { recursive: true });
  writeFileSync(join(checkout, log), "why an earlier one failed");
  leaveOldBuild(checkout);
  const former = openSync(join(checkout, addon), "r"); // as a program that has it loaded
  try {
    const { status, printed } = build(checkout);
    assert.is(status, 0, printed);
    assert.is(printed, `dma-window: built ${join(checkout, addon)}\n`);
    assert.is(readFileSync(former, "utf8"), "an older build");
  } finally {
    closeSync(former);
  }
  assert.equal(readdirSync(join(checkout, "build")), ["Release"]);
  const { status, stderr } = loads(join(checkout, addon));
  assert.is(status, 0, stderr);
  const built = readFileSync(join(checkout, addon));
  explains(build(checkout, { CXX: "false" }), /false failed/);
  assert.ok(built.equals(readFileSync(join(checkout, addon))));
});

test("in a package it is built from the archive, without anything else of npm's", () => {
  if (!hasCompiler || !existsSync(join(installed, "prebuilds"))) return;
  const { status, printed } = build(installed);
  assert.is(status, 0, printed);
  assert.equal(readdirSync(join(installed, "build")), ["Release"]);
  assert.is(loads(join(installed, addon)).status, 0);
});

test("an archive that is not whole is named", () => {
  if (!hasCompiler) return;
  rmSync(join(installed, "build"), { recursive: true, force: true });
  mkdirSync(join(installed, "prebuilds"), { recursive: true });
  writeFileSync(join(installed, "prebuilds/sources.tar.gz"), "nothing");
  explains(build(installed), /sources\.tar\.gz cannot be unpacked/);
});

test("a compiler that does not exist is explained in the same way", () => {
  leaveOldBuild(checkout);
  explains(build(checkout, { CXX: "/nonexistent" }), /there is no \/nonexistent/);
});

test("a machine without a compiler is told what was looked for", () => {
  leaveOldBuild(checkout);
  explains(build(checkout, { CXX: "", PATH: nowhere }), /there is no C\+\+ compiler \(g\+\+, c\+\+, clang\+\+\)/);
});

test.run();
