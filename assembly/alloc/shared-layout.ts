/**
 * A pool that several workers share: what lies where. It is one block of the arena, in lines of 128 bytes (two cache lines, which
 * processors fetch together), so that what one worker writes all the time is on no line of another one.
 *
 *     pool   +0       facts, written before anybody else knows the pool; from +64 on those of src/worker/facts.ts
 *            +128     head of FULL      u64 ┐
 *            +256     head of PARTIAL   u64 ├ the depot: three stacks of magazines
 *            +384     head of EMPTY     u64 ┘
 *            +512     wanted, bell, call
 *            +640     records, 2,048 bytes for each worker
 *            ...      cells, a u64 for each slot
 *            ...      magazines, 256 bytes each
 *
 *     head        tag 40 | worker 6 | magazine 18     the worker that wrote it last; magazine 0: none. Each change has the next tag,
 *                                                     so a head that is written is never the same as an earlier one
 *     cell        worker 32 | free 1 | handle 31      live: the handle, and who has it; free: the handle that the next get will
 *                                                     give, and who put it. One word, so one compare-exchange decides all of it
 *     magazine    top, next, 8 bytes unused, then up to 56 handles: those below the top are free
 *     record      what a worker knows of itself, and what somebody else has to know of it when it is gone
 *
 * 56 handles of a magazine are cells side by side when the pool is made: 448 bytes, seven whole cache lines.
 */
import { INDEX_MASK } from "./descriptors";

@unmanaged
export class SharedPool {
  count: u32;
  workers: u32;
  /** The index of slot 0. */
  first: u32;
  /** How many handles a magazine holds. */
  size: u32;
  /** Where magazine 0 would be: they are numbered from 1. */
  magazines: u32;
  /** Where the cell of index 0 would be. */
  cells: u32;
  /** The block, as the arena gave it. */
  block: u32;

  /** The cell of a handle, or of an index. */
  @inline
  cellOf(handle: u32): u32 {
    return this.cells + ((handle & INDEX_MASK) << 3);
  }

  /** Whether a handle is of a slot of this pool. A negative number is none, and could be what a free cell has. */
  @inline
  has(handle: i32): bool {
    return handle >= 0 && (<u32>handle & INDEX_MASK) - this.first < this.count;
  }
}

@unmanaged
export class Worker {
  /**
   * Where its state is: a ticket << 2 | NOBODY, RESERVED or JOINED. Not in the pool, since a ticket may be shown when the pool is
   * gone: seats are seats for ever, and their tickets only rise.
   */
  seat: u32;
  id: u32;
  pool: u32;
  /** Its magazines: shared-depot.ts. */
  loaded: u32;
  previous: u32;
  third: u32;
  hand: u32;
  /** The handle that a put is about to free; 0: none. */
  putting: u32;
  /** The stack that an attempt is about, and PUSH. */
  stack: u32;
  unused: u32;
  /** The head that it is about to write; 0: none. */
  attempt: u64;
  /** Its number as cells have it. */
  stamp: u64;
  /** For src: which thread it is. */
  thread: u64;
}

@unmanaged
export class Magazine {
  top: u32;
  /** The number of the one below it in a stack. */
  next: u32;

  /** Its handle at a height, from 1 to the top. */
  @inline
  get(height: u32): u32 {
    return load<u32>(changetype<u32>(this) + (height << 2), ENTRIES - 4);
  }

  @inline
  set(height: u32, handle: u32): void {
    store<u32>(changetype<u32>(this) + (height << 2), handle, ENTRIES - 4);
  }
}

/** Magazines that are full, that have some handles, and that have none. */
export const FULL: u32 = 0;
export const PARTIAL: u32 = 1;
export const EMPTY: u32 = 2;
export const PUSH: u32 = 4;

/** Not 0: somebody found no handle. */
export const WANTED: u32 = 512;
/** Rises when there may be handles again: whoever waits for one waits here. */
export const BELL: u32 = 516;
/** Rises when those who are idle are asked for what lies in their magazines. */
export const CALL: u32 = 520;

export const RECORDS: u32 = 640;
export const RECORD_SHIFT: u32 = 11;
/** In a record, the heads that this worker replaced, the last one of each stack and worker that had written it. */
export const SEEN: u32 = 256;
/** In a record, room for 64 handles that go to or come from JavaScript together. */
export const BATCH: u32 = 1792;

export const NOBODY: u32 = 0;
export const RESERVED: u32 = 1;
export const JOINED: u32 = 2;
export const STATE_MASK: u32 = 3;
export const TICKET_ONE: u32 = 4;

export const ENTRIES: u32 = 16;
export const MAGAZINE_SHIFT: u32 = 8;
export const SIZE_MAX: u32 = 56;

export const NUMBER_BITS: u64 = 18;
export const WORKER_BITS: u64 = 6;
export const WORKERS_MAX: u32 = 63;

export const FREE: u32 = 0x80000000;

export function shared(pool: u32): SharedPool {
  return changetype<SharedPool>(pool);
}

export function worker(self: u32): Worker {
  return changetype<Worker>(self);
}

export function magazine(at: u32): Magazine {
  return changetype<Magazine>(at);
}

/** The record of a worker, from 1 on. */
export function workerOf(pool: u32, id: u32): u32 {
  return pool + RECORDS - (1 << RECORD_SHIFT) + (id << RECORD_SHIFT);
}

export function headOf(pool: u32, stack: u32): u32 {
  return pool + 128 + (stack << 7);
}

export class Word {
  /**
   * The one compare-exchange of the pool: whether the word was as expected, and is now as wanted. A copy of the module in which it
   * is a load and a store is what the tests have to find.
   */
  @inline
  static swap(at: u32, expected: u64, wanted: u64): bool {
    return atomic.cmpxchg<u64>(at, expected, wanted) == expected;
  }
}
