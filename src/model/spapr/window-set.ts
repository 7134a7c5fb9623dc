import { EINVAL, ENOMEM, ENOSPC } from "../errno.ts";
import type { WindowSnapshot } from "../inspect/snapshot.ts";
import type { IovaReports } from "../inspect/watch.ts";
import type { AttachedGroup } from "../iommu-driver.ts";
import type { LinuxRules } from "../linux-rules.ts";
import type { MemoryOwner } from "../memory-owner.ts";
import { bytesOf } from "../pages.ts";
import type { LiveRange } from "../reach.ts";
import { oneShiftedBy, type Platform, type TableRequest } from "./platform.ts";
import { Runs } from "./runs.ts";
import { DmaWindow, WindowSlots } from "./windows.ts";

/**
 * The windows of a container: made, charged, shown to its groups, removed.
 *
 * Rules: `drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_window, tce_iommu_remove_window,
 * tce_iommu_create_default_window, tce_iommu_attach_group`.
 */
export class WindowSet {
  /** Whose locked memory the tables count against: there is one before any window is made. */
  owner: MemoryOwner | undefined;
  readonly #platform: Platform;
  readonly #rules: LinuxRules;
  readonly #reports: IovaReports;
  readonly #groups: AttachedGroup[] = [];
  /** The default window is made by the first call that needs one. */
  #defaultPending = false;
  readonly slots = new WindowSlots();

  constructor(platform: Platform, rules: LinuxRules, reports: IovaReports) {
    this.#platform = platform;
    this.#rules = rules;
    this.#reports = reports;
  }

  attach(group: AttachedGroup): number {
    const refused = this.#platform.join(this.slots);
    if (refused !== 0) return refused;
    if (this.#groups.length === 0 && this.slots.at(0) === undefined) this.#defaultPending = true;
    // The newest group is the one that a new table is made for.
    this.#groups.unshift(group);
    return 0;
  }

  /** Clears every TCE of the container, also when other groups stay in it. */
  detach(group: AttachedGroup): void {
    this.#groups.splice(this.#groups.indexOf(group), 1);
    for (const window of this.slots.all) this.clear(window, 0, window.entries);
  }

  release(): void {
    for (const window of this.slots.all) this.#free(window);
  }

  /** The groups that see them, the newest first. */
  get groups(): readonly AttachedGroup[] {
    return this.#groups;
  }

  /** The default window is not there yet, and will be made by the first call that needs it. */
  get isDefaultPending(): boolean {
    return this.#defaultPending;
  }

  /** 0, or why the default window could not be made; it is tried again next time. */
  makeDefault(): number {
    if (!this.#defaultPending) return 0;
    const made = this.create({ pageShift: 12, windowSize: this.#platform.info.defaultWindowSize, levels: 1 });
    if (typeof made === "number") return made;
    this.#defaultPending = false;
    return 0;
  }

  /** The window, or a negative errno. */
  create(request: TableRequest): DmaWindow | number {
    const { pageShift } = request;
    const slot = this.slots.free;
    if (slot < 0) return ENOSPC;
    if (pageShift > 63 && this.#rules.checksShifts) return EINVAL;
    if ((this.#platform.info.pgsizes & oneShiftedBy(pageShift)) === 0n) return EINVAL;
    const bytes = this.#platform.tableBytes(request);
    if (bytes === 0n) return EINVAL;
    const { locked } = this.owner as MemoryOwner;
    const pages = locked.pagesOf(bytes);
    if (!locked.charge(pages)) return ENOMEM;
    const shape = this.#platform.createTable(this.#groups[0] as AttachedGroup, slot, this.slots, request);
    if (typeof shape === "number") {
      // The kernel forgets here that it charged.
      locked.leak(pages);
      return shape;
    }
    const refused = this.#platform.program(this.#groups);
    if (refused !== 0) {
      locked.release(pages);
      return refused;
    }
    const window = new DmaWindow(request, slot, pages, shape, this.#platform);
    this.slots.put(window);
    return window;
  }

  /** Any IOVA inside a window names it. Whether something is mapped there is not asked. */
  remove(iovaPage: number, isZero: boolean): number {
    if (this.#defaultPending && isZero) {
      this.#defaultPending = false;
      return 0;
    }
    const window = this.slots.containing(iovaPage);
    if (window === undefined) return EINVAL;
    this.#free(window);
    return 0;
  }

  /** All live TCEs, by IOVA. */
  *live(): IterableIterator<LiveRange> {
    for (const window of this.slots.all.sort((a, b) => a.startPage - b.startPage)) yield* window.live();
  }

  /** By start. */
  describe(): WindowSnapshot[] {
    // There is an owner before there is any window.
    const owner = this.owner as MemoryOwner;
    const windows = this.slots.all.map((window) => ({
      start: bytesOf(window.startPage),
      size: window.sizeBytes,
      pageShift: window.pageShift,
      levels: window.levels,
      liveTces: window.tces.live,
      tableBytes: owner.locked.bytesOf(window.chargedPages),
      process: owner.id,
    }));
    return windows.sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  /** Clears `count` TCEs from `first` on; one report for each run of neighbours that were live. */
  clear(window: DmaWindow, first: number, count: number): void {
    const { tces } = window;
    const before = tces.live;
    const runs = this.#reports.isWanted ? new Runs() : undefined;
    tces.clear(first, count, runs && ((index) => runs.add(index)));
    this.#reports.unmapped((before - tces.live) * window.unit);
    for (const run of runs?.found ?? []) {
      this.#reports.cleared(window.startPage + run.first * window.unit, run.count * window.unit);
    }
  }

  /** For the numbers of TCEs that a MAP makes lead elsewhere; `undefined` when nobody wants to know. */
  replacing(): Runs | undefined {
    return this.#reports.isWanted ? new Runs() : undefined;
  }

  /** A MAP of `count` TCEs went well, and `replaced` are those of them that were live and lead elsewhere since. */
  mapped(window: DmaWindow, count: number, replaced: Runs | undefined): void {
    this.#reports.mapped(count * window.unit);
    for (const run of replaced?.found ?? []) {
      this.#reports.replaced(window.startPage + run.first * window.unit, run.count * window.unit);
    }
  }

  /**
   * Only the TCEs up to the window's end are cleared. What a MAP wrote behind it stays counted in its registration, so
   * that can never be given up again.
   */
  #free(window: DmaWindow): void {
    this.clear(window, 0, window.entries);
    this.slots.take(window);
    this.owner?.locked.release(window.chargedPages);
  }
}
