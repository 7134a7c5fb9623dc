/** Windows: what is mapped in them, and maps and unmaps. */
import { acquire } from "../arena";
import { countBits } from "../bitmap";
import * as bits from "../bits";
import { checkMany } from "../checks";
import * as handles from "../handles";
import * as maps from "../maps";
import { firstFit, largestHole, NOWHERE } from "../occupancy";
import { prepareBatch } from "../prepare";
import { get, NONE } from "../radix";
import { lastOf } from "../range";
import { Container } from "../registrations";
import * as status from "../status";
import { translateMany } from "../translate";
import * as unmaps from "../unmaps";
import * as windows from "../window";
import { Window } from "../window";

/**
 * The window behind a handle. Of an unknown one the null page: read as a window it has no TCEs and no maps, so what only
 * looks those up need not ask. Whatever writes, or goes by the window's bounds, must.
 */
function resolve(handle: i32): Window {
  return changetype<Window>(handles.resolve(handles.WINDOW, handle));
}

export function windowOpen(containerHandle: i32, start: u64, size: u64, pageShift: u32): i32 {
  const found = handles.resolve(handles.CONTAINER, containerHandle);
  if (found == 0) return -status.UNKNOWN_HANDLE;
  const owner = changetype<Container>(found);
  if (!windows.isWindow(start, size, pageShift)) return -status.TOO_LARGE;
  const object = acquire(windows.WINDOW_BYTES);
  if (object == 0) return -status.OUT_OF_MEMORY;
  const self = changetype<Window>(object);
  const handle = windows.initWindow(self, start, size, pageShift) ? handles.open(handles.WINDOW, object) : 0;
  if (handle == 0) {
    windows.dropWindow(self);
    return -status.OUT_OF_MEMORY;
  }
  self.container = owner;
  owner.windows++;
  return handle;
}

/** Forgets a window in which nothing is mapped. BUSY while anything is. */
export function windowClose(handle: i32): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  if (countBits(self.live) != 0) return status.BUSY;
  return windowForget(handle);
}

/** Forgets a window whatever is mapped in it: the kernel has closed the container, and all is gone with it. */
export function windowForget(handle: i32): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  self.container.windows--;
  windows.dropWindow(self);
  handles.close(handle);
  return status.OK;
}

/** Whether [iova, iova + length) exists and lies in the window. */
export function windowContains(handle: i32, iova: u64, length: u64): bool {
  const self = resolve(handle);
  return self ? windows.inWindow(self, iova, length) : false;
}

/** Bytes from `iova` to the window's end; 0 outside. A window has less than 2^64 bytes. */
export function windowHeadroom(handle: i32, iova: u64): u64 {
  const self = resolve(handle);
  if (!self || !windows.inWindow(self, iova, 1)) return 0;
  return self.last - iova + 1;
}

/** The TCE of an IOVA; all ones outside. */
export function windowTceIndex(handle: i32, iova: u64): u64 {
  const self = resolve(handle);
  if (!self || !windows.inWindow(self, iova, 1)) return NOWHERE;
  return windows.tceIndex(self, iova);
}

export function windowLiveTces(handle: i32): u64 {
  return countBits(resolve(handle).live);
}

/** The lowest IOVA, aligned to 2^alignShift in the window, from which `length` bytes are free; all ones: none. */
export function windowFirstFit(handle: i32, length: u64, alignShift: u32): u64 {
  const self = resolve(handle);
  if (length == 0 || length > self.last - self.start + 1) return NOWHERE;
  const tces = ((length - 1) >> self.pageShift) + 1;
  // The start is aligned to anything; of an alignment larger than the window there is nothing else.
  const shift = min<u32>(max<u32>(alignShift, self.pageShift) - self.pageShift, 63);
  const index = firstFit(self.live, self.reserved, tces, shift);
  return index == NOWHERE ? NOWHERE : windows.tceIova(self, index);
}

/** Bytes of the largest run that is neither live nor reserved. */
export function windowLargestHole(handle: i32): u64 {
  const self = resolve(handle);
  return largestHole(self.live, self.reserved) << self.pageShift;
}

/** Whether [iova, iova + length) is whole pages of the window, as a status. */
function checkPages(self: Window, iova: u64, length: u64): i32 {
  if (!windows.inWindow(self, iova, length)) return status.OUTSIDE_WINDOW;
  if (!bits.isAligned(iova, self.pageShift)) return status.UNALIGNED_IOVA;
  return bits.isAligned(length, self.pageShift) ? status.OK : status.UNALIGNED_LENGTH;
}

function changeReserved(handle: i32, iova: u64, length: u64, value: bool): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  const pages = checkPages(self, iova, length);
  if (pages != status.OK) return pages;
  const last = lastOf(iova, length);
  if (!value && !windows.allReserved(self, iova, last)) return status.NOT_RESERVED;
  if (windows.anyLive(self, iova, last)) return status.ALREADY_LIVE;
  if (value && windows.anyReserved(self, iova, last)) return status.RESERVED;
  return windows.setReserved(self, iova, last, value) ? status.OK : status.OUT_OF_MEMORY;
}

/** Sets [iova, iova + length) aside for a list: in the window, whole pages, neither live nor reserved. */
export function windowReserve(handle: i32, iova: u64, length: u64): i32 {
  return changeReserved(handle, iova, length, true);
}

/** Ends the reservation of [iova, iova + length): whole pages in the window, reserved, and nothing in them live. */
export function windowUnreserve(handle: i32, iova: u64, length: u64): i32 {
  return changeReserved(handle, iova, length, false);
}

/** The IOVA that a device uses for `va`; all ones when it is not mapped in the window. */
export function windowTranslate(handle: i32, va: u64): u64 {
  return get(resolve(handle).toIova, va);
}

/** The memory that a device reaches at `iova`; all ones when nothing is mapped there. */
export function windowReverse(handle: i32, iova: u64): u64 {
  const self = resolve(handle);
  return windows.inWindow(self, iova, 1) ? windows.vaAt(self, iova) : NONE;
}

/** The root and the extent of the map va -> iova, u32 each; see radix.ts. 0: no such window. */
export function windowTables(handle: i32): u32 {
  const self = resolve(handle);
  return self ? changetype<u32>(self.toIova) : 0;
}

/**
 * Holds `count` ranges against the window: the TCE index of each that exists, is not empty and lies inside; else all ones.
 * How many lie inside.
 */
export function windowCheckMany(handle: i32, iovas: u32, lengths: u32, indexes: u32, count: u32): u32 {
  const self = resolve(handle);
  return self ? checkMany(self, iovas, lengths, indexes, count) : 0;
}

/** Translates `count` addresses, u64 each, from one column to another; unmapped ones give all ones. How many were. */
export function windowTranslateMany(handle: i32, vas: u32, iovas: u32, count: u32): u32 {
  const self = resolve(handle);
  return self ? translateMany(self.toIova, vas, iovas, count) : 0;
}

export function prepareMaps(handle: i32, total: u32, owner: u32): i32 {
  const self = resolve(handle);
  return self ? prepareBatch(self, total, owner, true) : status.UNKNOWN_HANDLE;
}

export function collectUndo(handle: i32): void {
  const self = resolve(handle);
  if (self) maps.collectUndo(self);
}

export function settleMaps(handle: i32): i32 {
  const self = resolve(handle);
  return self ? <i32>maps.settleMaps(self) : -status.UNKNOWN_HANDLE;
}

export function prepareUnmaps(handle: i32, total: u32, owner: u32): i32 {
  const self = resolve(handle);
  return self ? prepareBatch(self, total, owner, false) : status.UNKNOWN_HANDLE;
}

export function settleUnmaps(handle: i32): i32 {
  const self = resolve(handle);
  return self ? <i32>unmaps.settleUnmaps(self) : -status.UNKNOWN_HANDLE;
}

/** Fills the request columns with what is mapped from `from` (in the window) on; see requests.ts. */
export function listMaps(handle: i32, from: u64, limit: u32): i32 {
  const self = resolve(handle);
  if (!self) return -status.UNKNOWN_HANDLE;
  if (!windows.inWindow(self, from, 1)) return 0;
  return <i32>unmaps.listMaps(self, from, limit);
}
