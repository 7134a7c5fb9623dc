/**
 * DMA windows: ranges of IOVAs, cut into TCE pages, and what is mapped at each.
 *
 *     start                                                             last
 *     |  TCE 0  |  TCE 1  |  TCE 2  |            ...            | TCE n-1 |      each 2^pageShift bytes
 *
 *     live        bitmap          which TCEs the kernel has mapped (and, inside a call, those it is about to)
 *     reserved    bitmap          which TCEs belong to the lists of attached memories: nothing else is mapped there
 *     toIova      affine radix    va -> iova
 *     toVa        affine radix    iova - start -> va
 *
 * One page of memory stands at one IOVA of a window at most, so both maps are exact.
 */
import { acquire, release } from "./arena";
import {
  BITS_MAX,
  Bitmap,
  clearBits,
  dropBitmap,
  initBitmap,
  nextClear,
  nextSet,
  prepareBits,
  setBits,
  trimBits,
} from "./bitmap";
import { isAligned } from "./bits";
import { clear, drop, get, initRadix, prepare, Radix, set } from "./radix";
import { contains, lastOf } from "./range";
import { Container } from "./registrations";

@unmanaged
export class Window {
  start: u64;
  last: u64;
  container: Container;
  pageShift: u32;
  live: Bitmap;
  reserved: Bitmap;
  toIova: Radix;
  toVa: Radix;
}

/** Whether a window of that shape can be kept: whole TCE pages, and at most BITS_MAX of them. */
export function isWindow(start: u64, size: u64, pageShift: u32): bool {
  return (
    pageShift >= 12 &&
    pageShift <= 40 &&
    isAligned(start, pageShift) &&
    isAligned(size, pageShift) &&
    contains(0, u64.MAX_VALUE, start, size) &&
    size >> pageShift <= BITS_MAX
  );
}

/** Fills in a zeroed window. False when there is no memory: dropWindow then gives back what was taken. */
export function initWindow(window: Window, start: u64, size: u64, pageShift: u32): bool {
  window.start = start;
  window.last = lastOf(start, size);
  window.pageShift = pageShift;
  window.live = changetype<Bitmap>(acquire(offsetof<Bitmap>()));
  window.reserved = changetype<Bitmap>(acquire(offsetof<Bitmap>()));
  window.toIova = changetype<Radix>(acquire(offsetof<Radix>()));
  window.toVa = changetype<Radix>(acquire(offsetof<Radix>()));
  if (changetype<u32>(window.live) == 0 || changetype<u32>(window.reserved) == 0) return false;
  if (changetype<u32>(window.toIova) == 0 || changetype<u32>(window.toVa) == 0) return false;
  initRadix(window.toIova, true);
  initRadix(window.toVa, true);
  const tces = size >> pageShift;
  return initBitmap(window.live, tces) && initBitmap(window.reserved, tces);
}

export function dropWindow(window: Window): void {
  if (changetype<u32>(window.live) != 0) dropBitmap(window.live);
  if (changetype<u32>(window.reserved) != 0) dropBitmap(window.reserved);
  if (changetype<u32>(window.toIova) != 0) drop(window.toIova);
  if (changetype<u32>(window.toVa) != 0) drop(window.toVa);
  release(changetype<u32>(window.live), offsetof<Bitmap>());
  release(changetype<u32>(window.reserved), offsetof<Bitmap>());
  release(changetype<u32>(window.toIova), offsetof<Radix>());
  release(changetype<u32>(window.toVa), offsetof<Radix>());
}

export function inWindow(window: Window, iova: u64, length: u64): bool {
  return contains(window.start, window.last, iova, length);
}

/** The TCE that stands for an IOVA inside the window. */
export function tceIndex(window: Window, iova: u64): u64 {
  return (iova - window.start) >> window.pageShift;
}

/** The IOVA of a TCE of the window. */
export function tceIova(window: Window, index: u64): u64 {
  return window.start + (index << window.pageShift);
}

/** Whether any TCE of [iova, last], inside the window, is live. */
export function anyLive(window: Window, iova: u64, last: u64): bool {
  const end = tceIndex(window, last) + 1;
  return nextSet(window.live, tceIndex(window, iova), end) != end;
}

export function allLive(window: Window, iova: u64, last: u64): bool {
  const end = tceIndex(window, last) + 1;
  return nextClear(window.live, tceIndex(window, iova), end) == end;
}

export function anyReserved(window: Window, iova: u64, last: u64): bool {
  const end = tceIndex(window, last) + 1;
  return nextSet(window.reserved, tceIndex(window, iova), end) != end;
}

export function allReserved(window: Window, iova: u64, last: u64): bool {
  const end = tceIndex(window, last) + 1;
  return nextClear(window.reserved, tceIndex(window, iova), end) == end;
}

/** Sets [iova, last] aside for a list. False when there is no memory. */
export function reserve(window: Window, iova: u64, last: u64): bool {
  const first = tceIndex(window, iova);
  const end = tceIndex(window, last);
  const prepared = prepareBits(window.reserved, first, end);
  if (prepared) setBits(window.reserved, first, end);
  trimBits(window.reserved, first, end);
  return prepared;
}

/** Ends a reservation. False when there is no memory to split one that is larger. */
export function unreserve(window: Window, iova: u64, last: u64): bool {
  const first = tceIndex(window, iova);
  const end = tceIndex(window, last);
  const prepared = prepareBits(window.reserved, first, end);
  if (prepared) clearBits(window.reserved, first, end);
  trimBits(window.reserved, first, end);
  return prepared;
}

/** Takes the memory that recording, or forgetting, a map of [va, vaLast] at [iova, last] will need. */
export function prepareMap(window: Window, va: u64, vaLast: u64, iova: u64, last: u64): bool {
  return (
    prepareBits(window.live, tceIndex(window, iova), tceIndex(window, last)) &&
    prepare(window.toIova, va, vaLast) &&
    prepare(window.toVa, iova - window.start, last - window.start)
  );
}

/** Marks the TCEs, prepared, as live. */
export function claim(window: Window, iova: u64, last: u64): void {
  setBits(window.live, tceIndex(window, iova), tceIndex(window, last));
}

/** Takes the mark away; `claim` can set it again without memory until `forgetMap`. */
export function unclaim(window: Window, iova: u64, last: u64): void {
  clearBits(window.live, tceIndex(window, iova), tceIndex(window, last));
}

/** Records a map, prepared and claimed, in both directions. */
export function recordMap(window: Window, va: u64, vaLast: u64, iova: u64, last: u64): void {
  set(window.toIova, va, vaLast, iova);
  set(window.toVa, iova - window.start, last - window.start, va);
}

/** Forgets a map, prepared and not claimed, recorded or not, and gives back what it took. */
export function forgetMap(window: Window, va: u64, vaLast: u64, iova: u64, last: u64): void {
  clear(window.toIova, va, vaLast);
  clear(window.toVa, iova - window.start, last - window.start);
  trimBits(window.live, tceIndex(window, iova), tceIndex(window, last));
}

/** The memory behind an IOVA of the window, or NONE. */
export function vaAt(window: Window, iova: u64): u64 {
  return get(window.toVa, iova - window.start);
}
