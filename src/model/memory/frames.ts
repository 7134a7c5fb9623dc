import type { Reached } from "../reach.ts";
import { type Range, SortedRanges } from "../sorted.ts";
import type { Backing } from "./backing.ts";

/** Page frames that belong to one backing, and which of its pages each of them is. */
export interface FrameRange extends Range {
  readonly backing: Backing;
  pageOf(frame: number): number;
}

/** The lowest frame given out, in pages of 4 KiB: below 1 MiB machines keep other things. */
const LOWEST_FRAME = 256;

/**
 * The machine's physical memory, in frames of 4 KiB: which of them hold whose pages. Memory gets its frames when somebody
 * asks where it lies, and keeps them for as long as an area or a pin needs it: then they may become another's, as on Linux.
 */
export class Frames {
  readonly #taken = new SortedRanges<FrameRange>();

  /** The lowest place where `count` frames are free, at a multiple of `unit`. Cost: the ranges below it. */
  place(count: number, unit: number): number {
    let start = Math.ceil(LOWEST_FRAME / unit) * unit;
    for (const taken of this.#taken) {
      if (taken.start >= start + count) break;
      start = Math.max(start, Math.ceil(taken.end / unit) * unit);
    }
    return start;
  }

  take(range: FrameRange): void {
    for (;;) {
      // Real memory says where it lies each time it is asked; what it says last is true.
      const old = this.#taken.overlapping(range.start, range.end);
      if (old === undefined) break;
      this.#taken.remove(old);
    }
    this.#taken.insert(range);
  }

  giveBack(range: FrameRange): void {
    this.#taken.remove(range);
  }

  /** What a device reaches that no IOMMU stands in front of; `undefined` where no process's memory is. */
  at(frame: number): Reached | undefined {
    const range = this.#taken.at(frame);
    if (range === undefined) return undefined;
    const page = range.pageOf(frame);
    const { backing } = range;
    return backing.gone(page, page + 1).length > 0 ? undefined : { page, read: true, write: true, memory: backing };
  }
}
