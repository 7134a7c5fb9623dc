/**
 * The plain steps stand twice: in src/heap/plain.ts, and in the allocator. Two memories are driven by the same calls, one by the steps
 * where they answer, and by the allocator where not; afterwards not a word of the two may differ.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Allocator, DESCRIPTORS } from "../../src/alloc.ts";
import {
  getPlain,
  givePlain,
  noHeap,
  type PlainHeap,
  type PlainPool,
  plainHeap,
  plainPool,
  putPlain,
  takePlain,
} from "../../src/heap/plain.ts";
import { Random } from "../support/random.ts";
import { freshAllocator, heapWith, MIB } from "./support.ts";

const test = suite("the plain steps of alloc, free, get and put");
const seed = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);
const STEPS = 60_000;
/** Where heaps and pools begin, in words: behind the descriptors of 32 bytes. */
const ARENA = DESCRIPTORS * 8;

/** Words that differ between two memories: descriptors that may be in use, and heaps and pools. */
function differences(one: Allocator, other: Allocator): string[] {
  const found: string[] = [];
  const compare = (from: number, words: number) => {
    for (let i = from; i < from + words; i++) {
      if (one.words[i] !== other.words[i]) found.push(`word ${i}: ${one.words[i]}, and ${other.words[i]}`);
    }
  };
  compare(0, (1 << 16) * 8);
  compare(ARENA, 1 << 20);
  return found.slice(0, 5);
}

const SIZES = [1, 63, 64, 65, 100, 1500, 2047, 2048, 2049, 4096, 5000, 65_536, 300_000];
const JUNK: readonly unknown[] = [
  0,
  -1,
  -64,
  1.5,
  2 ** 31,
  2 ** 32,
  2 ** 32 + 64,
  Number.NaN,
  Infinity,
  "64",
  null,
  64n,
  {},
];

test(`leave a heap's memory as the allocator does (DMA_WINDOW_SEED=${seed})`, () => {
  const random = new Random(seed);
  const [mixed, whole] = [freshAllocator(), freshAllocator()];
  const heaps = [mixed, whole].map((alloc) => heapWith(alloc, 16n * MIB)) as [number, number];
  assert.is(heaps[0], heaps[1]);
  const plain = plainHeap(mixed, heaps[0]);
  const live: number[] = [];
  const freed: number[] = [];
  let [takes, gives] = [0, 0];
  const take = (bytes: number): number => {
    const handle = takePlain(plain, bytes);
    if (handle !== 0) takes++;
    return handle !== 0 ? handle : mixed.heapAlloc(heaps[0], bytes);
  };
  const give = (handle: number): number => {
    const isGiven = givePlain(plain, handle);
    if (isGiven) gives++;
    return isGiven ? 0 : mixed.heapFree(heaps[0], handle);
  };
  for (let step = 0; step < STEPS; step++) {
    const way = random.below(100);
    if (way < 48) {
      const bytes = random.pick(SIZES);
      const handle = take(bytes);
      assert.is(handle, whole.heapAlloc(heaps[1], bytes));
      if (handle > 0) live.push(handle);
    } else if (way < 97 && live.length > 0) {
      const [handle] = live.splice(random.below(live.length), 1) as [number];
      assert.is(give(handle), 0);
      assert.is(whole.heapFree(heaps[1], handle), 0);
      freed.push(handle);
    } else {
      const handle = random.pick([
        0,
        -1,
        1 << 22,
        0x7fff_ffff,
        -(2 ** 31),
        ...freed.slice(-20),
        (live[0] ?? 1) ^ (1 << 22),
      ]);
      assert.is(give(handle), whole.heapFree(heaps[1], handle));
      const at = live.indexOf(handle);
      if (at >= 0) live.splice(at, 1);
    }
    if (step % 6000 === 0) assert.equal(differences(mixed, whole), []);
  }
  assert.equal(differences(mixed, whole), []);
  assert.ok(takes > STEPS / 5 && gives > STEPS / 3, `${takes} takes and ${gives} gives were plain`);
});

for (const fifo of [0, 1] as const) {
  test(`leave the memory of a ${fifo ? "ring" : "stack"} as the allocator does (DMA_WINDOW_SEED=${seed})`, () => {
    const random = new Random(seed);
    const [mixed, whole] = [freshAllocator(), freshAllocator()];
    const pools = [mixed, whole].map((alloc) => alloc.poolOpen(200, fifo)) as [number, number];
    const plain = plainPool(mixed.words, pools[0]);
    const live: number[] = [];
    const freed: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const way = random.below(100);
      if (way < 50) {
        const handle = getPlain(plain) || mixed.poolGet(pools[0]);
        assert.is(handle, whole.poolGet(pools[1]));
        if (handle > 0) live.push(handle);
      } else {
        const isOwn = way < 95 && live.length > 0;
        const handle = isOwn
          ? (live.splice(random.below(live.length), 1)[0] as number)
          : random.pick([0, -1, 1 << 22, 0x7fff_ffff, -(2 ** 31), ...freed.slice(-20)]);
        const answer = putPlain(plain, handle) ? 0 : mixed.poolPut(pools[0], handle);
        assert.is(answer, whole.poolPut(pools[1], handle));
        if (answer !== 0) continue;
        freed.push(handle);
        if (live.includes(handle)) live.splice(live.indexOf(handle), 1);
      }
      if (step % 6000 === 0) assert.equal(differences(mixed, whole), []);
    }
    assert.equal(differences(mixed, whole), []);
  });
}

test("answer that it is not plain to what no program may ask, and change nothing", () => {
  const alloc = freshAllocator();
  const heap = plainHeap(alloc, heapWith(alloc, MIB));
  const pool = plainPool(alloc.words, alloc.poolOpen(8, 0));
  const none: readonly [PlainHeap, PlainPool] = [noHeap(alloc), plainPool(alloc.words, 0)];
  const before = alloc.words.slice(0, 1 << 12).join();
  const kept = alloc.words.slice(ARENA, ARENA + (1 << 16)).join();
  for (const junk of JUNK as number[]) {
    assert.is(takePlain(heap, junk), 0);
    assert.is(givePlain(heap, junk), false);
    assert.is(putPlain(pool, junk), false);
  }
  for (const value of [...JUNK, 1, 64, 4096, 1 << 22, -(2 ** 31)] as number[]) {
    assert.is(takePlain(none[0], value), 0);
    assert.is(givePlain(none[0], value), false);
    assert.is(putPlain(none[1], value), false);
  }
  assert.is(getPlain(none[1]), 0);
  assert.is(alloc.words.slice(0, 1 << 12).join(), before);
  assert.is(alloc.words.slice(ARENA, ARENA + (1 << 16)).join(), kept);
});

test.run();
