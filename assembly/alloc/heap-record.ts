/**
 * A heap, as it lies in the arena.
 *
 *     0      64           512                     99,072            105,984
 *     | head | 27 bitmaps | 385 magazines of 256  | 27 x 64 lists   |
 */
import { RUNG } from "./memory";

@unmanaged
export class Heap {
  /** Bit 0 while fewer bytes are free than `mark`, bit 1 where RUNG was 1 when they changed: JavaScript reads this word. */
  low: u32;
  /** What the state of a live block of this heap has beside its generation and magazine. */
  tag: u32;
  /** Bytes of free blocks, without those in magazines. */
  free: u64;
  mark: u64;
  /** Bytes of all segments. */
  total: u64;
  /** Blocks that are live or in a magazine. */
  taken: u32;
  /** Runs of segments, by IOVA: see runs.ts. */
  runs: u32;
  runCount: u32;
  runCapacity: u32;
  /** One bit for each bitmap that is not empty. */
  levels: u32;
  /** 1: magazines of larger blocks are short, so that what is free can become one. See magazines.ts. */
  tight: u32;
  /** How often a block came back to the free lists. */
  returns: u64;
}

export const BITMAPS: u32 = 64;
/**
 * Magazines, each count u32, limit u16, contests u16, key u64, and 60 handles: see magazines.ts. Number 0 stays empty.
 */
export const MAGAZINES: u32 = 512;
export const LIMIT: u32 = MAGAZINES + 4;
export const CONTESTS: u32 = MAGAZINES + 6;
export const KEYS: u32 = MAGAZINES + 8;
export const HANDLES: u32 = MAGAZINES + 16;
export const ROOM: u32 = 60;
/** Magazines of one size each: number m has blocks of the least size of class m (tlsf.ts). */
export const SIZED: u32 = 320;
/** The largest of those sizes. */
export const SIZED_MAX: u32 = 1024;
/** Of these, in which each size has its own, new blocks come in batches. */
export const SMALL: u32 = 32;
/** The others, each for what was last asked of it. */
export const KEYED: u32 = 64;
export const ALL_MAGAZINES: u32 = SIZED + KEYED;
export const LISTS: u32 = MAGAZINES + ((ALL_MAGAZINES + 1) << 8);
export const HEAP_BYTES: u32 = LISTS + (27 << 8);

export function record(heap: u32): Heap {
  return changetype<Heap>(heap);
}

export function setFree(heap: u32, free: u64): void {
  record(heap).free = free;
  // Only here, where blocks leave the free lists or come back: what magazines serve asks nothing.
  record(heap).low = u32(free < record(heap).mark) | (load<u32>(RUNG) << 1);
}
