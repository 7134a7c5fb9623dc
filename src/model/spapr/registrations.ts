import { type Range, SortedRanges } from "../sorted.ts";

/**
 * Memory that a process registered: pinned for as long as it is here, so that a device can be given it.
 *
 *     REGISTER ──> held by 1..n containers ──UNREGISTER by the last──> mapped == 0 ? gone : zombie, for ever
 */
export interface Registration extends Range {
  /** First page of 4 KiB, and one past the last. */
  readonly start: number;
  readonly end: number;
  /** The largest TCE page that this memory may be mapped with: it is no larger than the memory's own pages. */
  readonly pageShift: number;
  /** It lies on pages of several sizes, and how the kernel judges such a range has not been seen. */
  readonly mixed: boolean;
  /** Containers that registered it. */
  holders: number;
  /** Live TCEs that point into it. */
  mapped: number;
  /** It was given up by its last container while mapped: nothing removes it now until the process ends. */
  zombie: boolean;
}

/**
 * The registrations of one process. One list for all its containers: a range registered by one may not overlap what
 * another registered, and each may MAP what any of them registered.
 *
 * Rules: `arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc, mm_iommu_get, mm_iommu_put, mm_iommu_lookup`.
 */
export class Registrations {
  readonly ranges = new SortedRanges<Registration>();

  /** The registration of exactly this range. */
  exactly(start: number, end: number): Registration | undefined {
    const found = this.ranges.at(start);
    return found !== undefined && found.start === start && found.end === end ? found : undefined;
  }

  /** The registration that holds all of [start, end): two that are adjacent do not. */
  around(start: number, end: number): Registration | undefined {
    const found = this.ranges.at(start);
    return found !== undefined && end <= found.end ? found : undefined;
  }

  overlaps(start: number, end: number): boolean {
    return this.ranges.overlapping(start, end) !== undefined;
  }

  /** The process has ended: what nobody holds any more is unpinned at last, zombies too. */
  end(): void {
    for (const registration of [...this.ranges]) if (registration.holders === 0) this.ranges.remove(registration);
  }

  add(registration: Registration): void {
    this.ranges.insert(registration);
  }

  /**
   * One container gives the range up. True when that frees it. False while others hold it, and also when it is still
   * mapped: the kernel then takes back its last step, keeps the pages pinned, and reports success all the same.
   */
  giveUp(registration: Registration): boolean {
    registration.holders--;
    if (registration.holders > 0 || registration.zombie) return false;
    if (registration.mapped > 0) {
      registration.zombie = true;
      return false;
    }
    this.ranges.remove(registration);
    return true;
  }
}
