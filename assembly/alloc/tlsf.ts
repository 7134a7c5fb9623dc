/**
 * Free blocks by size: a two-level segregated fit (Masmano, Ripoll, Crespo, Real: "TLSF: a new dynamic memory allocator for
 * real-time systems", ECRTS 2004). Each power of two has 64 classes, so that below 128 granules (8 KiB) each size has its own;
 * finding a class that is not empty takes two bitmaps and no loop.
 */
import { block, FREE, GENERATION, OWNER, setState, stateOf } from "./descriptors";
import { BITMAPS, LISTS, record } from "./heap-record";

const LEVELS: u32 = 27;
export const CLASSES: u32 = LEVELS << 6;

/** The class that a size of at least 1 belongs to: all sizes of a class above it are larger. */
export function classOf(size: u32): u32 {
  const shift = <u32>max<i32>(25 - clz<u32>(size), 0);
  return (shift << 6) + (size >> shift);
}

/** The least size of a class. The class after that of `size - 1` is the first in which all have room for `size`. */
export function sizeOfClass(one: u32): u32 {
  return one < 64 ? one : ((one & 63) | 64) << ((one >> 6) - 1);
}

export function firstIn(heap: u32, one: u32): u32 {
  return load<u32>(heap + (one << 2), LISTS);
}

/** The first class from `one` on that has blocks; CLASSES: none has. */
export function classFrom(heap: u32, one: u32): u32 {
  if (one >= CLASSES) return CLASSES;
  let level = one >> 6;
  let bits = load<u64>(heap + (level << 3), BITMAPS) & (u64.MAX_VALUE << (one & 63));
  if (bits == 0) {
    const levels = record(heap).levels & ((<u32>~1) << level);
    if (levels == 0) return CLASSES;
    level = ctz<u32>(levels);
    bits = load<u64>(heap + (level << 3), BITMAPS);
  }
  return (level << 6) | <u32>ctz<u64>(bits);
}

export function insert(heap: u32, at: u32): void {
  const one = classOf(block(at).size);
  const list = heap + (one << 2);
  const next = load<u32>(list, LISTS);
  setState(at, (stateOf(at) & GENERATION) | FREE | (record(heap).tag & OWNER));
  block(at).nextFree = next;
  block(at).prevFree = 0;
  block(next).prevFree = at;
  store<u32>(list, at, LISTS);
  if (next != 0) return;
  const bitmap = heap + ((one >> 6) << 3);
  store<u64>(bitmap, load<u64>(bitmap, BITMAPS) | ((<u64>1) << (one & 63)), BITMAPS);
  record(heap).levels |= 1 << (one >> 6);
}

export function unlink(heap: u32, at: u32): void {
  const next = block(at).nextFree;
  const prev = block(at).prevFree;
  block(next).prevFree = prev;
  if (prev != 0) {
    block(prev).nextFree = next;
    return;
  }
  const one = classOf(block(at).size);
  store<u32>(heap + (one << 2), next, LISTS);
  if (next != 0) return;
  const bitmap = heap + ((one >> 6) << 3);
  const bits = load<u64>(bitmap, BITMAPS) & ~((<u64>1) << (one & 63));
  store<u64>(bitmap, bits, BITMAPS);
  if (bits == 0) record(heap).levels &= ~(1 << (one >> 6));
}
