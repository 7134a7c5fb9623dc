/**
 * The memory of the allocator: a shared one, of 368 MiB, that never grows and of which only pages that were written to exist.
 *
 *     0                            128 MiB                         256 MiB                  352 MiB                368 MiB
 *     | descriptors, 32 bytes each | heads, owners | arena: blocks | columns, 24 bytes each | states, 4 bytes each |
 *
 * **Columns are for programs to read, and nothing here ever does.** A program has arrays over them, and may write there by mistake: a
 * descriptor has links behind its IOVA, and who wrote to those had an allocator that does not end, or gives memory out twice.
 *
 * **All zeros is the state in which nothing was ever done**, so nobody has to begin. And all state is in this memory: a module
 * that keeps any in globals or data segments would write it anew whenever a worker instantiates it on memory that is in use.
 */

/** Where descriptors end. */
export const DESCRIPTORS_END: u32 = 128 << 20;
/** Where the arena ends. */
export const ARENA_END: u32 = 256 << 20;
/** By index, of each block that is live or in a magazine: IOVA, address, granules. */
export const COLUMNS: u32 = ARENA_END;
/** By index, of each descriptor its state: see descriptors.ts. */
export const STATES: u32 = 352 << 20;

/** What all heaps and pools of a memory share; in the first 12 bytes of descriptor 0, which are those that no link reaches. */
@unmanaged
export class Globals {
  /** The first of the descriptors that were given back; 0: none. */
  freeDescriptors: u32;
  /** Descriptors that were ever taken: 1 to here. */
  usedDescriptors: u32;
  /** Indexes that pools have taken, from the top downwards. */
  takenIndexes: u32;
}

export function globals(): Globals {
  return changetype<Globals>(0);
}

/** Bytes of the arena that were ever taken. */
export const ARENA_USED: u32 = DESCRIPTORS_END;
/** 32 heads of free lists of the arena, and as many of free ranges of indexes, one for each power of two. */
export const ARENA_LISTS: u32 = DESCRIPTORS_END + 128;
export const INDEX_LISTS: u32 = DESCRIPTORS_END + 256;
/** 1: another thread has freed a block of one of these heaps, which has not been taken yet. Written by whoever did, and in JavaScript. */
export const RUNG: u32 = DESCRIPTORS_END + 2048;
/** One byte for each owner: 1, its heap is open. */
export const OWNERS: u32 = DESCRIPTORS_END + 4096;
export const ARENA: u32 = DESCRIPTORS_END + 8192;
