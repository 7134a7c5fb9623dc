/** IOVAs that lead to memory, and how many of them went away while the program was using them. */

/** IOVAs are counted in pages of 4 KiB: numbers up to 2^52, exact in a JS number. */
const PAGE_SHIFT = 12n;

export function pageOf(address: bigint): number {
  return Number(address >> PAGE_SHIFT);
}

/** What all containers that are watched have come to. */
export interface Tally {
  /** Pages of 4 KiB that were in use when they went. */
  interrupted: number;
  windowsMade: number;
}

/** The live pages of one container, and which of them the program has given up. Ranges are [first, end). */
export class LivePages {
  readonly #tally: Tally;
  readonly #live = new Set<number>();
  readonly #letGo = new Set<number>();

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  get size(): number {
    return this.#live.size;
  }

  add(first: number, end: number): void {
    for (let page = first; page < end; page++) {
      this.#live.add(page);
      this.#letGo.delete(page); // whatever it was before, it is in use now
    }
  }

  /** The program gives these up: that they go is no interruption. */
  letGo(first: number, end: number): void {
    for (const page of this.#within(first, end)) this.#letGo.add(page);
  }

  lose(first: number, end: number): void {
    for (const page of this.#within(first, end)) this.#gone(page);
  }

  loseWhere(isGone: (page: number) => boolean): void {
    for (const page of [...this.#live]) if (isGone(page)) this.#gone(page);
  }

  /** A range may reach far behind its live pages: looks at whichever are fewer. */
  #within(first: number, end: number): number[] {
    if (end - first > this.#live.size) return [...this.#live].filter((page) => page >= first && page < end);
    const found: number[] = [];
    for (let page = first; page < end; page++) if (this.#live.has(page)) found.push(page);
    return found;
  }

  #gone(page: number): void {
    this.#live.delete(page);
    if (!this.#letGo.delete(page)) this.#tally.interrupted++;
  }
}
