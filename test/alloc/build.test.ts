/** What the allocator's module promises, and that `src/alloc.ts` is its true dictionary. */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type Allocator,
  AllocStatus,
  allocator,
  allocatorOn,
  allocMemory,
  DESCRIPTORS,
  GENERATION_SHIFT,
  GENERATIONS,
  HANDLE_INDEX_MASK,
  instantiateAlloc,
  readAlloc,
} from "../../src/alloc.ts";
import { allocFile, builds, freshAllocator, given, heapWith, MIB } from "./support.ts";

function source(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

/** The functions of the interface AllocExports: how many parameters each takes. */
function dictionary(): Record<string, number> {
  const [, body = ""] = source("src/alloc.ts").match(/interface AllocExports \{(.*?)^\}/ms) ?? [];
  const found = body.matchAll(/^ {2}(\w+)\(([^)]*)\):/gm);
  return Object.fromEntries(
    [...found].map(([, name, parameters = ""]) => [name, parameters.split(",").filter((each) => each.trim()).length]),
  );
}

/** A memory in use: of each kind of object, some. */
function used(alloc: Allocator): void {
  const heap = heapWith(alloc, 4n * MIB);
  const handles = Array.from({ length: 1000 }, (_, i) => given(alloc.heapAlloc(heap, 1 + i * 3)));
  for (const handle of handles.slice(500)) alloc.heapFree(heap, handle);
  given(alloc.heapAllocAligned(heap, 5000, 12, 16));
  for (const fifo of [0, 1] as const) alloc.poolGet(alloc.poolOpen(100, fifo));
  const closed = alloc.poolOpen(100, 0);
  alloc.poolGet(closed);
  alloc.poolClose(closed);
  alloc.arenaGive(alloc.arenaTake(5000));
}

/** Pages of the memory that are not all zero, and what is in them. */
function content({ memory }: Allocator): Map<number, string> {
  const all = Buffer.from(memory.buffer);
  const zeros = Buffer.alloc(1 << 20);
  const pages = new Map<number, string>();
  for (let at = 0; at < all.length; at += zeros.length) {
    const page = all.subarray(at, at + zeros.length);
    if (!page.equals(zeros)) pages.set(at, page.toString("base64"));
  }
  return pages;
}

const test = suite("the allocator's module");

for (const build of builds) {
  test(`imports its memory, which is shared and cannot grow, and nothing else (${build})`, () => {
    const module = new WebAssembly.Module(allocFile(build));
    assert.equal(WebAssembly.Module.imports(module), [{ module: "env", name: "memory", kind: "memory" }]);
    for (const memory of [
      new WebAssembly.Memory({ initial: 5888, maximum: 5888 }),
      new WebAssembly.Memory({ initial: 5887, maximum: 5888, shared: true }),
      new WebAssembly.Memory({ initial: 5888, maximum: 5889, shared: true }),
    ]) {
      assert.throws(() => new WebAssembly.Instance(module, { env: { memory } }), /memory/i);
    }
    assert.throws(() => allocMemory().grow(1));
  });

  test(`exports the functions of the dictionary, with as many parameters, and nothing else (${build})`, () => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(allocFile(build)), {
      env: { memory: allocMemory() as WebAssembly.Memory },
    });
    const functions = Object.entries(exports).map(([name, value]) => [name, (value as () => void).length]);
    assert.equal(Object.fromEntries(functions), dictionary());
  });

  test(`is instantiated on a memory in use without changing a byte of it (${build})`, () => {
    const alloc = freshAllocator(build);
    assert.equal(content(alloc), new Map(), "nor of one that is new");
    used(alloc);
    const before = content(alloc);
    assert.ok(before.size >= 3, "descriptors from below, indexes from the top, the arena");
    const second = instantiateAlloc(alloc.memory, allocFile(build));
    assert.equal(content(second), before);
  });

  test(`goes on in a second instance where the first one was (${build})`, () => {
    const first = freshAllocator(build);
    const heap = heapWith(first, MIB);
    const handle = given(first.heapAlloc(heap, 100));
    const pool = first.poolOpen(3, 0);
    const second = instantiateAlloc(first.memory, allocFile(build));
    assert.is(second.heapFree(heap, handle), AllocStatus.OK);
    assert.is(first.heapFree(heap, handle), AllocStatus.NOT_LIVE);
    assert.is.not(second.poolGet(pool), first.poolGet(pool));
    assert.is(first.poolFree(pool), 1);
  });
}

test("is at most 8 KiB", () => {
  assert.ok(allocFile("alloc").length <= 8192, `${allocFile("alloc").length} bytes`);
});

test("is the file of dist/ as text, to the byte", () => {
  assert.equal(readAlloc(), allocFile("alloc"));
});

test("has the statuses and the layout of the dictionary", () => {
  const found = source("assembly/alloc/status.ts").matchAll(/^export const (\w+): i32 = (\d+);$/gm);
  assert.equal(Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)])), { ...AllocStatus });
  assert.is(DESCRIPTORS, HANDLE_INDEX_MASK + 1);
  assert.is(DESCRIPTORS, 1 << GENERATION_SHIFT);
  assert.is(GENERATIONS, 2 ** (31 - GENERATION_SHIFT));
});

test("says why where there are no addresses for its memory, and is tried again by the next use", () => {
  const { Memory } = WebAssembly;
  try {
    WebAssembly.Memory = class {
      constructor() {
        throw new RangeError("WebAssembly.Memory(): could not allocate memory");
      }
    } as unknown as typeof Memory;
    assert.throws(
      () => allocator(),
      (error: Error & { code: string }) =>
        error.code === "ERR_ALLOC_UNAVAILABLE" &&
        /368 MiB.*ulimit -v/.test(error.message) &&
        error.cause instanceof RangeError,
    );
  } finally {
    WebAssembly.Memory = Memory;
  }
  assert.ok(allocator().heapOpen() > 0);
});

test("runs once for a thread, on first use, and in a worker on the memory of another", async () => {
  assert.is(allocator(), allocator());
  const alloc = allocator();
  const pool = alloc.poolOpen(2, 0);
  assert.is(allocatorOn(alloc.memory).poolFirst(pool), alloc.poolFirst(pool));
  const program = `
    const { parentPort, workerData: { wasm, memory, pool } } = require("node:worker_threads");
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory } });
    parentPort.postMessage([exports.poolGet(pool), exports.poolFree(pool)]);
  `;
  const worker = new Worker(program, { eval: true, workerData: { wasm: readAlloc(), memory: alloc.memory, pool } });
  const [handle, free] = await new Promise<number[]>((resolve, reject) =>
    worker.once("message", resolve).once("error", reject),
  );
  assert.is(free, 1);
  assert.is(alloc.poolPut(pool, handle ?? 0), AllocStatus.OK);
  await worker.terminate();
  alloc.poolClose(pool);
});

test.run();
