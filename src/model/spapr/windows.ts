import { pagesPer } from "../pages.ts";
import type { LiveRange, Reached } from "../reach.ts";
import type { Platform, TableRequest, TableShape, TableSlots } from "./platform.ts";
import { Access, TceTable } from "./tces.ts";

/** A DMA window as a container holds it: a stretch of IOVA and its TCE table. */
export class DmaWindow implements TableShape {
  /** 0 or 1: which of the container's two places it takes. */
  readonly slot: number;
  readonly pageShift: number;
  readonly levels: number;
  /** Pages of the CPU charged for its table. */
  readonly chargedPages: number;
  /** How many TCEs it has. */
  readonly entries: number;
  /** How many its table has room for: see {@link TableShape}. */
  readonly places: number;
  /** TCEs below this number are written without any trouble. */
  readonly sure: number;
  /** Its first page of 4 KiB in the IOVA space, and its first TCE's number counted from IOVA 0. */
  readonly startPage: number;
  readonly startIndex: number;
  /** Pages of 4 KiB in one of its TCE pages. */
  readonly unit: number;
  readonly tces = new TceTable();

  constructor(request: TableRequest, slot: number, chargedPages: number, shape: TableShape, platform: Platform) {
    const { pageShift, levels } = request;
    this.slot = slot;
    this.pageShift = pageShift;
    this.levels = levels;
    this.chargedPages = chargedPages;
    this.entries = shape.entries;
    this.places = shape.places;
    this.sure = platform.outcomeOf(shape, 0) === "written" ? shape.entries : 0;
    this.unit = pagesPer(pageShift);
    this.startPage = shape.startPage;
    this.startIndex = shape.startPage / this.unit;
  }

  /** The number within the window of the TCE that covers the IOVA page; negative or too large when outside. */
  indexOf(iovaPage: number): number {
    return Math.floor(iovaPage / this.unit) - this.startIndex;
  }

  /** What a device reaches at the IOVA page, which lies in this window. */
  reach(iovaPage: number): Reached | undefined {
    const tce = this.tces.get(this.indexOf(iovaPage));
    if (tce === undefined) return undefined;
    const { page, access, memory } = tce;
    return {
      page: page + (iovaPage % this.unit),
      memory: memory.memory,
      ...allowedBy(access),
    };
  }

  /** What all its TCEs lead to. */
  *live(): IterableIterator<LiveRange> {
    for (const { index, page, access, memory } of this.tces.all()) {
      const iovaPage = this.startPage + index * this.unit;
      yield { iovaPage, pages: this.unit, page, memory: memory.memory, ...allowedBy(access) };
    }
  }

  get sizeBytes(): bigint {
    return BigInt(this.entries) << BigInt(this.pageShift);
  }
}

function allowedBy(access: number) {
  return { read: (access & Access.READ) !== 0, write: (access & Access.WRITE) !== 0 };
}

/** Windows of a container (`IOMMU_TABLE_GROUP_MAX_TABLES`). */
export const WINDOW_SLOTS = 2;

/** The two places for windows that a container has. */
export class WindowSlots implements TableSlots {
  readonly #slots: (DmaWindow | undefined)[] = [undefined, undefined];

  /** Rule: `drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_find_table`. Only the page itself is looked at. */
  containing(iovaPage: number): DmaWindow | undefined {
    for (let slot = 0; slot < WINDOW_SLOTS; slot++) {
      const window = this.#slots[slot];
      if (window === undefined) continue;
      const index = window.indexOf(iovaPage);
      if (index >= 0 && index < window.entries) return window;
    }
    return undefined;
  }

  /** The window whose table has a TCE for the page: what a device asks. */
  reachedAt(iovaPage: number): DmaWindow | undefined {
    return this.all.find((window) => {
      const index = window.indexOf(iovaPage);
      return index >= 0 && index < window.places;
    });
  }

  /** The first free place, or -1. Rule: the same file, `tce_iommu_find_free_table`. */
  get free(): number {
    return this.#slots.indexOf(undefined);
  }

  at(slot: number): DmaWindow | undefined {
    return this.#slots[slot];
  }

  put(window: DmaWindow): void {
    this.#slots[window.slot] = window;
  }

  take(window: DmaWindow): void {
    this.#slots[window.slot] = undefined;
  }

  get all(): DmaWindow[] {
    return this.#slots.filter((window) => window !== undefined);
  }
}
