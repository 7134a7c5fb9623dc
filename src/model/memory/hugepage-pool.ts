/** The hugetlb pool: how many hugepages of each size are free (`/sys/kernel/mm/hugepages`). */
export class HugepagePool {
  readonly #free: Map<number, number>;

  constructor(counts: Readonly<Record<number, number>>) {
    this.#free = new Map(Object.entries(counts).map(([shift, count]) => [Number(shift), count]));
  }

  /** Whether the machine knows pages of this size at all. */
  has(shift: number): boolean {
    return this.#free.has(shift);
  }

  /** What is free of each size. */
  get all(): { readonly pageShift: number; readonly free: number }[] {
    return [...this.#free].map(([pageShift, free]) => ({ pageShift, free })).sort((a, b) => a.pageShift - b.pageShift);
  }

  /** False, and nothing taken, when there are not enough. */
  take(shift: number, count: number): boolean {
    const free = this.#free.get(shift) ?? 0;
    if (count > free) return false;
    this.#free.set(shift, free - count);
    return true;
  }

  giveBack(shift: number, count: number): void {
    this.#free.set(shift, (this.#free.get(shift) ?? 0) + count);
  }
}
