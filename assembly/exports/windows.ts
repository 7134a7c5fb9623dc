/** Windows: what is mapped in them, and maps and unmaps. */
import { acquire, release } from "../arena";
import { countBits } from "../bitmap";
import * as bits from "../bits";
import * as handles from "../handles";
import * as maps from "../maps";
import { firstFit, largestHole, NOWHERE } from "../occupancy";
import { get, NONE } from "../radix";
import { lastOf } from "../range";
import { Container } from "../registrations";
import * as status from "../status";
import * as unmaps from "../unmaps";
import * as windows from "../window";
import { Window } from "../window";

function resolve(handle: i32): Window | null {
  const object = handles.resolve(handles.WINDOW, handle);
  return object == 0 ? null : changetype<Window>(object);
}

export function windowOpen(containerHandle: i32, start: u64, size: u64, pageShift: u32): i32 {
  const found = handles.resolve(handles.CONTAINER, containerHandle);
  if (found == 0) return -status.UNKNOWN_HANDLE;
  const owner = changetype<Container>(found);
  if (!windows.isWindow(start, size, pageShift)) return -status.TOO_LARGE;
  const object = acquire(offsetof<Window>());
  if (object == 0) return -status.OUT_OF_MEMORY;
  const self = changetype<Window>(object);
  const handle = windows.initWindow(self, start, size, pageShift) ? handles.open(handles.WINDOW, object) : 0;
  if (handle == 0) {
    windows.dropWindow(self);
    release(object, offsetof<Window>());
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
  release(changetype<u32>(self), offsetof<Window>());
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

/** The IOVA at `offset` bytes from the window's start; all ones outside. */
export function windowIova(handle: i32, offset: u64): u64 {
  const self = resolve(handle);
  if (!self || offset > self.last - self.start) return NONE;
  return self.start + offset;
}

export function windowLiveTces(handle: i32): u64 {
  const self = resolve(handle);
  return self ? countBits(self.live) : 0;
}

/** The lowest IOVA, aligned to 2^alignShift in the window, from which `length` bytes are free; all ones: none. */
export function windowFirstFit(handle: i32, length: u64, alignShift: u32): u64 {
  const self = resolve(handle);
  if (!self || length == 0 || length > self.last - self.start + 1) return NOWHERE;
  const tces = ((length - 1) >> self.pageShift) + 1;
  // The start is aligned to anything; of an alignment larger than the window there is nothing else.
  const shift = min<u32>(max<u32>(alignShift, self.pageShift) - self.pageShift, 63);
  const index = firstFit(self.live, self.reserved, tces, shift);
  return index == NOWHERE ? NOWHERE : windows.tceIova(self, index);
}

/** Bytes of the largest run that is neither live nor reserved. */
export function windowLargestHole(handle: i32): u64 {
  const self = resolve(handle);
  return self ? largestHole(self.live, self.reserved) << self.pageShift : 0;
}

/** Whether [iova, iova + length) is whole pages of the window, as a status. */
function checkPages(self: Window, iova: u64, length: u64): i32 {
  if (!windows.inWindow(self, iova, length)) return status.OUTSIDE_WINDOW;
  if (!bits.isAligned(iova, self.pageShift)) return status.UNALIGNED_IOVA;
  return bits.isAligned(length, self.pageShift) ? status.OK : status.UNALIGNED_LENGTH;
}

/** Sets [iova, iova + length) aside for a list: in the window, whole pages, neither live nor reserved. */
export function windowReserve(handle: i32, iova: u64, length: u64): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  const pages = checkPages(self, iova, length);
  if (pages != status.OK) return pages;
  const last = lastOf(iova, length);
  if (windows.anyLive(self, iova, last)) return status.ALREADY_LIVE;
  if (windows.anyReserved(self, iova, last)) return status.RESERVED;
  return windows.reserve(self, iova, last) ? status.OK : status.OUT_OF_MEMORY;
}

/** Ends the reservation of [iova, iova + length): whole pages in the window, reserved, and nothing in them live. */
export function windowUnreserve(handle: i32, iova: u64, length: u64): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  const pages = checkPages(self, iova, length);
  if (pages != status.OK) return pages;
  const last = lastOf(iova, length);
  if (!windows.allReserved(self, iova, last)) return status.NOT_RESERVED;
  if (windows.anyLive(self, iova, last)) return status.ALREADY_LIVE;
  return windows.unreserve(self, iova, last) ? status.OK : status.OUT_OF_MEMORY;
}

/** The IOVA that a device uses for `va`; all ones when it is not mapped in the window. */
export function windowTranslate(handle: i32, va: u64): u64 {
  const self = resolve(handle);
  return self ? get(self.toIova, va) : NONE;
}

/** The memory that a device reaches at `iova`; all ones when nothing is mapped there. */
export function windowReverse(handle: i32, iova: u64): u64 {
  const self = resolve(handle);
  if (!self || !windows.inWindow(self, iova, 1)) return NONE;
  return windows.vaAt(self, iova);
}

/** Translates `count` addresses, u64 each, from one column to another; unmapped ones give all ones. How many were. */
export function windowTranslateMany(handle: i32, vas: u32, iovas: u32, count: u32): u32 {
  const self = resolve(handle);
  if (!self) return 0;
  let found: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const iova = get(self.toIova, load<u64>(vas + (i << 3)));
    store<u64>(iovas + (i << 3), iova);
    found += iova != NONE ? 1 : 0;
  }
  return found;
}

export function prepareMaps(handle: i32, total: u32, owner: u32): i32 {
  const self = resolve(handle);
  return self ? maps.prepareMaps(self, total, owner) : status.UNKNOWN_HANDLE;
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
  return self ? unmaps.prepareUnmaps(self, total, owner) : status.UNKNOWN_HANDLE;
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
