/**
 * What the core shows to JavaScript, and nothing else. `src/core.ts` is its dictionary: every export with its unit and
 * range. Addresses and sizes are u64 (BigInt outside); handles, indexes and statuses are i32; pointers are u32.
 *
 * A function that may refuse returns a status (status.ts), or a handle or index and the negative of a status.
 */
import { acquire, release } from "./arena";
import { countBits } from "./bitmap";
import * as bits from "./bits";
import * as handles from "./handles";
import * as memsegs from "./memsegs";
import { Table } from "./memsegs";
import { firstFit, largestHole, NOWHERE } from "./occupancy";
import { get, NONE } from "./radix";
import { lastOf } from "./range";
import { Container, dropContainer, initContainer, NO_REGISTRATION, nextIdle } from "./registrations";
import * as requests from "./requests";
import * as status from "./status";
import * as structs from "./structs";
import * as windows from "./window";
import { Window } from "./window";

export { inUse as bytesInUse } from "./arena";
export {
  alignUp,
  isAligned,
  isPowerOfTwo,
  log2Ceil,
  log2Floor,
  powerOfTwoAtLeast,
  trailingZeros,
} from "./bits";
export { callAt, callCount, callTable, requestAt, resultAt, structAt } from "./calls";
export { contains as rangeContains, isRange, overlaps as rangesOverlap, rebase } from "./range";
export {
  afterFailure,
  collectMaps,
  collectUndo,
  iovaColumn,
  leftMapped,
  leftRegistered,
  lengthColumn,
  permissionColumn,
  prepareUndo,
  refusedRequest,
  reserveRequests,
  vaColumn,
} from "./requests";
export {
  createdStart,
  infoDefaultSize,
  infoDefaultStart,
  infoFlags,
  infoLevels,
  infoPageSizes,
  infoWindows,
  writeCreate,
  writeInfo,
  writeMap,
  writeRegister,
  writeRemove,
  writeUnmap,
} from "./structs";
export {
  maskBits,
  powernvCharge,
  powernvLevelBytes,
  powernvShape,
  powernvTableBytes,
  pseriesCharge,
} from "./tce";

/** Room for one struct, for the calls that are made one at a time. */
const scratch = memory.data(structs.STRUCT_BYTES, 8);

export function structScratch(): u32 {
  return <u32>scratch;
}

/** Room for `bytes` of the caller's own; 0 when there is none. Zeroed. */
export function acquireBytes(bytes: u32): u32 {
  return acquire(bytes);
}

export function releaseBytes(block: u32, bytes: u32): void {
  release(block, bytes);
}

// --- tables of memsegs ---

function table(handle: i32): Table | null {
  const object = handles.resolve(handles.TABLE, handle);
  return object == 0 ? null : changetype<Table>(object);
}

export function tableOpen(): i32 {
  const object = acquire(offsetof<Table>());
  if (object == 0) return -status.OUT_OF_MEMORY;
  const handle = memsegs.initTable(changetype<Table>(object)) ? handles.open(handles.TABLE, object) : 0;
  if (handle != 0) return handle;
  release(object, offsetof<Table>());
  return -status.OUT_OF_MEMORY;
}

export function tableClose(handle: i32): i32 {
  const self = table(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  memsegs.dropTable(self);
  release(changetype<u32>(self), offsetof<Table>());
  handles.close(handle);
  return status.OK;
}

export function listAdd(handle: i32, base: u64, length: u64, pageShift: u32, flags: u32): i32 {
  const self = table(handle);
  return self ? memsegs.addList(self, base, length, pageShift, flags) : -status.UNKNOWN_HANDLE;
}

export function listRemove(handle: i32, list: i32): i32 {
  const self = table(handle);
  return self ? memsegs.removeList(self, list) : status.UNKNOWN_HANDLE;
}

/** The lowest address of `pages` free pages in a row; all ones when there are none. */
export function listFreePages(handle: i32, list: i32, pages: u64): u64 {
  const self = table(handle);
  if (!self) return NOWHERE;
  const found = memsegs.findList(self, list);
  return found ? memsegs.freePages(found, pages) : NOWHERE;
}

export function memsegAdd(handle: i32, list: i32, va: u64, iova: u64, length: u64): i32 {
  const self = table(handle);
  return self ? memsegs.addMemseg(self, list, va, iova, length) : status.UNKNOWN_HANDLE;
}

export function memsegRemove(handle: i32, va: u64): i32 {
  const self = table(handle);
  return self ? memsegs.removeMemseg(self, va) : status.UNKNOWN_HANDLE;
}

/** The number of the memseg that holds `va`; -1 when none does, or the table is unknown. */
export function memsegFind(handle: i32, va: u64): i32 {
  const self = table(handle);
  return self ? memsegs.findMemseg(self, va) : -1;
}

/** The number of the first memseg by address that holds an address in [va, last]; -1 when there is none. */
export function memsegNext(handle: i32, va: u64, last: u64): i32 {
  const self = table(handle);
  return self ? memsegs.nextMemseg(self, va & ~0xfff, last) : -1;
}

/** Columns of a memseg whose number memsegFind or memsegNext has just given. */
export function memsegVa(handle: i32, number: u32): u64 {
  const self = table(handle);
  return self ? load<u64>(self.va + (number << 3)) : 0;
}

export function memsegLength(handle: i32, number: u32): u64 {
  const self = table(handle);
  return self ? load<u64>(self.lengths + (number << 3)) : 0;
}

export function memsegIova(handle: i32, number: u32): u64 {
  const self = table(handle);
  return self ? load<u64>(self.iova + (number << 3)) : memsegs.BAD_IOVA;
}

export function memsegList(handle: i32, number: u32): i32 {
  const self = table(handle);
  return self ? load<i32>(self.list + (number << 2)) : -1;
}

/** The IOVA that the memseg at `va` states for it; all ones when there is none. */
export function memsegTranslate(handle: i32, va: u64): u64 {
  const self = table(handle);
  return self ? memsegs.translateMemseg(self, va) : memsegs.BAD_IOVA;
}

/** Walks: whether anything was found. What it was: walkLast, walkPageShift, walkCount, walkBytes. */
export function walkHighestMemseg(handle: i32): bool {
  const self = table(handle);
  return self ? memsegs.highestMemseg(self) : false;
}

export function walkHighestList(handle: i32): bool {
  const self = table(handle);
  return self ? memsegs.highestList(self) : false;
}

export function walkSmallestPage(handle: i32): u32 {
  const self = table(handle);
  return self ? memsegs.smallestPageShift(self) : 0;
}

export function walkValid(handle: i32): bool {
  const self = table(handle);
  if (self) memsegs.countValid(self);
  return self != null;
}

export function walkAll(handle: i32): bool {
  const self = table(handle);
  if (self) memsegs.countAll(self);
  return self != null;
}

export function walkLast(): u64 {
  return memsegs.Walk.last;
}

export function walkPageShift(): u32 {
  return memsegs.Walk.pageShift;
}

export function walkCount(): u64 {
  return memsegs.Walk.count;
}

export function walkBytes(): u64 {
  return memsegs.Walk.bytes;
}

// --- containers ---

function container(handle: i32): Container | null {
  const object = handles.resolve(handles.CONTAINER, handle);
  return object == 0 ? null : changetype<Container>(object);
}

export function containerOpen(cpuPageShift: u32): i32 {
  if (cpuPageShift < 12 || cpuPageShift > 40) return -status.BAD_PAGE_SHIFT;
  const object = acquire(offsetof<Container>());
  if (object == 0) return -status.OUT_OF_MEMORY;
  if (initContainer(changetype<Container>(object), cpuPageShift)) {
    const handle = handles.open(handles.CONTAINER, object);
    if (handle != 0) return handle;
    dropContainer(changetype<Container>(object));
  }
  release(object, offsetof<Container>());
  return -status.OUT_OF_MEMORY;
}

/** Forgets a container without windows. BUSY while it has one. */
export function containerClose(handle: i32): i32 {
  const self = container(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  if (self.windows != 0) return status.BUSY;
  dropContainer(self);
  release(changetype<u32>(self), offsetof<Container>());
  handles.close(handle);
  return status.OK;
}

/** Registrations of the container, idle ones included. */
export function containerRegistrations(handle: i32): u32 {
  const self = container(handle);
  return self ? self.live : 0;
}

/** Whether a registration is left of which nothing is mapped. */
export function containerHasIdle(handle: i32): bool {
  const self = container(handle);
  return self ? nextIdle(self, 0) != NO_REGISTRATION : false;
}

/** Writes the calls that end the registrations of which nothing is mapped. */
export function prepareIdle(handle: i32): i32 {
  const self = container(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  return requests.prepareIdle(self) ? status.OK : status.OUT_OF_MEMORY;
}

export function settleIdle(handle: i32): i32 {
  const self = container(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  requests.forgetUnregistered(self);
  return status.OK;
}

// --- windows ---

function window(handle: i32): Window | null {
  const object = handles.resolve(handles.WINDOW, handle);
  return object == 0 ? null : changetype<Window>(object);
}

export function windowOpen(containerHandle: i32, start: u64, size: u64, pageShift: u32): i32 {
  const owner = container(containerHandle);
  if (!owner) return -status.UNKNOWN_HANDLE;
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
  const self = window(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  if (countBits(self.live) != 0) return status.BUSY;
  return windowForget(handle);
}

/** Forgets a window whatever is mapped in it: the kernel has closed the container, and all is gone with it. */
export function windowForget(handle: i32): i32 {
  const self = window(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  self.container.windows--;
  windows.dropWindow(self);
  release(changetype<u32>(self), offsetof<Window>());
  handles.close(handle);
  return status.OK;
}

/** Whether [iova, iova + length) exists and lies in the window. */
export function windowContains(handle: i32, iova: u64, length: u64): bool {
  const self = window(handle);
  return self ? windows.inWindow(self, iova, length) : false;
}

/** Bytes from `iova` to the window's end; 0 outside. A window has less than 2^64 bytes. */
export function windowHeadroom(handle: i32, iova: u64): u64 {
  const self = window(handle);
  if (!self || !windows.inWindow(self, iova, 1)) return 0;
  return self.last - iova + 1;
}

/** The TCE of an IOVA; all ones outside. */
export function windowTceIndex(handle: i32, iova: u64): u64 {
  const self = window(handle);
  if (!self || !windows.inWindow(self, iova, 1)) return NOWHERE;
  return windows.tceIndex(self, iova);
}

/** The IOVA at `offset` bytes from the window's start; all ones outside. */
export function windowIova(handle: i32, offset: u64): u64 {
  const self = window(handle);
  if (!self || offset > self.last - self.start) return NONE;
  return self.start + offset;
}

export function windowLiveTces(handle: i32): u64 {
  const self = window(handle);
  return self ? countBits(self.live) : 0;
}

/** The lowest IOVA, aligned to 2^alignShift in the window, from which `length` bytes are free; all ones: none. */
export function windowFirstFit(handle: i32, length: u64, alignShift: u32): u64 {
  const self = window(handle);
  if (!self || length == 0 || length > self.last - self.start + 1) return NOWHERE;
  const tces = ((length - 1) >> self.pageShift) + 1;
  const shift = alignShift > self.pageShift ? alignShift - self.pageShift : 0;
  if (shift > 36) return NOWHERE;
  const index = firstFit(self.live, self.reserved, tces, shift);
  return index == NOWHERE ? NOWHERE : windows.tceIova(self, index);
}

/** Bytes of the largest run that is neither live nor reserved. */
export function windowLargestHole(handle: i32): u64 {
  const self = window(handle);
  return self ? largestHole(self.live, self.reserved) << self.pageShift : 0;
}

/** Sets [iova, iova + length) aside for a list: in the window, whole pages, neither live nor reserved. */
export function windowReserve(handle: i32, iova: u64, length: u64): i32 {
  const self = window(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  if (!windows.inWindow(self, iova, length)) return status.OUTSIDE_WINDOW;
  if (!bits.isAligned(iova, self.pageShift)) return status.UNALIGNED_IOVA;
  if (!bits.isAligned(length, self.pageShift)) return status.UNALIGNED_LENGTH;
  const last = lastOf(iova, length);
  if (windows.anyLive(self, iova, last)) return status.ALREADY_LIVE;
  if (windows.anyReserved(self, iova, last)) return status.RESERVED;
  return windows.reserve(self, iova, last) ? status.OK : status.OUT_OF_MEMORY;
}

/** Ends the reservation of [iova, iova + length), in which nothing is live. */
export function windowUnreserve(handle: i32, iova: u64, length: u64): i32 {
  const self = window(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  if (!windows.inWindow(self, iova, length)) return status.OUTSIDE_WINDOW;
  const last = lastOf(iova, length);
  if (!windows.allReserved(self, iova, last)) return status.NOT_RESERVED;
  if (windows.anyLive(self, iova, last)) return status.ALREADY_LIVE;
  return windows.unreserve(self, iova, last) ? status.OK : status.OUT_OF_MEMORY;
}

/** The IOVA that a device uses for `va`; all ones when it is not mapped in the window. */
export function windowTranslate(handle: i32, va: u64): u64 {
  const self = window(handle);
  return self ? get(self.toIova, va) : NONE;
}

/** The memory that a device reaches at `iova`; all ones when nothing is mapped there. */
export function windowReverse(handle: i32, iova: u64): u64 {
  const self = window(handle);
  if (!self || !windows.inWindow(self, iova, 1)) return NONE;
  return windows.vaAt(self, iova);
}

/** Translates `count` addresses, u64 each, from one column to another; unmapped ones give all ones. How many were. */
export function windowTranslateMany(handle: i32, vas: u32, iovas: u32, count: u32): u32 {
  const self = window(handle);
  if (!self) return 0;
  let found: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const iova = get(self.toIova, load<u64>(vas + (i << 3)));
    store<u64>(iovas + (i << 3), iova);
    found += iova != NONE ? 1 : 0;
  }
  return found;
}

// --- maps and unmaps ---

export function prepareMaps(handle: i32, total: u32, owner: u32): i32 {
  const self = window(handle);
  return self ? requests.prepareMaps(self, total, owner) : status.UNKNOWN_HANDLE;
}

export function settleMaps(handle: i32): i32 {
  const self = window(handle);
  return self ? <i32>requests.settleMaps(self) : -status.UNKNOWN_HANDLE;
}

export function prepareUnmaps(handle: i32, total: u32, owner: u32): i32 {
  const self = window(handle);
  return self ? requests.prepareUnmaps(self, total, owner) : status.UNKNOWN_HANDLE;
}

export function settleUnmaps(handle: i32): i32 {
  const self = window(handle);
  return self ? <i32>requests.settleUnmaps(self) : -status.UNKNOWN_HANDLE;
}

/** Fills the request columns with what is mapped from `from` (in the window) on; see requests.ts. */
export function listMaps(handle: i32, from: u64, limit: u32): i32 {
  const self = window(handle);
  if (!self) return -status.UNKNOWN_HANDLE;
  if (!windows.inWindow(self, from, 1)) return 0;
  return <i32>requests.listMaps(self, from, limit);
}
