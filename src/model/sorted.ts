/** Something that occupies [start, end) on a line. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Ranges per block: inserting moves at most this many, finding halves its way through blocks and then through one. */
const BLOCK = 256;

/**
 * Ranges that never overlap, in order. Two levels, so that finding, inserting and removing stay cheap with 10^5 of them.
 *
 *     blocks   | 0 | 1 | 2 |        each block sorted, none empty
 *                |   |   `- [ ranges ]
 *                |   `----- [ ranges ]
 *                `--------- [ ranges ]
 */
export class SortedRanges<T extends Range> {
  readonly #blocks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The range that contains `point`. */
  at(point: number): T | undefined {
    const found = this.firstEndingAfter(point);
    return found !== undefined && found.start <= point ? found : undefined;
  }

  /** The first range of which some part lies at or behind `point`. */
  firstEndingAfter(point: number): T | undefined {
    const block = this.#blocks[this.#blockFor(point)];
    return block?.[indexIn(block, point)];
  }

  /** The first range that overlaps [start, end). */
  overlapping(start: number, end: number): T | undefined {
    const found = this.firstEndingAfter(start);
    return found !== undefined && found.start < end ? found : undefined;
  }

  /** Trusted: it overlaps nothing that is here. */
  insert(range: T): void {
    this.#size++;
    let at = this.#blockFor(range.start);
    if (at === this.#blocks.length) at--;
    const block = this.#blocks[at];
    if (block === undefined) {
      this.#blocks.push([range]);
      return;
    }
    block.splice(indexIn(block, range.start), 0, range);
    if (block.length > BLOCK) this.#blocks.splice(at + 1, 0, block.splice(BLOCK / 2));
  }

  /** Trusted: it is here. */
  remove(range: T): void {
    this.#size--;
    const at = this.#blockFor(range.start);
    const block = this.#blocks[at] as T[];
    block.splice(indexIn(block, range.start), 1);
    if (block.length === 0) this.#blocks.splice(at, 1);
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const block of this.#blocks) yield* block;
  }

  *backwards(): IterableIterator<T> {
    for (let at = this.#blocks.length - 1; at >= 0; at--) {
      const block = this.#blocks[at] as T[];
      for (let index = block.length - 1; index >= 0; index--) yield block[index] as T;
    }
  }

  /** The first block whose last range ends behind `point`; the number of blocks when there is none. */
  #blockFor(point: number): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#blocks[middle] as T[];
      if ((block[block.length - 1] as T).end > point) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Where in `block` the first range stands that ends behind `point`. */
function indexIn<T extends Range>(block: readonly T[], point: number): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block[middle] as T).end > point) high = middle;
    else low = middle + 1;
  }
  return low;
}
