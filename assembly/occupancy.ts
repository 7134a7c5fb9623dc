/**
 * Holes: runs of indexes that are free in one bitmap, or in two at once (what is live, and what is set aside).
 *
 *     live       ##..........####..........
 *     reserved   ....####..................
 *     hole 1       ^^    ^^^^    ^^^^^^^^^^   <- the largest
 *
 * To search one map alone, give it twice.
 */
import { Bitmap, nextClear, nextSet } from "./bitmap";

/** No index: no hole of that length. */
export const NOWHERE: u64 = u64.MAX_VALUE;

/** The first index at or after `from` that is free in both; `end` when there is none. */
function nextFree(a: Bitmap, b: Bitmap, from: u64, end: u64): u64 {
  let at = from;
  while (true) {
    at = nextClear(a, at, end);
    const inBoth = nextClear(b, at, end);
    if (inBoth == at) return at;
    at = inBoth;
  }
}

function nextTaken(a: Bitmap, b: Bitmap, from: u64, end: u64): u64 {
  return nextSet(b, from, nextSet(a, from, end));
}

/**
 * The lowest index, a multiple of 2^alignShift, from which `length` indexes are free in both maps; NOWHERE if there is
 * none. Indexes are below 2^36 and `length` is at most that, so the sums cannot wrap.
 */
export function firstFit(a: Bitmap, b: Bitmap, length: u64, alignShift: u32): u64 {
  const bits = a.bits;
  if (length == 0 || length > bits) return NOWHERE;
  const alignMask = ((<u64>1) << alignShift) - 1;
  let at: u64 = 0;
  while (true) {
    at = (nextFree(a, b, at, bits) + alignMask) & ~alignMask;
    if (at >= bits || bits - at < length) return NOWHERE;
    const taken = nextTaken(a, b, at, at + length);
    if (taken == at + length) return at;
    at = taken;
  }
}

/** The length of the longest run that is free in both maps. */
export function largestHole(a: Bitmap, b: Bitmap): u64 {
  const bits = a.bits;
  let largest: u64 = 0;
  let at: u64 = 0;
  while (true) {
    at = nextFree(a, b, at, bits);
    if (at >= bits) return largest;
    const taken = nextTaken(a, b, at, bits);
    largest = max<u64>(largest, taken - at);
    at = taken;
  }
}
