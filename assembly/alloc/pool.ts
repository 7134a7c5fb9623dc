/**
 * A pool: slots of one size. What is free are whole handles, on a stack or in a ring, so `poolGet` looks nothing up; what is live
 * stands in an array by slot, so `poolPut` makes one comparison.
 *
 *     | head: 64 bytes | free handles, `capacity` of 4 bytes | current, one for each slot |
 *
 * `current` has the handle of a slot that is live, and 0 of one that is free, which is no handle.
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
  /** Where `current` would have the handle of index 0. */
  current: u32;

  /** The slot of a handle; at least the count for one of somebody else. */
  @inline
  slot(handle: i32): u32 {
    return (<u32>handle & INDEX_MASK) - this.first;
  }

  @inline
  currentOf(handle: i32): u32 {
    return this.current + ((<u32>handle & INDEX_MASK) << 2);
  }
}

const RING: u32 = 64;
const COUNT_MAX: u32 = INDEXES >> 1;

function record(pool: u32): Pool {
  return changetype<Pool>(pool);
}

/** A pool of `count` slots, all free; `fifo` 1: the slot comes next that was free longest. The negative of a status: no room. */
export function poolOpen(count: u32, fifo: u32): i32 {
  if (count == 0) return -status.ZERO_LENGTH;
  if (count > COUNT_MAX) return -status.TOO_LARGE;
  const capacity = (<u32>1) << (32 - clz<u32>(count - 1));
  const pool = arenaTake(RING + ((capacity + count) << 2));
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
  all.current = pool + RING + ((capacity - first) << 2);
  // The lowest slot comes first, whichever way handles are taken.
  for (let i: u32 = 0; i < count; i++) {
    const place = fifo != 0 ? i : count - 1 - i;
    store<i32>(pool + (place << 2), firstHandle(first + i), RING);
  }
  return pool;
}

/** All its handles are refused from now on, until their generations wrap. */
export function poolClose(pool: u32): void {
  const all = record(pool);
  for (let i: u32 = 0; i < all.free; i++) {
    const handle = load<i32>(pool + (((all.head + i) & all.mask) << 2), RING);
    keepHandle(Handle.at(handle), handle & GENERATION);
  }
  for (let i: u32 = 0; i < all.count; i++) {
    const handle = load<i32>(all.currentOf(all.first + i));
    if (handle != 0) keepHandle(Handle.at(handle), Handle.after(handle) & GENERATION);
  }
  giveIndexes(all.first, all.count);
  arenaGive(pool);
}

/** A handle; the negative of EXHAUSTED: all slots are live. */
export function poolGet(pool: u32): i32 {
  const all = record(pool);
  const free = all.free - 1;
  if (<i32>free < 0) return -status.EXHAUSTED;
  let place = free;
  if (all.fifo != 0) {
    place = all.head;
    all.head = (place + 1) & all.mask;
  }
  const handle = load<i32>(pool + (place << 2), RING);
  all.free = free;
  store<i32>(all.currentOf(handle), handle);
  return handle;
}

/** OK, or why a handle is refused; then nothing happened. */
export function poolPut(pool: u32, handle: i32): i32 {
  const all = record(pool);
  if (all.slot(handle) >= all.count) return refusal(pool, handle);
  const current = all.currentOf(handle);
  if (load<i32>(current) != handle) return refusal(pool, handle);
  store<i32>(current, 0);
  const free = all.free;
  store<i32>(pool + (((all.head + free) & all.mask) << 2), Handle.after(handle), RING);
  all.free = free + 1;
  return status.OK;
}

/** Up to `count` handles to `pointer`; how many. */
export function poolGetMany(pool: u32, pointer: u32, count: u32): u32 {
  const all = record(pool);
  const current = all.current;
  const mask = all.mask;
  const got = min<u32>(count, all.free);
  if (got == 0) return 0;
  all.free -= got;
  // One of them stays as it is.
  let place = all.head + (all.fifo != 0 ? 0 : all.free + got - 1);
  const step = all.fifo != 0 ? 1 : -1;
  if (all.fifo != 0) all.head = (place + got) & mask;
  const end = pointer + (got << 2);
  do {
    const handle = load<i32>(pool + ((place & mask) << 2), RING);
    store<i32>(pointer, handle);
    store<i32>(current + ((handle & INDEX_MASK) << 2), handle);
    place += step;
    pointer += 4;
  } while (pointer != end);
  return got;
}

/** `count` handles from `pointer`, up to the first that is refused: how many came before it. */
export function poolPutMany(pool: u32, pointer: u32, count: u32): u32 {
  const all = record(pool);
  const first = all.first;
  const slots = all.count;
  const mask = all.mask;
  const toCurrent = all.current;
  const begin = all.head + all.free;
  let place = begin;
  for (const end = pointer + (count << 2); pointer != end; pointer += 4) {
    const handle = load<i32>(pointer);
    const index = <u32>handle & INDEX_MASK;
    const current = toCurrent + (index << 2);
    if (index - first >= slots || load<i32>(current) != handle) break;
    store<i32>(current, 0);
    store<i32>(pool + ((place & mask) << 2), Handle.after(handle), RING);
    place++;
  }
  all.free += place - begin;
  return place - begin;
}

/** What poolPut would say. */
export function poolCheckHandle(pool: u32, handle: i32): i32 {
  const slot = record(pool).slot(handle);
  return slot < record(pool).count && load<i32>(record(pool).currentOf(handle)) == handle
    ? status.OK
    : refusal(pool, handle);
}

function refusal(pool: u32, handle: i32): i32 {
  if (handle <= 0 || (handle & INDEX_MASK) == 0) return status.UNKNOWN_HANDLE;
  if (record(pool).slot(handle) >= record(pool).count) return status.FOREIGN_HANDLE;
  return load<i32>(record(pool).currentOf(handle)) == 0 ? status.NOT_LIVE : status.STALE_HANDLE;
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
    const current = load<i32>(all.currentOf(all.first + slot));
    if (current != 0) return current;
  }
  return 0;
}
