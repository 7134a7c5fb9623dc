/** A pool that several workers share is made and unmade by the thread whose memory it lies in; nobody else touches the arena. */
import { arenaGive, arenaTake } from "./arena";
import { GENERATION, Handle, INDEXES } from "./descriptors";
import { firstHandle, giveIndexes, keepHandle, takeIndexes } from "./indexes";
import {
  EMPTY,
  FREE,
  FULL,
  headOf,
  MAGAZINE_SHIFT,
  magazine,
  NOBODY,
  PARTIAL,
  RECORD_SHIFT,
  RECORDS,
  SIZE_MAX,
  STATE_MASK,
  shared,
  WORKERS_MAX,
  worker,
  workerOf,
} from "./shared-layout";
import * as status from "./status";

const LINE: u32 = 128;
const COUNT_MAX: u32 = INDEXES >> 1;

/**
 * A pool of `count` slots, all free, for up to `workers` workers at a time, whose seats are words at `seats` that are given to
 * nobody else but pools, ever. The negative of a status: no room.
 *
 * A magazine has at most 56 handles, and so few that all magazines of all workers hold no more than half of them.
 */
export function sharedOpen(count: u32, workers: u32, seats: u32): i32 {
  if (count == 0 || workers == 0) return -status.ZERO_LENGTH;
  if (count > COUNT_MAX || workers > WORKERS_MAX) return -status.TOO_LARGE;
  const size = min<u32>(SIZE_MAX, max<u32>(1, count / (workers << 2)));
  const magazines = (count + size - 1) / size + 3 * workers + 1;
  const cells = RECORDS + (workers << RECORD_SHIFT);
  const behind = (cells + (count << 3) + LINE - 1) & ~(LINE - 1);
  const block = arenaTake(behind + (magazines << MAGAZINE_SHIFT) + LINE);
  if (block == 0) return -status.OUT_OF_MEMORY;
  const first = takeIndexes(count);
  if (first == 0) {
    arenaGive(block);
    return -status.OUT_OF_MEMORY;
  }
  const pool = (block + LINE - 1) & ~(LINE - 1);
  const all = shared(pool);
  all.count = count;
  all.workers = workers;
  all.first = first;
  all.size = size;
  all.magazines = pool + behind - (1 << MAGAZINE_SHIFT);
  all.cells = pool + cells - (first << 3);
  all.block = block;
  for (let id: u32 = 1; id <= workers; id++) {
    const one = worker(workerOf(pool, id));
    one.seat = seats + ((id - 1) << 2);
    one.id = id;
    one.pool = pool;
    one.stamp = (<u64>id) << 32;
  }
  let next = first;
  for (let number: u32 = 1; number <= magazines; number++) {
    const at = all.magazines + (number << MAGAZINE_SHIFT);
    const top = min<u32>(size, first + count - next);
    for (let i = top; i != 0; i--, next++) {
      const handle = firstHandle(next);
      magazine(at).set(i, handle);
      store<u64>(all.cellOf(handle), <u64>(FREE | handle));
    }
    const head = headOf(pool, top == 0 ? EMPTY : top == size ? FULL : PARTIAL);
    magazine(at).top = top;
    magazine(at).next = load<u32>(head);
    store<u64>(head, number);
  }
  return pool;
}

/** Unmakes a pool. The number of the first worker that is there, or has a ticket; 0: none, and the pool is gone. */
export function sharedClose(pool: u32): u32 {
  const all = shared(pool);
  for (let id: u32 = 1; id <= all.workers; id++) {
    if ((atomic.load<u32>(worker(workerOf(pool, id)).seat) & STATE_MASK) != NOBODY) return id;
  }
  for (let index = all.first; index < all.first + all.count; index++) {
    const handle = load<i32>(all.cellOf(index));
    keepHandle(Handle.at(index), (handle < 0 ? handle : Handle.after(handle)) & GENERATION);
  }
  giveIndexes(all.first, all.count);
  arenaGive(all.block);
  return 0;
}

/** How many handles a worker has; 0: how many are live. Others may get and put meanwhile. */
export function sharedHeld(pool: u32, id: u32): u32 {
  const first = shared(pool).cellOf(shared(pool).first);
  const end = first + (shared(pool).count << 3);
  let held: u32 = 0;
  for (let cell = first; cell < end; cell += 8) {
    const seen = load<u64>(cell);
    if (<i32>seen >= 0 && (id == 0 || <u32>(seen >> 32) == id)) held++;
  }
  return held;
}
