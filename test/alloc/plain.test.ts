/**
 * The plain steps stand twice: in src/heap/plain.ts, and in the allocator. Two memories are driven by the same calls, one by the steps
 * where they answer, and by the allocator where not; afterwards not a word of the two may differ.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Allocator, DESCRIPTORS, STATES } from "../../src/alloc.ts";
import { hotCalls } from "../../src/heap/hot.ts";
import {
  getPlain,
  givePlain,
  noHeap,
  placeOf,
  plainHeap,
  plainPool,
  putPlain,
  remember,
  takePlain,
} from "../../src/heap/plain.ts";
import { needAllocator, wasm } from "../../src/heap/wasm.ts";
import { Random } from "../support/random.ts";
import { freshAllocator, heapWith, MIB } from "./support.ts";

const test = suite("the plain steps of alloc, free, get and put");
const seed = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);
const STEPS = 60_000;
/** Where heaps and pools begin, in words: behind the descriptors of 32 bytes. */
const ARENA = DESCRIPTORS * 8;

/** Words that differ between two memories: descriptors that may be in use, their states, and heaps and pools. */
function differences(one: Allocator, other: Allocator): string[] {
  const found: string[] = [];
  const compare = (from: number, words: number) => {
    for (let i = from; i < from + words; i++) {
      if (one.words[i] !== other.words[i]) found.push(`word ${i}: ${one.words[i]}, and ${other.words[i]}`);
    }
  };
  compare(0, (1 << 16) * 8);
  compare(STATES, 1 << 16);
  compare(STATES + DESCRIPTORS - (1 << 10), 1 << 10);
  compare(ARENA, 1 << 20);
  return found.slice(0, 5);
}

/** The plain steps work on the words of the thread's allocator: here on those of another one meanwhile. */
function on({ words }: Allocator, work: () => void): void {
  needAllocator();
  hotCalls.words = words;
  try {
    work();
  } finally {
    hotCalls.words = wasm.words;
  }
}

/** Alignments and boundaries: as they are asked for, and as shifts. */
const PLACES: readonly { align: number; at: number; boundary?: number; within: number }[] = [
  { align: 64, at: 6, within: 0 },
  { align: 4096, at: 12, within: 0 },
  { align: 256, at: 8, within: 0 },
  { align: 64, at: 6, boundary: 1 << 20, within: 20 },
  { align: 4096, at: 12, boundary: 1 << 20, within: 20 },
];

const SIZES = [1, 63, 64, 65, 100, 1500, 2048, 2049, 4096, 8192, 8193, 12_345, 16_384, 65_472, 65_536, 65_537, 300_000];
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
  let [takes, placed, gives] = [0, 0, 0];
  const take = (bytes: number, { align, at, boundary, within }: (typeof PLACES)[number]): number => {
    const handle = takePlain(plain, bytes, placeOf(plain, align, boundary));
    if (handle !== 0) {
      takes++;
      if (align !== 64 || boundary !== undefined) placed++;
      return handle;
    }
    remember(plain, align, at, boundary, within);
    return mixed.heapAllocAligned(heaps[0], bytes, at, within);
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
      const place = random.pick(random.below(3) === 0 ? PLACES : PLACES.slice(0, 1));
      let handle = 0;
      on(mixed, () => {
        handle = take(bytes, place);
      });
      assert.is(handle, whole.heapAllocAligned(heaps[1], bytes, place.at, place.within));
      if (handle > 0) live.push(handle);
    } else if (way < 97 && live.length > 0) {
      const [handle] = live.splice(random.below(live.length), 1) as [number];
      on(mixed, () => assert.is(give(handle), 0));
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
      on(mixed, () => assert.is(give(handle), whole.heapFree(heaps[1], handle)));
      const at = live.indexOf(handle);
      if (at >= 0) live.splice(at, 1);
    }
    if (step % 6000 === 0) assert.equal(differences(mixed, whole), []);
  }
  assert.equal(differences(mixed, whole), []);
  const plainly = `${takes} takes, ${placed} of them placed, and ${gives} gives were plain`;
  assert.ok(takes > STEPS / 5 && placed > STEPS / 100 && gives > STEPS / 3, plainly);
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
        let handle = 0;
        on(mixed, () => {
          handle = getPlain(plain) || mixed.poolGet(pools[0]);
        });
        assert.is(handle, whole.poolGet(pools[1]));
        if (handle > 0) live.push(handle);
      } else {
        const isOwn = way < 95 && live.length > 0;
        const handle = isOwn
          ? (live.splice(random.below(live.length), 1)[0] as number)
          : random.pick([0, -1, 1 << 22, 0x7fff_ffff, -(2 ** 31), ...freed.slice(-20)]);
        let answer = 0;
        on(mixed, () => {
          answer = putPlain(plain, handle) ? 0 : mixed.poolPut(pools[0], handle);
        });
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
  const before = alloc.words.slice(0, 1 << 12).join();
  const kept = alloc.words.slice(ARENA, ARENA + (1 << 16)).join();
  on(alloc, () => {
    for (const junk of JUNK as number[]) {
      assert.is(takePlain(heap, junk, placeOf(heap, 64, undefined)), 0);
      assert.is(givePlain(heap, junk), false);
      assert.is(putPlain(pool, junk), false);
    }
    for (const junk of JUNK as number[]) {
      assert.is(takePlain(heap, 64, placeOf(heap, junk, undefined)), 0);
      assert.is(takePlain(heap, 64, placeOf(heap, 64, junk)), 0);
    }
  });
  assert.is(alloc.words.slice(0, 1 << 12).join(), before);
  assert.is(alloc.words.slice(ARENA, ARENA + (1 << 16)).join(), kept);
});

test("take a size below 0 for none, also where the largest block that there can be was freed", () => {
  const alloc = freshAllocator();
  const heap = heapWith(alloc, 1024n * 8n * MIB);
  const most = 2 ** 32 - 64;
  const handle = alloc.heapAllocAligned(heap, most, 6, 0);
  assert.is(alloc.heapFree(heap, handle), 0);
  on(alloc, () => {
    const plain = plainHeap(alloc, heap);
    for (const bytes of [-1, -63, -64, -65, -128, most])
      assert.is(takePlain(plain, bytes, placeOf(plain, 64, undefined)), 0);
  });
  assert.ok(alloc.heapAllocAligned(heap, most, 6, 0) > 0);
});

test("answer that nothing is plain where there is no heap and no pool", () => {
  needAllocator();
  const [heap, pool] = [noHeap(wasm), plainPool(wasm.words, 0)];
  for (const value of [...JUNK, 1, 64, 4096, 1 << 22, -(2 ** 31)] as number[]) {
    assert.is(takePlain(heap, value, placeOf(heap, 64, undefined)), 0);
    assert.is(givePlain(heap, value), false);
    assert.is(putPlain(pool, value), false);
  }
  assert.is(getPlain(pool), 0);
});

test.run();
