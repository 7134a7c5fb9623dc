/** Lists and memsegs as arrays of objects, searched from end to end: the twin of `assembly/memsegs.ts`. */
import { ListFlag, NO_ADDRESS, Status } from "../../src/core.ts";
import { isAligned } from "./bits.ts";
import { contains, isRange, overlap } from "./range.ts";

export interface ListTwin {
  readonly base: bigint;
  readonly length: bigint;
  readonly pageShift: number;
  readonly flags: number;
}

export interface MemsegTwin {
  readonly list: number;
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
}

function lastOf(range: { base?: bigint; va?: bigint; length: bigint }): bigint {
  return ((range.base ?? range.va) as bigint) + range.length - 1n;
}

const PAGES_MAX = 2n ** 36n;

export class TableTwin {
  /** By index; `null` where a list was removed. */
  readonly lists: (ListTwin | null)[] = [];
  /** Indexes of removed lists; the last one is taken first. */
  readonly #gaps: number[] = [];
  memsegs: MemsegTwin[] = [];

  addList(base: bigint, length: bigint, pageShift: number, flags: number): number {
    if (pageShift < 12 || pageShift > 40) return -Status.BAD_PAGE_SHIFT;
    if (length === 0n) return -Status.ZERO_LENGTH;
    if (!isRange(base, length)) return -Status.WRAPS;
    if (!isAligned(base, pageShift)) return -Status.UNALIGNED_VA;
    if (!isAligned(length, pageShift)) return -Status.UNALIGNED_LENGTH;
    if (length / 2n ** BigInt(pageShift) > PAGES_MAX) return -Status.TOO_LARGE;
    const index = this.#gaps.pop() ?? this.lists.length;
    this.lists[index] = { base, length, pageShift, flags };
    return index;
  }

  removeList(index: number): number {
    if (!this.lists[index]) return Status.NOT_FOUND;
    if (this.memsegs.some((memseg) => memseg.list === index)) return Status.BUSY;
    this.lists[index] = null;
    this.#gaps.push(index);
    return Status.OK;
  }

  addMemseg(index: number, va: bigint, iova: bigint, length: bigint): number {
    const list = this.lists[index];
    if (!list) return Status.NOT_FOUND;
    if (length === 0n) return Status.ZERO_LENGTH;
    if (!isRange(va, length)) return Status.WRAPS;
    if (!isAligned(va, list.pageShift)) return Status.UNALIGNED_VA;
    if (!isAligned(length, list.pageShift)) return Status.UNALIGNED_LENGTH;
    if (!contains(list.base, lastOf(list), va, length)) return Status.OUTSIDE_LIST;
    if (iova !== NO_ADDRESS && !isAligned(iova, list.pageShift)) return Status.UNALIGNED_IOVA;
    if (iova !== NO_ADDRESS && !isRange(iova, length)) return Status.WRAPS;
    const memseg: MemsegTwin = { list: index, va, iova, length };
    if (this.memsegs.some((other) => overlap(va, lastOf(memseg), other.va, lastOf(other)))) return Status.OVERLAPS;
    this.memsegs.push(memseg);
    return Status.OK;
  }

  removeMemseg(va: bigint): number {
    const left = this.memsegs.filter((memseg) => memseg.va !== va);
    if (left.length === this.memsegs.length) return Status.NOT_FOUND;
    this.memsegs = left;
    return Status.OK;
  }

  find(va: bigint): MemsegTwin | undefined {
    return this.memsegs.find((memseg) => memseg.va <= va && va <= lastOf(memseg));
  }

  /** The lowest memseg that holds an address of [va, last]. */
  next(va: bigint, last: bigint): MemsegTwin | undefined {
    return this.memsegs
      .filter((memseg) => va <= last && overlap(va, last, memseg.va, lastOf(memseg)))
      .reduce<MemsegTwin | undefined>((lowest, each) => (lowest && lowest.va < each.va ? lowest : each), undefined);
  }

  translate(va: bigint): bigint {
    const memseg = this.find(va);
    return !memseg || memseg.iova === NO_ADDRESS ? NO_ADDRESS : memseg.iova + (va - memseg.va);
  }

  /** The lowest address of so many pages in a row that no memseg of the list has. */
  freePages(index: number, pages: bigint): bigint {
    const list = this.lists[index];
    if (!list || pages === 0n) return NO_ADDRESS;
    const page = 2n ** BigInt(list.pageShift);
    const own = this.memsegs.filter((memseg) => memseg.list === index);
    for (let va = list.base; va + pages * page <= list.base + list.length; va += page) {
      if (!own.some((memseg) => overlap(va, va + pages * page - 1n, memseg.va, lastOf(memseg)))) return va;
    }
    return NO_ADDRESS;
  }

  /** Whether the list's memory counts for the size of a window: external memory only as a heap. */
  #served(index: number): boolean {
    const flags = (this.lists[index] as ListTwin).flags;
    return (flags & ListFlag.EXTERNAL) === 0 || (flags & ListFlag.HEAP) !== 0;
  }

  #servedLists(): ListTwin[] {
    return this.lists.filter((list, index): list is ListTwin => list !== null && this.#served(index));
  }

  highestMemseg(): { last: bigint; pageShift: number } | undefined {
    const served = this.memsegs.filter((memseg) => this.#served(memseg.list));
    const highest = served.reduce<MemsegTwin | undefined>((a, b) => (a && a.va > b.va ? a : b), undefined);
    return highest && { last: lastOf(highest), pageShift: (this.lists[highest.list] as ListTwin).pageShift };
  }

  /** 0 when there is no list to ask. */
  smallestPageShift(): number {
    const shifts = this.#servedLists().map((list) => list.pageShift);
    return shifts.length === 0 ? 0 : Math.min(...shifts);
  }

  valid(): { count: bigint; bytes: bigint } {
    return total(this.memsegs.filter((memseg) => memseg.iova !== NO_ADDRESS));
  }

  all(): { count: bigint; bytes: bigint } {
    return total(this.memsegs);
  }
}

function total(memsegs: readonly MemsegTwin[]): { count: bigint; bytes: bigint } {
  return { count: BigInt(memsegs.length), bytes: memsegs.reduce((sum, memseg) => sum + memseg.length, 0n) };
}
