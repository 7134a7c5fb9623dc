/**
 * What whoever comes with a token has to know of a pool: written down in the pool's own memory by the thread that made it, and not
 * sent along, since a token is an object that a program can change, and what it says would become addresses.
 *
 *     pool      +64 columns, bytes of a slot, whether they are zeroed, number of runs
 *     columns   IOVAs and addresses, a u64 for each slot; then va, iova and length of each run
 */
import { SHARED, type SharedAllocator } from "../alloc-shared.ts";
import type { Part, PoolRun } from "./slots.ts";
import type { SharedPoolToken } from "./token.ts";

type Facts = Pick<Part, "columns" | "size" | "count" | "runs" | "zero">;

const LINE = 128;
/** As many slots and workers as there can be. */
const SLOTS_MAX = 2 ** 21;
const WORKERS_MAX = 63;

/** Bytes of the columns. */
export function columnBytes(count: number, runs: number): number {
  return count * 16 + runs * 24;
}

export function writeFacts({ words, memory }: SharedAllocator, pool: number, facts: Facts): void {
  const { columns, size, count, runs, zero } = facts;
  words.set([columns, size, zero ? 1 : 0, runs.length], (pool + SHARED.facts) >> 2);
  const rest = new BigUint64Array(memory.buffer, columns + count * 16, runs.length * 3);
  rest.set(runs.flatMap(({ va, iova, length }) => [va, iova, length]));
}

/** Of a pool that this thread is a member of. */
export function readFacts({ words, memory }: SharedAllocator, pool: number): Facts {
  const at = (pool + SHARED.facts) >> 2;
  const [columns = 0, size = 0, zero, length = 0] = words.subarray(at, at + 4);
  const count = words[pool >> 2] as number;
  const rest = new BigUint64Array(memory.buffer, columns + count * 16, length * 3);
  const runs: PoolRun[] = [];
  for (let i = 0; i < rest.length; i += 3) {
    runs.push({ va: rest[i] as bigint, iova: rest[i + 1] as bigint, length: rest[i + 2] as bigint });
  }
  return { columns, size: size >>> 0, count, runs, zero: zero === 1 };
}

/**
 * Whether what a token points to looks like a pool, the record of a worker and its seat: not where a program changed it, nor where
 * something else lies by now. Nothing is written. Whether the pool is still the same one, the seat's ticket says.
 */
export function isPool({ words }: SharedAllocator, { pool, self, seat, worker, ticket }: SharedPoolToken): boolean {
  const bytes = words.length * 4;
  const isPlace = (at: number, length: number, unit: number) =>
    Number.isInteger(at) && at > 0 && at % unit === 0 && at + length <= bytes;
  if (!isPlace(pool, SHARED.records, LINE) || !isPlace(self, SHARED.recordBytes, LINE) || !isPlace(seat, 4, 4))
    return false;
  const [count = 0, workers = 0] = words.subarray(pool >> 2, (pool >> 2) + 2);
  const at = (pool + SHARED.facts) >> 2;
  const [columns = 0, , , runs = 0] = words.subarray(at, at + 4);
  return (
    Number.isInteger(ticket) &&
    count > 0 &&
    count <= SLOTS_MAX &&
    workers > 0 &&
    workers <= WORKERS_MAX &&
    Number.isInteger(worker) &&
    worker > 0 &&
    worker <= workers &&
    self === pool + SHARED.records + (worker - 1) * SHARED.recordBytes &&
    words[self >> 2] === seat &&
    words[(self + SHARED.id) >> 2] === worker &&
    words[(self + SHARED.pool) >> 2] === pool &&
    runs > 0 &&
    isPlace(columns, columnBytes(count, runs), 64)
  );
}
