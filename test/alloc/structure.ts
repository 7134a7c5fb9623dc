/**
 * Looks at a heap's own bytes: that its blocks tile its runs, that each free one is in the list of its class and in no other, that
 * bitmaps say what lists have, and that what is in a magazine is nowhere else. The layout is drawn in assembly/alloc/.
 */
import * as assert from "uvu/assert";
import { type Allocator, HANDLE_INDEX_MASK } from "../../src/alloc.ts";

const [LIVE, MAGAZINE, OWNER, GENERATION] = [1 << 21, 511 << 12, 4095, 511 << 22];
const STATES = 352 << 20;
const [BITMAPS, MAGAZINES, LISTS, LEVELS] = [64, 512, 99072, 27];
const [KEY, HANDLES, ROOM] = [8, 16, 60];
const [SIZED, ALL, NONE] = [320, 384, 511];

export interface Block {
  readonly at: number;
  readonly iova: bigint;
  readonly granules: number;
  readonly state: "free" | "live" | "magazine";
  readonly handle: number;
}

export interface Structure {
  readonly runs: readonly {
    readonly iova: bigint;
    readonly va: bigint;
    readonly size: bigint;
    readonly blocks: readonly Block[];
  }[];
  readonly blocks: readonly Block[];
  /** Descriptors that the heap has, those at the ends of its runs among them. */
  readonly descriptors: number;
}

/** The class of a size: by its power of two, 64 to each. */
function classOf(granules: number): number {
  let shift = 0;
  while (Math.floor(granules / 2 ** shift) > 127) shift++;
  return shift * 64 + Math.floor(granules / 2 ** shift);
}

/** The least size of a class. */
export function leastOf(one: number): number {
  return one < 64 ? one : (64 + (one % 64)) * 2 ** (Math.floor(one / 64) - 1);
}

/** Reads all of a heap; asserts that it is whole. */
export function structureOf(alloc: Allocator, heap: number): Structure {
  const words = new Uint32Array(alloc.memory.buffer);
  const longs = alloc.iovas;
  const word = (at: number, offset = 0): number => words[(at + offset) >> 2] as number;
  const stateOf = (at: number): number => words[(STATES + (at >> 3)) >> 2] as number;
  const long = (at: number, offset = 0): bigint => new BigUint64Array(alloc.memory.buffer, at + offset, 1)[0] as bigint;
  const tag = word(heap, 4);
  const owner = tag & OWNER;
  assert.is(tag, LIVE | owner);
  const runs: { iova: bigint; va: bigint; size: bigint; blocks: Block[] }[] = [];
  const byAddress = new Map<number, Block>();
  let descriptors = 0;
  for (let i = 0; i < word(heap, 40); i++) {
    const at = word(heap, 36) + i * 32;
    const [iova, size, va, first, end] = [long(at), long(at, 8), long(at, 16), word(at, 24), word(at, 28)];
    const before = runs.at(-1);
    if (before !== undefined) {
      assert.ok(before.iova + before.size <= iova, "runs are in order, and apart");
      const meets = before.iova + before.size === iova && before.va + before.size === va;
      assert.not(meets, "what is contiguous is one run");
    }
    const blocks: Block[] = [];
    let [next, sum, prev] = [first, 0n, 0];
    while (next !== end) {
      const [state, granules] = [stateOf(next), word(next, 8)];
      const number = (state & MAGAZINE) >> 12;
      assert.is(longs[next >> 3], iova + sum, "blocks tile their run");
      assert.ok(granules > 0, "no empty blocks");
      assert.is(word(next, 16), prev, "the link backwards");
      assert.is(state & OWNER, owner, "the owner");
      const kind = (state & LIVE) !== 0 ? "live" : number === NONE ? "free" : "magazine";
      if (kind === "free") {
        assert.is(state & ~(MAGAZINE | OWNER | GENERATION), 0);
        const neighbour = blocks.at(-1);
        assert.ok(neighbour?.state !== "free" || neighbour.granules + granules >= 2 ** 32, "free neighbours are one");
      } else {
        assert.is(long(next, 24), va + sum, "the memory behind the IOVA");
        assert.ok(number <= ALL, "a magazine that there is");
        if (number > 0 && number <= SIZED) assert.is(granules, leastOf(number), "a magazine of its size");
      }
      const handle = (state & GENERATION) | (next >> 5);
      const block: Block = { at: next, iova: iova + sum, granules, state: kind, handle };
      blocks.push(block);
      assert.not(byAddress.has(next), "a descriptor is one block's");
      byAddress.set(next, block);
      sum += BigInt(granules) * 64n;
      prev = next;
      next = word(next, 20);
    }
    assert.is(sum, size, "blocks are all of their run");
    assert.is(word(end, 16), prev, "the end knows the last block");
    assert.equal([word(end, 8), word(end, 20), stateOf(end) & (MAGAZINE | LIVE)], [0, 0, 0], "the end is nothing else");
    descriptors += blocks.length + 1;
    runs.push({ iova, va, size, blocks });
  }
  const blocks = runs.flatMap((run) => run.blocks);

  const listed = new Set<number>();
  let levels = 0;
  for (let level = 0; level < LEVELS; level++) {
    let bits = 0n;
    for (let i = 0; i < 64; i++) {
      const one = level * 64 + i;
      let prev = 0;
      for (let at = word(heap, LISTS + one * 4); at !== 0; at = word(at, 24)) {
        const block = byAddress.get(at);
        assert.is(block?.state, "free", "what is in a list is a free block of the heap");
        assert.is(classOf(block?.granules ?? 0), one, "in the list of its class");
        assert.is(word(at, 28), prev, "the list's link backwards");
        assert.not(listed.has(at), "in one list, once");
        listed.add(at);
        prev = at;
        bits |= 1n << BigInt(i);
      }
    }
    assert.is(long(heap, BITMAPS + level * 8), bits, "the bitmap says which lists have blocks");
    if (bits !== 0n) levels |= 1 << level;
  }
  assert.is(word(heap, 48), levels >>> 0, "and which bitmaps have bits");
  const free = blocks.filter(({ state }) => state === "free");
  assert.is(listed.size, free.length, "each free block is in a list");
  const sum = (of: readonly Block[]): bigint => of.reduce((bytes, { granules }) => bytes + BigInt(granules) * 64n, 0n);
  assert.is(long(heap, 8), sum(free), "bytes that are free");
  assert.is(long(heap, 24), sum(blocks), "bytes of all segments");
  assert.is(word(heap, 32), blocks.length - free.length, "blocks that are taken");
  assert.is(word(heap), long(heap, 8) < long(heap, 16) ? 1 : 0, "the low mark");

  const parked = new Set<number>();
  for (let number = 0; number <= ALL; number++) {
    const at = heap + MAGAZINES + number * 256;
    assert.ok(word(at) <= (number === 0 ? 0 : ROOM), "no magazine holds more than it has room for");
    for (let i = 0; i < word(at); i++) {
      const handle = word(at, HANDLES + i * 4);
      const block = byAddress.get((handle & HANDLE_INDEX_MASK) << 5);
      assert.is(block?.handle, handle, "a magazine has handles as they will be");
      assert.is(block?.state, "magazine");
      assert.is((stateOf(block?.at ?? 0) & MAGAZINE) >> 12, number, "of blocks that name it");
      if (number > SIZED) assert.is(block?.granules, word(at, KEY), "of its key");
      assert.not(parked.has(handle), "once");
      parked.add(handle);
    }
  }
  assert.is(parked.size, blocks.filter(({ state }) => state === "magazine").length, "each is in its magazine");
  return { runs, blocks, descriptors };
}

/** Asserts that each descriptor that was ever taken is a heap's or in the list of those that are free; 0 the generation alone. */
export function noDescriptorIsLost(alloc: Allocator, structures: readonly Structure[]): void {
  const words = new Uint32Array(alloc.memory.buffer);
  const free = new Set<number>();
  for (let at = words[0] as number; at !== 0; at = words[(at + 20) >> 2] as number) {
    assert.not(free.has(at), "a descriptor is free once");
    assert.is(
      (words[(STATES + (at >> 3)) >> 2] as number) & ~GENERATION,
      0,
      "a free descriptor has a generation, and nothing else",
    );
    free.add(at);
  }
  const used = structures.reduce((sum, { descriptors }) => sum + descriptors, 0);
  assert.is(free.size + used, words[1], "no descriptor is lost");
  assert.is(words[STATES >> 2], 0, "the state of descriptor 0");
}
