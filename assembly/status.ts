/**
 * Why the core refuses. 0 is "done"; functions that return a handle or an index return the negative of these instead.
 * `src/core.ts` holds the same list, and a test compares the two.
 */
export const OK: i32 = 0;
/** The wasm memory cannot grow any more. */
export const OUT_OF_MEMORY: i32 = 1;
export const UNKNOWN_HANDLE: i32 = 2;
export const ZERO_LENGTH: i32 = 3;
export const UNALIGNED_VA: i32 = 4;
export const UNALIGNED_IOVA: i32 = 5;
export const UNALIGNED_LENGTH: i32 = 6;
/** The range runs past 2^64. */
export const WRAPS: i32 = 7;
export const OUTSIDE_WINDOW: i32 = 8;
/** A TCE of the range is live already. */
export const ALREADY_LIVE: i32 = 9;
/** A page of the memory is mapped in this window already, at another IOVA. */
export const VA_ALREADY_MAPPED: i32 = 10;
/** A TCE of the range is not live. */
export const NOT_LIVE: i32 = 11;
/** The IOVAs belong to an attached memory's list. */
export const RESERVED: i32 = 12;
/** The IOVAs do not belong to an attached memory's list. */
export const NOT_RESERVED: i32 = 13;
/** The memory overlaps a registration that does not cover it. */
export const PARTLY_REGISTERED: i32 = 14;
export const BAD_PERMISSION: i32 = 15;
/** Overlaps a list, or a memseg, that is there already. */
export const OVERLAPS: i32 = 16;
export const OUTSIDE_LIST: i32 = 17;
export const NOT_FOUND: i32 = 18;
/** The IOVAs are live, but with other memory behind them. */
export const VA_MISMATCH: i32 = 19;
export const TOO_LARGE: i32 = 20;
/** No hole of the wanted length. */
export const NO_HOLE: i32 = 21;
/** Something in it is still in use. */
export const BUSY: i32 = 22;
export const BAD_PAGE_SHIFT: i32 = 23;
/** The memory is registered though nothing of it is mapped: what an UNREGISTER that failed has left behind. */
export const STALE_REGISTRATION: i32 = 24;
/** The IOVAs begin or end inside a map of the kernel, which type1 unmaps as a whole only. */
export const CUTS_MAP: i32 = 25;
/** What the kernel says of its IOMMU leads outside of itself, or round in a ring. */
export const MALFORMED_INFO: i32 = 26;
/** No type of IOMMU that the core knows. */
export const UNKNOWN_IOMMU: i32 = 27;
