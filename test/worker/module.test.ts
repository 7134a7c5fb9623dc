/** The module for shared pools itself: what it imports, that instantiating it changes nothing, and what src knows of its layout. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { AllocStatus } from "../../src/alloc.ts";
import { readSharedAlloc, Seat, SHARED } from "../../src/alloc-shared.ts";
import { isRunning, thisThread } from "../../src/worker/thread.ts";
import { instance, sharedMemory, sharedWasm } from "./modules.ts";
import { table } from "./threads.ts";

const test = suite("the module for shared pools");

test("is the one that ships, and imports memory alone", () => {
  const wasm = sharedWasm();
  assert.equal(readSharedAlloc(), wasm);
  assert.ok(wasm.length <= 4096, `${wasm.length} bytes`);
  const module = new WebAssembly.Module(wasm);
  assert.equal(WebAssembly.Module.imports(module), [{ module: "env", name: "memory", kind: "memory" }]);
  assert.ok(WebAssembly.Module.exports(module).every(({ kind }) => kind === "function"));
});

for (const build of ["alloc.shared", "alloc.shared.asserts"] as const) {
  test(`changes nothing when it is instantiated once more (${build})`, () => {
    const memory = sharedMemory();
    const wasm = sharedWasm(build);
    const module = instance(wasm, memory);
    const { pool } = table(wasm, memory, module, 500, 3);
    const words = new Int32Array(memory.buffer);
    const isUsed = (_: number, at: number) => at < 4096 || (at >= 2 ** 25 && at < 2 ** 25 + 2 ** 16);
    const before = words.filter(isUsed);
    const other = instance(wasm, memory);
    assert.equal(words.filter(isUsed), before);
    // And both are the same pool.
    const self = other.sharedReserve(pool);
    const seat = words[self >> 2] as number;
    assert.is(module.sharedJoin(self, seat, words[seat >> 2] as number), 1);
    assert.is(other.sharedJoin(self, seat, words[seat >> 2] as number), 0);
    const handle = other.sharedGet(self);
    assert.is(module.sharedHeld(pool, 1), 1);
    assert.is(module.sharedPut(self, handle), AllocStatus.OK);
    assert.is(other.sharedPut(self, handle), AllocStatus.NOT_LIVE);
    assert.is(module.sharedClose(pool), 1);
    assert.is(module.sharedLeave(self), 0);
    assert.is(module.sharedClose(pool), 0);
  });
}

test("has its facts where src looks for them", () => {
  const memory = sharedMemory();
  const wasm = sharedWasm();
  const module = instance(wasm, memory);
  const { pool, audit } = table(wasm, memory, module, 100, 2);
  const words = new Int32Array(memory.buffer);
  const word = (at: number) => words[at >> 2] as number;
  const self = module.sharedReserve(pool);
  assert.is(self, pool + SHARED.records);
  assert.is(module.sharedReserve(pool), self + SHARED.recordBytes);
  assert.is(word(pool + SHARED.first), audit.first);
  assert.is(word(self + SHARED.id), 1);
  assert.is(word(word(self + SHARED.seat)) & Seat.MASK, Seat.RESERVED);
  module.sharedJoin(self, word(self), word(word(self)));
  assert.is(word(word(self + SHARED.seat)) & Seat.MASK, Seat.JOINED);
  const handle = module.sharedGet(self);
  assert.is(word(word(pool + SHARED.cells) + (handle & 0x3fffff) * 8), handle);
  const at = self + SHARED.batch;
  assert.is(module.sharedGetMany(self, at, SHARED.batchLength), SHARED.batchLength);
  assert.ok(SHARED.batch + SHARED.batchLength * 4 <= SHARED.recordBytes);
  assert.is(module.sharedPutMany(self, at, SHARED.batchLength), SHARED.batchLength);
  // Somebody who finds none asks by `call`, and is answered by `bell`.
  const [call, bell] = [word(pool + SHARED.call), word(pool + SHARED.bell)];
  while (module.sharedGet(self) > 0) {}
  assert.is(word(pool + SHARED.call), call + 1);
  module.sharedPut(self, handle);
  assert.is(word(pool + SHARED.bell), bell + 1);
});

test("refuses pools that cannot be", () => {
  const module = instance(sharedWasm(), sharedMemory());
  assert.is(module.sharedOpen(0, 2, 1024), -AllocStatus.ZERO_LENGTH);
  assert.is(module.sharedOpen(10, 0, 1024), -AllocStatus.ZERO_LENGTH);
  assert.is(module.sharedOpen(10, 64, 1024), -AllocStatus.TOO_LARGE);
  assert.is(module.sharedOpen(2 ** 21 + 1, 2, 1024), -AllocStatus.TOO_LARGE);
  assert.ok(module.sharedOpen(2 ** 21, 2, 1024) > 0);
});

test("knows the thread that it runs in, and that it does", () => {
  const thread = thisThread();
  assert.ok(thread === 0n || isRunning(thread) === true);
  assert.is(isRunning((4_194_305n << 32n) | 1n), false);
  assert.is(isRunning(0n), undefined);
});

test.run();
