import type { MapSnapshot } from "../inspect/snapshot.ts";
import type { IovaReports } from "../inspect/watch.ts";
import type { PinnedMemory } from "../memory/pinned.ts";
import type { MemoryOwner } from "../memory-owner.ts";
import { bytesOf } from "../pages.ts";
import { type Range, SortedRanges } from "../sorted.ts";
import { DmaMap } from "../structs.ts";

/** What one MAP_DMA made (`struct vfio_dma`): the IOVAs [start, end), in pages of 4 KiB. */
export interface DmaMapping extends Range {
  readonly start: number;
  readonly end: number;
  /** The first page of 4 KiB of memory, as it was mapped. */
  readonly page: number;
  /** READ and WRITE of {@link DmaMap}. */
  readonly access: number;
  readonly memory: PinnedMemory;
  /** Pages of 4 KiB that are locked for it: all but those of a device's memory. */
  readonly locked: number;
  /** Whose locked memory pays for it, whoever unmaps it: who mapped it, or gave it its present address. */
  process: MemoryOwner;
  /** UNMAP with the flag VADDR took its address away. The device reaches the memory as before. */
  addressTaken: boolean;
}

/** The maps of one container, by IOVA. They never overlap, and neighbours stay apart. */
export class DmaMaps {
  /** How many more there may be: what GET_INFO says as dma_avail. */
  available: number;
  /** How many have no address. */
  withoutAddress = 0;
  readonly #reports: IovaReports;
  readonly #byIova = new SortedRanges<DmaMapping>();

  constructor(limit: number, reports: IovaReports) {
    this.available = limit;
    this.#reports = reports;
  }

  /** The map that the page of IOVA is part of. */
  at(iovaPage: number): DmaMapping | undefined {
    return this.#byIova.at(iovaPage);
  }

  overlap(start: number, end: number): boolean {
    return this.#byIova.overlapping(start, end) !== undefined;
  }

  /**
   * Takes the addresses of all maps between away, and says how many pages of 4 KiB that were; -1, and nothing done, where
   * one had none any more.
   */
  takeAddresses(start: number, end: number): number {
    const taken: DmaMapping[] = [];
    let pages = 0;
    let mapping = this.#byIova.overlapping(start, end);
    while (mapping !== undefined) {
      if (mapping.addressTaken) return -1;
      taken.push(mapping);
      pages += mapping.end - mapping.start;
      mapping = this.#byIova.overlapping(mapping.end, end);
    }
    for (const each of taken) each.addressTaken = true;
    this.withoutAddress += taken.length;
    return pages;
  }

  /**
   * The map has an address again, in the memory of `process`, which pays for it from now on. Which pages are there is not
   * looked at. False where it cannot pay. (`vfio_change_dma_owner`)
   */
  giveAddress(mapping: DmaMapping, process: MemoryOwner): boolean {
    if (process !== mapping.process) {
      if (!process.locked.charge(mapping.locked / process.pageUnit)) return false;
      payBack(mapping);
      mapping.process = process;
      process.pinnedByMaps += mapping.locked;
    }
    mapping.addressTaken = false;
    this.withoutAddress--;
    return true;
  }

  /** Trusted: it overlaps nothing that is here, and its memory is pinned and paid for. */
  add(mapping: DmaMapping): void {
    this.available--;
    mapping.process.pinnedByMaps += mapping.locked;
    this.#byIova.insert(mapping);
    this.#reports.mapped(mapping.end - mapping.start);
  }

  /**
   * Ends every map that begins before `end` and of which some part lies behind `start`, and says how many pages of 4 KiB
   * went. (`vfio_remove_dma`)
   */
  remove(start: number, end: number): number {
    let pages = 0;
    // Maps that adjoin go as one for the watchers.
    let runStart = 0;
    let runEnd = 0;
    let mapping = this.#byIova.overlapping(start, end);
    while (mapping !== undefined) {
      if (mapping.start !== runEnd) {
        if (runEnd > runStart) this.#reports.cleared(runStart, runEnd - runStart);
        runStart = mapping.start;
      }
      runEnd = mapping.end;
      pages += mapping.end - mapping.start;
      this.#byIova.remove(mapping);
      this.available++;
      if (mapping.addressTaken) this.withoutAddress--;
      mapping.memory.release();
      payBack(mapping);
      mapping = this.#byIova.overlapping(runEnd, end);
    }
    if (runEnd > runStart) this.#reports.cleared(runStart, runEnd - runStart);
    this.#reports.unmapped(pages);
    return pages;
  }

  *[Symbol.iterator](): IterableIterator<DmaMapping> {
    yield* this.#byIova;
  }

  describe(): MapSnapshot[] {
    return [...this.#byIova].map(({ start, end, page, access }) => ({
      iova: bytesOf(start),
      va: bytesOf(page),
      size: bytesOf(end - start),
      read: (access & DmaMap.READ) !== 0,
      write: (access & DmaMap.WRITE) !== 0,
    }));
  }
}

/** `vfio_lock_acct`. An account whose process has ended stays as it is. */
function payBack({ locked, process }: DmaMapping): void {
  process.pinnedByMaps -= locked;
  process.locked.release(locked / process.pageUnit);
}
