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
import { release } from "./arena";
import {
  BITS_MAX,
  Bitmap,
  changeBits,
  dropBitmap,
  initBitmap,
  nextClear,
  nextSet,
  prepareBits,
  trimBits,
} from "./bitmap";
import { isAligned, isPageShift } from "./bits";
import { iova, iovaLast, va, vaLast } from "./columns";
import { clear, drop, get, prepare, Radix, set } from "./radix";
import { contains, lastOf } from "./range";
import { Container } from "./registrations";

/**
 * In one block, so that a look-up takes one step less and a window is there or is not:
 *
 *     byte   0      8     16         20          24     40        56      72
 *            | start | last | container | pageShift | live | reserved | toIova | toVa |     the last four 16 bytes each
 */
@unmanaged
export class Window {
  start: u64;
  last: u64;
  container: Container;
  pageShift: u32;

  @inline
  get live(): Bitmap {
    return changetype<Bitmap>(changetype<u32>(this) + 24);
  }

  @inline
  get reserved(): Bitmap {
    return changetype<Bitmap>(changetype<u32>(this) + 40);
  }

  @inline
  get toIova(): Radix {
    return changetype<Radix>(changetype<u32>(this) + 56);
  }

  @inline
  get toVa(): Radix {
    return changetype<Radix>(changetype<u32>(this) + 72);
  }
}

export const WINDOW_BYTES: u64 = 88;

/**
 * A window has at most so many bytes. No IOMMU translates as many address bits, and with it offsets, lengths and
 * differences of them that are in order are all below 2^63: windowCheckMany finds the others by their sign.
 */
const SIZE_MAX: u64 = 1 << 63;

/** Whether a window of that shape can be kept: whole TCE pages, at most BITS_MAX of them, and at most SIZE_MAX bytes. */
export function isWindow(start: u64, size: u64, pageShift: u32): bool {
  return (
    isPageShift(pageShift) &&
    isAligned(start, pageShift) &&
    isAligned(size, pageShift) &&
    contains(0, u64.MAX_VALUE, start, size) &&
    size <= SIZE_MAX &&
    size >> pageShift <= BITS_MAX
  );
}

/** Fills in a zeroed window. False when there is no memory: dropWindow then gives back what was taken. */
export function initWindow(window: Window, start: u64, size: u64, pageShift: u32): bool {
  window.start = start;
  window.last = lastOf(start, size);
  window.pageShift = pageShift;
  window.toIova.affine = true;
  window.toVa.affine = true;
  const tces = size >> pageShift;
  return initBitmap(window.live, tces) && initBitmap(window.reserved, tces);
}

export function dropWindow(window: Window): void {
  dropBitmap(window.live);
  dropBitmap(window.reserved);
  drop(window.toIova);
  drop(window.toVa);
  release(changetype<u32>(window), WINDOW_BYTES);
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

function any(window: Window, map: Bitmap, iova: u64, last: u64): bool {
  const end = tceIndex(window, last) + 1;
  return nextSet(map, tceIndex(window, iova), end) != end;
}

function all(window: Window, map: Bitmap, iova: u64, last: u64): bool {
  const end = tceIndex(window, last) + 1;
  return nextClear(map, tceIndex(window, iova), end) == end;
}

/** Whether any TCE of [iova, last], inside the window, is live. */
export function anyLive(window: Window, iova: u64, last: u64): bool {
  return any(window, window.live, iova, last);
}

export function allLive(window: Window, iova: u64, last: u64): bool {
  return all(window, window.live, iova, last);
}

export function anyReserved(window: Window, iova: u64, last: u64): bool {
  return any(window, window.reserved, iova, last);
}

export function allReserved(window: Window, iova: u64, last: u64): bool {
  return all(window, window.reserved, iova, last);
}

/** Sets [iova, last] aside for a list, or ends that. False when there is no memory for it. */
export function setReserved(window: Window, iova: u64, last: u64, value: bool): bool {
  const first = tceIndex(window, iova);
  const end = tceIndex(window, last);
  const prepared = prepareBits(window.reserved, first, end);
  if (prepared) changeBits(window.reserved, first, end, value);
  trimBits(window.reserved, first, end);
  return prepared;
}

/** Takes the memory that recording, or forgetting, request `i` will need. */
export function prepareMap(window: Window, i: u32): bool {
  return (
    prepareBits(window.live, tceIndex(window, iova(i)), tceIndex(window, iovaLast(i))) &&
    prepare(window.toIova, va(i), vaLast(i)) &&
    prepare(window.toVa, iova(i) - window.start, iovaLast(i) - window.start)
  );
}

/** Marks the TCEs of request `i`, prepared, as live or not. It can be undone without memory until `forgetMap`. */
export function claim(window: Window, i: u32, live: bool): void {
  changeBits(window.live, tceIndex(window, iova(i)), tceIndex(window, iovaLast(i)), live);
}

/** Records request `i`, prepared and claimed, in both directions. */
export function recordMap(window: Window, i: u32): void {
  set(window.toIova, va(i), vaLast(i), iova(i));
  set(window.toVa, iova(i) - window.start, iovaLast(i) - window.start, va(i));
}

/** Forgets request `i`, prepared and not claimed, recorded or not, and gives back what it took. */
export function forgetMap(window: Window, i: u32): void {
  clear(window.toIova, va(i), vaLast(i));
  clear(window.toVa, iova(i) - window.start, iovaLast(i) - window.start);
  trimBits(window.live, tceIndex(window, iova(i)), tceIndex(window, iovaLast(i)));
}

/** The memory behind an IOVA of the window, or NONE. */
export function vaAt(window: Window, iova: u64): u64 {
  return get(window.toVa, iova - window.start);
}
