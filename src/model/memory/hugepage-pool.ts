/**
 * The hugetlb pool: how many hugepages of each size are free (`/sys/kernel/mm/hugepages`), and how many a hugetlb cgroup lets be
 * present: an mmap is answered by the first, a touch by the second (`mm/hugetlb_cgroup.c: hugetlb_cgroup_charge_cgroup`).
 */
export class HugepagePool {
  readonly #total: ReadonlyMap<number, number>;
  readonly #free: Map<number, number>;
  readonly #limits: ReadonlyMap<number, number>;
  readonly #present = new Map<number, number>();

  constructor(counts: Readonly<Record<number, number>>, limits: Readonly<Record<number, number>> = {}) {
    const byShift = (record: Readonly<Record<number, number>>) =>
      new Map(Object.entries(record).map(([shift, count]) => [Number(shift), count]));
    this.#total = byShift(counts);
    this.#free = byShift(counts);
    this.#limits = byShift(limits);
  }

  total(shift: number): number {
    return this.#total.get(shift) ?? 0;
  }

  free(shift: number): number {
    return this.#free.get(shift) ?? 0;
  }

  /** How many may be present; `undefined` where nothing limits it. */
  limit(shift: number): number | undefined {
    return this.#limits.get(shift);
  }

  present(shift: number): number {
    return this.#present.get(shift) ?? 0;
  }

  /** Makes as many present as the limit lets, up to `count`. Gives how many those are. */
  makePresent(shift: number, count: number): number {
    const some = Math.min(count, (this.limit(shift) ?? Number.POSITIVE_INFINITY) - this.present(shift));
    this.#present.set(shift, this.present(shift) + some);
    return some;
  }

  makeAbsent(shift: number, count: number): void {
    this.#present.set(shift, this.present(shift) - count);
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
