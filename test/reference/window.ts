/** A DMA window as a map from each TCE page to the memory behind it: the twin of `assembly/window.ts`. */
import { NO_ADDRESS } from "../../src/core.ts";
import { contains } from "./range.ts";

/** A stretch of IOVAs and of memory, contiguous in both. */
export interface Run {
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
}

export class WindowTwin {
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
  readonly page: bigint;
  /** IOVA of a page -> its memory. */
  readonly memoryAt = new Map<bigint, bigint>();
  /** The same, read backwards. */
  readonly iovaOf = new Map<bigint, bigint>();
  /** IOVAs of the pages that are set aside. */
  readonly reserved = new Set<bigint>();

  constructor(start: bigint, size: bigint, pageShift: number) {
    this.start = start;
    this.size = size;
    this.pageShift = pageShift;
    this.page = 2n ** BigInt(pageShift);
  }

  clone(): WindowTwin {
    const copy = new WindowTwin(this.start, this.size, this.pageShift);
    for (const [iova, va] of this.memoryAt) copy.setPage(iova, va);
    for (const iova of this.reserved) copy.reserved.add(iova);
    return copy;
  }

  contains(iova: bigint, length: bigint): boolean {
    return contains(this.start, this.start + this.size - 1n, iova, length);
  }

  /** The first addresses of the pages that lie in a range which begins and ends with a page. */
  *pages(address: bigint, length: bigint): Generator<bigint> {
    for (let at = address; at < address + length; at += this.page) yield at;
  }

  setPage(iova: bigint, va: bigint): void {
    this.memoryAt.set(iova, va);
    this.iovaOf.set(va, iova);
  }

  clearPage(iova: bigint): void {
    this.iovaOf.delete(this.memoryAt.get(iova) as bigint);
    this.memoryAt.delete(iova);
  }

  translate(va: bigint): bigint {
    const offset = va % this.page;
    const iova = this.iovaOf.get(va - offset);
    return iova === undefined ? NO_ADDRESS : iova + offset;
  }

  reverse(iova: bigint): bigint {
    const offset = iova % this.page;
    const va = this.memoryAt.get(iova - offset);
    return va === undefined ? NO_ADDRESS : va + offset;
  }

  /** What is mapped, in order of IOVAs. */
  runs(): Run[] {
    const runs: { va: bigint; iova: bigint; length: bigint }[] = [];
    for (const iova of [...this.memoryAt.keys()].sort((a, b) => (a < b ? -1 : 1))) {
      const va = this.memoryAt.get(iova) as bigint;
      const run = runs.at(-1);
      if (run && run.iova + run.length === iova && run.va + run.length === va) run.length += this.page;
      else runs.push({ va, iova, length: this.page });
    }
    return runs;
  }

  /** For each page of the window, in order, whether it is neither mapped nor set aside. Small windows only. */
  free(): boolean[] {
    return [...this.pages(this.start, this.size)].map((iova) => !this.memoryAt.has(iova) && !this.reserved.has(iova));
  }
}
