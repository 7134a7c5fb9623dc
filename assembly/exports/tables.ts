/** Tables of memory: lists and memsegs, and the walks over them. */
import { acquire, release } from "../arena";
import * as handles from "../handles";
import * as memsegs from "../memsegs";
import { Table } from "../memsegs";
import { NOWHERE } from "../occupancy";
import * as status from "../status";

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
  return self && va <= last ? memsegs.nextMemseg(self, va & ~0xfff, last) : -1;
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
