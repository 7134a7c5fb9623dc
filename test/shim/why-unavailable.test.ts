/** Why there is no shim: read from a build's log, from a package manager's traces, and from what the loader says. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "uvu";
import * as assert from "uvu/assert";
import { failureIn } from "../../src/linux/build-log.ts";
import { installationOf } from "../../src/linux/package-manager.ts";
import { notBuilt, notLoaded, otherVersion } from "../../src/linux/unavailable.ts";

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

/** As a program of that environment would be told. */
function told(home: string, environment: Readonly<Record<string, string | undefined>> = {}): string {
  const before = { ...process.env };
  for (const name of ["npm_config_user_agent", "npm_config_ignore_scripts"]) delete process.env[name];
  // Otherwise the settings of whoever runs the tests count.
  Object.assign(process.env, { HOME: directory }, environment);
  try {
    const { why, remedy } = notBuilt(home, join(home, "build/Release/x.node"));
    return `${why} ${remedy}`;
  } finally {
    process.env = before;
  }
}

const managers: readonly [string, Readonly<Record<string, string>>, string, RegExp][] = [
  [
    "npm",
    { "node_modules/.package-lock.json": "{}" },
    "node_modules/dma-window",
    /npm approve-scripts dma-window.*npm 12.*npm rebuild dma-window/,
  ],
  [
    "pnpm",
    { "pnpm-lock.yaml": "" },
    "node_modules/.pnpm/dma-window@0.1.0/node_modules/dma-window",
    /pnpm approve-builds.*onlyBuiltDependencies.*pnpm rebuild dma-window/,
  ],
  ["pnpm, hoisted", { "node_modules/.modules.yaml": "" }, "node_modules/dma-window", /pnpm approve-builds/],
  [
    "yarn",
    { ".yarnrc.yml": "", "yarn.lock": "" },
    "node_modules/dma-window",
    /dependenciesMeta.*yarn rebuild dma-window/,
  ],
  [
    "yarn, plug and play",
    { ".pnp.cjs": "" },
    ".yarn/unplugged/dma-window-npm-0.1.0/node_modules/dma-window",
    /dependenciesMeta/,
  ],
  [
    "yarn 1",
    { "node_modules/.yarn-integrity": "", "yarn.lock": "" },
    "node_modules/dma-window",
    /yarn install --force/,
  ],
  ["bun", { "bun.lock": "" }, "node_modules/dma-window", /bun pm trust dma-window/],
  ["deno", { "deno.lock": "" }, "node_modules/.deno/dma-window@0.1.0/node_modules/dma-window", /deno approve-scripts/],
];
for (const [name, files, at, words] of managers) {
  test(`${name}: a script that never ran is named, what leaving it out is for, and how this manager approves it`, () => {
    const message = told(project(name.replace(/\W/g, "-"), files, at));
    assert.match(message, /install script never ran/);
    assert.match(message, words);
    assert.ok(message.indexOf("keeps packages from running programs") < message.search(words));
  });
}

test("a package of a workspace has its manager's traces above it", () => {
  const home = project("workspace", { "pnpm-workspace.yaml": "" }, "packages/app/node_modules/dma-window");
  assert.is(installationOf(home).manager, "pnpm");
});

test("without traces the manager that runs the program counts, and else npm", () => {
  const home = project("bare", {});
  assert.match(
    told(home, { npm_config_user_agent: "yarn/1.22.22 npm/? node/v20.0.0 linux x64" }),
    /yarn install --force/,
  );
  assert.match(
    told(home, { npm_config_user_agent: "pnpm/11.0.0 npm/? node/v22.0.0 linux x64" }),
    /pnpm approve-builds/,
  );
  assert.match(told(home), /npm approve-scripts/);
});

test("a setting that leaves out all scripts is named with its file, and approving one is not advised", () => {
  const npmrc = told(project("npmrc", { ".npmrc": "ignore-scripts=true\n", "package-lock.json": "" }));
  assert.match(
    npmrc,
    /never ran: ignore-scripts in .*npmrc\/\.npmrc\. That keeps.*npm rebuild dma-window --ignore-scripts=false/,
  );
  assert.not.match(npmrc, /approve-scripts/);
  const yarnrc = told(project("yarnrc", { ".yarnrc.yml": "enableScripts: false\n" }));
  assert.match(yarnrc, /enableScripts: false in .*\.yarnrc\.yml/);
  const variable = told(project("variable", {}), { npm_config_ignore_scripts: "true" });
  assert.match(variable, /never ran: npm_config_ignore_scripts=true/);
});

test("where this user may not write, the script may have run and left no log: both are said", () => {
  const program = `
    import { notBuilt } from ${JSON.stringify(new URL("../../src/linux/unavailable.ts", import.meta.url).href)};
    const home = process.argv[1];
    if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
    console.log(notBuilt(home, home + "/x.node").why);
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
  assert.match(
    why(0o555),
    /never ran, or could build nothing and leave no log, since this user may not write to .*read-only/,
  );
  assert.not.match(why(0o777), "could build nothing");
});

test("in a checkout of this package itself nobody has to approve anything", () => {
  assert.match(told(project("checkout", { "node_modules/dma-window/asconfig.json": "{}" })), /Run it: npm run install/);
});

const logs = suite("the log of a build that failed");
const printed: readonly [string, string, RegExp][] = [
  [
    "gyp ERR! find Python You need to install the latest version of Python.\ngyp ERR! stack Error: Could not find any Python installation to use",
    "no-python",
    /python3/,
  ],
  ["gyp ERR! build error\ngyp ERR! stack Error: not found: make", "no-make", /make/],
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
  ["fatal error: napi.h: No such file or directory", "no-addon-api", /install dma-window again/],
  [
    "gyp http GET https://nodejs.org/download/release/v24.1.0/node-v24.1.0-headers.tar.gz\ngyp ERR! stack FetchError: request to https://nodejs.org/x failed, reason: getaddrinfo ENOTFOUND nodejs.org",
    "no-node-headers",
    /npm_config_nodedir/,
  ],
  ["g++: error: unrecognized command-line option '-std=gnu++20'; did you mean", "old-compiler", /CXX/],
  ["g++: internal compiler error: Killed (program cc1plus)", "no-memory", /1 GiB/],
  ["Error: ENOSPC: no space left on device, write", "no-space", /room/],
  [
    "gyp ERR! stack Error: EACCES: permission denied, mkdir '/root/.cache/node-gyp/22.1.0'",
    "not-writable",
    /owns node_modules/,
  ],
  [
    "The native shim was not built: there is no node-gyp. (Node v20.20.2, x64)\nspawnSync node-gyp ENOENT",
    "no-node-gyp",
    /npm install -g node-gyp/,
  ],
  ["something that nobody has seen", "other", /log/],
];
for (const [log, reason, remedy] of printed) {
  logs(`${reason}: ${log.split("\n").at(-1)?.slice(0, 60)}`, () => {
    const found = failureIn(log);
    assert.is(found.reason, reason);
    assert.match(found.remedy, remedy);
    const home = project(`log-${printed.findIndex(([one]) => one === log)}`, {
      "node_modules/dma-window/build/shim-install.log": log,
    });
    assert.match(told(home), /npm rebuild dma-window.*shim-install\.log/);
    assert.not.match(told(home), /never ran/);
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
    assert.match(problem.remedy, /npm rebuild dma-window/);
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
    "node_modules/dma-window/build/shim-install.log": "make: g++: No such file or directory",
  });
  for (const { remedy } of [
    otherVersion("/x.node", ["pageSize"], home),
    notLoaded("/x.node", new Error("x.node: file too short"), home),
  ]) {
    assert.match(remedy, /the last one failed.*no C\+\+ compiler.*npm rebuild dma-window.*shim-install\.log/);
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
