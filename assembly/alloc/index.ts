/**
 * What the allocator shows to JavaScript, and nothing else: `src/alloc.ts` is its dictionary. It is a module of its own, on a
 * shared memory that it imports, and knows nothing of the core's.
 */
export { arenaGive, arenaTake } from "./arena";
export {
  heapFreeBytes,
  heapLargest,
  heapLive,
  heapLiveCount,
  heapLowFree,
  heapReturns,
  heapSetLow,
  heapTotal,
} from "./figures";
export {
  heapAlloc,
  heapAllocAligned,
  heapCheckHandle,
  heapClose,
  heapFree,
  heapNextLive,
  heapOpen,
} from "./heap";
export { heapFlush } from "./magazines";
export {
  poolCheckHandle,
  poolClose,
  poolFirst,
  poolFree,
  poolGet,
  poolGetMany,
  poolNextLive,
  poolOpen,
  poolPut,
  poolPutMany,
} from "./pool";
export { heapAddSegment, heapNextFree, heapRemove } from "./segments";
