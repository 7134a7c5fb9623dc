/** Heaps: blocks where they were asked to be, with the IOVAs that the window says, and handles that are refused once they are not live. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GENERATION_SHIFT, GENERATIONS } from "../../src/alloc.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { GiB, KiB, MiB, Program } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { attached, dmaRead, dmaWrite, HUGE, PLATFORMS, ready, refuses } from "./ready.ts";

for (const platform of PLATFORMS) {
  test(`${platform}: a device finds each byte of a block where its columns say`, () => {
    const all = ready({ name: "rx" }, { platform });
    const { heap, window } = all;
    const handle = heap.alloc(5000, 4096, 8192);
    const slot = heap.slot(handle);
    const iova = heap.iovas[slot] as bigint;
    assert.is(heap.iovaOf(handle), iova);
    assert.is(heap.vaOf(handle), heap.vas[slot]);
    assert.is(window.translate(heap.vaOf(handle)), iova);
    assert.is(iova % 4096n, 0n);
    assert.is(iova / 8192n, (iova + 4999n) / 8192n);
    assert.is(heap.sizeOf(handle), 5056);
    assert.is((heap.sizes[slot * 2] as number) * 64, 5056);
    const bytes = heap.bytes(handle);
    assert.is(bytes.length, 5056);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7) & 255;
    assert.equal(dmaRead(all, iova, 5056), bytes);
    assert.is(dmaRead(all, iova + 5055n, 1)[0], (5055 * 7) & 255);
    dmaWrite(all, iova + 17n, Uint8Array.of(1, 2, 3));
    assert.equal(heap.bytes(handle).slice(17, 20), Uint8Array.of(1, 2, 3));
    heap.free(handle);
    heap.close();
    all.container.close();
    all.memory.close();
    assert.equal(all.model.leaks(), []);
  });
}

test("a hundred thousand blocks: none overlap, each is aligned, within its boundary, and the device's", () => {
  const all = ready({ grow: { max: 64n * MiB } }, { platform: "type1" });
  const { heap, window } = all;
  const random = new Random(7);
  const owner = new Map<bigint, number>(); // granule -> handle
  const live: number[] = [];
  const granules = (handle: number) => {
    const first = heap.iovaOf(handle) / 64n;
    return Array.from({ length: heap.sizeOf(handle) / 64 }, (_, i) => first + BigInt(i));
  };
  for (let step = 0; step < 20_000; step++) {
    if (live.length > 0 && random.below(100) < (live.length > 400 ? 60 : 45)) {
      const [handle] = live.splice(random.below(live.length), 1) as [number];
      for (const granule of granules(handle)) assert.ok(owner.delete(granule));
      heap.free(handle);
      failure("ERR_NOT_LIVE", () => heap.free(handle));
      continue;
    }
    const bytes = 1 + random.below(2 ** (4 + random.below(12)));
    const align = random.once(3) ? 2 ** random.below(14) : undefined;
    const boundary = random.once(3) ? 2 ** (Math.ceil(Math.log2(Math.max(bytes, 64))) + random.below(4)) : undefined;
    const handle = heap.alloc(bytes, align, boundary);
    const iova = heap.iovaOf(handle);
    assert.is(iova % BigInt(Math.max(align ?? 1, 64)), 0n);
    if (boundary !== undefined) assert.is(iova / BigInt(boundary), (iova + BigInt(bytes - 1)) / BigInt(boundary));
    for (const granule of granules(handle)) {
      assert.not(owner.has(granule), `two owners of IOVA ${granule * 64n}`);
      owner.set(granule, handle);
    }
    live.push(handle);
    if (!random.once(20)) continue;
    const last = iova + BigInt(bytes - 1);
    assert.is(window.vaOf(last), heap.vaOf(handle) + BigInt(bytes - 1));
    heap.bytes(handle)[bytes - 1] = step & 255;
    assert.is(dmaRead(all, last, 1)[0], step & 255);
  }
  assert.is(heap.stats.liveCount, live.length);
  assert.is(heap.stats.live, BigInt(owner.size) * 64n);
  assert.is(heap.leaks().length, live.length);
  for (const handle of live) heap.free(handle);
  const { total, free, segments } = heap.stats;
  assert.is(free, total);
  assert.equal(heap.trim(), { returned: total, segments, kept: 0n });
});

test("mode va: an IOVA is the address", () => {
  const program = new Program({ platform: "type1" });
  const memory = program.memory();
  const list = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE, near: GiB });
  const info = program.container.info();
  const window = program.container.createWindow(planWindow({ memory, info, iovaMode: "va" }));
  program.container.attach(memory);
  const all = { model: program.model };
  const heap = new DmaHeap({ memory, list, window });
  const handles = Array.from({ length: 100 }, () => heap.alloc(50_000));
  for (const handle of handles) {
    assert.is(heap.iovaOf(handle), heap.vaOf(handle));
    heap.bytes(handle).fill(handle);
    assert.is(dmaRead(all, heap.iovaOf(handle) + 49_999n, 1)[0], handle & 255);
  }
  heap.close({ force: true });
});

test("a window at 1 << 59: IOVAs are exact, and no number", () => {
  const { heap, window } = ready({}, { platform: "pseries" });
  const handles = [64, 64, 64].map((bytes) => heap.alloc(bytes));
  const iovas = handles.map((handle) => heap.iovas[heap.slot(handle)] as bigint);
  assert.is(new Set(iovas).size, 3);
  for (const [i, iova] of iovas.entries()) {
    assert.ok(iova >= window.start && window.start === 1n << 59n);
    assert.is(window.iovaOf(heap.vaOf(handles[i] as number)), iova);
  }
});

test("what is no size, alignment or boundary is refused, and nothing is allocated", () => {
  const { heap } = ready();
  const before = heap.stats;
  for (const bytes of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, 2 ** 32 - 63, -0, 2 ** 53]) {
    refuses("ERR_OUT_OF_RANGE", "bytes", () => heap.alloc(bytes));
    refuses("ERR_OUT_OF_RANGE", "bytes", () => heap.tryAlloc(bytes, 64, 4096));
  }
  for (const bytes of [undefined, null, "64", 64n, {}, [64], Symbol("64"), true, { valueOf: () => 64 }]) {
    refuses("ERR_INVALID_ARG_TYPE", "bytes", () => heap.alloc(bytes as number));
  }
  for (const align of [0, -64, 3, 96, Number.NaN, 1.5, 2 ** 37, 2 ** 31 + 1]) {
    refuses("ERR_OUT_OF_RANGE", "align", () => heap.alloc(64, align));
  }
  for (const align of [null, "64", 64n, {}]) {
    refuses("ERR_INVALID_ARG_TYPE", "align", () => heap.alloc(64, align as number));
  }
  for (const boundary of [0, -4096, 100, Number.NaN, 64]) {
    refuses("ERR_OUT_OF_RANGE", "boundary", () => heap.alloc(65, undefined, boundary));
  }
  for (const boundary of [null, "4096", 4096n]) {
    refuses("ERR_INVALID_ARG_TYPE", "boundary", () => heap.alloc(64, 64, boundary as unknown as number));
  }
  assert.equal(heap.stats, before);
  // Small alignments and boundaries larger than 2^31 are as good as others.
  for (const [align, boundary] of [
    [1, undefined],
    [32, 2 ** 32],
    [undefined, 2 ** 40],
    [2 ** 20, 2 ** 31],
  ] as const) {
    heap.free(heap.alloc(64, align, boundary));
  }
});

test("what was asked for before does not let through what is refused", () => {
  const { heap } = ready();
  for (const [bytes, align, boundary] of [
    [64, 64, 64],
    [20, 4096, 32],
    [4096, 4096, 4096],
    [100, 4096, undefined],
  ] as const) {
    for (let i = 0; i < 3; i++) heap.free(heap.alloc(bytes, align, boundary));
    const live = heap.liveCount;
    if (boundary !== undefined)
      refuses("ERR_OUT_OF_RANGE", "boundary", () => heap.alloc(boundary + 1, align, boundary));
    for (const [type, range] of [
      [String(bytes), 0],
      [BigInt(bytes), -bytes],
      [[bytes], bytes + 0.5],
    ] as const) {
      refuses("ERR_INVALID_ARG_TYPE", "bytes", () => heap.alloc(type as unknown as number, align, boundary));
      refuses("ERR_OUT_OF_RANGE", "bytes", () => heap.tryAlloc(range, align, boundary));
    }
    refuses("ERR_INVALID_ARG_TYPE", "align", () => heap.alloc(bytes, String(align) as unknown as number, boundary));
    assert.is(heap.liveCount, live);
  }
});

test("a handle is refused that is freed, stale, foreign, or no handle, and nothing changes", () => {
  const all = ready({ name: "rx" });
  const { heap, memory, list, window } = all;
  const other = new DmaHeap({ memory, list, window, name: "tx" });
  const handle = heap.alloc(100);
  const foreign = other.alloc(100);
  const pool = heap.pool({ size: 64, count: 4 });
  const slot = pool.get();
  const before = heap.stats;
  for (const use of [
    (value: number) => heap.free(value),
    (value: number) => heap.bytes(value),
    (value: number) => heap.iovaOf(value),
    (value: number) => heap.vaOf(value),
    (value: number) => heap.sizeOf(value),
    (value: number) => heap.read(value, 0, new Uint8Array(1)),
    (value: number) => heap.write(value, 0, new Uint8Array(1)),
  ]) {
    const error = failure("ERR_FOREIGN_HANDLE", () => use(foreign));
    assert.match(error.message, 'heap "rx"');
    failure("ERR_FOREIGN_HANDLE", () => use(slot));
    for (const value of [0, -1, -handle, 2 ** 31 - 1, -(2 ** 31), 4_000_000])
      failure("ERR_FOREIGN_HANDLE", () => use(value));
    for (const value of [1.5, Number.NaN, 2 ** 31, 2 ** 53, Number.NEGATIVE_INFINITY]) {
      refuses("ERR_OUT_OF_RANGE", "handle", () => use(value));
    }
    for (const value of [undefined, null, "1", 1n, {}, [handle], Symbol("1"), { valueOf: () => handle }]) {
      refuses("ERR_INVALID_ARG_TYPE", "handle", () => use(value as number));
    }
    failure("ERR_STALE_HANDLE", () => use(handle + (1 << 22)));
  }
  assert.equal(heap.stats, before);
  heap.free(handle);
  failure("ERR_NOT_LIVE", () => heap.free(handle));
  const again = heap.alloc(100);
  assert.is(again & 0x3fffff, handle & 0x3fffff, "the same descriptor");
  failure("ERR_STALE_HANDLE", () => heap.free(handle));
  heap.free(again);
  pool.put(slot);
  other.close({ force: true });
  failure("ERR_CLOSED", () => other.alloc(64));
  failure("ERR_CLOSED", () => other.free(foreign));
  heap.close();
});

test("no integer frees the memory of a pool", () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 2112, count: 97 });
  const { pooled, free } = heap.stats;
  for (let handle = -5; handle < 5000; handle++) {
    try {
      heap.free(handle);
      assert.unreachable(`handle ${handle} was freed`);
    } catch (error) {
      assert.match((error as { code: string }).code, /^ERR_(NOT_LIVE|STALE_HANDLE|FOREIGN_HANDLE)$/);
    }
  }
  // Nor one of the very block, in any generation.
  let found = 0;
  for (let index = 1; index < 200_000 && found < 10; index++) {
    const slot = heap.slot(index);
    if (heap.iovas[slot] !== pool.iovas[0] || heap.sizes[slot * 2] !== 97 * 33) continue;
    found++;
    for (let i = 0; i < GENERATIONS; i++) assert.throws(() => heap.free(index + i * 2 ** GENERATION_SHIFT));
  }
  assert.ok(found > 0 && found < 10);
  assert.is(heap.stats.pooled, pooled);
  assert.is(heap.stats.free, free);
  pool.close();
  assert.is(heap.stats.pooled, 0n);
  assert.is(heap.stats.free, heap.stats.total);
});

test("read and write copy, on any engine, and stay within the block", () => {
  const all = ready();
  const { heap } = all;
  const handle = heap.alloc(200);
  heap.write(handle, 10, Uint8Array.of(1, 2, 3));
  assert.equal(dmaRead(all, heap.iovaOf(handle) + 10n, 3), Uint8Array.of(1, 2, 3));
  const into = new Uint8Array(3);
  heap.read(handle, 10, into);
  assert.equal(into, Uint8Array.of(1, 2, 3));
  refuses("ERR_OUT_OF_RANGE", "offset", () => heap.read(handle, 254, into));
  refuses("ERR_OUT_OF_RANGE", "offset", () => heap.write(handle, -1, into));
  refuses("ERR_INVALID_ARG_TYPE", "bytes", () => heap.write(handle, 0, [1] as unknown as Uint8Array));
});

test("zero: true gives out zeros, also on the second time", () => {
  const { heap } = ready({ zero: true });
  for (let i = 0; i < 3; i++) {
    const handle = heap.alloc(1000, 4096);
    const bytes = heap.bytes(handle);
    assert.ok(bytes.every((byte) => byte === 0));
    bytes.fill(0xff);
    heap.free(handle);
  }
});

test("a buffer is a block as an object, as long as it was asked for, and is freed by using", () => {
  const all = ready();
  const { heap } = all;
  const buffer = heap.buffer(100, { align: 4096 });
  assert.is(buffer.length, 100);
  assert.is(buffer.bytes.length, 100);
  assert.is(buffer.bytes, buffer.bytes);
  assert.is(buffer.iova % 4096n, 0n);
  buffer.bytes[99] = 5;
  assert.is(dmaRead(all, buffer.iova + 99n, 1)[0], 5);
  buffer.write(0, Uint8Array.of(9));
  const into = new Uint8Array(1);
  buffer.read(0, into);
  assert.is(into[0], 9);
  assert.is(heap.liveCount, 1);
  buffer[Symbol.dispose]();
  buffer.close();
  assert.is(heap.liveCount, 0);
  failure("ERR_NOT_LIVE", () => buffer.bytes);
  failure("ERR_NOT_LIVE", () => buffer.read(0, into));
  refuses("ERR_INVALID_ARG_TYPE", "alignment", () => heap.buffer(100, { alignment: 64 } as object));
  const left = heap.buffer(64);
  heap.close({ force: true });
  left.close();
  assert.is(left.closed, true);
});

test("closing says what is live, and force closes all the same", () => {
  const { heap, memory, container, model } = ready({ name: "rx" });
  const handles = Array.from({ length: 7 }, () => heap.alloc(64));
  const pool = heap.pool({ size: 128, count: 8 });
  const slot = pool.get();
  const error = failure("ERR_HEAP_IN_USE", () => heap.close());
  assert.is(error.facts?.live, 8);
  assert.match(error.message, /: handle \d+ \(64 bytes at IOVA 0x/);
  assert.match(error.message, "and 3 more");
  assert.is(heap.closed, false);
  const leak = heap.leaks().find(({ handle }) => handle === slot);
  assert.is(leak?.pool, 'pool 1 of heap "rx"');
  assert.is(leak?.bytes, 128);
  const bytes = heap.bytes(handles[0] as number);
  heap.close({ force: true });
  heap.close();
  assert.is(pool.closed, true);
  assert.is(bytes.length, 0, "the memory is gone, and the array with it");
  assert.is(memory.size, 0);
  failure("ERR_CLOSED", () => pool.get());
  failure("ERR_CLOSED", () => pool.put(slot));
  failure("ERR_CLOSED", () => heap.stats);
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

test("the constructor refuses what cannot be a heap, and leaves nothing", () => {
  const { memory, list, window, container } = attached();
  const good = { memory, list, window };
  const refuse = (code: "ERR_INVALID_ARG_TYPE" | "ERR_OUT_OF_RANGE", name: string, options: object) =>
    refuses(code, name, () => new DmaHeap({ ...good, ...options }));
  refuse("ERR_INVALID_ARG_TYPE", "lists", { lists: [] });
  refuse("ERR_INVALID_ARG_TYPE", "memory", { memory: {} });
  refuse("ERR_INVALID_ARG_TYPE", "window", { window: {} });
  refuse("ERR_INVALID_ARG_TYPE", "list", { list: 5 });
  refuse("ERR_INVALID_ARG_TYPE", "name", { name: 5 });
  refuse("ERR_INVALID_ARG_TYPE", "grow", { grow: true });
  refuse("ERR_INVALID_ARG_TYPE", "steps", { grow: { steps: 5 } });
  refuse("ERR_OUT_OF_RANGE", "grow.max", { grow: { max: 0 } });
  refuse("ERR_OUT_OF_RANGE", "grow.max", { grow: { max: GiB } });
  refuse("ERR_OUT_OF_RANGE", "grow.step", { grow: { step: 0 } });
  refuse("ERR_OUT_OF_RANGE", "grow.low", { grow: { low: GiB } });
  refuse("ERR_INVALID_ARG_TYPE", "grow.sync", { grow: { sync: 1 } });
  refuse("ERR_INVALID_ARG_TYPE", "guard", { guard: 1 });
  refuse("ERR_INVALID_ARG_TYPE", "quarantine", { quarantine: 5 });
  refuse("ERR_OUT_OF_RANGE", "quarantine.milliseconds", { quarantine: { milliseconds: -1 } });
  failure("ERR_NOT_FOUND", () => new DmaHeap({ ...good, list: { ...list } }));
  const own = memory.addList({ pageSize: 4n * KiB, maxBytes: MiB, base: 1n << 40n });
  refuse("ERR_INVALID_ARG_TYPE", "list", { list: own });
  memory.removeList(own);
  container.detach(memory);
  failure("ERR_NOT_ATTACHED", () => new DmaHeap(good));
  assert.is(memory.size, 0);
  memory.close();
  container.close();
});

test("heaps on one list have segments of their own", () => {
  const { memory, list, window } = attached();
  const [one, two] = [new DmaHeap({ memory, list, window }), new DmaHeap({ memory, list, window })];
  const handles = [one.alloc(64), two.alloc(64)] as const;
  assert.is.not(one.vaOf(handles[0]), two.vaOf(handles[1]));
  one.close({ force: true });
  two.bytes(handles[1]).fill(1);
  two.close({ force: true });
  assert.is(memory.size, 0);
  assert.is(HUGE, list.pageSize);
});

test.run();
