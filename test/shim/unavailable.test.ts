import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

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
}

/** What a program sees in a process of its own, where DMA_WINDOW_SHIM is `path`, on the platform and in the package named. */
function observe(path: string, platform = "linux", where = root): Observed {
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
    for (const call of calls) {
      try { call(); } catch ({ name, code, message }) { errors.push({ name, code, message }); }
    }
    console.log(JSON.stringify({
      available: shimAvailable(), memory: typeof linuxMemory(), name: kernel.name, pageSize: kernel.pageSize,
      used: typeof kernel.lockedMemory().used, errors,
    }));
  `;
  const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
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
  explains(observe(path), /broken\.node cannot be loaded.*(invalid ELF header|file too short)/s);
});

test("an addon of another version is named with what it lacks", () => {
  const path = join(directory, "older.cjs");
  writeFileSync(path, "for (const name of ['open', 'close', 'ioctl', 'mmap', 'munmap']) exports[name] = () => 0;");
  explains(observe(path), /another version.*ioctlStruct, ioctlBatch, view, detach, pageSize, layout/s);
});

test("a package whose shim was never built says how to build it, and where its build's log is", () => {
  const bare = join(directory, "bare");
  const files = ["errno.ts", "errors.ts", "hex.ts", "syscalls.ts", "validate.ts", "system", "linux"];
  for (const part of ["package.json", ...files.map((file) => `src/${file}`)]) {
    cpSync(join(root, part), join(bare, part), { recursive: true });
  }
  const how =
    /It has not been built: no .*build.Release.vfio_shim\.node.*apt-get install g\+\+ make python3.*npm rebuild/s;
  const unexplained = observe("", "linux", bare);
  explains(unexplained, how);
  assert.not.match(unexplained.errors[0]?.message ?? "", /shim-install\.log/);
  mkdirSync(join(bare, "build"));
  writeFileSync(join(bare, "build/shim-install.log"), "make: g++: No such file or directory");
  explains(observe("", "linux", bare), /shim-install\.log/);
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
