/** Why there is no shim: read from what lies in the package, from a build's log, and from what the loader says. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "uvu";
import * as assert from "uvu/assert";
import { failureIn } from "../../src/linux/build-log.ts";
import { noneHere, notLoaded, otherVersion } from "../../src/linux/unavailable.ts";

const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
test.after(() => rmSync(directory, { recursive: true }));

/** A project with these files, and the package in it at `at`. Gives the package's directory. */
function project(name: string, files: Readonly<Record<string, string>>, at = "node_modules/dma-window"): string {
  const root = join(directory, name);
  for (const [file, text] of Object.entries({ ...files, [`${at}/package.json`]: "{}" })) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return join(root, at);
}

/** As a program would be told. */
function told(home: string): string {
  const { why, remedy } = noneHere(home, join(home, "prebuilds/x.node"));
  return `${why} ${remedy}`;
}

for (const [name, at] of [
  ["npm", "node_modules/dma-window"],
  ["pnpm", "node_modules/.pnpm/dma-window@0.1.0/node_modules/dma-window"],
  ["yarn, plug and play", ".yarn/unplugged/dma-window-file-0123456789/node_modules/dma-window"],
] as const) {
  test(`${name}: the command that builds one is the same, with the place where the package lies`, () => {
    const home = project(name.replace(/\W/g, "-"), {}, at);
    assert.ok(told(home).includes(`Build it: node ${join(home, "shim/build.mjs")}.`), told(home));
  });
}

test("where this user may not write, whoever owns the package builds", () => {
  const program = `
    import { noneHere } from ${JSON.stringify(new URL("../../src/linux/unavailable.ts", import.meta.url).href)};
    const home = process.argv[1];
    if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
    console.log(noneHere(home, home + "/x.node").remedy);
  `;
  const home = project("read-only", {});
  const why = (mode: number): string => {
    chmodSync(directory, 0o755);
    chmodSync(home, mode);
    const parameters = ["--import", "tsx", "--input-type=module", "--eval", program, home];
    const { stdout, stderr, status } = spawnSync(process.execPath, parameters, { encoding: "utf8" });
    assert.is(status, 0, stderr);
    return stdout;
  };
  assert.match(why(0o555), /This user may not write to .*read-only.*whoever owns it builds/);
  assert.not.match(why(0o777), "may not write");
});

test("a checkout of this package was not built, whatever is prebuilt elsewhere", () => {
  assert.match(told(project("checkout", { "node_modules/dma-window/asconfig.json": "{}" })), /^It has not been built/);
});

const logs = suite("the log of a build that failed");
const printed: readonly [string, string, RegExp][] = [
  [
    "The native shim was not built: there is no C++ compiler (g++, c++, clang++). (Node v20.20.2, x64)",
    "no-compiler",
    /g\+\+/,
  ],
  ["The native shim was not built: there is no riscv64-linux-gnu-g++. (Node v20.20.2, x64)", "no-compiler", /g\+\+/],
  [
    "make: Entering directory '/x/build'\nmake: g++: No such file or directory\nmake: *** [x.target.mk:120: x.o] Error 127",
    "no-compiler",
    /g\+\+/,
  ],
  ["/bin/sh: 1: g++: not found\nmake: *** [x] Error 127", "no-compiler", /g\+\+/],
  ["make: /nonexistent: No such file or directory", "no-compiler", /g\+\+/],
  [
    "In file included from ../shim/arguments.h:16,\n../shim/vfio_layout.h:6:10: fatal error: linux/vfio.h: No such file or directory\n    6 | #include <linux/vfio.h>",
    "no-kernel-headers",
    /linux-headers|linux-libc-dev|kernel-headers/,
  ],
  ["../shim/vfio_layout.h:6:10: fatal error: 'linux/vfio.h' file not found", "no-kernel-headers", /linux/],
  [
    "../shim/x.cc:90:3: error: ‘VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL’ was not declared in this scope",
    "old-kernel-headers",
    /newer/,
  ],
  [
    "/usr/include/c++/12/cstdlib:75:15: fatal error: stdlib.h: No such file or directory",
    "no-library-headers",
    /libc6-dev|musl-dev|glibc-devel/,
  ],
  ["fatal error: napi.h: No such file or directory", "no-headers", /install dma-window again/],
  ["Error: /x/prebuilds/sources.tar.gz cannot be unpacked: gzip: unexpected end of file", "no-headers", /tar and gzip/],
  ["g++: error: unrecognized command-line option '-std=gnu++20'; did you mean", "old-compiler", /CXX/],
  ["g++: internal compiler error: Killed (program cc1plus)", "no-memory", /1 GiB/],
  ["Error: ENOSPC: no space left on device, write", "no-space", /room/],
  ["The native shim was not built: EACCES: permission denied, mkdir '/x/build'.", "not-writable", /owns node_modules/],
  ["something that nobody has seen", "other", /log/],
];
for (const [log, reason, remedy] of printed) {
  logs(`${reason}: ${log.split("\n").at(-1)?.slice(0, 60)}`, () => {
    const found = failureIn(log);
    assert.is(found.reason, reason);
    assert.match(found.remedy, remedy);
    const home = project(`log-${printed.findIndex(([one]) => one === log)}`, {
      "node_modules/dma-window/build/shim-build.log": log,
    });
    assert.match(told(home), /shim\/build\.mjs.*shim-build\.log/);
  });
}
logs.run();

const loader = suite("what the loader says");
const refusals: readonly [string, string][] = [
  ["/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by x.node)", "wrong-libc"],
  ["/usr/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found", "wrong-libc"],
  ["libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory", "wrong-libc"],
  ["Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by x.node)", "wrong-libc"],
  ["Error relocating x.node: __memcpy_chk: symbol not found", "wrong-libc"],
  ["libstdc++.so.6: cannot open shared object file: No such file or directory", "no-library"],
  ["x.node: undefined symbol: napi_create_object_with_properties", "other-node-api"],
  ["x.node: failed to map segment from shared object", "no-execution"],
  ["x.node: cannot open shared object file: Permission denied", "not-readable"],
  ["x.node: file too short", "damaged"],
  ["Module did not self-register: 'x.node'.", "damaged"],
  ["something that nobody has seen", "not-loaded"],
];
for (const [message, reason] of refusals) {
  loader(`${reason}: ${message.slice(0, 60)}`, () => {
    const problem = notLoaded("/nowhere/x.node", new Error(message), project("loader", {}));
    assert.is(problem.reason, reason);
    assert.match(problem.why, "cannot be loaded on this machine");
    assert.match(problem.remedy, /node \S+shim\/build\.mjs/);
  });
}

loader("that addons are disabled, by itself and by the permission model", () => {
  const disabled = Object.assign(new Error("Cannot load native addon because loading addons is disabled."), {
    code: "ERR_DLOPEN_DISABLED",
  });
  assert.match(notLoaded("/x.node", disabled, undefined).why, "--no-addons");
  Object.defineProperty(process, "permission", { value: { has: () => true }, configurable: true });
  try {
    const problem = notLoaded("/x.node", disabled, undefined);
    assert.match(problem.why, "permission model");
    assert.match(problem.remedy, "--allow-addons");
    assert.not.match(problem.remedy, "rebuild");
  } finally {
    Reflect.deleteProperty(process, "permission");
  }
});

loader("and where an earlier build's shim is there, why the last build failed", () => {
  const home = project("earlier", {
    "node_modules/dma-window/build/shim-build.log": "make: g++: No such file or directory",
  });
  for (const { remedy } of [
    otherVersion("/x.node", ["pageSize"], home),
    notLoaded("/x.node", new Error("x.node: file too short"), home),
  ]) {
    assert.match(remedy, /the last one failed.*no C\+\+ compiler.*shim\/build\.mjs.*shim-build\.log/);
  }
  assert.not.match(otherVersion("/x.node", ["pageSize"], undefined).remedy, "failed");
});

loader("that Deno was not told to let native code in", () => {
  const problem = notLoaded(
    "/x.node",
    new Error('Requires ffi access to "/x.node", run again with the --allow-ffi flag'),
    undefined,
  );
  assert.match(problem.remedy, "--allow-ffi");
});
loader.run();

test.run();
