/**
 * Workers that come, leave, and are gone. A thread can be ended at any instruction. What it was about to do is then finished, or
 * taken back, by somebody who acts in its place: every step of that is one of the worker's own, so whoever recovers it may be ended
 * too, and the next one begins again.
 *
 * What worker w leaves, by where it was; h is the handle of a slot, and h' the one after it:
 *
 *     get      1  cell: live h, w          Before 1 nothing has happened. Behind it h is live and still in the magazine: the top entry
 *              2  top - 1                  is dropped where its cell is not free, and h is one of those that w has
 *     put      1  putting = h'             Before 2 the cell is not (free h', w): h was live when 1 was done, and w did nothing since.
 *              2  cell: free h', w         Behind 2 it is, and h' is added, unless 4 was done: then it is the top entry. There is
 *              3  entry = h'               room, which was made before 1. Whoever else puts h at the same time leaves another
 *              4  top + 1                  number in the cell, or has left none
 *              5  putting = 0
 *     take, push, exchange                 shared-depot.ts
 *     join, leave                          the state is JOINED from before the first magazine comes until the last one is given
 *
 * So a handle that is free is in one magazine, and a magazine in one place; a handle that is live is in none. What w had got and
 * nobody has put since is live with its number, and is put in its name.
 *
 * These are plain stores, in the order of the program of one thread. Whoever recovers begins after that thread has ended, which
 * comes behind all that it did.
 */
import { settleMagazines } from "./shared-depot";
import {
  BELL,
  FREE,
  JOINED,
  magazine,
  NOBODY,
  RESERVED,
  STATE_MASK,
  shared,
  TICKET_ONE,
  Word,
  worker,
  workerOf,
} from "./shared-layout";
import { giveThird, Put, ring, takeRoom } from "./shared-pool";

/** The record of a worker that may come: what its seat has is the ticket. 0: the pool has no more. */
export function sharedReserve(pool: u32): u32 {
  for (let id: u32 = 1; id <= shared(pool).workers; id++) {
    const self = workerOf(pool, id);
    const seat = worker(self).seat;
    const state = atomic.load<u32>(seat);
    if ((state & STATE_MASK) == NOBODY && change(seat, state, state + RESERVED)) return self;
  }
  return 0;
}

/**
 * Whether the ticket was good: it is for one worker, once, and void when the pool is closed. The record is not looked at before
 * that is known. A worker that is there keeps the pool from being closed.
 */
export function sharedJoin(self: u32, seat: u32, ticket: u32): bool {
  if ((ticket & STATE_MASK) != RESERVED || !change(seat, ticket, ticket + (JOINED - RESERVED))) return false;
  moor(self);
  return true;
}

function change(seat: u32, from: u32, to: u32): bool {
  return atomic.cmpxchg<u32>(seat, from, to) == from;
}

/** Gives a worker the magazines that it has not. */
function moor(self: u32): void {
  const all = worker(self);
  if (all.loaded == 0) {
    takeRoom(self);
    all.loaded = all.third;
    all.third = 0;
  }
  if (all.previous == 0) {
    takeRoom(self);
    all.previous = all.third;
    all.third = 0;
  }
}

/** Ends a worker. What it has stays live, and is nobody's: how many. */
export function sharedLeave(self: u32): u32 {
  const held = sweep(self, false);
  unmoor(self);
  return held;
}

/** Ends a worker that is gone, and frees what it had: how many. A ticket that nobody came with is void. */
export function sharedRecover(self: u32): u32 {
  const all = worker(self);
  const seat = all.seat;
  const state = atomic.load<u32>(seat);
  if ((state & STATE_MASK) == RESERVED) change(seat, state, state + (TICKET_ONE - RESERVED));
  if ((state & STATE_MASK) != JOINED) return 0;
  settleMagazines(self);
  if (all.third != 0) giveThird(self);
  moor(self);
  settleHandles(self);
  const held = sweep(self, true);
  unmoor(self);
  ring(all.pool + BELL);
  return held;
}

function settleHandles(self: u32): void {
  const all = worker(self);
  const loaded = all.loaded;
  const top = magazine(loaded).top;
  const last = top == 0 ? 0 : magazine(loaded).get(top);
  const putting = all.putting;
  if (putting != 0) {
    const isFreed = load<u64>(shared(all.pool).cellOf(putting)) == (all.stamp | <u64>(FREE | putting));
    if (isFreed && last != putting) {
      magazine(loaded).set(top + 1, putting);
      magazine(loaded).top = top + 1;
    }
    all.putting = 0;
  } else if (top != 0 && load<u32>(shared(all.pool).cellOf(last)) != (FREE | last)) {
    magazine(loaded).top = top - 1;
  }
}

/** What a worker has is put, or becomes nobody's; how many. */
function sweep(self: u32, isPut: bool): u32 {
  const pool = worker(self).pool;
  const first = shared(pool).cellOf(shared(pool).first);
  const end = first + (shared(pool).count << 3);
  let held: u32 = 0;
  for (let cell = first; cell < end; cell += 8) {
    const seen = load<u64>(cell);
    if (<i32>seen < 0 || <u32>(seen >> 32) != worker(self).id) continue;
    if (isPut ? Put.ofSeen(self, cell, seen) : Word.swap(cell, seen, <u64>(<u32>seen))) held++;
  }
  return held;
}

function unmoor(self: u32): void {
  const all = worker(self);
  all.third = all.loaded;
  all.loaded = 0;
  giveThird(self);
  all.third = all.previous;
  all.previous = 0;
  giveThird(self);
  all.thread = 0;
  atomic.add<u32>(all.seat, TICKET_ONE - JOINED);
}
