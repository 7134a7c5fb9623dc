/** Which memory of a process the model has been told of. */
import type { ModelKernel } from "../model/index.ts";
import { MapFlag, Protection, type Syscalls } from "../syscalls.ts";
import { areasIn, type MemoryArea, uncovered } from "./areas.ts";
import { procText } from "./proc.ts";

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** What tells the model: two of its calls, and what no program has. */
type MemoryCalls = Pick<Syscalls, "mmap" | "munmap" | "pageSize"> & Pick<ModelKernel, "protect">;

/**
 * What the model knows of a process's memory. It is told of memory when a device is about to be led there, area by area, and of its end
 * as soon as the process gives any of it back: so what is known is as it is, and a MAP of known memory asks nobody.
 */
export class KnownMemory {
  readonly #calls: MemoryCalls;
  readonly #pid: number;
  /** By address, neighbours as one. */
  #ranges: Range[] = [];
  /** Of those: what brk may take back. */
  #heaps: Range[] = [];

  /** Where memory may be used otherwise than it was; the kernel may have said no, or to a part. */
  #doubtful: Range | undefined;

  constructor(calls: MemoryCalls, pid: number) {
    this.#calls = calls;
    this.#pid = pid;
  }

  get ranges(): readonly Range[] {
    return this.#ranges;
  }

  get heaps(): readonly Range[] {
    return this.#heaps;
  }

  /** Tells the model of all memory that touches a range. */
  learn(start: bigint, length: bigint): void {
    const end = start + length;
    if (this.#doubtful !== undefined && touches(this.#doubtful, start, end)) this.#lookAgain(this.#doubtful);
    if (this.#ranges.some((range) => range.start <= start && end <= range.end)) return;
    for (const area of areasIn(procText(`/proc/${this.#pid}/smaps`))) {
      if (area.start >= end || area.end <= start) continue;
      for (const piece of uncovered(area.start, area.end, this.#ranges)) this.#add(area, piece);
      if (area.name === "[heap]") this.#heaps = [{ start: area.start, end: area.end }];
    }
  }

  /** The process asks that [start, end) may be used otherwise. What comes of it is looked at when that matters. */
  doubt(start: bigint, end: bigint): void {
    if (!this.#ranges.some((range) => touches(range, start, end))) return;
    const last = this.#doubtful ?? { start, end };
    this.#doubtful = { start: least(last.start, start), end: most(last.end, end) };
  }

  #lookAgain({ start, end }: Range): void {
    this.#doubtful = undefined;
    for (const area of areasIn(procText(`/proc/${this.#pid}/smaps`))) {
      if (!touches(area, start, end)) continue;
      const size = BigInt(area.pageSize);
      for (const range of this.#ranges) {
        // Whole pages: what is left of a hugepage is none.
        const from = most(range.start + (-range.start & (size - 1n)), area.start);
        const to = least(range.end - (range.end & (size - 1n)), area.end);
        if (from < to) this.#calls.protect(from, to - from, protectionOf(area));
      }
    }
  }

  /** The process gives [start, end) back, or has other memory there from now on. */
  forget(start: bigint, end: bigint): void {
    const left: Range[] = [];
    for (const range of this.#ranges) {
      const from = range.start > start ? range.start : start;
      const to = range.end < end ? range.end : end;
      if (from >= to) {
        left.push(range);
        continue;
      }
      this.#calls.munmap(from, to - from);
      if (range.start < from) left.push({ start: range.start, end: from });
      if (to < range.end) left.push({ start: to, end: range.end });
    }
    this.#ranges = left;
  }

  #add(area: MemoryArea, { start, end }: Range): void {
    const { pageSize } = area;
    const huge = pageSize > this.#calls.pageSize;
    const flags = MapFlag.FIXED | (huge ? MapFlag.HUGETLB : 0);
    this.#calls.mmap(start, end - start, protectionOf(area), flags, huge ? Math.log2(pageSize) : 0);
    const ranges = [...this.#ranges, { start, end }].sort((a, b) => (a.start < b.start ? -1 : 1));
    this.#ranges = ranges.reduce<Range[]>((joined, range) => {
      const last = joined.at(-1);
      if (last?.end === range.start) joined[joined.length - 1] = { start: last.start, end: range.end };
      else joined.push(range);
      return joined;
    }, []);
  }
}

function protectionOf({ read, write }: MemoryArea): number {
  return (read ? Protection.READ : 0) | (write ? Protection.WRITE : 0);
}

function touches(range: Range, start: bigint, end: bigint): boolean {
  return range.start < end && start < range.end;
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
