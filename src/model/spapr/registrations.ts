import type { RegistrationSnapshot } from "../inspect/snapshot.ts";
import type { PinnedMemory } from "../memory/pinned.ts";
import { bytesOf, PAGE_SHIFT, trailingZeros } from "../pages.ts";
import { type Range, SortedRanges } from "../sorted.ts";

/**
 * Memory that a process registered: pinned for as long as it is here, so that a device can be given it.
 *
 *     REGISTER ──> held by 1..n containers ──UNREGISTER by the last──> mapped == 0 ? gone : zombie, for ever
 *
 * A zombie's pages stay pinned when its process ends: `arch/powerpc/mm/book3s64/mmu_context.c: destroy_context` warns, and
 * forgets them. Hugepages were seen not to come back to their pool.
 */
export interface Registration extends Range {
  /** First page of 4 KiB, and one past the last. */
  readonly start: number;
  readonly end: number;
  /** The largest TCE page that the kernel lets this memory be mapped with. See {@link tcePageShift}. */
  readonly pageShift: number;
  /** The smallest page that it lies on. */
  readonly smallestShift: number;
  /** Its pages, kept until it is gone. */
  readonly memory: PinnedMemory;
  /** Containers that registered it. */
  holders: number;
  /** Live TCEs that point into it; those that firmware refused stay counted, and nothing takes them back. */
  mapped: number;
  /** It was given up by its last container while mapped: nothing removes it any more. */
  zombie: boolean;
}

export function registrationOf({ start, end, mapped }: Registration): RegistrationSnapshot {
  return { va: bytesOf(start), size: bytesOf(end - start), mapped };
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
    registration.memory.release();
    return true;
  }
}

/**
 * The largest TCE page that a range from `start` to `end` may be mapped with: as large as its alignment allows, and no larger
 * than its pages. Which the kernel gets wrong: an ordinary page takes the size of the hugepage before it.
 *
 *     pages     4K 4K 2M 2M        2M 2M 4K 4K
 *     judged    4K 4K 2M 2M: 4K    2M 2M 2M 2M: 2M
 *
 * Rule: `arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc`; both were seen on pSeries. Hugepages are all that is larger
 * than a page of the CPU.
 */
export function tcePageShift(start: number, end: number, pageShifts: readonly number[], cpuShift: number): number {
  let smallest = PAGE_SHIFT + Math.min(trailingZeros(start), trailingZeros(end - start));
  let judged = cpuShift;
  for (const shift of pageShifts) {
    if (shift > cpuShift) judged = shift;
    smallest = Math.min(smallest, judged);
  }
  return smallest;
}
