/** How much a heap has. */
import { block, GRANULE_SHIFT } from "./descriptors";
import { ALL_MAGAZINES, record, SIZED, setFree } from "./heap-record";
import { Magazine } from "./magazines";
import { CLASSES, classFrom, firstIn, sizeOfClass } from "./tlsf";

/** Blocks in magazines. */
function parked(heap: u32): u32 {
  let count: u32 = 0;
  for (let number: u32 = 1; number <= ALL_MAGAZINES; number++) count += Magazine.count(heap, number);
  return count;
}

/** Buffers that are live. */
export function heapLiveCount(heap: u32): u32 {
  return record(heap).taken - parked(heap);
}

/** Bytes of all segments. */
export function heapTotal(heap: u32): u64 {
  return record(heap).total;
}

/** Bytes that are free, those in magazines among them. */
export function heapFreeBytes(heap: u32): u64 {
  let granules: u64 = 0;
  for (let number: u32 = 1; number <= ALL_MAGAZINES; number++) {
    const size: u32 = number <= SIZED ? sizeOfClass(number) : <u32>Magazine.key(heap, number);
    granules += <u64>Magazine.count(heap, number) * size;
  }
  return record(heap).free + (granules << GRANULE_SHIFT);
}

/** Bytes of live buffers, rounded up to granules. */
export function heapLive(heap: u32): u64 {
  return record(heap).total - heapFreeBytes(heap);
}

/** Bytes that are free, without those in magazines: one load. */
export function heapLowFree(heap: u32): u64 {
  return record(heap).free;
}

/**
 * How often a block, or new memory, came to the free lists. As long as this is the same, what did not fit does not, whatever was
 * allocated meanwhile. Blocks in magazines have not come: those have to be flushed before.
 */
export function heapReturns(heap: u32): u64 {
  return record(heap).returns;
}

/** Bytes of the largest free block, without magazines. */
export function heapLargest(heap: u32): u64 {
  const levels = record(heap).levels;
  if (levels == 0) return 0;
  let one = CLASSES;
  for (let next = classFrom(heap, (31 - clz<u32>(levels)) << 6); next != CLASSES; next = classFrom(heap, next + 1))
    one = next;
  let largest: u64 = 0;
  for (let at = firstIn(heap, one); at != 0; at = block(at).nextFree) largest = max<u64>(largest, block(at).bytes);
  return largest;
}

/** The heap's first word is 1 while heapLowFree is below this. */
export function heapSetLow(heap: u32, bytes: u64): void {
  record(heap).mark = bytes;
  setFree(heap, record(heap).free);
}
