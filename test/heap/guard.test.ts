/** Heaps that are debugged: guards, quarantine, call sites; and handles that are never anybody else's. */
import { setTimeout as wait } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GENERATIONS } from "../../src/alloc.ts";
import { Handles } from "../../src/heap/handles.ts";
import { failure } from "../support/failure.ts";
import { MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { dmaRead, dmaWrite, HUGE, PLATFORMS, ready } from "./ready.ts";

for (const platform of PLATFORMS) {
  test(`${platform}: a guard finds what was written past a block, before it, and after it was freed, by a device too`, () => {
    const all = ready({ guard: true, name: "rx" }, { platform });
    const { heap } = all;
    assert.equal(heap.check(), []);
    heap.alloc(64); // so that there is something before
    for (const [bytes, align, boundary] of [
      [100, 64, undefined],
      [64, 4096, undefined],
      [4096, 4096, 4096],
      [1500, 64, 2048],
    ] as const) {
      const handle = heap.alloc(bytes, align, boundary);
      const iova = heap.iovaOf(handle);
      assert.is(iova % BigInt(align), 0n);
      if (boundary) assert.is(iova / BigInt(boundary), (iova + BigInt(bytes - 1)) / BigInt(boundary));
      assert.is(heap.sizeOf(handle), bytes);
      assert.is(heap.bytes(handle).length, bytes);
      heap.bytes(handle).fill(1);
      assert.equal(dmaRead(all, iova, bytes), new Uint8Array(bytes).fill(1));
      assert.equal(heap.check(), []);

      dmaWrite(all, iova + BigInt(bytes), Uint8Array.of(7));
      const [damage, ...more] = heap.check();
      assert.equal(more, []);
      assert.is(damage?.where, "behind");
      assert.is(damage?.iova, iova + BigInt(bytes));
      assert.is(damage?.handle, handle);
      const error = failure("ERR_GUARD", () => heap.free(handle));
      assert.match(error.message, `the guard behind handle ${handle} of ${bytes === 4096 ? "4 KiB" : bytes}`);
      failure("ERR_NOT_LIVE", () => heap.free(handle));
      assert.equal(heap.check(), [], "told once");

      const next = heap.alloc(bytes, align, boundary);
      dmaWrite(all, heap.iovaOf(next) - 1n, Uint8Array.of(7));
      assert.ok(heap.check().some((one) => one.where === "before" && one.handle === next));
      assert.is(failure("ERR_GUARD", () => heap.free(next)).facts?.where, "before");
      assert.equal(heap.check(), []);

      const late = heap.alloc(bytes, align, boundary);
      const kept = heap.bytes(late);
      const where = heap.iovaOf(late) + 10n;
      heap.free(late);
      kept[10] = 7;
      const freed = heap.check();
      assert.equal(
        freed.map((one) => [one.where, one.iova]),
        [["freed", where]],
      );
      const reused = failure("ERR_GUARD", () => heap.alloc(bytes, align, boundary));
      assert.is(reused.facts?.iova, where);
      heap.free(heap.alloc(bytes, align, boundary));
      assert.equal(heap.check(), []);
    }
    heap.close({ force: true });
  });
}

test("a plain heap checks nothing", () => {
  assert.equal(ready().heap.check(), []);
});

test("with guard a stale handle is never anybody's, however often its block was freed", () => {
  const { heap } = ready({ guard: true });
  const first = heap.alloc(64);
  heap.free(first);
  const seen = new Set([first]);
  for (let i = 0; i < 3000; i++) {
    const handle = heap.alloc(64);
    assert.not(seen.has(handle));
    seen.add(handle);
    heap.free(handle);
  }
  for (const handle of seen) {
    let code = "accepted";
    try {
      heap.free(handle);
    } catch (error) {
      code = (error as { code: string }).code;
    }
    assert.is.not(code, "accepted");
  }
});

test("handles of a heap with guard end with the last generation, and none is given out twice", () => {
  const handles = new Handles(1);
  for (let i = 1; i < handles.room; i++) assert.ok(handles.take() > 0);
  // One index is left.
  const seen = new Set<number>();
  for (let handle = handles.take(); handle > 0; handle = handles.take()) {
    assert.not(seen.has(handle));
    seen.add(handle);
    handles.end(handle);
  }
  assert.is(seen.size, GENERATIONS);
  handles.close();
});

test("with guard slots of pools have guards too, and stale handles of them are never anybody's", () => {
  const all = ready({ guard: true });
  const { heap } = all;
  const pool = heap.pool({ size: 100, count: 4 });
  const handles = [pool.get(), pool.get(), pool.get(), pool.get()] as const;
  assert.is(pool.tryGet(), -1);
  assert.is(new Set(handles.map((handle) => pool.slot(handle))).size, 4);
  for (const handle of handles) pool.bytes(handle).fill(3);
  assert.equal(heap.check(), []);
  const at = (handle: number) => pool.iovas[pool.slot(handle)] as bigint;
  dmaWrite(all, at(handles[1]) + 100n, Uint8Array.of(1));
  assert.is(heap.check()[0]?.handle, handles[1]);
  failure("ERR_GUARD", () => pool.put(handles[1]));
  failure("ERR_NOT_LIVE", () => pool.put(handles[1]));
  assert.is(pool.free, 1);
  dmaWrite(all, at(handles[1]), Uint8Array.of(1));
  assert.is(failure("ERR_GUARD", () => pool.get()).facts?.where, "freed");
  let handle = pool.get();
  const seen = new Set<number>([...handles, handle]);
  for (let i = 0; i < 3000; i++) {
    pool.put(handle);
    handle = pool.get();
    assert.not(seen.has(handle));
    seen.add(handle);
  }
  for (const stale of seen) {
    if ([handles[0], handles[2], handles[3], handle].includes(stale)) continue;
    assert.throws(() => pool.put(stale));
  }
  const many = new Int32Array([handles[0], handles[2], handles[3], handle]);
  pool.putMany(many);
  assert.is(pool.getMany(many), 4);
  pool.close({ force: true });
  assert.equal(heap.check(), []);
  heap.close();
});

test("freed memory lies idle for as long as the quarantine says", async () => {
  const all = ready({ quarantine: { milliseconds: 50 }, grow: { max: HUGE } });
  const { heap } = all;
  const handle = heap.alloc(1024 * 1024);
  const iova = heap.iovaOf(handle);
  heap.free(handle);
  failure("ERR_NOT_LIVE", () => heap.free(handle));
  assert.is(heap.stats.quarantined, MiB);
  assert.is(heap.stats.live, 0n);
  assert.is.not(heap.iovaOf(heap.alloc(1024 * 1024)), iova);
  const error = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(1024 * 1024));
  assert.is(error.facts?.quarantined, MiB);
  await wait(60);
  assert.is(heap.iovaOf(heap.alloc(1024 * 1024)), iova);
  assert.is(heap.stats.quarantined, 0n);
});

test("with callSites leaks say where", () => {
  const { heap } = ready({ callSites: true });
  const handle = (function somewhere() {
    return heap.alloc(64);
  })();
  const [leak, ...more] = heap.leaks();
  assert.equal(more, []);
  assert.is(leak?.handle, handle);
  assert.is(leak?.bytes, 64);
  assert.match(leak?.callSite ?? "", /somewhere .*guard\.test\.ts/);
  assert.match(failure("ERR_HEAP_IN_USE", () => heap.close()).message, "guard.test.ts");
  heap.close({ force: true });
});

test("a random program on a heap with everything on: what a device writes is where it was allocated, and nothing else changes", () => {
  const all = ready({
    guard: true,
    zero: true,
    callSites: true,
    quarantine: { milliseconds: 1 },
    grow: { max: 16n * MiB },
  });
  const { heap } = all;
  const random = new Random(23);
  const live = new Map<number, number>();
  for (let step = 0; step < 3000; step++) {
    if (live.size > 0 && random.below(100) < 48) {
      const handle = random.pick([...live.keys()]);
      const seed = live.get(handle);
      assert.ok(heap.bytes(handle).every((byte) => byte === seed));
      live.delete(handle);
      heap.free(handle);
      continue;
    }
    const bytes = 1 + random.below(9000);
    const handle = heap.tryAlloc(bytes, 2 ** random.below(13), random.once(2) ? 16384 : undefined);
    if (handle < 0) continue;
    assert.ok(heap.bytes(handle).every((byte) => byte === 0));
    dmaWrite(all, heap.iovaOf(handle), new Uint8Array(bytes).fill(step & 255));
    live.set(handle, step & 255);
    if (random.once(100)) assert.equal(heap.check(), []);
  }
  assert.is(heap.leaks().length, live.size);
  for (const handle of live.keys()) heap.free(handle);
  assert.equal(heap.check(), []);
});

test.run();
