/** Runs of addresses that do not overlap, ascending: made for a million of them, of which one changes at a time. */

/** Addresses from `start` to `last`, both inside, and what they are. */
export interface Run<T> {
  readonly start: bigint;
  readonly last: bigint;
  readonly value: T;
}

/** Runs in a block before it is cut in two. Moving so many is cheaper than a deeper tree. */
const BLOCK_MAX = 512;

/**
 * Runs with values. What is set later takes the place of what was there, and neighbours with the same value are one run:
 *
 *     |------- 1 -------|                       set [a, d] to 1
 *     |- 1 -|-- 2 --|-1-|                       set [b, c] to 2
 *     |------- 1 -------|                       set [b, c] to 1
 *
 * They stand in blocks of some hundred, so that a change costs a look-up (log2 of the runs) and the move of one block.
 */
export class Runs<T> implements Iterable<Run<T>> {
  /** None is empty, but for the only one. */
  #blocks: Run<T>[][] = [[]];
  #size = 0;

  /** How many runs there are. */
  get size(): number {
    return this.#size;
  }

  *[Symbol.iterator](): Generator<Run<T>, void, void> {
    for (const block of this.#blocks) yield* block;
  }

  /** The runs that touch [start, last], as they are: not cut. */
  within(start: bigint, last: bigint): Run<T>[] {
    const found: Run<T>[] = [];
    if (last < start) return found;
    for (let [b, i] = this.#at(start); ; i = 0, b++) {
      const block = this.#blocks[b];
      if (block === undefined) return found;
      for (; i < block.length; i++) {
        const run = block[i] as Run<T>;
        if (run.start > last) return found;
        found.push(run);
      }
    }
  }

  set(start: bigint, last: bigint, value: T): void {
    this.#replace(start, last, { start, last, value });
  }

  clear(start: bigint, last: bigint): void {
    this.#replace(start, last, undefined);
  }

  clearAll(): void {
    this.#blocks = [[]];
    this.#size = 0;
  }

  #replace(start: bigint, last: bigint, put: Run<T> | undefined): void {
    if (last < start) return;
    // Neighbours too, for they may have the same value.
    const touched = this.within(start === 0n ? 0n : start - 1n, last + 1n);
    const [first] = touched;
    const kept: Run<T>[] = [];
    for (const run of touched) if (run.start < start) kept.push(run.last < start ? run : { ...run, last: start - 1n });
    if (put !== undefined) kept.push(put);
    for (const run of touched) if (run.last > last) kept.push(run.start > last ? run : { ...run, start: last + 1n });
    this.#splice(first?.start ?? start, touched.length, joined(kept));
  }

  /** Takes `count` runs away from the first on that ends at `from` or behind it, and puts others there. */
  #splice(from: bigint, count: number, runs: readonly Run<T>[]): void {
    this.#size += runs.length - count;
    const [at, i] = this.#at(from);
    const block = this.#blocks[at] as Run<T>[];
    let left = count - block.splice(i, count, ...runs).length;
    // What else goes is at the beginning of the next blocks.
    let next = at + 1;
    for (let other = this.#blocks[next]; left > 0 && other !== undefined; other = this.#blocks[next]) {
      left -= other.splice(0, left).length;
      if (other.length > 0) break;
      next++;
    }
    const pieces = cut(block);
    if (pieces.length !== 1 || next !== at + 1) this.#blocks.splice(at, next - at, ...pieces);
    if (this.#blocks.length === 0) this.#blocks = [[]];
  }

  /** The place of the first run that ends at `address` or behind it; in the last block its end, where there is none. */
  #at(address: bigint): [number, number] {
    const blocks = this.#blocks;
    const b = firstIndex(blocks.length - 1, (i) => ((blocks[i] as Run<T>[]).at(-1)?.last ?? -1n) >= address);
    const block = blocks[b] as Run<T>[];
    return [b, firstIndex(block.length, (i) => (block[i] as Run<T>).last >= address)];
  }
}

/** The first index below `end` for which it holds; `end` where it holds for none. It holds for all behind one that it holds for. */
export function firstIndex(end: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A block that is too long in halves of the most; one that is empty is none. */
function cut<T>(block: T[]): T[][] {
  if (block.length <= BLOCK_MAX) return block.length === 0 ? [] : [block];
  const pieces: T[][] = [];
  for (let at = 0; at < block.length; at += BLOCK_MAX / 2) pieces.push(block.slice(at, at + BLOCK_MAX / 2));
  return pieces;
}

/** Neighbours with the same value as one run. */
function joined<T>(runs: readonly Run<T>[]): Run<T>[] {
  const result: Run<T>[] = [];
  for (const run of runs) {
    const before = result.at(-1);
    if (before !== undefined && before.value === run.value && before.last + 1n === run.start) {
      result[result.length - 1] = { ...before, last: run.last };
    } else result.push(run);
  }
  return result;
}
