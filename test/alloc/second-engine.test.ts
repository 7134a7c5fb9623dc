/**
 * The allocator in a second engine, wabt's: valid with the features that it needs and without all others, and the same programs, made
 * again in an interpreter, have the same answers and leave the same bytes in its columns.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Allocator, AllocStatus, allocMemory, instantiateAlloc } from "../../src/alloc.ts";
import { Random } from "../support/random.ts";
import { Recording } from "../support/recorded-core.ts";
import { extended, type Feature, interpret, isValid } from "../support/wabt.ts";
import { allocFile, builds, HIGH, MIB } from "./support.ts";

const test = suite("the allocator in a second engine");
const FEATURES: readonly Feature[] = ["bulk-memory", "threads"];

/** Bytes of descriptors that are held against each other after each call. */
const WATCHED = 64 << 10;

type Watchable = Omit<Allocator, "memory"> & {
  readonly memory: WebAssembly.Memory;
  u64(pointer: number, length: number): BigUint64Array;
  u32(pointer: number, length: number): Uint32Array;
};

function watchable(): Watchable {
  const alloc = instantiateAlloc(allocMemory(), allocFile("alloc"));
  return {
    ...alloc,
    memory: alloc.memory as WebAssembly.Memory,
    u64: (pointer, length) => new BigUint64Array(alloc.memory.buffer, pointer, length),
    u32: (pointer, length) => new Uint32Array(alloc.memory.buffer, pointer, length),
  };
}

function heaps(alloc: Watchable): number {
  alloc.u64(0, WATCHED / 8);
  const random = new Random(11);
  const heap = alloc.heapOpen();
  for (const at of [2n, 0n, 1n, 5n]) alloc.heapAddSegment(heap, HIGH + at * MIB, (1n << 44n) + at * MIB, MIB, 0);
  const live: number[] = [];
  const calls = 4000;
  for (let i = 0; i < calls; i++) {
    if (random.below(100) < 56) {
      const bytes = 1 + random.below(2 ** (6 + random.below(11)));
      const handle = random.once(3)
        ? alloc.heapAllocAligned(heap, bytes, random.below(14), random.once(2) ? 17 : 0)
        : alloc.heapAlloc(heap, bytes);
      if (handle > 0) live.push(handle);
    } else {
      const at = random.below(live.length + 1);
      const handle = live[at] ?? random.below(2 ** 31);
      if (alloc.heapFree(heap, handle) === AllocStatus.OK) live.splice(at, 1);
    }
    if (i % 500 === 0) alloc.heapRemove(heap, HIGH + BigInt(random.below(65536)) * 64n, 64n);
    if (i % 100 === 0) {
      for (const figure of [alloc.heapLive, alloc.heapLargest, alloc.heapFreeBytes, alloc.heapLiveCount]) figure(heap);
    }
  }
  alloc.heapClose(heap);
  return calls;
}

function pools(alloc: Watchable): number {
  const random = new Random(12);
  const all = [0, 1].map((fifo) => alloc.poolOpen(60, fifo as 0 | 1));
  const block = alloc.arenaTake(1024);
  alloc.u32(block, 256);
  const live: number[] = [];
  const calls = 3000;
  for (let i = 0; i < calls; i++) {
    const pool = random.pick(all);
    if (random.once(20)) alloc.poolPutMany(pool, block, alloc.poolGetMany(pool, block, random.below(30)));
    else if (random.once(2)) live.push(alloc.poolGet(pool));
    else alloc.poolPut(pool, live[random.below(live.length)] ?? -1);
  }
  for (const pool of all) alloc.poolClose(pool);
  return calls;
}

for (const build of builds) {
  test(`is valid with ${FEATURES.join(" and ")}, and not with less (${build})`, () => {
    const wasm = allocFile(build);
    assert.ok(isValid(wasm, FEATURES));
    for (const feature of FEATURES) {
      const others = FEATURES.filter((each) => each !== feature);
      assert.not.ok(isValid(wasm, others), `without ${feature}`);
    }
  });
}

test("answers in an interpreter as in V8", () => {
  const recording = new Recording<Watchable>(watchable());
  recording.stage("heaps", (alloc) => assert.ok(heaps(alloc) > 1000));
  recording.stage("pools", (alloc) => assert.ok(pools(alloc) > 1000));
  const again = extended(allocFile("alloc"), (indexOf) => recording.text(indexOf));
  const hashes = Object.values(recording.hashes);
  const inV8 = new WebAssembly.Instance(new WebAssembly.Module(again), {}).exports.run as () => bigint[];
  assert.equal(
    inV8().map((hash) => BigInt.asUintN(64, hash)),
    hashes,
    "made again in V8",
  );
  assert.equal(interpret(again, "run"), hashes, "in the interpreter");
});

test.run();
