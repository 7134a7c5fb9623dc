/**
 * The prebuilt shims: what they ask of a machine, which is the same everywhere; and which shim of a package is taken. Where they are
 * not built (npm run prebuild, which needs cross compilers) what a package says without them is in unavailable.test.ts.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PREBUILT, prebuiltIn, prebuiltName } from "../../src/linux/prebuilt.ts";
import { firstVersions, isEarlier, type Wants, wantsOf } from "./elf-symbols.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const isBuilt = existsSync(join(root, "prebuilds/SHA256SUMS"));
const fileOf = (name: string) => join(root, `prebuilds/linux-${name}/vfio_shim.node`);

/** The newest glibc that a shim may need: that of RHEL 8, for which Node itself is built. */
const GLIBC = "2.28";

/** All that a shim takes of the C library: what glibc has in that version on each architecture, and musl too. */
const allowed = new Set(
  `__errno_location abort close dladdr dlopen epoll_create1 epoll_ctl epoll_wait eventfd eventfd_write fcntl free ioctl madvise malloc
   memchr memcmp memcpy memmove memset mmap munmap open pread pthread_create pthread_join pthread_mutex_lock pthread_mutex_unlock
   pthread_sigmask pwrite raise read readlink sched_yield sigaction sigfillset snprintf strcmp strlen strstr syscall sysconf vsnprintf`.split(
    /\s+/,
  ),
);

/** Why a shared object would not load everywhere; none where it does. */
function faultsOf({ libraries, versions, symbols, weak, shown, isExecutableWhereWritable }: Wants): string[] {
  const foreign = symbols.filter((name) => !name.startsWith("napi_") && !allowed.has(name));
  return [
    ...libraries.map((library) => `needs ${library}`),
    ...versions.map((version) => `wants symbols of ${version}`),
    ...foreign.map((name) => `wants ${name}`),
    ...weak.filter((name) => !name.startsWith("uv_")).map((name) => `may want ${name}`),
    ...shown
      .filter((name) => !/^(napi_register_module_v1|node_api_module_get_api_version_v1)$/.test(name))
      .map((name) => `shows ${name}`),
    ...(isExecutableWhereWritable ? ["has memory that is writable and executable"] : []),
  ];
}

const objects = suite("what a shared object asks of a machine");

objects("is found where there is something: this Node needs libraries, and symbols of glibc in versions", () => {
  const faults = faultsOf(wantsOf(process.execPath));
  assert.ok(faults.some((fault) => /^needs lib/.test(fault)));
  assert.ok(faults.some((fault) => /^wants symbols of \w+/.test(fault)));
  assert.ok(faults.some((fault) => /^shows napi_/.test(fault)));
});

objects("a shim that is built as usual needs the C++ library, which a prebuilt one must not", () => {
  const usual = join(root, "build/Release/vfio_shim.node");
  if (existsSync(usual))
    assert.ok(faultsOf(wantsOf(usual)).some((fault) => /^needs libstdc\+\+|^needs libc\+\+/.test(fault)));
});

for (const path of [
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/usr/aarch64-linux-gnu/lib/libc.so.6",
  "/usr/powerpc64le-linux-gnu/lib/libc.so.6",
]) {
  if (!existsSync(path)) continue;
  objects(`each symbol that is allowed is older than glibc ${GLIBC}, says ${path}`, () => {
    const versions = firstVersions(path);
    assert.ok(versions.size > 1000);
    for (const name of allowed) {
      const version = versions.get(name);
      assert.ok(version !== undefined && !isEarlier(GLIBC, version), `${name}: ${version}`);
    }
  });
}

objects.run();

const prebuilt = suite("a prebuilt shim");

if (isBuilt) {
  for (const name of PREBUILT) {
    prebuilt(`needs no library, and nothing of a C library that is not everywhere (${name})`, () => {
      assert.equal(faultsOf(wantsOf(fileOf(name))), []);
      assert.ok(wantsOf(fileOf(name)).symbols.length > 50);
    });
  }

  const musl = "/lib/ld-musl-x86_64.so.1";
  if (existsSync(musl)) {
    prebuilt("finds all but Node-API in musl, says musl's own loader", () => {
      const { stdout, stderr } = spawnSync(musl, ["--preload", "libc.so", "--list", fileOf("x64")], {
        encoding: "utf8",
      });
      const missing = [...`${stdout}${stderr}`.matchAll(/: (\w+): symbol not found/g)].map(([, symbol = ""]) => symbol);
      assert.ok(missing.length > 50, "without Node there is no Node-API");
      assert.equal(
        missing.filter((symbol) => !symbol.startsWith("napi_")),
        [],
      );
    });
  }

  prebuilt("is listed with its sum, as sha256sum reads them, and of the sources that are here", () => {
    const check = spawnSync("sha256sum", ["--check", "--quiet", "SHA256SUMS"], {
      cwd: join(root, "prebuilds"),
      encoding: "utf8",
    });
    assert.is(check.status, 0, check.stderr);
    const list = readFileSync(join(root, "prebuilds/SHA256SUMS"), "utf8");
    for (const name of PREBUILT) assert.match(list, `  linux-${name}/vfio_shim.node`);
    const own = spawnSync(process.execPath, ["tools/prebuild.mjs", "--check"], { cwd: root, encoding: "utf8" });
    assert.is(own.status, 0, own.stderr);
  });
}

prebuilt("that is missing for want of a compiler is no failure, unless somebody insists", () => {
  const copy = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    for (const part of ["shim", "tools", "package.json"])
      cpSync(join(root, part), join(copy, part), { recursive: true });
    const run = (...words: readonly string[]) =>
      spawnSync(process.execPath, ["tools/prebuild.mjs", ...words], {
        cwd: copy,
        encoding: "utf8",
        // Named compilers are not looked for, and "false" switches the making of shims off.
        env: { ...process.env, PATH: copy, CXX: undefined, CC: undefined },
      });
    assert.equal([run().status, run("--insist").status, run("--check").status], [0, 2, 1]);
    assert.is(run().stdout + run().stderr, "", "npm runs it before each build");
    assert.match(
      run("--insist").stderr,
      /no prebuilt shims.*apt-get install -y --no-install-recommends g\+\+.*powerpc64le/s,
    );
    assert.match(run("--needs").stdout, /^g\+\+(-\S+)? g\+\+-\S+ g\+\+-powerpc64le-linux-gnu\n$/);
    assert.not(existsSync(join(copy, "prebuilds")));
  } finally {
    rmSync(copy, { recursive: true });
  }
});

prebuilt("that cannot be put in its place leaves what is there", () => {
  const copy = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    for (const part of ["shim", "tools", "package.json"])
      cpSync(join(root, part), join(copy, part), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    mkdirSync(join(copy, "prebuilds"));
    writeFileSync(join(copy, "prebuilds/former"), "");
    // Compilers of a moment, which make a file and nothing in it.
    for (const triplet of ["x86_64-linux-gnu", "aarch64-linux-gnu", "powerpc64le-linux-gnu"]) {
      const script = '#!/bin/sh\nwhile [ $# -gt 0 ]; do if [ "$1" = -o ]; then : > "$2"; fi; shift; done\n';
      writeFileSync(join(copy, `${triplet}-g++`), script, { mode: 0o755 });
    }
    const failing = `
      import fs from "node:fs";
      import { syncBuiltinESMExports } from "node:module";
      const rename = fs.renameSync;
      fs.renameSync = (from, to) => {
        if (/prebuilds-\\d+$/.test(from)) throw new Error("no rename today");
        rename(from, to);
      };
      syncBuiltinESMExports();`;
    const words = ["--import", `data:text/javascript,${encodeURIComponent(failing)}`, "tools/prebuild.mjs", "--insist"];
    const options = { cwd: copy, encoding: "utf8", env: { ...process.env, PATH: copy, CXX: undefined } } as const;
    const failed = spawnSync(process.execPath, words, options);
    assert.match(failed.stderr, "no rename today; prebuilds/ is as it was");
    assert.equal(readdirSync(join(copy, "prebuilds")), ["former"]);
    const made = spawnSync(process.execPath, ["tools/prebuild.mjs", "--insist"], options);
    assert.is(made.status, 0, made.stderr);
    assert.ok(existsSync(join(copy, "prebuilds/SHA256SUMS")));
    assert.equal(
      readdirSync(copy).filter((name) => name.startsWith(".")),
      [],
      "nothing of either is left",
    );
  } finally {
    rmSync(copy, { recursive: true });
  }
});

prebuilt.run();

const choice = suite("which shim of a package is taken");
const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
const home = join(directory, "user/node_modules/dma-window");
choice.after(() => rmSync(directory, { recursive: true }));

interface Chosen {
  readonly path?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly warnings: readonly string[];
}

/** What a program that uses the package in `home` is told, when it is run from `cwd`. */
function chosen(cwd = directory): Chosen {
  const program = `
    const warnings = [];
    process.on("warning", ({ code, message }) => warnings.push(code + " " + message));
    const { linuxKernel } = await import(${JSON.stringify(pathToFileURL(join(home, "src/linux/index.ts")))});
    const files = () => process.report.getReport().sharedObjects.filter((path) => path.endsWith(".node") && path.includes("vfio_shim"));
    const said = {};
    try {
      linuxKernel().open("/nonexistent");
      said.path = files().at(-1);
    } catch ({ message, facts }) {
      Object.assign(said, { message, reason: facts.reason });
    }
    setImmediate(() => console.log(JSON.stringify({ ...said, warnings })));
  `;
  const loader = pathToFileURL(join(root, "node_modules/tsx/dist/loader.mjs")).href;
  const child = spawnSync(process.execPath, ["--import", loader, "--input-type=module", "--eval", program], {
    cwd,
    encoding: "utf8",
    env: { ...process.env, DMA_WINDOW_SHIM: "" },
  });
  assert.is(child.status, 0, child.stderr);
  return JSON.parse(child.stdout) as Chosen;
}

const name = prebuiltName();
if (isBuilt && name !== undefined) {
  const built = join(home, "build/Release/vfio_shim.node");
  const own = prebuiltIn(home) ?? "";
  choice.before(() => {
    for (const part of ["package.json", "src"]) cpSync(join(root, part), join(home, part), { recursive: true });
  });
  choice.before.each(() => {
    for (const part of ["build", "prebuilds"]) rmSync(join(home, part), { recursive: true, force: true });
    cpSync(join(root, "prebuilds"), join(home, "prebuilds"), { recursive: true });
  });
  const build = (from: string) => {
    mkdirSync(dirname(built), { recursive: true });
    cpSync(from, built);
  };

  choice("the prebuilt one, where none was built", () => {
    assert.equal(chosen(), { path: own, warnings: [] });
  });

  choice("never one that lies where the program is run", () => {
    const trap = join(directory, "trap");
    for (const path of ["prebuilds", "node_modules/dma-window/prebuilds"])
      cpSync(join(root, "prebuilds"), join(trap, path), { recursive: true });
    cpSync(join(root, "package.json"), join(trap, "package.json"));
    cpSync(join(root, "package.json"), join(trap, "node_modules/dma-window/package.json"));
    rmSync(join(home, "prebuilds"), { recursive: true });
    assert.is(chosen(trap).reason, "prebuilt-missing");
  });

  choice("one that was built on this machine before the prebuilt one", () => {
    build(own);
    assert.is(chosen().path, built);
  });

  choice("the prebuilt one with a warning, where the built one does not load", () => {
    build(fileOf(process.arch === "arm64" ? "x64" : "arm64"));
    const { path, warnings } = chosen();
    assert.is(path, own);
    assert.match(
      warnings.join(),
      /^DMA_WINDOW_SHIM_PASSED_OVER .*build\/Release\/vfio_shim\.node cannot be loaded.*It was built for.*is used instead\.$/,
    );
  });

  choice("none that is not the one that was published, and it is not even opened", () => {
    const bytes = readFileSync(own);
    bytes.writeUInt8((bytes.readUInt8(5000) + 1) & 255, 5000);
    writeFileSync(own, bytes);
    const { reason, message } = chosen();
    assert.is(reason, "damaged");
    assert.match(
      message ?? "",
      /is not the one that was published: its SHA-256 is [0-9a-f]{64}, and .*SHA256SUMS says otherwise.*shim\/build\.mjs/,
    );
    rmSync(join(home, "prebuilds/SHA256SUMS"));
    assert.match(chosen().message ?? "", /there is no .*SHA256SUMS/);
  });

  choice("neither, and both are named, where neither loads", () => {
    writeFileSync(own, "");
    mkdirSync(dirname(built), { recursive: true });
    writeFileSync(built, "nothing");
    assert.match(
      chosen().message ?? "",
      /build\/Release\/vfio_shim\.node cannot be loaded.*prebuilds\/.*is not the one that was published/,
    );
  });
}

choice.run();
