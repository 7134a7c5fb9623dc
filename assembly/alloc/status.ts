/**
 * Why the allocator refuses. 0 is "done"; functions that give a handle give the negative of these instead. `src/alloc.ts` holds
 * the same list, and a test compares the two.
 */
export const OK: i32 = 0;
/** No free range that it fits into, also after all magazines were emptied; or no descriptor is left. */
export const EXHAUSTED: i32 = 1;
/** The buffer was freed, and nobody has it. */
export const NOT_LIVE: i32 = 2;
/** The buffer was freed, and what lies there now is another one. */
export const STALE_HANDLE: i32 = 3;
/** Another heap's or pool's. */
export const FOREIGN_HANDLE: i32 = 4;
/** No handle that was ever given out. */
export const UNKNOWN_HANDLE: i32 = 5;
export const ZERO_LENGTH: i32 = 6;
/** No multiple of 64. */
export const UNALIGNED: i32 = 7;
/** The range runs past 2^64. */
export const WRAPS: i32 = 8;
/** Overlaps a segment that the heap has, in IOVAs or in memory. */
export const OVERLAPS: i32 = 9;
/** Not wholly free, or not the heap's. */
export const NOT_FREE: i32 = 10;
/** Larger than the allocator can describe, or than the boundary that it must not cross. */
export const TOO_LARGE: i32 = 11;
/** No descriptors, indexes, owners or room in the arena are left. */
export const OUT_OF_MEMORY: i32 = 12;
