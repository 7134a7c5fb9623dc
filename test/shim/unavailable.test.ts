import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cutOff } from "../../src/linux/elf.ts";
import { prebuiltName } from "../../src/linux/prebuilt.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
test.after(() => rmSync(directory, { recursive: true }));

interface Observed {
  readonly available: boolean;
  readonly memory: string;
  readonly name: string;
  readonly pageSize: number;
  readonly used: string;
  readonly errors: readonly { readonly name: string; readonly code: string; readonly message: string }[];
  readonly reason: string;
}

/** What a program sees in a process of its own, where DMA_WINDOW_SHIM is `path`, on the platform and in the package named. */
function observe(path: string, platform = "linux", where = root, flags: readonly string[] = []): Observed {
  const program = `
    Object.defineProperty(process, "platform", { value: ${JSON.stringify(platform)} });
    const { linuxKernel, linuxMemory, shimAvailable } = await import(${JSON.stringify(pathToFileURL(join(where, "src/linux/index.ts")))});
    const kernel = linuxKernel();
    const errors = [];
    const calls = [
      () => kernel.open("/dev/vfio/vfio"),
      () => kernel.close(1000),
      () => kernel.ioctl(0, 0, 0),
      () => kernel.ioctlStruct(0, 13, new Uint8Array(32), 0),
      () => kernel.ioctlBatch(0, new Uint8Array(32), 0, 0),
      () => kernel.mmap(0n, 65536n, 3, 0, 0),
      () => kernel.munmap(65536n, 65536n),
      () => kernel.view(65536n, 65536n),
    ];
    let reason;
    for (const call of calls) {
      try { call(); } catch ({ name, code, message, facts }) { errors.push({ name, code, message }); reason = facts.reason; }
    }
    console.log(JSON.stringify({
      available: shimAvailable(), memory: typeof linuxMemory(), name: kernel.name, pageSize: kernel.pageSize,
      used: typeof kernel.lockedMemory().used, errors, reason,
    }));
  `;
  const child = spawnSync(process.execPath, [...flags, "--import", "tsx", "--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, DMA_WINDOW_SHIM: path },
  });
  assert.is(child.status, 0, child.stderr);
  return JSON.parse(child.stdout);
}

function explains(observed: Observed, words: RegExp): void {
  assert.is(observed.available, false);
  assert.is(observed.errors.length, 8, "every system call throws");
  for (const error of observed.errors) {
    assert.is(error.name, "DmaWindowError");
    assert.is(error.code, "ERR_SHIM_UNAVAILABLE");
    assert.match(error.message, words);
    assert.match(error.message, /modelKernel\(\)/);
  }
}

test("where the shim is missing a kernel can be had, and each system call says which file is not there", () => {
  const observed = observe(join(directory, "missing.node"));
  explains(observed, /missing\.node, which does not exist.*DMA_WINDOW_SHIM/s);
  assert.is(observed.name, "linux");
  assert.is(observed.memory, "undefined");
});

test("where the shim is missing the page size and the locked memory are known all the same", () => {
  const observed = observe(join(directory, "missing.node"));
  assert.ok([4096, 16384, 65536].includes(observed.pageSize));
  assert.is(observed.used, "bigint");
});

test("a file that the machine cannot load is named with the loader's own reason", () => {
  const path = join(directory, "broken.node");
  writeFileSync(path, "not an addon");
  explains(observe(path), /broken\.node cannot be loaded.*(invalid ELF header|file too short).*is no ELF file/s);
});

test("an addon of another version is named with what it lacks", () => {
  const path = join(directory, "older.cjs");
  writeFileSync(path, "for (const name of ['open', 'close', 'ioctl', 'mmap', 'munmap']) exports[name] = () => 0;");
  explains(
    observe(path),
    /another version.*ioctlStruct, ioctlBatch, bindNode, populate, view, detach, isSeen, isBusy, openStreams, weak, isCollected, collect, read, write, addressOf, ioctlLater, pread, pwrite, mapRegisters, .*, holdLoop, pageSize, layout/s,
  );
});

/** This package as it lies in a project, without a shim. */
function bareIn(project: string): string {
  const bare = join(directory, project, "node_modules/dma-window");
  for (const part of ["package.json", "src"]) cpSync(join(root, part), join(bare, part), { recursive: true });
  return bare;
}

test("a package that was not installed as a whole says so; one whose build failed, what was missing", () => {
  const bare = bareIn("project");
  const command = `node ${join(bare, "shim/build.mjs")}`;
  if (prebuiltName() === undefined) {
    explains(observe("", "linux", bare), /prebuilt ones for x64, arm64, ppc64le, and this Node is .*shim\/build\.mjs/s);
  } else {
    const incomplete = observe("", "linux", bare);
    explains(
      incomplete,
      /prebuilds.*vfio_shim\.node is not there.*not installed as a whole.*Install dma-window again/s,
    );
    assert.is(incomplete.reason, "prebuilt-missing");
  }
  assert.ok(observe("", "linux", bare).errors[0]?.message.includes(command));
  mkdirSync(join(bare, "build"));
  explains(observe("", "linux", bare), /begun and not ended.*shim\/build\.mjs/s);
  writeFileSync(join(bare, "build/shim-build.log"), "/bin/sh: 1: g++: not found");
  explains(observe("", "linux", bare), /no C\+\+ compiler.*install.*shim\/build\.mjs.*shim-build\.log/s);
});

test("a machine that no prebuilt shim is made for is told which there are, and the command that builds one", () => {
  const program = `
    Object.defineProperty(process, "arch", { value: "riscv64" });
    const { linuxKernel } = await import(${JSON.stringify(pathToFileURL(join(bareIn("riscv"), "src/linux/index.ts")))});
    try { linuxKernel().open("/dev/null"); } catch ({ message, facts }) { console.log(facts.reason + ": " + message); }
  `;
  const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, DMA_WINDOW_SHIM: "" },
  });
  assert.is(child.status, 0, child.stderr);
  assert.match(
    child.stdout,
    /^not-prebuilt: .*x64, arm64, ppc64le, and this Node is riscv64.*C\+\+ compiler.*node \S+\/riscv\/node_modules\/dma-window\/shim\/build\.mjs/s,
  );
});

test("addons that are switched off are the reason, and not the compiler", () => {
  const built = join(root, "build/Release/vfio_shim.node");
  if (!existsSync(built)) return;
  const observed = observe(built, "linux", root, ["--no-addons"]);
  explains(observed, /started with --no-addons, which keeps native code out.*start it without/s);
  assert.is(observed.reason, "addons-disabled");
  assert.not.match(observed.errors[0]?.message ?? "", /rebuild|compiler/);
});

test("an addon of another machine, and one that is cut off, are told from each other", () => {
  const path = join(directory, "foreign.node");
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  header.writeUInt16LE(process.arch === "arm64" ? 62 : 183, 18);
  writeFileSync(path, header);
  const foreign = observe(path);
  explains(foreign, /It was built for (arm64|x64), and this Node is/);
  assert.is(foreign.reason, "wrong-machine");
  writeFileSync(path, "");
  assert.is(observe(path).reason, "damaged");
});

test("a shim that was cut off anywhere is refused, and the process goes on: loading it would be a SIGBUS", () => {
  const built = join(root, "build/Release/vfio_shim.node");
  if (!existsSync(built)) return;
  const whole = readFileSync(built);
  const sizes = [5, 20, 63, 64, 400, 3000, 4096, 8192, 12288, 20000, 65536, whole.length - 4096, whole.length - 1];
  const paths = sizes.map((size) => join(directory, `cut-at-${size}.node`));
  for (const [i, path] of paths.entries()) writeFileSync(path, whole.subarray(0, sizes[i]));
  const program = `
    import { linuxKernel } from ${JSON.stringify(pathToFileURL(join(root, "src/linux/index.ts")))};
    const said = ${JSON.stringify(paths)}.map((shim) => {
      try { return linuxKernel({ shim }).mmap(0n, 4096n, 3, 0, 0); } catch ({ code, message, facts }) { return { code, message, ...facts }; }
    });
    console.log(JSON.stringify(said));
  `;
  const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, DMA_WINDOW_SHIM: "" },
  });
  assert.is(child.signal, null);
  assert.is(child.status, 0, child.stderr);
  const said = JSON.parse(child.stdout) as { code: string; reason: string; message: string }[];
  for (const [i, { code, reason, message }] of said.entries()) {
    assert.is(code, "ERR_SHIM_UNAVAILABLE", `cut at ${sizes[i]}`);
    assert.is(reason, "damaged", `cut at ${sizes[i]}: ${message}`);
  }
  assert.match(
    said.at(-1)?.message ?? "",
    `it has ${whole.length - 1} bytes, and its headers speak of ${whole.length}`,
  );
  assert.is(cutOff(built), undefined);
});

test("where a file ends too early is read from headers of either class and byte order", () => {
  const path = join(directory, "headers.node");
  for (const bits of [32, 64] as const) {
    for (const isLittle of [true, false]) {
      const [word, header, entry] = bits === 32 ? [4, 52, 32] : [8, 64, 56];
      const whole = Buffer.alloc(1000);
      const number = (at: number, bytes: number, value: number) => {
        if (isLittle) whole.writeUIntLE(value, at, Math.min(bytes, 6));
        else whole.writeUIntBE(value, at + bytes - Math.min(bytes, 6), Math.min(bytes, 6));
      };
      whole.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, isLittle ? 1 : 2]);
      number(24 + word, word, header); // the segments' table
      number(header - 10, 2, entry);
      number(header - 8, 2, 2);
      const second = header + entry; // the first one is empty
      number(second + (bits === 32 ? 4 : 8), word, 600);
      number(second + (bits === 32 ? 16 : 32), word, 400);
      const what = `${bits} bits, ${isLittle ? "little" : "big"} endian`;
      for (const size of [1000, 999, 601, second + entry - 1, header - 1, 6]) {
        writeFileSync(path, whole.subarray(0, size));
        assert.is(cutOff(path) === undefined, size === 1000, `${what}, ${size}`);
      }
      number(24 + 2 * word, word, 900); // the sections' table: up to 1020
      number(header - 6, 2, 40);
      number(header - 4, 2, 3);
      writeFileSync(path, whole);
      assert.match(cutOff(path) ?? "", "1020", what);
      writeFileSync(path, Buffer.concat([whole, Buffer.alloc(20)]));
      assert.is(cutOff(path), undefined, what);
    }
  }
});

test("a program may name the shim itself, by a path or a file URL, before the first system call", () => {
  const [first, second] = ["first.cjs", "second.cjs"].map((name) => join(directory, name));
  for (const path of [first, second] as string[]) {
    // Has whatever a shim has; open answers with a number of its own.
    const program = `const all = { open: () => ${path === first ? 1 : 2} };
      module.exports = new Proxy(all, { get: (_, name) => all[name] ?? (() => 0) });`;
    writeFileSync(path, program);
  }
  const program = `
    import { linuxKernel } from ${JSON.stringify(pathToFileURL(join(root, "src/linux/index.ts")))};
    const said = [];
    const tell = (call) => { try { said.push(call()); } catch ({ name, code, message }) { said.push(name + " " + code + " " + message); } };
    for (const shim of [7, "", null, {}, new URL("http://localhost/a.node")]) tell(() => linuxKernel({ shim }));
    const kernel = linuxKernel({ shim: ${JSON.stringify(second)} });
    linuxKernel({ shim: ${JSON.stringify(pathToFileURL(first as string))} }); // nothing was loaded yet: the last counts
    tell(() => kernel.open("/dev/null"));
    tell(() => linuxKernel({ shim: ${JSON.stringify(first)} }).open("/dev/null"));
    tell(() => linuxKernel({ shim: ${JSON.stringify(second)} }));
    tell(() => linuxKernel().open("/dev/null"));
    console.log(JSON.stringify(said));
  `;
  const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, DMA_WINDOW_SHIM: join(directory, "missing.node") },
  });
  assert.is(child.status, 0, child.stderr);
  const said = JSON.parse(child.stdout) as unknown[];
  for (const refused of said.slice(0, 5))
    assert.match(String(refused), /^TypeError ERR_INVALID_ARG_TYPE shim must be a path/);
  assert.equal([said[5], said[6], said[8]], [1, 1, 1]);
  assert.match(String(said[7]), /^DmaWindowError ERR_SHIM_LOADED .*second\.cjs.*first\.cjs/);
});

test("where the system is not Linux that is the reason given", () => {
  explains(observe(join(directory, "missing.node"), "darwin"), /part of Linux, and this is darwin/);
});

test.run();
