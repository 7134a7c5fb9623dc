/** What heaps, pools and buffers say of what is live, and of what cannot be. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { exclusively } from "../../src/exclusive.ts";
import { failure } from "../support/failure.ts";
import { MiB } from "../support/program.ts";
import { HUGE, ready } from "./ready.ts";

test("a buffer whose block could not be freed is not closed, and one whose block is gone is", () => {
  const { heap } = ready({ guard: true });
  const buffer = heap.buffer(100);
  // As where a guard cannot be looked at now.
  const busy = () => exclusively("one", () => exclusively("another", () => {}));
  Object.defineProperty(heap, "free", { value: busy, configurable: true });
  failure("ERR_BUSY", () => buffer.close());
  Reflect.deleteProperty(heap, "free");
  assert.is(buffer.closed, false);
  assert.is(buffer.bytes.length, 100);
  buffer.close();
  assert.is(heap.liveCount, 0);
  const late = heap.buffer(100);
  heap.free(late.handle);
  failure("ERR_NOT_LIVE", () => late.close());
  assert.is(late.closed, true);
  late.close();
  heap.close();
});

test("a forgotten buffer is named by what was asked for, and where; leaks go into JSON", () => {
  for (const callSites of [false, true]) {
    const { heap } = ready({ callSites });
    const forgotten = heap.buffer(1000);
    heap.buffer(64).close();
    const error = failure("ERR_HEAP_IN_USE", () => heap.close());
    assert.match(error.message, /: a buffer of 1000 bytes, handle \d+ \(1 KiB at IOVA 0x/);
    assert.is(error.message.includes("told.test.ts"), callSites);
    const leaks = heap.leaks();
    assert.is(leaks.length, 1);
    assert.is(leaks[0]?.buffer, 1000);
    assert.is(leaks[0]?.iova, forgotten.iova);
    const [told] = JSON.parse(JSON.stringify(leaks));
    assert.is(BigInt(told.iova), forgotten.iova);
    assert.is(told.handle, forgotten.handle);
    assert.is(told.buffer, 1000);
    forgotten.close();
    assert.equal(heap.leaks(), []);
    heap.alloc(64);
    assert.is(heap.leaks()[0]?.buffer, undefined);
    heap.close({ force: true });
  }
});

test("one is not many: what is live is counted in words", () => {
  const { heap } = ready();
  for (const pool of [heap.pool({ size: 64, count: 4 }), heap.sharedPool({ size: 64, count: 4 })]) {
    const handle = pool.get();
    assert.match(failure("ERR_POOL_IN_USE", () => pool.close()).message, /has 1 slot live: handle/);
    const other = pool.get();
    assert.match(failure("ERR_POOL_IN_USE", () => pool.close()).message, /has 2 slots live: handle/);
    for (const one of [handle, other]) pool.put(one);
    pool.close();
  }
  heap.close();
});

test("what can never fit is said to be so, and that nothing which is freed would help", () => {
  const { heap } = ready({}, {}, { maxBytes: 8n * MiB });
  const never = /It can never fit, whatever is freed: its whole list holds 8 MiB/;
  assert.match(failure("ERR_HEAP_EXHAUSTED", () => heap.pool({ size: 2048, count: 5000 })).message, never);
  assert.match(failure("ERR_HEAP_EXHAUSTED", () => heap.sharedPool({ size: 2048, count: 5000 })).message, never);
  assert.match(failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(16 * 2 ** 20)).message, never);
  heap.alloc(64);
  assert.not.match(failure("ERR_HEAP_EXHAUSTED", () => heap.pool({ size: 2048, count: 4096 })).message, never);
  heap.close({ force: true });
  const small = ready({ grow: { step: HUGE, max: 4n * MiB } }).heap;
  const max = /It can never fit, whatever is freed: grow.max is 4 MiB/;
  assert.match(failure("ERR_HEAP_EXHAUSTED", () => small.pool({ size: 2048, count: 5000 })).message, max);
  small.close();
});

test.run();
