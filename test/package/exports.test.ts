/** The package by its own name, from plain JavaScript and from TypeScript, as a program that installed it has it. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "./imports.ts";

const installed = mkdtempSync(join(tmpdir(), "dma-window-"));
const home = join(installed, "node_modules/dma-window");
mkdirSync(home, { recursive: true });
// No src: nothing that is used may lead there.
for (const part of ["package.json", "lib"]) cpSync(join(root, part), join(home, part), { recursive: true });
writeFileSync(join(installed, "package.json"), '{ "type": "module" }');

/** What a program prints as JSON, in a process of its own, where the shim was never built. */
function observe<T>(program: string): T {
  const path = join(installed, "program.js");
  writeFileSync(path, program);
  const child = spawnSync(process.execPath, [path], {
    encoding: "utf8",
    env: { ...process.env, DMA_WINDOW_SHIM: "/nonexistent.node" },
  });
  assert.is(child.status, 0, child.stderr);
  return JSON.parse(child.stdout) as T;
}

/**
 * Tells which files are touched, and which addons loaded, while a module is imported: every function of node:fs that takes
 * a path is watched. Node's own reading of the modules is left out.
 */
function watchingImportOf(name: string): string {
  return `
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const touched = new Set();
    for (const [key, value] of Object.entries(fs)) {
      if (typeof value !== "function" || /^[A-Z_]/.test(key)) continue;
      fs[key] = function (path, ...rest) {
        const text = String(path);
        const looked = /^(l?stat|realpath)/.test(key);
        if (!looked && typeof path !== "number" && !/\\.js$|package\\.json$/.test(text)) touched.add(text);
        return value.call(this, path, ...rest);
      };
    }
    process.dlopen = (module, path) => { touched.add(path); };
    syncBuiltinESMExports();
    await import(${JSON.stringify(name)});
    console.log(JSON.stringify([...touched].map((path) => path.split("/").at(-1))));
  `;
}

const exports = suite("the package's exports");

exports("are found by name, here as elsewhere", async () => {
  for (const [name, some] of [
    ["dma-window", "planWindow"],
    ["dma-window/core", "core"],
    ["dma-window/model", "modelKernel"],
    ["dma-window/trace", "replay"],
  ] as const) {
    assert.ok(some in (await import(name)), `${name} has ${some}`);
    const there = observe<string[]>(`console.log(JSON.stringify(Object.keys(await import("${name}"))))`);
    assert.ok(there.includes(some), `${name} has ${some}`);
  }
});

exports("have all that a program needs, under their names", async () => {
  const name: string = "dma-window"; // not in the type checker's sight: the package is built after that
  const all: Record<string, unknown> = await import(name);
  const needed = [
    "planWindow",
    "openContainer",
    "MemsegTable",
    "readIomem",
    "linuxKernel",
    "modelKernel",
    "DmaWindowError",
    "addressOf",
    "readGroups",
    "groupProblems",
    "readHugepages",
    "physicalAddresses",
  ];
  for (const one of needed) assert.type(all[one], "function", one);
  // For memory of its own, by kernel.mmap, and calls of its own.
  for (const one of ["Protection", "MapFlag", "VfioCall", "IommuType"]) assert.type(all[one], "object", one);
});

const mainJob = (load: string) => `
  const { MemsegTable, modelKernel, openContainer, planWindow } = ${load};
  const kernel = modelKernel({ platform: "type1" });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 30n });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const { va } = memory.allocate(list, 1);
  console.log(JSON.stringify(window.iovaOf(va) === window.translate(va)));
`;

exports("are there for CommonJS too, where Node can require an ES module, and in a worker", () => {
  writeFileSync(join(installed, "program.cjs"), mainJob('require("dma-window")'));
  const required = spawnSync(process.execPath, [join(installed, "program.cjs")], { encoding: "utf8" });
  assert.is(required.stdout, "true\n", required.stderr);
  const worker = `
    const { Worker } = require("node:worker_threads");
    new Worker(${JSON.stringify(join(installed, "program.cjs"))});`;
  assert.is(spawnSync(process.execPath, ["--eval", worker], { encoding: "utf8" }).stdout, "true\n");
});

exports("do the main job for a program that may read nothing but itself and the package, and use no addon", () => {
  const path = join(installed, "permitted.mjs");
  writeFileSync(path, mainJob('await import("dma-window")'));
  const permission = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  const parameters = [permission, "--no-addons", `--allow-fs-read=${realpathSync(installed)}/*`, path];
  const { stdout, stderr } = spawnSync(process.execPath, parameters, { cwd: installed, encoding: "utf8" });
  assert.is(stdout, "true\n", stderr);
});

exports("end there: no other file of the package can be imported", () => {
  for (const path of ["lib/index.js", "lib/container/window.js", "cli", "linux", "core.wasm", "prebuilds/SHA256SUMS"]) {
    const code = observe<string>(
      `console.log(JSON.stringify(await import("dma-window/${path}").then(() => "imported", ({ code }) => code)))`,
    );
    assert.is(code, "ERR_PACKAGE_PATH_NOT_EXPORTED", path);
  }
});

exports("can be imported where the machine has nothing, and open no file", () => {
  for (const name of ["dma-window", "dma-window/core", "dma-window/model", "dma-window/trace"]) {
    assert.equal(observe(watchingImportOf(name)), [], name);
  }
});

exports("load no native code until a system call is made, and say then that it is not there", () => {
  const [pageSize, code] = observe<[number, string]>(`
    process.dlopen = () => { throw new Error("loaded native code"); };
    const { linuxKernel } = await import("dma-window");
    const kernel = linuxKernel();
    let code = "none";
    try { kernel.open("/dev/null"); } catch (error) { code = error.code; }
    console.log(JSON.stringify([kernel.pageSize, code]));
  `);
  assert.ok(pageSize >= 4096);
  assert.is(code, "ERR_SHIM_UNAVAILABLE");
});

exports("share one core and one kind of error, whichever of them is imported", () => {
  const same = observe<boolean[]>(`
    const { DmaWindowError, modelKernel, openContainer } = await import("dma-window");
    const { modelKernel: alone } = await import("dma-window/model");
    const { core } = await import("dma-window/core");
    const before = core.bytesInUse();
    const container = openContainer({ kernel: alone(), groups: [26] });
    const inUse = core.bytesInUse() > before;
    container.close();
    let error;
    try { openContainer({ kernel: alone(), groups: [99] }); } catch (caught) { error = caught; }
    console.log(JSON.stringify([alone === modelKernel, inUse, error instanceof DmaWindowError]));
  `);
  assert.equal(same, [true, true, true]);
});

exports("do not keep a program from ending", () => {
  const child = spawnSync(
    process.execPath,
    ["--input-type=module", "--eval", 'await import("dma-window"); await import("dma-window/model");'],
    { cwd: installed, timeout: 10_000 },
  );
  assert.is(child.status, 0);
});

exports("have types that a strict TypeScript program can build on, without the sources", () => {
  writeFileSync(
    join(installed, "program.ts"),
    `import { DmaWindowError, linuxKernel, MemsegTable, openContainer, planWindow, readIomem } from "dma-window";
     import { addressOf, groupProblems, type IommuGroup, MapFlag, Protection, readGroups } from "dma-window";
     import type { Container, MapRequest, Segment, Syscalls, Window, WindowPlan } from "dma-window";
     import { core } from "dma-window/core";
     import { modelKernel } from "dma-window/model";
     const kernel: Syscalls = process.argv.length > 2 ? linuxKernel() : modelKernel({ platform: "pseries" });
     const container: Container = openContainer({ kernel, groups: [26] });
     const memory = new MemsegTable({ kernel });
     const list = memory.addList({ pageSize: 4096n, maxBytes: 1n << 20n });
     const plan: WindowPlan = planWindow({ memory, info: container.info(), highestRam: readIomem().highest });
     const window: Window = container.createWindow(plan);
     const segment: Segment = memory.allocate(list, 2);
     const request: MapRequest = { va: segment.va, length: segment.length };
     const iova: bigint = window.map(request);
     const own: bigint = kernel.mmap(0n, 4096n, Protection.READ | Protection.WRITE, MapFlag.POPULATE, 0);
     const groups: IommuGroup[] = readGroups();
     console.log(groups.flatMap(groupProblems), addressOf(Buffer.alloc(4096)) + own);
     planWindow({ memory: { lists: [{ base: 0n, length: 4096, pageSize: 4096 }] }, info: container.info(), growTo: 2 ** 30 });
     const shift: number = core.log2Floor(iova);
     // @ts-expect-error: addresses are never numbers
     window.unmap({ iova: 0, length: shift });
     // @ts-expect-error: a plan is not changed
     plan.size = 0n;
     try { container.close(); } catch (error) { if (error instanceof DmaWindowError) console.log(error.code, error.residue?.left); }
    `,
  );
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node"];
  const child = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/typescript/bin/tsc"),
      ...options,
      "--typeRoots",
      join(root, "node_modules/@types"),
      "program.ts",
    ],
    { cwd: installed, encoding: "utf8" },
  );
  assert.is(child.status, 0, child.stdout);
});

exports.after(() => rmSync(installed, { recursive: true }));
exports.run();
