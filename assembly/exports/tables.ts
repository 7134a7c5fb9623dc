/** Tables of memory: lists and memsegs, and the walks over them. */
import { acquire, release } from "../arena";
import * as handles from "../handles";
import * as memsegs from "../memsegs";
import { Table } from "../memsegs";
import { NOWHERE } from "../occupancy";
import * as status from "../status";
import { translateMany } from "../translate";
import * as walks from "../walks";

/**
 * The table behind a handle. Of an unknown one the null page: read as a table it is empty, so what only looks something up
 * need not ask. Whatever writes, or takes the caller's word for a number, must.
 */
function table(handle: i32): Table {
  return changetype<Table>(handles.resolve(handles.TABLE, handle));
}

export function tableOpen(): i32 {
  const object = acquire(offsetof<Table>());
  const handle = object == 0 ? 0 : handles.open(handles.TABLE, object);
  if (handle != 0) {
    changetype<Table>(object).stated.affine = true;
    return handle;
  }
  release(object, offsetof<Table>());
  return -status.OUT_OF_MEMORY;
}

export function tableClose(handle: i32): i32 {
  const self = table(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  memsegs.dropTable(self);
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
  const found = memsegs.findList(table(handle), list);
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
  return memsegs.findMemseg(table(handle), va);
}

/** The number of the first memseg by address that holds an address in [va, last]; -1 when there is none. */
export function memsegNext(handle: i32, va: u64, last: u64): i32 {
  return va <= last ? memsegs.nextMemseg(table(handle), va & ~0xfff, last) : -1;
}

/** A memseg whose number memsegFind or memsegNext has just given. */
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
  return self ? memsegs.translateMemseg(self, load<u64>(self.va + (number << 3))) : memsegs.BAD_IOVA;
}

export function memsegList(handle: i32, number: u32): i32 {
  const self = table(handle);
  return self ? load<i32>(self.list + (number << 2)) : -1;
}

/** The IOVA that the memseg at `va` states for it; all ones when there is none. */
export function memsegTranslate(handle: i32, va: u64): u64 {
  return memsegs.translateMemseg(table(handle), va);
}

/** Translates `count` addresses, u64 each, from one column to another; all ones where there is none. How many were. */
export function memsegTranslateMany(handle: i32, vas: u32, iovas: u32, count: u32): u32 {
  const self = table(handle);
  return self ? translateMany(self.stated, vas, iovas, count) : 0;
}

/** The map of what memsegs state, and behind it the rest of a table; see memsegs.ts. 0: no such table. */
export function tableTables(handle: i32): u32 {
  return changetype<u32>(table(handle));
}

/** How many memsegs there are, and their bytes: counted as they come and go, and nothing is walked. */
export function memsegCount(handle: i32): u32 {
  return table(handle).live;
}

export function memsegBytes(handle: i32): u64 {
  return table(handle).liveBytes;
}

/** The same of those that state an IOVA. */
export function knownCount(handle: i32): u32 {
  return table(handle).known;
}

export function knownBytes(handle: i32): u64 {
  return table(handle).knownBytes;
}

/** Whether a memseg is served; of the highest of them walkLast and walkPageShift then know the end and the page size. */
export function walkHighestMemseg(handle: i32): bool {
  return walks.highestMemseg(table(handle));
}

export function walkLast(): u64 {
  return walks.Walk.last;
}

export function walkPageShift(): u32 {
  return walks.Walk.pageShift;
}

export function walkSmallestPage(handle: i32): u32 {
  return walks.smallestPageShift(table(handle));
}
