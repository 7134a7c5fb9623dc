/**
 * What nearly every alloc and free, get and put is, in JavaScript over the allocator's own memory: a count, a handle, and one word that
 * says whose it is. Two calls into wasm that do nothing take longer (docs/bench). Whatever is not plain, a magazine that is empty or
 * full, a handle that is refused, is answered 0 or false with nothing changed: then the allocator is asked, which does the same and
 * the rest. So these steps stand twice, here and in assembly/alloc, and test/alloc/plain.test.ts holds one to the other word by word.
 *
 * V8 makes one piece of the program's loop and of these only as long as all of it is short: 920 bytes of its bytecode. So each is as
 * short as can be, the checks of arguments are here once, and numbers stand where names would be longer:
 *
 *     handle       0 | generation : 9 | index : 22             0x7fc00000, 0x3fffff; the next generation: + 0x400000
 *     state        at 0x5800000 + index: 0 | generation : 9 | live | magazine : 9 (0x1ff000) | owner : 12
 *     magazine     64 words: count, limit (0xffff), key: granules, key: alignment and boundary, then handles
 *     pool         free, head, fifo, mask, ..., ring; from 16 on what is live, by handle & mask
 *
 * Places are indexes of words.
 */
import { ALLOC_HEAP_BYTES, type Allocator } from "../alloc.ts";
import { hotCalls } from "./hot.ts";

/** See hot.ts: so the words' address and number are constants of the program's loop. */
const hot = hotCalls;

/** A heap, as these functions want it. */
export interface PlainHeap {
  /** Where magazine 0 lies, which is always empty. Those of one size are numbers 1 to 320, by the class of their granules. */
  readonly magazines: number;
  /** What a live block's state has beside its generation and magazine. */
  readonly tag: number;
  /** The alignment that was asked for last without a boundary, and its place. */
  align: number;
  place: number;
  /** The same with a boundary. */
  boundary: number;
  boundedAlign: number;
  boundedPlace: number;
}

/** Where blocks may lie, as a magazine's key has it: | boundary : 8 | align : 8 |, as shifts; the boundary 0: wherever. */
const ANYWHERE = 6;
/** No magazine has such a key. */
const NOWHERE = -1;

const unasked = { align: 1, place: NOWHERE, boundary: 1, boundedAlign: 1, boundedPlace: NOWHERE } as const;

/** `heap` is the allocator's pointer. */
export function plainHeap({ words }: Allocator, heap: number): PlainHeap {
  return { magazines: (heap >> 2) + 128, tag: words[(heap >> 2) + 1] as number, ...unasked };
}

/** A heap of this thread of which nothing is plain: its magazines are empty, and no state has such a tag. 0 where there is no room for it. */
export function noHeap(all: Allocator): PlainHeap {
  none ??= { magazines: (all.arenaTake(ALLOC_HEAP_BYTES) >> 2) + 128, tag: -1, ...unasked };
  return none;
}

let none: PlainHeap | undefined;

/**
 * From then on {@link placeOf} knows these. The shifts are what the allocator is asked with. A boundary within a granule is not kept: all
 * sizes of a granule have one key, and not all of them are within it.
 */
export function remember(
  all: PlainHeap,
  align: number,
  at: number,
  boundary: number | undefined,
  within: number,
): void {
  if (boundary === undefined) {
    all.align = align;
    all.place = at;
  } else if (within >= 6) {
    all.boundedAlign = align;
    all.boundary = boundary;
    all.boundedPlace = at | (within << 8);
  }
}

/** For {@link takePlain}, where it is known by heart: of no alignment, or one of 64, and of what was asked for last. */
export function placeOf(all: PlainHeap, align: number, boundary: number | undefined): number {
  if (boundary !== undefined) {
    return boundary === all.boundary && align === all.boundedAlign ? all.boundedPlace : NOWHERE;
  }
  return align === 64 ? ANYWHERE : align === all.align ? all.place : NOWHERE;
}

/** A handle, or 0. `bytes` is anything; what is not as it should be is 0. */
export function takePlain(all: PlainHeap, bytes: number, place: number): number {
  if (typeof bytes !== "number" || (bytes | 0) !== bytes) return 0;
  const last = (bytes - 1) >> 6; // the last granule; below 0 where there is none, and no magazine has such a size
  const shift = 25 - Math.clz32(last | 64); // each power of two from 8 KiB on has 64 sizes
  return pop(all, last >>> 10 || place !== ANYWHERE ? keyed(all, last + 1, place) : (shift << 6) + (last >> shift) + 1);
}

/** The magazine that has what is asked for as its key, hashed as in magazines.ts; else 0. */
function keyed(all: PlainHeap, size: number, place: number): number {
  const { words } = hot;
  const number = 321 + (Math.imul(size ^ (place << 15), 0x9e3779b1) >>> 26);
  const magazine = (all.magazines + (number << 6)) | 0;
  return words[(magazine + 2) | 0] === size && words[(magazine + 3) | 0] === place ? number : 0;
}

function pop(all: PlainHeap, number: number): number {
  const { words } = hot;
  const magazine = (all.magazines + (number << 6)) | 0;
  const count = words[magazine] as number;
  if (count <= 0) return 0;
  const handle = words[(magazine + 3 + count) | 0] as number;
  words[magazine] = (count - 1) | 0;
  words[(handle & 0x3fffff) + 0x5800000] = (handle & 0x7fc00000) | (number << 12) | all.tag;
  return handle;
}

/** Whether a block was freed. `handle` is anything. */
export function givePlain(all: PlainHeap, handle: number): boolean {
  if (typeof handle !== "number" || (handle | 0) !== handle) return false;
  const { words } = hot;
  const at = (handle & 0x3fffff) + 0x5800000;
  const state = words[at] as number;
  if ((state & ~0x1ff000) !== ((handle & ~0x3fffff) | all.tag)) return false;
  const magazine = (all.magazines + ((state & 0x1ff000) >> 6)) | 0;
  const count = words[magazine] as number;
  if (count >= ((words[(magazine + 1) | 0] as number) & 0xffff)) return false;
  const next = (handle + 0x400000) & 0x7fffffff;
  words[at] = (next & 0x7fc00000) | (state & 0x1fffff);
  words[(magazine + 4 + count) | 0] = next;
  words[magazine] = (count + 1) | 0;
  return true;
}

/** A pool, as these functions want it. */
export interface PlainPool {
  /** Where it lies; 0: nothing of it is plain. */
  readonly pool: number;
  /** Where its free handles lie. */
  readonly ring: number;
  readonly mask: number;
  readonly fifo: boolean;
}

/** `pool` is the allocator's pointer; 0: whatever is asked of it is not plain. */
export function plainPool(words: Int32Array, pool: number): PlainPool {
  const at = pool >> 2;
  const word = (index: number) => (pool === 0 ? 0 : (words[at + index] as number));
  return { pool: at, ring: word(6) >> 2, mask: word(3), fifo: word(2) !== 0 };
}

/** A handle, or 0: on a stack the one that was put last, in a ring the one that was put first. */
export function getPlain(all: PlainPool): number {
  const { words } = hot;
  const { pool } = all;
  const free = (words[pool] as number) - 1;
  if (pool === 0 || free < 0) return 0;
  let place = free;
  if (all.fifo) {
    place = words[pool + 1] as number;
    words[pool + 1] = (place + 1) & all.mask;
  }
  const handle = words[all.ring + place] as number;
  words[pool] = free;
  words[pool + 16 + (handle & all.mask)] = handle;
  return handle;
}

/** Whether a slot was put. `handle` is anything. */
export function putPlain(all: PlainPool, handle: number): boolean {
  const { words } = hot;
  const { pool, mask } = all;
  if (pool === 0 || typeof handle !== "number" || (handle | 0) !== handle) return false;
  const current = pool + 16 + (handle & mask);
  if (words[current] !== handle) return false;
  words[current] = handle ^ 1;
  const free = words[pool] as number;
  words[all.ring + (((words[pool + 1] as number) + free) & mask)] = (handle + 0x400000) & 0x7fffffff;
  words[pool] = free + 1;
  return true;
}
