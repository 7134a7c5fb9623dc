/**
 * Memory as the program has laid it out: lists (address space with one page size) and memsegs (runs of pages that are
 * there), column by column, because the walks read one column of every memseg and nothing else.
 *
 *     lists      32 bytes each     | base : 8 | length : 8 | pages (bitmap) : 4 | memsegs : 4 | shift : 4 | flags : 4 |
 *                of a free one: length 0, and in place of the count of memsegs the next free one + 1
 *
 *     memsegs    number    0       1       2      ...
 *                va      [ u64   | u64   | u64   | ... ]      1 where the number is free
 *                length  [ u64   | u64   | u64   | ... ]      0 where the number is free
 *                list    [ u32   | u32   | u32   | ... ]      of a free number: the next free one + 1
 *
 *                One column lies behind the other, in one block. The last address of a free number, va + length - 1, is 0,
 *                and no memseg's is: walks over the columns need not ask which numbers are free.
 *
 *     numbers    constant radix: page -> number of its memseg << 12
 *     stated     affine radix: va -> iova, of memsegs whose IOVA is known
 *
 * A look-up by number would wait for three cache lines of three places: the number's entry, and two columns. What memsegs
 * state is found by one, as a window finds what it has mapped, and takes as much memory as a column of IOVAs would.
 *
 * No page is in two memsegs. That no two lists share address space is for whoever adds them to see to (src/memory/order.ts):
 * nothing here depends on it.
 *
 * The numbers of memsegs never leave the core: outside, a memseg is known by an address in it.
 */
import { acquire, regrow, release } from "./arena";
import { BITS_MAX, Bitmap, changeBits, dropBitmap, initBitmap, prepareBits, trimBits } from "./bitmap";
import { isAligned, isPageShift } from "./bits";
import { firstFit, NOWHERE } from "./occupancy";
import { clear, drop, get, NONE, next, prepare, Radix, set } from "./radix";
import { contains, isRange, lastOf } from "./range";
import * as status from "./status";

/** An IOVA that is not known: all ones, as in DPDK's RTE_BAD_IOVA. */
export const BAD_IOVA: u64 = u64.MAX_VALUE;

/** No processor that Linux runs on has larger addresses. A table may, but then a walk goes row by row; see walks.ts. */
const FAR_SHIFT: u64 = 62;

/** The list's memory is the program's own, not the allocator's. */
export const EXTERNAL: u32 = 1;
/** An external list that the allocator serves from all the same. */
export const HEAP: u32 = 2;

export const LIST_BYTES: u32 = 32;
/** Of all columns: two of 8 bytes, one of 4. */
const MEMSEG_BYTES: u64 = 20;
const NUMBER_SHIFT: u64 = 12;
export const NO_MEMSEG: u32 = u32.MAX_VALUE;

@unmanaged
export class List {
  base: u64;
  /** Bytes; 0: the slot is free. */
  length: u64;
  pages: Bitmap;
  memsegs: u32;
  pageShift: u32;
  flags: u32;

  /** Whether its memory is mapped for devices with the table: external memory that is no heap is its owner's. */
  @inline
  get isServed(): bool {
    return (this.flags & (EXTERNAL | HEAP)) != EXTERNAL;
  }
}

@unmanaged
export class Table {
  /** The radix map of what memsegs state, in place: a table is read as that map. */
  statedRoot: u32;
  statedExtent: u32;
  statedAffine: u32;
  lists: u32;
  listCapacity: u32;
  listsUsed: u32;
  va: u32;
  lengths: u32;
  list: u32;
  capacity: u32;
  used: u32;
  /** The first free number, + 1. */
  free: u32;
  /** Memsegs that are there. */
  live: u32;
  /** The radix map of the numbers, in place. */
  root: u32;
  extent: u32;
  affine: u32;
  /** Bytes of the memsegs; below 2^64, since these are disjoint. And of those whose IOVA is known. */
  liveBytes: u64;
  knownBytes: u64;
  /** Memsegs whose IOVA is known. */
  known: u32;
  /** Memsegs that end at 2^62 or behind it. */
  far: u32;
  /** The first free list, + 1. */
  freeList: u32;

  @inline
  get stated(): Radix {
    return changetype<Radix>(changetype<u32>(this));
  }

  @inline
  get numbers(): Radix {
    return changetype<Radix>(changetype<u32>(this) + offsetof<Table>("root"));
  }
}

export function dropTable(table: Table): void {
  for (let i: u32 = 0; i < table.listsUsed; i++) {
    const list = listAt(table, i);
    if (list.length != 0) dropPages(list);
  }
  release(table.lists, <u64>table.listCapacity * LIST_BYTES);
  release(table.va, <u64>table.capacity * MEMSEG_BYTES);
  drop(table.numbers);
  drop(table.stated);
  release(changetype<u32>(table), offsetof<Table>());
}

function dropPages(list: List): void {
  dropBitmap(list.pages);
  release(changetype<u32>(list.pages), offsetof<Bitmap>());
}

export function listAt(table: Table, index: u32): List {
  return changetype<List>(table.lists + index * LIST_BYTES);
}

/** The list with that index, or null. */
export function findList(table: Table, index: i32): List | null {
  if (index < 0 || <u32>index >= table.listsUsed) return null;
  const list = listAt(table, <u32>index);
  return list.length == 0 ? null : list;
}

/** Adds a list and gives its index, or the negative of a status. */
export function addList(table: Table, base: u64, length: u64, pageShift: u32, flags: u32): i32 {
  if (!isPageShift(pageShift)) return -status.BAD_PAGE_SHIFT;
  if (length == 0) return -status.ZERO_LENGTH;
  if (!isRange(base, length)) return -status.WRAPS;
  if (!isAligned(base, pageShift)) return -status.UNALIGNED_VA;
  if (!isAligned(length, pageShift)) return -status.UNALIGNED_LENGTH;
  if (length >> pageShift > BITS_MAX) return -status.TOO_LARGE;
  const free = table.freeList;
  if (free == 0 && table.listsUsed == table.listCapacity && !growLists(table)) return -status.OUT_OF_MEMORY;
  const pages = changetype<Bitmap>(acquire(offsetof<Bitmap>()));
  if (changetype<u32>(pages) == 0) return -status.OUT_OF_MEMORY;
  if (!initBitmap(pages, length >> pageShift)) {
    release(changetype<u32>(pages), offsetof<Bitmap>());
    return -status.OUT_OF_MEMORY;
  }
  const index = free == 0 ? table.listsUsed++ : free - 1;
  const list = listAt(table, index);
  if (free != 0) table.freeList = list.memsegs;
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
  const block = regrow(table.lists, capacity, wanted, LIST_BYTES);
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
  list.memsegs = table.freeList;
  table.freeList = <u32>index + 1;
  return status.OK;
}

function growMemsegs(table: Table): bool {
  const capacity = table.capacity;
  const wanted: u32 = capacity == 0 ? 64 : capacity << 1;
  const va = acquire(<u64>wanted * MEMSEG_BYTES);
  if (va == 0) return false;
  const lengths = va + (wanted << 3);
  const list = lengths + (wanted << 3);
  memory.copy(va, table.va, capacity << 3);
  memory.copy(lengths, table.lengths, capacity << 3);
  memory.copy(list, table.list, capacity << 2);
  release(table.va, <u64>capacity * MEMSEG_BYTES);
  table.va = va;
  table.lengths = lengths;
  table.list = list;
  table.capacity = wanted;
  return true;
}

/** Counts a memseg as one more, or as one less: `by` is 1 or -1. */
function count(table: Table, list: List, last: u64, iova: u64, length: u64, by: i32): void {
  const bytes = <i64>by * length;
  if (last >> FAR_SHIFT != 0) table.far += by;
  list.memsegs += by;
  table.live += by;
  table.liveBytes += bytes;
  if (iova == BAD_IOVA) return;
  table.known += by;
  table.knownBytes += bytes;
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
  if (next(table.numbers, va, last) != NONE) return status.OVERLAPS;
  if (table.free == 0 && table.used == table.capacity && !growMemsegs(table)) return status.OUT_OF_MEMORY;
  const known = iova != BAD_IOVA;
  if (
    !prepareBits(list.pages, first, end - 1) ||
    !prepare(table.numbers, va, last) ||
    (known && !prepare(table.stated, va, last))
  ) {
    trimBits(list.pages, first, end - 1);
    clearBoth(table, va, last);
    return status.OUT_OF_MEMORY;
  }
  let number: u32;
  if (table.free != 0) {
    number = table.free - 1;
    table.free = load<u32>(table.list + (number << 2));
  } else {
    number = table.used++;
  }
  store<u64>(table.va + (number << 3), va);
  store<u64>(table.lengths + (number << 3), length);
  store<u32>(table.list + (number << 2), <u32>listIndex);
  changeBits(list.pages, first, end - 1, true);
  set(table.numbers, va, last, (<u64>number) << NUMBER_SHIFT);
  if (known) set(table.stated, va, last, iova);
  count(table, list, last, iova, length, 1);
  return status.OK;
}

/** Of a whole memseg: it needs no memory, because no slot of 2 MiB is of one piece with another memseg's. */
function clearBoth(table: Table, va: u64, last: u64): void {
  clear(table.numbers, va, last);
  clear(table.stated, va, last);
}

export function numberAt(table: Table, va: u64): u32 {
  const number = get(table.numbers, va);
  return number == NONE ? NO_MEMSEG : <u32>(number >> NUMBER_SHIFT);
}

/** Removes the memseg that begins at `va`. */
export function removeMemseg(table: Table, va: u64): i32 {
  const number = numberAt(table, va);
  if (number == NO_MEMSEG || load<u64>(table.va + (number << 3)) != va) return status.NOT_FOUND;
  const list = listAt(table, load<u32>(table.list + (number << 2)));
  const length = load<u64>(table.lengths + (number << 3));
  const last = lastOf(va, length);
  const first = (va - list.base) >> list.pageShift;
  const end = (last - list.base) >> list.pageShift;
  // Memory may be needed where a run of full chunks is broken; without it nothing has changed.
  if (!prepareBits(list.pages, first, end)) return status.OUT_OF_MEMORY;
  changeBits(list.pages, first, end, false);
  trimBits(list.pages, first, end);
  count(table, list, last, translateMemseg(table, va), length, -1);
  clearBoth(table, va, last);
  store<u64>(table.va + (number << 3), 1);
  store<u64>(table.lengths + (number << 3), 0);
  store<u32>(table.list + (number << 2), table.free);
  table.free = number + 1;
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
  return get(table.stated, va);
}

/** The lowest address of `pages` free pages in a row in a list; NOWHERE when there are none. */
export function freePages(list: List, pages: u64): u64 {
  const first = firstFit(list.pages, list.pages, pages, 0);
  return first == NOWHERE ? NOWHERE : list.base + (first << list.pageShift);
}
