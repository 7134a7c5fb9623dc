/**
 * A pool: slots of one size. What is free are whole handles, on a stack or in a ring, so `poolGet` looks nothing up; what is live
 * stands in an array by slot, so `poolPut` makes one comparison.
 *
 *     | head: 64 bytes | current, `capacity` of 4 bytes | free handles, as many |
 *
 * `current` has the handle of a slot that is live, at its index modulo the capacity: a power of two, so no two slots of a pool meet
 * there, and a handle of somebody else finds another handle than itself. Of a slot that is free it has what itself would be looked
 * for elsewhere. So what is put needs one comparison, and no look at where it belongs.
 */
import { arenaGive, arenaTake } from "./arena";
import { GENERATION, Handle, INDEX_MASK, INDEXES } from "./descriptors";
import { firstHandle, giveIndexes, keepHandle, takeIndexes } from "./indexes";
import * as status from "./status";

@unmanaged
class Pool {
  free: u32;
  /** Where the oldest free handle is; of a stack always 0. */
  head: u32;
  fifo: u32;
  /** The power of two that has room for all handles, less 1. */
  mask: u32;
  first: u32;
  count: u32;
  /** Where free handles lie. */
  ring: u32;

  /** The slot of a handle; at least the count for one of somebody else. */
  @inline
  slot(handle: i32): u32 {
    return (<u32>handle & INDEX_MASK) - this.first;
  }

  /** What `current` has for a slot that is free: something that is looked for elsewhere. */
  @inline
  static notLive(handle: i32): i32 {
    return handle ^ 1;
  }

  /** Where `current` has what belongs to a handle's index, less CURRENT. */
  @inline
  currentOf(handle: i32): u32 {
    return changetype<u32>(this) + ((<u32>handle & this.mask) << 2);
  }
}

const CURRENT: u32 = 64;
const COUNT_MAX: u32 = INDEXES >> 1;

function record(pool: u32): Pool {
  return changetype<Pool>(pool);
}

/** A pool of `count` slots, all free; `fifo` 1: the slot comes next that was free longest. The negative of a status: no room. */
export function poolOpen(count: u32, fifo: u32): i32 {
  if (count == 0) return -status.ZERO_LENGTH;
  if (count > COUNT_MAX) return -status.TOO_LARGE;
  const capacity = (<u32>2) << (31 - clz<u32>((count - 1) | 1));
  const pool = arenaTake(CURRENT + (capacity << 3));
  if (pool == 0) return -status.OUT_OF_MEMORY;
  const first = takeIndexes(count);
  if (first == 0) {
    arenaGive(pool);
    return -status.OUT_OF_MEMORY;
  }
  const all = record(pool);
  all.free = count;
  all.fifo = fifo;
  all.mask = capacity - 1;
  all.first = first;
  all.count = count;
  all.ring = pool + CURRENT + (capacity << 2);
  for (let i: u32 = 0; i < capacity; i++) store<i32>(all.currentOf(first + i), Pool.notLive(first + i), CURRENT);
  // The lowest slot comes first, whichever way handles are taken.
  for (let i: u32 = 0; i < count; i++) {
    const place = fifo != 0 ? i : count - 1 - i;
    store<i32>(all.ring + (place << 2), firstHandle(first + i));
  }
  return pool;
}

/** All its handles are refused from now on, until their generations wrap. */
export function poolClose(pool: u32): void {
  const all = record(pool);
  for (let i: u32 = 0; i < all.free; i++) {
    const handle = load<i32>(all.ring + (((all.head + i) & all.mask) << 2));
    keepHandle(Handle.at(handle), handle & GENERATION);
  }
  for (let i: u32 = 0; i < all.count; i++) {
    const handle = load<i32>(all.currentOf(all.first + i), CURRENT);
    if (((handle ^ (all.first + i)) & INDEX_MASK) == 0)
      keepHandle(Handle.at(handle), Handle.after(handle) & GENERATION);
  }
  giveIndexes(all.first, all.count);
  arenaGive(pool);
}

/** A handle; the negative of EXHAUSTED: all slots are live. */
export function poolGet(pool: u32): i32 {
  const all = record(pool);
  const free = all.free - 1;
  if (<i32>free < 0) return -status.EXHAUSTED;
  if (all.fifo != 0) return oldest(pool);
  const handle = load<i32>(all.ring + (free << 2));
  all.free = free;
  store<i32>(all.currentOf(handle), handle, CURRENT);
  return handle;
}

function oldest(pool: u32): i32 {
  const all = record(pool);
  const head = all.head;
  const handle = load<i32>(all.ring + (head << 2));
  all.head = (head + 1) & all.mask;
  all.free--;
  store<i32>(all.currentOf(handle), handle, CURRENT);
  return handle;
}

/** OK, or why a handle is refused; then nothing happened. */
export function poolPut(pool: u32, handle: i32): i32 {
  const all = record(pool);
  const current = all.currentOf(handle);
  if (load<i32>(current, CURRENT) != handle) return refusal(pool, handle);
  store<i32>(current, Pool.notLive(handle), CURRENT);
  const free = all.free;
  store<i32>(all.ring + (((all.head + free) & all.mask) << 2), Handle.after(handle));
  all.free = free + 1;
  return status.OK;
}

/** Up to `count` handles to `pointer`; how many. A loop for each way: of a stack nothing has to be taken modulo the capacity. */
export function poolGetMany(pool: u32, pointer: u32, count: u32): u32 {
  const all = record(pool);
  const mask = all.mask;
  const got = min<u32>(count, all.free);
  const end = pointer + (got << 2);
  if (all.fifo != 0) {
    const ring = all.ring;
    let place = all.head;
    for (; pointer != end; pointer += 4) {
      const handle = load<i32>(ring + ((place++ & mask) << 2));
      store<i32>(pointer, handle);
      store<i32>(pool + ((<u32>handle & mask) << 2), handle, CURRENT);
    }
    all.head = place & mask;
  } else {
    let from = all.ring + (all.free << 2);
    for (; pointer != end; pointer += 4) {
      from -= 4;
      const handle = load<i32>(from);
      store<i32>(pointer, handle);
      store<i32>(pool + ((<u32>handle & mask) << 2), handle, CURRENT);
    }
  }
  all.free -= got;
  return got;
}

/** `count` handles from `pointer`, up to the first that is refused: how many came before it. */
export function poolPutMany(pool: u32, pointer: u32, count: u32): u32 {
  const all = record(pool);
  const mask = all.mask;
  const ring = all.ring;
  const begin = all.head + all.free;
  let place = begin;
  for (const end = pointer + (count << 2); pointer != end; pointer += 4) {
    const handle = load<i32>(pointer);
    const current = pool + ((handle & mask) << 2);
    if (load<i32>(current, CURRENT) != handle) break;
    store<i32>(current, Pool.notLive(handle), CURRENT);
    store<i32>(ring + ((place++ & mask) << 2), Handle.after(handle));
  }
  all.free += place - begin;
  return place - begin;
}

/** What poolPut would say. */
export function poolCheckHandle(pool: u32, handle: i32): i32 {
  return load<i32>(record(pool).currentOf(handle), CURRENT) == handle ? status.OK : refusal(pool, handle);
}

function refusal(pool: u32, handle: i32): i32 {
  if (handle <= 0 || (handle & INDEX_MASK) == 0) return status.UNKNOWN_HANDLE;
  if (record(pool).slot(handle) >= record(pool).count) return status.FOREIGN_HANDLE;
  const current = load<i32>(record(pool).currentOf(handle), CURRENT);
  return ((current ^ handle) & INDEX_MASK) != 0 ? status.NOT_LIVE : status.STALE_HANDLE;
}

/** Slots that are free. */
export function poolFree(pool: u32): u32 {
  return record(pool).free;
}

/** The index of slot 0. */
export function poolFirst(pool: u32): u32 {
  return record(pool).first;
}

/** The next live handle behind another by slot, from 0 on; 0: there are no more. */
export function poolNextLive(pool: u32, handle: i32): i32 {
  const all = record(pool);
  let slot: u32 = handle == 0 ? 0 : all.slot(handle) + 1;
  for (; slot < all.count; slot++) {
    const current = load<i32>(all.currentOf(all.first + slot), CURRENT);
    if (((current ^ (all.first + slot)) & INDEX_MASK) == 0) return current;
  }
  return 0;
}
