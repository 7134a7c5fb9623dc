/**
 * Memory as the program has laid it out: lists (address space with one page size) and memsegs (runs of pages that are
 * there), column by column, because the walks read one column of every memseg and nothing else.
 *
 *     lists      32 bytes each     | base : 8 | length : 8 | pages (bitmap) : 4 | memsegs : 4 | shift : 4 | flags : 4 |
 *
 *     memsegs    number    0       1       2      ...
 *                va      [ u64   | u64   | u64   | ... ]      of a free number: the next free one + 1
 *                length  [ u64   | u64   | u64   | ... ]      0 where the number is free
 *                iova    [ u64   | u64   | u64   | ... ]      BAD where it is not known, or the number is free
 *                list    [ u32   | u32   | u32   | ... ]      one column lies behind the other, in one block
 *
 *     numbers    constant radix: page -> number of its memseg << 12
 *
 * The numbers of memsegs never leave the core: outside, a memseg is known by an address in it.
 */
import { acquire, regrow, release } from "./arena";
import { BITS_MAX, Bitmap, clearBits, dropBitmap, initBitmap, nextSet, prepareBits, setBits, trimBits } from "./bitmap";
import { isAligned } from "./bits";
import { firstFit, NOWHERE } from "./occupancy";
import { clear, drop, get, initRadix, NONE, next, prepare, Radix, set } from "./radix";
import { contains, isRange, lastOf, overlaps } from "./range";
import * as status from "./status";

/** An IOVA that is not known: all ones, as in DPDK's RTE_BAD_IOVA. */
export const BAD_IOVA: u64 = u64.MAX_VALUE;

/** The list's memory is the program's own, not the allocator's. */
export const EXTERNAL: u32 = 1;
/** An external list that the allocator serves from all the same. */
export const HEAP: u32 = 2;

const LIST_BYTES: u32 = 32;
/** Of all columns: three of 8 bytes, one of 4. */
const MEMSEG_BYTES: u64 = 28;
const NUMBER_SHIFT: u64 = 12;
const NO_MEMSEG: u32 = u32.MAX_VALUE;

@unmanaged
class List {
  base: u64;
  /** Bytes; 0: the slot is free. */
  length: u64;
  pages: Bitmap;
  memsegs: u32;
  pageShift: u32;
  flags: u32;
}

@unmanaged
export class Table {
  lists: u32;
  listCapacity: u32;
  listsUsed: u32;
  va: u32;
  lengths: u32;
  iova: u32;
  list: u32;
  capacity: u32;
  used: u32;
  /** The first free number, + 1. */
  free: u32;
  /** Memsegs that are there. */
  live: u32;
  numbers: Radix;
}

export function initTable(table: Table): bool {
  table.numbers = changetype<Radix>(acquire(offsetof<Radix>()));
  if (changetype<u32>(table.numbers) == 0) return false;
  initRadix(table.numbers, false);
  return true;
}

export function dropTable(table: Table): void {
  for (let i: u32 = 0; i < table.listsUsed; i++) {
    const list = listAt(table, i);
    if (list.length != 0) dropPages(list);
  }
  release(table.lists, <u64>table.listCapacity * LIST_BYTES);
  release(table.va, <u64>table.capacity * MEMSEG_BYTES);
  drop(table.numbers);
  release(changetype<u32>(table.numbers), offsetof<Radix>());
}

function dropPages(list: List): void {
  dropBitmap(list.pages);
  release(changetype<u32>(list.pages), offsetof<Bitmap>());
}

function listAt(table: Table, index: u32): List {
  return changetype<List>(table.lists + index * LIST_BYTES);
}

/** The list with that index, or null. */
export function findList(table: Table, index: i32): List | null {
  if (index < 0 || <u32>index >= table.listsUsed) return null;
  const list = listAt(table, <u32>index);
  return list.length == 0 ? null : list;
}

/** Whether the list's memory is mapped for devices with the table: external memory that is no heap is its owner's. */
function isServed(list: List): bool {
  return (list.flags & (EXTERNAL | HEAP)) != EXTERNAL;
}

/** Adds a list and gives its index, or the negative of a status. */
export function addList(table: Table, base: u64, length: u64, pageShift: u32, flags: u32): i32 {
  if (pageShift < 12 || pageShift > 40) return -status.BAD_PAGE_SHIFT;
  if (length == 0) return -status.ZERO_LENGTH;
  if (!isRange(base, length)) return -status.WRAPS;
  if (!isAligned(base, pageShift)) return -status.UNALIGNED_VA;
  if (!isAligned(length, pageShift)) return -status.UNALIGNED_LENGTH;
  if (length >> pageShift > BITS_MAX) return -status.TOO_LARGE;
  const last = lastOf(base, length);
  let index = table.listsUsed;
  for (let i: u32 = 0; i < table.listsUsed; i++) {
    const other = listAt(table, i);
    if (other.length == 0) index = min<u32>(index, i);
    else if (overlaps(base, last, other.base, lastOf(other.base, other.length))) return -status.OVERLAPS;
  }
  if (index == table.listCapacity && !growLists(table)) return -status.OUT_OF_MEMORY;
  const pages = changetype<Bitmap>(acquire(offsetof<Bitmap>()));
  if (changetype<u32>(pages) == 0) return -status.OUT_OF_MEMORY;
  if (!initBitmap(pages, length >> pageShift)) {
    release(changetype<u32>(pages), offsetof<Bitmap>());
    return -status.OUT_OF_MEMORY;
  }
  if (index == table.listsUsed) table.listsUsed++;
  const list = listAt(table, index);
  list.base = base;
  list.length = length;
  list.pages = pages;
  list.memsegs = 0;
  list.pageShift = pageShift;
  list.flags = flags & (EXTERNAL | HEAP);
  return <i32>index;
}

function growLists(table: Table): bool {
  const capacity = table.listCapacity;
  const wanted: u32 = capacity == 0 ? 16 : capacity << 1;
  const block = regrow(table.lists, <u64>capacity * LIST_BYTES, <u64>wanted * LIST_BYTES);
  if (block == 0) return false;
  table.lists = block;
  table.listCapacity = wanted;
  return true;
}

/** Removes a list in which no memseg is. */
export function removeList(table: Table, index: i32): i32 {
  const list = findList(table, index);
  if (!list) return status.NOT_FOUND;
  if (list.memsegs != 0) return status.BUSY;
  dropPages(list);
  list.length = 0;
  return status.OK;
}

function growMemsegs(table: Table): bool {
  const capacity = table.capacity;
  const wanted: u32 = capacity == 0 ? 64 : capacity << 1;
  const va = acquire(<u64>wanted * MEMSEG_BYTES);
  if (va == 0) return false;
  const lengths = va + (wanted << 3);
  const iova = lengths + (wanted << 3);
  const list = iova + (wanted << 3);
  memory.copy(va, table.va, capacity << 3);
  memory.copy(lengths, table.lengths, capacity << 3);
  memory.copy(iova, table.iova, capacity << 3);
  memory.copy(list, table.list, capacity << 2);
  release(table.va, <u64>capacity * MEMSEG_BYTES);
  table.va = va;
  table.lengths = lengths;
  table.iova = iova;
  table.list = list;
  table.capacity = wanted;
  return true;
}

/** Adds a memseg to a list: whole pages of it, where none are yet. `iova` is BAD_IOVA or a multiple of the page. */
export function addMemseg(table: Table, listIndex: i32, va: u64, iova: u64, length: u64): i32 {
  const list = findList(table, listIndex);
  if (!list) return status.NOT_FOUND;
  if (length == 0) return status.ZERO_LENGTH;
  if (!isRange(va, length)) return status.WRAPS;
  if (!isAligned(va, list.pageShift)) return status.UNALIGNED_VA;
  if (!isAligned(length, list.pageShift)) return status.UNALIGNED_LENGTH;
  if (!contains(list.base, lastOf(list.base, list.length), va, length)) return status.OUTSIDE_LIST;
  if (iova != BAD_IOVA) {
    if (!isAligned(iova, list.pageShift)) return status.UNALIGNED_IOVA;
    if (!isRange(iova, length)) return status.WRAPS;
  }
  const last = lastOf(va, length);
  const first = (va - list.base) >> list.pageShift;
  const end = ((last - list.base) >> list.pageShift) + 1;
  if (nextSet(list.pages, first, end) != end) return status.OVERLAPS;
  if (table.free == 0 && table.used == table.capacity && !growMemsegs(table)) return status.OUT_OF_MEMORY;
  if (!prepareBits(list.pages, first, end - 1) || !prepare(table.numbers, va, last)) {
    trimBits(list.pages, first, end - 1);
    clear(table.numbers, va, last);
    return status.OUT_OF_MEMORY;
  }
  let number: u32;
  if (table.free != 0) {
    number = table.free - 1;
    table.free = <u32>load<u64>(table.va + (number << 3));
  } else {
    number = table.used++;
  }
  store<u64>(table.va + (number << 3), va);
  store<u64>(table.lengths + (number << 3), length);
  store<u64>(table.iova + (number << 3), iova);
  store<u32>(table.list + (number << 2), <u32>listIndex);
  setBits(list.pages, first, end - 1);
  set(table.numbers, va, last, (<u64>number) << NUMBER_SHIFT);
  list.memsegs++;
  table.live++;
  return status.OK;
}

function numberAt(table: Table, va: u64): u32 {
  const number = get(table.numbers, va);
  return number == NONE ? NO_MEMSEG : <u32>(number >> NUMBER_SHIFT);
}

/** Removes the memseg that begins at `va`. */
export function removeMemseg(table: Table, va: u64): i32 {
  const number = numberAt(table, va);
  if (number == NO_MEMSEG || load<u64>(table.va + (number << 3)) != va) return status.NOT_FOUND;
  const list = listAt(table, load<u32>(table.list + (number << 2)));
  const last = lastOf(va, load<u64>(table.lengths + (number << 3)));
  const first = (va - list.base) >> list.pageShift;
  const end = (last - list.base) >> list.pageShift;
  // Memory may be needed where a run of full chunks is broken; without it nothing has changed.
  if (!prepareBits(list.pages, first, end) || !prepare(table.numbers, va, last)) return status.OUT_OF_MEMORY;
  clearBits(list.pages, first, end);
  trimBits(list.pages, first, end);
  clear(table.numbers, va, last);
  store<u64>(table.va + (number << 3), table.free);
  store<u64>(table.lengths + (number << 3), 0);
  store<u64>(table.iova + (number << 3), BAD_IOVA);
  table.free = number + 1;
  list.memsegs--;
  table.live--;
  return status.OK;
}

/** The number of the memseg that holds `va`; -1 when none does. */
export function findMemseg(table: Table, va: u64): i32 {
  return <i32>numberAt(table, va);
}

/** The number of the first memseg, in order of addresses, that ends at or after `va` and begins by `last`; -1. */
export function nextMemseg(table: Table, va: u64, last: u64): i32 {
  const at = next(table.numbers, va, last);
  return at == NONE ? -1 : <i32>numberAt(table, at);
}

/** The IOVA of the memory at `va` as its memseg states it; BAD_IOVA when there is none, or it is not known. */
export function translateMemseg(table: Table, va: u64): u64 {
  const number = numberAt(table, va);
  if (number == NO_MEMSEG) return BAD_IOVA;
  const iova = load<u64>(table.iova + (number << 3));
  // Inside a memseg the offset is below its length, and iova + length was found not to wrap when it came.
  return iova == BAD_IOVA ? BAD_IOVA : iova + (va - load<u64>(table.va + (number << 3)));
}

/** The lowest address of `pages` free pages in a row in a list; NOWHERE when there are none. */
export function freePages(list: List, pages: u64): u64 {
  const first = firstFit(list.pages, list.pages, pages, 0);
  return first == NOWHERE ? NOWHERE : list.base + (first << list.pageShift);
}

/** Where the walks leave what they found. */
export class Walk {
  static last: u64 = 0;
  static pageShift: u32 = 0;
  static count: u64 = 0;
  static bytes: u64 = 0;
}

/** The highest last address of the memsegs that are served, into Walk.last, and its list's page size. Whether any is. */
export function highestMemseg(table: Table): bool {
  let highest: u64 = 0;
  let found = NO_MEMSEG;
  for (let i: u32 = 0; i < table.used; i++) {
    const length = load<u64>(table.lengths + (i << 3));
    if (length == 0) continue;
    const last = lastOf(load<u64>(table.va + (i << 3)), length);
    if ((found == NO_MEMSEG || last > highest) && isServed(listAt(table, load<u32>(table.list + (i << 2))))) {
      highest = last;
      found = i;
    }
  }
  if (found == NO_MEMSEG) return false;
  Walk.last = highest;
  Walk.pageShift = listAt(table, load<u32>(table.list + (found << 2))).pageShift;
  return true;
}

/** The highest last address of the lists that are served: what the memsegs can ever reach. */
export function highestList(table: Table): bool {
  let found = false;
  for (let i: u32 = 0; i < table.listsUsed; i++) {
    const list = listAt(table, i);
    if (list.length == 0 || !isServed(list)) continue;
    const last = lastOf(list.base, list.length);
    if (found && last <= Walk.last) continue;
    Walk.last = last;
    Walk.pageShift = list.pageShift;
    found = true;
  }
  return found;
}

/** The smallest page size of the lists that are served, as a shift; 0 when there are none. */
export function smallestPageShift(table: Table): u32 {
  let smallest: u32 = 0;
  for (let i: u32 = 0; i < table.listsUsed; i++) {
    const list = listAt(table, i);
    if (list.length == 0 || !isServed(list)) continue;
    if (smallest == 0 || list.pageShift < smallest) smallest = list.pageShift;
  }
  return smallest;
}

/** How many memsegs have a known IOVA, into Walk.count, and their bytes. */
export function countValid(table: Table): void {
  let count: u64 = 0;
  let bytes: u64 = 0;
  for (let i: u32 = 0; i < table.used; i++) {
    const valid = load<u64>(table.iova + (i << 3)) != BAD_IOVA;
    count += valid ? 1 : 0;
    bytes += valid ? load<u64>(table.lengths + (i << 3)) : 0;
  }
  Walk.count = count;
  Walk.bytes = bytes;
}

/** How many memsegs there are, into Walk.count, and their bytes. Memsegs are disjoint, so the sum is below 2^64. */
export function countAll(table: Table): void {
  let bytes: u64 = 0;
  for (let i: u32 = 0; i < table.used; i++) bytes += load<u64>(table.lengths + (i << 3));
  Walk.count = table.live;
  Walk.bytes = bytes;
}
