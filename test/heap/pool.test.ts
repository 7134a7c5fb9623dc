/** Pools: slots of one size, where a device finds them, in the order that was asked for; and who waits for one gets one. */
import { setImmediate as turn } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { failure, thrownBy } from "../support/failure.ts";
import { MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { dmaRead, dmaWrite, HUGE, PLATFORMS, ready, refuses } from "./ready.ts";

for (const platform of PLATFORMS) {
  test(`${platform}: a device finds each slot where the column says, and none crosses a boundary`, () => {
    const all = ready({}, { platform });
    const { heap, window } = all;
    for (const { size, align, boundary } of [
      { size: 64 },
      { size: 1, align: 64 },
      { size: 1500, boundary: 4096 },
      { size: 2048, align: 2048, boundary: 4096 },
      { size: 3000, boundary: 8192 },
      { size: 4096, align: 4096, boundary: 4096 },
      { size: 5000, align: 128 },
      { size: 70_000, align: 4096 },
    ] as { size: number; align?: number; boundary?: number }[]) {
      const count = 40;
      const pool = heap.pool({ size, count, ...(align ? { align } : {}), ...(boundary ? { boundary } : {}) });
      const handles = Array.from({ length: count }, () => pool.get());
      assert.is(pool.tryGet(), -1);
      failure("ERR_POOL_EMPTY", () => pool.get());
      assert.is(new Set(handles.map((handle) => pool.slot(handle))).size, count);
      const places = handles.map((handle) => pool.iovas[pool.slot(handle)] as bigint);
      for (const [i, iova] of places.entries()) {
        const handle = handles[i] as number;
        assert.is(iova % BigInt(Math.max(align ?? 64, 64)), 0n);
        if (boundary) assert.is(iova / BigInt(boundary), (iova + BigInt(size - 1)) / BigInt(boundary));
        assert.is(window.translate(pool.vas[pool.slot(handle)] as bigint), iova);
        const bytes = pool.bytes(handle);
        assert.is(bytes.length, size);
        assert.is(pool.bytes(handle), bytes, "made once");
        bytes.fill(i + 1);
      }
      const sorted = [...places].sort((a, b) => (a < b ? -1 : 1));
      for (let i = 1; i < count; i++) assert.ok((sorted[i] as bigint) - (sorted[i - 1] as bigint) >= BigInt(size));
      for (const [i, iova] of places.entries()) {
        assert.equal(dmaRead(all, iova, size), new Uint8Array(size).fill(i + 1));
        dmaWrite(all, iova + BigInt(size - 1), Uint8Array.of(200 - i));
        assert.is(pool.bytes(handles[i] as number)[size - 1], 200 - i);
      }
      for (const handle of handles) pool.put(handle);
      assert.is(pool.free, count);
      pool.close();
    }
    assert.is(heap.stats.free, heap.stats.total);
    heap.close();
  });
}

test("a stack gives the last that came back, a fifo the one that is idle longest", () => {
  const { heap } = ready();
  for (const reuse of ["stack", "fifo"] as const) {
    const pool = heap.pool({ size: 64, count: 4, reuse });
    const slots = (n: number) => Array.from({ length: n }, () => pool.get());
    const first = slots(4);
    assert.equal(
      first.map((handle) => pool.slot(handle)),
      [0, 1, 2, 3],
    );
    for (const i of [2, 0, 3, 1]) pool.put(first[i] as number);
    const order = slots(4).map((handle) => pool.slot(handle));
    assert.equal(order, reuse === "fifo" ? [2, 0, 3, 1] : [1, 3, 0, 2]);
    pool.close({ force: true });
  }
});

test("handles of a pool are refused once they were put, and anywhere else", () => {
  const { heap } = ready();
  const [pool, other] = [heap.pool({ size: 64, count: 4 }), heap.pool({ size: 64, count: 4 })];
  const block = heap.alloc(64);
  const handle = pool.get();
  for (const use of [
    (value: number) => pool.put(value),
    (value: number) => pool.bytes(value),
    (value: number) => pool.read(value, 0, new Uint8Array(1)),
    (value: number) => pool.write(value, 0, new Uint8Array(1)),
  ]) {
    failure("ERR_FOREIGN_HANDLE", () => use(block));
    failure("ERR_FOREIGN_HANDLE", () => use(other.get()));
    for (const value of [0, -1, 5, -(2 ** 31), -handle]) failure("ERR_FOREIGN_HANDLE", () => use(value));
    failure("ERR_STALE_HANDLE", () => use(handle ^ (1 << 22)));
    for (const value of [1.5, Number.NaN, 2 ** 31]) refuses("ERR_OUT_OF_RANGE", "handle", () => use(value));
    for (const value of [undefined, null, "1", 1n, {}, Symbol("1")]) {
      refuses("ERR_INVALID_ARG_TYPE", "handle", () => use(value as number));
    }
  }
  failure("ERR_FOREIGN_HANDLE", () => heap.free(handle));
  assert.is(pool.live, 1);
  pool.put(handle);
  failure("ERR_NOT_LIVE", () => pool.put(handle));
  const again = pool.get();
  assert.is(pool.slot(again), pool.slot(handle));
  failure("ERR_STALE_HANDLE", () => pool.put(handle));
  pool.put(again);
  pool.close();
  failure("ERR_CLOSED", () => pool.put(again));
  const next = heap.pool({ size: 64, count: 4 });
  const one = next.get();
  failure("ERR_FOREIGN_HANDLE", () => other.put(one));
  for (let i = 0; i < 3; i++) next.get();
  for (const old of [handle, again]) {
    assert.match(thrownBy(() => next.put(old)).code ?? "", /^ERR_(STALE_HANDLE|FOREIGN_HANDLE|NOT_LIVE)$/);
  }
});

test("many at once: in a batch of the allocator's and in any array, up to the first that is refused", () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 100, reuse: "fifo" });
  for (const handles of [pool.batch(64), new Int32Array(64), new Int32Array(new SharedArrayBuffer(256))]) {
    assert.is(pool.getMany(handles), 64);
    assert.is(pool.free, 36);
    assert.is(new Set(handles).size, 64);
    const rest = new Int32Array(64);
    assert.is(pool.getMany(rest, 10), 10);
    assert.is(pool.getMany(rest.subarray(10)), 26, "as many as there are");
    assert.is(pool.getMany(rest), 0);
    pool.putMany(rest, 36);
    const bad = handles[5] as number;
    handles[5] = handles[4] as number;
    const error = failure("ERR_NOT_LIVE", () => pool.putMany(handles));
    assert.is(error.facts?.index, 5);
    assert.is(pool.free, 41, "those before it are put");
    handles[5] = bad;
    pool.putMany(handles.subarray(5));
    assert.is(pool.free, 100);
  }
  refuses("ERR_INVALID_ARG_TYPE", "handles", () => pool.getMany([1, 2] as unknown as Int32Array));
  refuses("ERR_INVALID_ARG_TYPE", "handles", () => pool.putMany(new Uint32Array(4) as unknown as Int32Array));
  refuses("ERR_OUT_OF_RANGE", "count", () => pool.getMany(new Int32Array(4), 5));
  refuses("ERR_OUT_OF_RANGE", "count", () => pool.putMany(new Int32Array(4), -1));
  refuses("ERR_OUT_OF_RANGE", "count", () => pool.batch(0));
  refuses("ERR_OUT_OF_RANGE", "count", () => pool.batch(101));
});

test("an array of a batch that is kept after its pool spoils nothing", () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 32 });
  const kept = pool.batch(32);
  pool.close();
  const [one, two] = [heap.pool({ size: 64, count: 32 }), heap.pool({ size: 64, count: 32, reuse: "fifo" })];
  const columns = [...one.iovas, ...two.iovas];
  kept.fill(-1);
  const handles = [...Array.from({ length: 32 }, () => one.get()), ...Array.from({ length: 32 }, () => two.get())];
  kept.fill(12345);
  for (const [i, handle] of handles.entries()) (i < 32 ? one : two).put(handle);
  assert.equal([...one.iovas, ...two.iovas], columns);
  assert.is(one.free + two.free, 64);
});

test("what is no array is refused, also after the batch that was used last has ended with its pool", () => {
  const { heap } = ready();
  const [pool, other] = [heap.pool({ size: 64, count: 32 }), heap.pool({ size: 64, count: 32 })];
  const batch = other.batch(4);
  const refused = () => {
    for (const junk of [undefined, null, 0, {}] as unknown as Int32Array[]) {
      refuses("ERR_INVALID_ARG_TYPE", "handles", () => pool.getMany(junk));
      refuses("ERR_INVALID_ARG_TYPE", "handles", () => pool.putMany(junk));
    }
  };
  refused();
  other.putMany(batch, other.getMany(batch));
  refused();
  other.close();
  refused();
  assert.is(pool.getMany(batch), 4, "an array like any other");
  pool.putMany(batch);
  assert.is(pool.free, 32);
});

test("who waits for a slot gets one, in order, and before those who come later", async () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 2 });
  await pool.available();
  const held = [pool.get(), pool.get()];
  const served: string[] = [];
  const taker = async (name: string) => {
    await pool.available();
    held.push(pool.get());
    served.push(name);
  };
  const takers = ["a", "b", "c"].map(taker);
  await turn();
  assert.equal(served, []);
  pool.put(held.shift() as number);
  assert.is(pool.tryGet(), -1, "it is promised");
  const error = failure("ERR_POOL_EMPTY", () => pool.get());
  assert.is(error.facts?.waiting, 3);
  await turn();
  assert.equal(served, ["a"]);
  pool.put(held.shift() as number);
  pool.put(held.shift() as number);
  await Promise.all(takers);
  assert.equal(served, ["a", "b", "c"]);
  for (const handle of held) pool.put(handle);
  assert.is(pool.free, 2);
  assert.ok(pool.get() > 0);
});

test("one who waits and takes nothing keeps it from nobody, and a putMany serves several", async () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 8 });
  const handles = new Int32Array(8);
  pool.getMany(handles);
  const told: number[] = [];
  const waiting = Array.from({ length: 5 }, (_, i) => pool.available().then(() => told.push(i)));
  pool.put(handles[0] as number);
  await Promise.all(waiting);
  assert.equal(told, [0, 1, 2, 3, 4]);
  pool.putMany(handles.subarray(1));
  assert.is(pool.free, 8);
});

test("those who wait are told when the pool is closed", async () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 1 });
  pool.get();
  const waiting = pool.available();
  heap.close({ force: true });
  for (const promise of [waiting, pool.available()]) {
    const error = await promise.then(
      () => undefined,
      (reason) => reason as { code: string },
    );
    assert.is(error?.code, "ERR_CLOSED");
  }
});

test("a thousand waiters and a random program: nobody waits for ever while slots come back", async () => {
  const random = new Random(3);
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 5 });
  let [working, done] = [0, 0];
  const work = async () => {
    await pool.available();
    const handle = pool.get();
    assert.ok(++working <= 5);
    for (let i = random.below(4); i > 0; i--) await (random.once(2) ? turn() : undefined);
    working--;
    pool.put(handle);
    done++;
  };
  await Promise.all(Array.from({ length: 1000 }, work));
  assert.is(done, 1000);
  assert.is(pool.free, 5);
});

test("a pool closes when nothing is live, says what is, and gives its memory back", () => {
  const { heap } = ready();
  const before = heap.stats.free;
  const pool = heap.pool({ size: 2048, count: 64 });
  const handle = pool.get();
  const error = failure("ERR_POOL_IN_USE", () => pool.close());
  assert.match(error.message, `handle ${handle}`);
  pool.put(handle);
  pool.close();
  pool.close();
  assert.is(heap.stats.free, before);
  assert.is(pool.free, 0);
  assert.is(pool.closed, true);
  refuses("ERR_INVALID_ARG_TYPE", "sise", () => heap.pool({ sise: 64, count: 1 } as never));
  refuses("ERR_OUT_OF_RANGE", "count", () => heap.pool({ size: 64, count: 0 }));
  refuses("ERR_OUT_OF_RANGE", "count", () => heap.pool({ size: 64, count: 2 ** 21 + 1 }));
  refuses("ERR_OUT_OF_RANGE", "size", () => heap.pool({ size: 0, count: 1 }));
  refuses("ERR_OUT_OF_RANGE", "boundary", () => heap.pool({ size: 65, count: 1, boundary: 64 }));
  refuses("ERR_OUT_OF_RANGE", "reuse", () => heap.pool({ size: 64, count: 1, reuse: "lifo" as never }));
});

test("a pool that does not fit leaves the heap as it was", () => {
  const { heap, memory } = ready({ grow: false });
  heap.grow(HUGE);
  const before = heap.stats;
  const error = failure("ERR_HEAP_EXHAUSTED", () => heap.pool({ size: 2048, count: 2000 }));
  assert.match(error.message, "heap.grow(");
  assert.equal(heap.stats, before);
  assert.is(memory.size, 1);
});

test("slots longer than a page of the list, and one slot", () => {
  for (const platform of ["powernv", "pseries", "type1"] as const) {
    const all = ready({}, { platform });
    const size = 3 * 1024 * 1024;
    const pool = all.heap.pool({ size, count: 5, align: 4096 });
    const one = all.heap.pool({ size: 1, count: 1 });
    for (let i = 0; i < 5; i++) pool.bytes(pool.get()).fill(i + 1);
    one.bytes(one.get())[0] = 77;
    for (let i = 0; i < 5; i++) {
      const iova = pool.iovas[i] as bigint;
      for (const at of [0n, HUGE - 1n, HUGE, BigInt(size) - 1n]) assert.is(dmaRead(all, iova + at, 1)[0], i + 1);
    }
    assert.is(dmaRead(all, one.iovas[0] as bigint, 1)[0], 77);
    all.heap.close({ force: true });
  }
});

test("beside a pool the heap grows and is trimmed, and its slots stay", () => {
  const all = ready({ grow: { step: HUGE, low: 0 } }, { platform: "type1" });
  const { heap } = all;
  const pool = heap.pool({ size: 2048, count: 512 });
  const handles = Array.from({ length: 512 }, () => pool.get());
  for (const [i, handle] of handles.entries()) pool.bytes(handle).fill(i);
  const blocks = Array.from({ length: 100 }, () => heap.alloc(65536));
  for (const block of blocks) heap.bytes(block).fill(0xee);
  for (const block of blocks) heap.free(block);
  const before = heap.stats;
  const { returned, segments } = heap.trim();
  assert.is(returned, BigInt(segments) * HUGE);
  assert.ok(segments >= 3);
  assert.is(heap.stats.total, before.total - returned);
  assert.is(heap.stats.pooled, before.pooled);
  for (const [i, handle] of handles.entries()) {
    assert.is(dmaRead(all, (pool.iovas[pool.slot(handle)] as bigint) + 2047n, 1)[0], i & 255);
    pool.put(handle);
  }
  pool.close();
  heap.trim();
  assert.is(heap.stats.total, 0n);
  assert.ok(heap.alloc(64) > 0, "it grows again");
});

test("a million slots", () => {
  const all = ready({}, { platform: "type1" }, { maxBytes: 128n * MiB });
  const pool = all.heap.pool({ size: 64, count: 1_000_000 });
  assert.is(all.heap.stats.segments, 2, "the first, and one for the pool");
  const last = new Int32Array(1_000_000);
  assert.is(pool.getMany(last), 1_000_000);
  const handle = last[999_999] as number;
  pool.bytes(handle).fill(9);
  assert.equal(dmaRead(all, pool.iovas[pool.slot(handle)] as bigint, 64), new Uint8Array(64).fill(9));
  pool.putMany(last);
  pool.close();
  assert.is(all.heap.trim().segments, 2);
});

test.run();
