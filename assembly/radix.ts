/**
 * A sparse map from every page of the u64 address space to a u64, by four table look-ups at most.
 *
 *     63            39 38        30 29        21 20        12 11         0
 *     | root index    | 1 GiB      | 2 MiB      | 4 KiB      | in page    |
 *           |               |            |            |
 *         root  ------->  table ---->  table ---->  table (only where a 2 MiB slot is not of one piece)
 *      (grows with     512 entries  512 entries  512 entries
 *      the highest      of 8 bytes
 *      address used)
 *
 * Entries of the root and of the first table:     | entries in use below : 32 | table : 32 |
 * Entries of the second and third table:
 *     absent          0
 *     present         | value, a multiple of 4096                    | 1 |
 *     split           | entries in use below : 32 | table : 32       | 2 |     second table only
 *
 * A table is a page of the arena, so a pointer to it has its low 12 bits free. The null page is a table in which all is
 * absent (see arena.ts): look-ups never ask whether a table exists.
 *
 * The values of an *affine* map are addresses: one present entry stands for `value + (key - first key of the entry)`
 * over its whole page or slot. The values of a *constant* map are the same for every key of an entry.
 *
 * `prepare` takes all the memory that `set` and `clear` of the same range will need. Those two cannot fail, so they can
 * record what the kernel has already done.
 */
import { acquirePage, regrow, release, releasePage } from "./arena";
import { powerOfTwoAtLeast } from "./bits";

const ROOT_SHIFT: u32 = 39;
const GIGA_SHIFT: u32 = 30;
const SLOT_SHIFT: u32 = 21;
export const SLOT_MASK: u64 = (1 << SLOT_SHIFT) - 1;
const PAGE_SHIFT: u32 = 12;
export const PAGE_MASK: u64 = (1 << PAGE_SHIFT) - 1;
const INDEX_MASK: u32 = 511;
/** An index times the 8 bytes of an entry: shifting by 3 less and masking so gives it in one step less. */
const OFFSET_MASK: u32 = 511 << 3;

export const PRESENT: u64 = 1;
const SPLIT: u64 = 2;
const ONE_BELOW: u64 = (<u64>1) << 32;

/** Pages in 4 GiB, so more tables than there can ever be. */
const TABLES_END: u64 = 1 << 20;

/** "Nothing there": no page begins at this address. */
export const NONE: u64 = u64.MAX_VALUE;

/** All zeros: an empty constant map. */
@unmanaged
export class Radix {
  root: u32;
  /** Entries of the root: a power of two, or 0. */
  extent: u32;
  affine: bool;
}

/**
 * Where entries lie, and what they are. Look-ups are these and nothing else, so they are inlined there, by name; all else
 * the compiler leaves as calls, because the release build is optimised for size. (A function cannot be decorated in
 * TypeScript, a method can.)
 */
export class Entry {
  @inline
  static root(root: u32, extent: u64, key: u64): u32 {
    const index = key >> ROOT_SHIFT;
    // Behind the extent everything is absent: the null page's first entry says so.
    return select<u32>(root + ((<u32>index) << 3), 0, index < extent);
  }

  @inline
  static giga(table: u32, key: u64): u32 {
    return table + (<u32>(key >> (GIGA_SHIFT - 3)) & OFFSET_MASK);
  }

  @inline
  static slot(table: u32, key: u64): u32 {
    return table + (<u32>(key >> (SLOT_SHIFT - 3)) & OFFSET_MASK);
  }

  @inline
  static page(table: u32, key: u64): u32 {
    return table + (<u32>(key >> (PAGE_SHIFT - 3)) & OFFSET_MASK);
  }

  /** The table that a slot's split entry leads to. */
  @inline
  static table(entry: u64): u32 {
    return <u32>entry & ~(<u32>PAGE_MASK);
  }

  @inline
  static isSplit(entry: u64): bool {
    return (entry & SPLIT) != 0;
  }

  /** The entry of the slot that holds `key`. */
  @inline
  static ofSlot(root: u32, extent: u64, key: u64): u64 {
    const giga = load<u32>(Entry.root(root, extent, key));
    return load<u64>(Entry.slot(load<u32>(Entry.giga(giga, key)), key));
  }

  /** The entry of the page that holds `key`, in a slot that is split. */
  @inline
  static ofPage(entry: u64, key: u64): u64 {
    return load<u64>(Entry.page(Entry.table(entry), key));
  }
}

function rootEntryOf(radix: Radix, key: u64): u32 {
  return Entry.root(radix.root, <u64>radix.extent, key);
}

function gigaEntryIn(table: u32, key: u64): u32 {
  return Entry.giga(table, key);
}

function slotEntryIn(table: u32, key: u64): u32 {
  return Entry.slot(table, key);
}

function pageEntryIn(entry: u64, key: u64): u32 {
  return Entry.page(Entry.table(entry), key);
}

function slotEntryOf(radix: Radix, key: u64): u32 {
  return slotEntryIn(load<u32>(gigaEntryIn(load<u32>(rootEntryOf(radix, key)), key)), key);
}

/** The value at `key`: of an affine map the exact address, of a constant one the value. NONE when absent. */
export function get(radix: Radix, key: u64): u64 {
  let entry = load<u64>(slotEntryOf(radix, key));
  let mask = SLOT_MASK;
  if (Entry.isSplit(entry)) {
    entry = load<u64>(pageEntryIn(entry, key));
    mask = PAGE_MASK;
  }
  if (entry == 0) return NONE;
  return radix.affine ? (entry & ~PAGE_MASK) + (key & mask) : entry & ~PAGE_MASK;
}

/** Entries in use below the table entry at `address`, changed by one. */
function count(address: u32, up: bool): void {
  store<u64>(address, load<u64>(address) + (up ? ONE_BELOW : -ONE_BELOW));
}

function growRoot(radix: Radix, key: u64): bool {
  const index = key >> ROOT_SHIFT; // below 2^25
  if (index < <u64>radix.extent) return true;
  const extent = <u32>powerOfTwoAtLeast(index + 1);
  const root = regrow(radix.root, radix.extent, extent, 8);
  if (root == 0) return false;
  radix.root = root;
  radix.extent = extent;
  return true;
}

/** The table below a root or giga entry, made when it is not there; 0 when there is no memory. */
function descend(address: u32): u32 {
  const table = load<u32>(address);
  if (table != 0) return table;
  const fresh = acquirePage();
  if (fresh != 0) store<u64>(address, <u64>fresh);
  return fresh;
}

/** Writes a slot's entry, whose table is there, and keeps the count above it. */
function writeSlot(radix: Radix, key: u64, entry: u64): void {
  const gigaAt = gigaEntryIn(load<u32>(rootEntryOf(radix, key)), key);
  const slotAt = slotEntryIn(load<u32>(gigaAt), key);
  const before = load<u64>(slotAt);
  store<u64>(slotAt, entry);
  if ((before == 0) != (entry == 0)) count(gigaAt, entry != 0);
}

/** Gives back the tables on the way to `key` in which nothing is in use. */
function trim(radix: Radix, key: u64): void {
  const rootAt = rootEntryOf(radix, key);
  const giga = load<u32>(rootAt);
  if (giga == 0) return;
  const gigaAt = gigaEntryIn(giga, key);
  const slots = load<u32>(gigaAt);
  if (slots != 0) {
    if (load<u64>(gigaAt) >> 32 != 0) return;
    releasePage(slots);
    store<u64>(gigaAt, 0);
    count(rootAt, false);
  }
  if (load<u64>(rootAt) >> 32 != 0) return;
  releasePage(giga);
  store<u64>(rootAt, 0);
}

/** Turns a whole slot's entry into a table of its pages, or an absent one into an empty table. */
function split(radix: Radix, key: u64, entry: u64): bool {
  const table = acquirePage();
  if (table == 0) return false;
  let below: u64 = 0;
  if (entry != 0) {
    const step: u64 = radix.affine ? 1 << PAGE_SHIFT : 0;
    for (let i: u32 = 0; i <= INDEX_MASK; i++) store<u64>(table + (i << 3), entry + step * <u64>i);
    below = INDEX_MASK + 1;
  }
  writeSlot(radix, key, (below << 32) | <u64>table | SPLIT);
  return true;
}

/**
 * Takes the memory that `set` or `clear` of [key, last] will need. False when there is not enough. Either way `clear`
 * of the same range gives back what is not used in the end.
 */
export function prepare(radix: Radix, key: u64, last: u64): bool {
  // Each GiB takes a table. What can never fit must not take the whole memory first, which would not come back.
  if ((last - key) >> GIGA_SHIFT >= TABLES_END - 1) return false;
  if (!growRoot(radix, last)) return false;
  const lastSlot = last >> SLOT_SHIFT;
  for (let slot = key >> SLOT_SHIFT; slot <= lastSlot; slot++) {
    const start = slot << SLOT_SHIFT;
    const rootAt = rootEntryOf(radix, start);
    const giga = descend(rootAt);
    if (giga == 0) return false;
    const gigaAt = gigaEntryIn(giga, start);
    if (load<u32>(gigaAt) == 0) {
      if (descend(gigaAt) == 0) return false;
      count(rootAt, true);
    }
    const entry = load<u64>(slotEntryIn(load<u32>(gigaAt), start));
    const whole = key <= start && last >= (start | SLOT_MASK);
    if (!whole && (entry & SPLIT) == 0 && !split(radix, start, entry)) return false;
  }
  return true;
}

/** Makes [key, last], prepared and absent, present: `value` at `key`, and from there on as the map's kind says. */
export function set(radix: Radix, key: u64, last: u64, value: u64): void {
  const lastSlot = last >> SLOT_SHIFT;
  for (let slot = key >> SLOT_SHIFT; slot <= lastSlot; slot++) {
    const start = slot << SLOT_SHIFT;
    const from = max<u64>(key, start);
    const to = min<u64>(last, start | SLOT_MASK);
    const at = radix.affine ? value + (from - key) : value;
    if (from == start && to == (start | SLOT_MASK)) {
      writeSlot(radix, start, at | PRESENT);
      continue;
    }
    const slotAt = slotEntryOf(radix, start);
    const table = Entry.table(load<u64>(slotAt));
    const pages = ((to - from) >> PAGE_SHIFT) + 1;
    for (let i: u64 = 0; i < pages; i++) {
      const pageValue = radix.affine ? at + (i << PAGE_SHIFT) : at;
      store<u64>(Entry.page(table, from + (i << PAGE_SHIFT)), pageValue | PRESENT);
    }
    store<u64>(slotAt, load<u64>(slotAt) + (pages << 32));
  }
}

/** Makes [key, last] absent, whatever it was; prepared, where the range begins or ends inside a whole slot. */
export function clear(radix: Radix, key: u64, last: u64): void {
  const lastSlot = last >> SLOT_SHIFT;
  for (let slot = key >> SLOT_SHIFT; slot <= lastSlot; slot++) {
    const start = slot << SLOT_SHIFT;
    const giga = load<u32>(rootEntryOf(radix, start));
    if (load<u32>(gigaEntryIn(giga, start)) == 0) {
      trim(radix, start);
      slot |= (1 << ((giga == 0 ? ROOT_SHIFT : GIGA_SHIFT) - SLOT_SHIFT)) - 1; // on to the next GiB, or 512 GiB
      continue;
    }
    clearSlot(radix, start, max<u64>(key, start), min<u64>(last, start | SLOT_MASK));
    trim(radix, start);
  }
}

/** Makes [from, to], which lies in the slot at `start`, absent. */
function clearSlot(radix: Radix, start: u64, from: u64, to: u64): void {
  const slotAt = slotEntryOf(radix, start);
  const entry = load<u64>(slotAt);
  if (entry == 0) return;
  if ((entry & SPLIT) == 0) {
    writeSlot(radix, start, 0);
    return;
  }
  const table = Entry.table(entry);
  const pages = ((to - from) >> PAGE_SHIFT) + 1;
  let gone: u64 = 0;
  for (let i: u64 = 0; i < pages; i++) {
    const pageAt = pageEntryIn(entry, from + (i << PAGE_SHIFT));
    if (load<u64>(pageAt) != 0) gone++;
    store<u64>(pageAt, 0);
  }
  const left = (entry >> 32) - gone;
  if (left == 0) {
    releasePage(table);
    writeSlot(radix, start, 0);
  } else {
    store<u64>(slotAt, entry - (gone << 32));
  }
}

/** The first page in [key, last] that is present; NONE when there is none. `key` is a multiple of a page. */
export function next(radix: Radix, key: u64, last: u64): u64 {
  const extentLast = radix.extent == 0 ? 0 : ((<u64>radix.extent - 1) << ROOT_SHIFT) | (((<u64>1) << ROOT_SHIFT) - 1);
  if (radix.extent == 0 || key > extentLast) return NONE;
  const end = min<u64>(last, extentLast);
  let at = key;
  while (at <= end) {
    let shift = PAGE_SHIFT;
    const giga = load<u32>(rootEntryOf(radix, at));
    if (giga == 0) shift = ROOT_SHIFT;
    else {
      const slots = load<u32>(gigaEntryIn(giga, at));
      if (slots == 0) shift = GIGA_SHIFT;
      else {
        const entry = load<u64>(slotEntryIn(slots, at));
        if (entry == 0) shift = SLOT_SHIFT;
        else if ((entry & SPLIT) == 0 || load<u64>(pageEntryIn(entry, at)) != 0) return at;
      }
    }
    // The last address of the absent piece; the next one wraps to 0 only behind the end of the whole space.
    at = (at | (((<u64>1) << shift) - 1)) + 1;
    if (at == 0) return NONE;
  }
  return NONE;
}

/**
 * The last address of the run that begins at `key`, which is present, looked at up to `last`: of an affine map as long
 * as values go on with the keys, of a constant one as long as the value is the same.
 */
export function runLast(radix: Radix, key: u64, last: u64): u64 {
  const value = get(radix, key);
  let reached = pieceLast(radix, key);
  while (reached < last) {
    const at = reached + 1;
    const expected = radix.affine ? value + (at - key) : value;
    // Memory at the very end of the address space does not go on at its beginning.
    if (expected < value || get(radix, at) != expected) break;
    reached = pieceLast(radix, at);
  }
  return min<u64>(reached, last);
}

/** The last address of the entry that holds `key`. */
function pieceLast(radix: Radix, key: u64): u64 {
  return (load<u64>(slotEntryOf(radix, key)) & SPLIT) != 0 ? key | PAGE_MASK : key | SLOT_MASK;
}

/** Gives back every table. The map must not be used afterwards. */
export function drop(radix: Radix): void {
  for (let i: u32 = 0; i < radix.extent; i++) {
    const giga = load<u32>(radix.root + (i << 3));
    if (giga == 0) continue;
    for (let j: u32 = 0; j <= INDEX_MASK; j++) {
      const slots = load<u32>(giga + (j << 3));
      if (slots == 0) continue;
      for (let k: u32 = 0; k <= INDEX_MASK; k++) {
        const entry = load<u64>(slots + (k << 3));
        if ((entry & SPLIT) != 0) releasePage(Entry.table(entry));
      }
      releasePage(slots);
    }
    releasePage(giga);
  }
  release(radix.root, (<u64>radix.extent) << 3);
}
