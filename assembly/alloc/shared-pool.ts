/**
 * Get and put of a pool that several workers share, each with two magazines of its own (Bonwick's `loaded` and `previous`), which it
 * alone touches until it is gone. So a get is a pop and one store, a put one compare-exchange and a push, and nobody waits.
 *
 *     get     loaded is empty: previous in its place, where that is not; else one of PARTIAL or FULL, and the empty one to EMPTY
 *     put     loaded is full: previous in its place, where that is not; else one of EMPTY or PARTIAL, and the full one to FULL
 *
 * There are ceil(count / size) + 3 * workers + 1 magazines. A worker that puts has two full ones and nothing in `third`, the others
 * have at most three each, so count / size + 2 are in the depot, and were all of these full there would be more handles than slots.
 * So at any time one is in EMPTY or PARTIAL. Whoever finds none there, looking at one after the other, was overtaken, and looks again.
 *
 * What lies in others' magazines cannot be had, and is asked for: a get that finds nothing sets `wanted`, so that the next put gives
 * all that its worker has to the depot; and it rings `call`, at which workers that are idle do the same.
 *
 * The order of the stores matters: shared-workers.ts says what a worker that is killed between two of them leaves.
 */
import { Handle, INDEX_MASK } from "./descriptors";
import { exchangePrevious, exchangeThird, push, take } from "./shared-depot";
import { BELL, CALL, EMPTY, FREE, FULL, magazine, PARTIAL, shared, WANTED, Word, worker } from "./shared-layout";
import * as status from "./status";

/** A handle; the negative of EXHAUSTED: neither this worker's magazines nor the depot have one. */
export function sharedGet(self: u32): i32 {
  const all = worker(self);
  if (magazine(all.loaded).top == 0 && !refill(self)) return -status.EXHAUSTED;
  const loaded = all.loaded;
  const top = magazine(loaded).top;
  const handle = magazine(loaded).get(top);
  store<u64>(shared(all.pool).cellOf(handle), all.stamp | <u64>handle);
  magazine(loaded).top = top - 1;
  return handle;
}

/** Frees a handle, whichever worker has it. OK, or why it is refused: also where another worker puts it at this moment. */
export function sharedPut(self: u32, handle: i32): i32 {
  const pool = worker(self).pool;
  if (!shared(pool).has(handle)) return refusal(pool, handle);
  const cell = shared(pool).cellOf(handle);
  const seen = load<u64>(cell);
  if (<i32>seen != handle) return refusal(pool, handle);
  // Where somebody put it meanwhile, or took it over, the answer is another one.
  return Put.ofSeen(self, cell, seen) ? status.OK : sharedPut(self, handle);
}

export class Put {
  /** Frees what was seen live in a cell, if it still is. */
  @inline
  static ofSeen(self: u32, cell: u32, seen: u64): bool {
    const all = worker(self);
    const pool = all.pool;
    const next = <u32>Handle.after(<i32>seen);
    if (magazine(all.loaded).top == shared(pool).size) makeRoom(self);
    all.putting = next;
    const isFreed = Word.swap(cell, seen, all.stamp | <u64>(FREE | next));
    if (isFreed) {
      const loaded = all.loaded;
      const top = magazine(loaded).top + 1;
      magazine(loaded).set(top, next);
      magazine(loaded).top = top;
    }
    all.putting = 0;
    if (load<u32>(pool, WANTED) != 0) answer(self);
    return isFreed;
  }
}

/** As many handles as there are, up to `count`, to `at`; how many. */
export function sharedGetMany(self: u32, at: u32, count: u32): u32 {
  let got: u32 = 0;
  for (; got < count; got++) {
    const handle = sharedGet(self);
    if (handle < 0) break;
    store<i32>(at + (got << 2), handle);
  }
  return got;
}

/** `count` handles from `at`, up to the first that is refused: how many came before it. */
export function sharedPutMany(self: u32, at: u32, count: u32): u32 {
  let put: u32 = 0;
  while (put < count && sharedPut(self, load<i32>(at + (put << 2))) == status.OK) put++;
  return put;
}

/** Makes this worker the one that has a live handle: what another one got, and handed to it. */
export function sharedAdopt(self: u32, handle: i32): i32 {
  const pool = worker(self).pool;
  if (!shared(pool).has(handle)) return refusal(pool, handle);
  const cell = shared(pool).cellOf(handle);
  const seen = load<u64>(cell);
  if (<i32>seen != handle) return refusal(pool, handle);
  return Word.swap(cell, seen, worker(self).stamp | <u64>(<u32>handle)) ? status.OK : sharedAdopt(self, handle);
}

/** What `sharedPut` would say. */
export function sharedCheckHandle(pool: u32, handle: i32): i32 {
  const all = shared(pool);
  return all.has(handle) && load<i32>(all.cellOf(handle)) == handle ? status.OK : refusal(pool, handle);
}

function refusal(pool: u32, handle: i32): i32 {
  if (handle < 0 || (handle & INDEX_MASK) == 0) return status.UNKNOWN_HANDLE;
  const all = shared(pool);
  if (!all.has(handle)) return status.FOREIGN_HANDLE;
  return load<u32>(all.cellOf(handle)) == (FREE | Handle.after(handle)) ? status.NOT_LIVE : status.STALE_HANDLE;
}

function refill(self: u32): bool {
  const all = worker(self);
  if (magazine(all.previous).top != 0) {
    exchangePrevious(self);
    return true;
  }
  if (!take(self, PARTIAL) && !take(self, FULL)) {
    if (atomic.xchg<u32>(all.pool, 1, WANTED) == 0) ring(all.pool + CALL);
    return false;
  }
  exchangeThird(self);
  push(self, EMPTY);
  return true;
}

function makeRoom(self: u32): void {
  const all = worker(self);
  if (magazine(all.previous).top < shared(all.pool).size) {
    exchangePrevious(self);
    return;
  }
  takeRoom(self);
  exchangeThird(self);
  push(self, FULL);
}

/** Takes a magazine that is not full into `third`; there is one. */
export function takeRoom(self: u32): void {
  while (!take(self, EMPTY) && !take(self, PARTIAL)) {}
}

/** Gives `third` to the stack that it belongs to. */
export function giveThird(self: u32): void {
  const all = worker(self);
  const top = magazine(all.third).top;
  push(self, top == 0 ? EMPTY : top == shared(all.pool).size ? FULL : PARTIAL);
}

function answer(self: u32): void {
  atomic.store<u32>(worker(self).pool, 0, WANTED);
  sharedFlush(self);
}

/**
 * Gives all free handles of a worker to the depot, and wakes who waits for one. What stays where the depot has no empty magazine:
 * then it has handles enough.
 */
export function sharedFlush(self: u32): void {
  const all = worker(self);
  let hasGiven = false;
  for (let i = 0; i < 2; i++) {
    if (magazine(all.loaded).top != 0 && take(self, EMPTY)) {
      exchangeThird(self);
      giveThird(self);
      hasGiven = true;
    }
    exchangePrevious(self);
  }
  if (hasGiven) ring(all.pool + BELL);
}

/** Wakes all who wait at a word. */
export function ring(at: u32): void {
  atomic.add<u32>(at, 1);
  atomic.notify(at, -1);
}
