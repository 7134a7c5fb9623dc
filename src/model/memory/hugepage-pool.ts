/**
 * The hugetlb pool: how many hugepages of each size are free, on each NUMA node (`/sys/kernel/mm/hugepages`, and the same below
 * each of `/sys/devices/system/node`).
 */
export class HugepagePool {
  /** What it was booted with, and what is free: by node, by page shift. */
  readonly #total: readonly ReadonlyMap<number, number>[];
  readonly #free: readonly Map<number, number>[];

  /** A node for each element; every node knows every size that one of them has. */
  constructor(nodes: readonly Readonly<Record<number, number>>[]) {
    const shifts = [...new Set(nodes.flatMap((counts) => Object.keys(counts)))].map(Number).sort((a, b) => a - b);
    const counted = () => nodes.map((counts) => new Map(shifts.map((shift) => [shift, counts[shift] ?? 0])));
    this.#total = counted();
    this.#free = counted();
  }

  get nodes(): number {
    return this.#free.length;
  }

  /** The sizes that the machine knows, ascending. */
  get shifts(): readonly number[] {
    return [...(this.#free[0]?.keys() ?? [])];
  }

  /** Whether the machine knows pages of this size at all. */
  has(shift: number): boolean {
    return this.#free[0]?.has(shift) ?? false;
  }

  /** What is free of each size. */
  get all(): { readonly pageShift: number; readonly free: number }[] {
    return this.shifts.map((pageShift) => ({ pageShift, free: this.free(pageShift) }));
  }

  /** What is free of a size, on a node or on all. */
  free(shift: number, node?: number): number {
    return sumOf(this.#free, shift, node);
  }

  /** How many there are of a size, handed out or not. */
  total(shift: number, node?: number): number {
    return sumOf(this.#total, shift, node);
  }

  /**
   * Takes pages, of one node or of any, from the first on. Gives the node of each; `undefined`, and nothing taken, when there are
   * not enough.
   */
  take(shift: number, count: number, node?: number): Uint16Array | undefined {
    if (count > this.free(shift, node)) return undefined;
    const nodes = new Uint16Array(count);
    let taken = 0;
    for (const [id, free] of this.#free.entries()) {
      if (node !== undefined && id !== node) continue;
      const here = Math.min(count - taken, free.get(shift) ?? 0);
      nodes.fill(id, taken, taken + here);
      free.set(shift, (free.get(shift) ?? 0) - here);
      taken += here;
    }
    return nodes;
  }

  /** A page that came from `node` goes back there. */
  giveBack(shift: number, node: number): void {
    const free = this.#free[node];
    free?.set(shift, (free.get(shift) ?? 0) + 1);
  }
}

function sumOf(nodes: readonly ReadonlyMap<number, number>[], shift: number, node?: number): number {
  const counted = node === undefined ? nodes : nodes.slice(node, node + 1);
  return counted.reduce((sum, counts) => sum + (counts.get(shift) ?? 0), 0);
}
