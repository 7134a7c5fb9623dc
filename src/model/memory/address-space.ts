import { Protection } from "../../syscalls.ts";
import { type Range, SortedRanges } from "../sorted.ts";

/** Memory that was mmapped with one call, or what is left of it. In pages of 4 KiB. */
export interface Area extends Range {
  readonly start: number;
  readonly end: number;
  /** Bits of `Protection`. */
  readonly protection: number;
  /** The size of its own pages: the CPU's, or a hugepage's. */
  readonly pageShift: number;
  /** It holds hugepages of the pool. */
  readonly pooled: boolean;
  /** Its bytes in simulated memory, from the first view on. */
  store: Store | undefined;
}

/** Bytes of simulated memory; `start` is the page of 4 KiB that the first of them belongs to. */
export interface Store {
  bytes: ArrayBuffer;
  readonly start: number;
  /** Views of it that have not been ended. */
  views: number;
}

/** What the kernel finds when it pins a range for a device. */
export interface Pinned {
  /** Pages of 4 KiB at the range's start that could be pinned. */
  readonly pages: number;
  /** The smallest and the largest page that backs them. */
  readonly smallestShift: number;
  readonly largestShift: number;
}

/** Which addresses of a process are mmapped, and how: for the simulated memory and for a record of real memory. */
export class AddressSpace {
  readonly areas = new SortedRanges<Area>();

  /** Takes [start, end) out, cutting the areas at its ends, and says what was there. */
  carve(start: number, end: number): Area[] {
    const taken: Area[] = [];
    for (;;) {
      const area = this.areas.overlapping(start, end);
      if (area === undefined) return taken;
      this.areas.remove(area);
      if (area.start < start) this.areas.insert({ ...area, end: start });
      if (area.end > end) this.areas.insert({ ...area, start: end });
      taken.push({ ...area, start: Math.max(area.start, start), end: Math.min(area.end, end) });
    }
  }

  /** As a child gets it: the same areas, with copies of the bytes. The child takes no hugepages until it writes. */
  copyTo(child: AddressSpace): void {
    const copies = new Map<Store, Store>();
    for (const area of this.areas) {
      const { store } = area;
      if (store !== undefined && !copies.has(store))
        copies.set(store, { bytes: store.bytes.slice(0), start: store.start, views: 0 });
      child.areas.insert({ ...area, pooled: false, store: store && copies.get(store) });
    }
  }

  /** The areas that fill [start, end) without a hole and may all be used as `protection` says; `undefined` otherwise. */
  filling(start: number, end: number, protection: number): Area[] | undefined {
    const found: Area[] = [];
    for (let at = start; at < end; ) {
      const area = this.areas.at(at);
      if (area === undefined || (area.protection & protection) !== protection) return undefined;
      found.push(area);
      at = area.end;
    }
    return found;
  }

  /**
   * Pins from `start` on until something is in the way: it pins for writing, so memory that is absent or not writable
   * is. Rule: `mm/gup.c: pin_user_pages` with FOLL_WRITE.
   */
  pin(start: number, end: number): Pinned {
    let smallestShift = Number.POSITIVE_INFINITY;
    let largestShift = 0;
    let at = start;
    while (at < end) {
      const area = this.areas.at(at);
      if (area === undefined || (area.protection & Protection.WRITE) === 0) break;
      smallestShift = Math.min(smallestShift, area.pageShift);
      largestShift = Math.max(largestShift, area.pageShift);
      at = Math.min(area.end, end);
    }
    return { pages: at - start, smallestShift, largestShift };
  }
}
