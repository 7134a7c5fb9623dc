/** The windows of a trace, as they are after any of its calls. */
import type { AddressRange } from "../iommu.ts";
import { IommuType } from "../syscalls.ts";
import type { TraceCall, TraceHeader } from "../trace/format.ts";
import { type Picture, type WindowPicture, windowPicture } from "./picture.ts";
import { TraceGroups } from "./trace-groups.ts";
import { TracePlaces } from "./trace-places.ts";
import { TraceContainer } from "./trace-state.ts";

/** Containers whose windows are drawn; the others are counted. */
const CONTAINERS_MAX = 16;

export class TraceWindows {
  readonly #places: TracePlaces;
  readonly #containers = new Map<string, TraceContainer>();
  readonly #groups = new TraceGroups();
  /** Those whose IOMMU has said something of itself. */
  readonly #informed = new Set<string>();
  /** The last call that was taken. */
  line = 1;
  /** How many calls have changed what a device reaches. */
  changes = 0;
  /** Some container was closed. */
  ended = false;

  constructor(header: TraceHeader) {
    this.#places = new TracePlaces(header.pageSize);
  }

  /** Bytes that devices reach. */
  get liveBytes(): bigint {
    let sum = 0n;
    for (const { liveBytes } of this.#containers.values()) sum += liveBytes;
    return sum;
  }

  /** Whether a container is open that has a driver. */
  get isOpen(): boolean {
    return this.#containers.size > 0;
  }

  /** One call, in the order of the trace. Says whether it changed what a device reaches. */
  take(call: TraceCall): boolean {
    this.line = call.line;
    if (call.call === "mmap") this.#places.mapped(call);
    if (call.call === "munmap") this.#unmapped(call);
    const left = this.#groups.take(call);
    if (call.answer !== 0) return false;
    const changed = left === undefined ? this.#answered(call) : this.#leave(left);
    if (changed) this.changes++;
    return changed;
  }

  /** What a device may reach now. `title` is of the trace. */
  picture(title: string): Picture {
    const shown = [...this.#containers].slice(0, CONTAINERS_MAX);
    const windows = shown.flatMap(([name, container]) =>
      this.windowsOf(container, shown.length > 1 ? ` of ${name}` : ""),
    );
    return { title, windows, notes: this.#notes(windows) };
  }

  #notes(windows: readonly WindowPicture[]): string[] {
    const all = [...this.#containers.values()];
    const notes: string[] = [];
    if (windows.length === 0 && all.length === 0)
      notes.push("No container has an IOMMU here: no device reaches anything.");
    if (windows.length === 0 && all.some(({ iommuType }) => iommuType !== IommuType.NOIOMMU)) {
      notes.push("There is no window: a device reaches nothing.");
    }
    if (all.some(({ iommuType }) => iommuType === IommuType.NOIOMMU)) {
      notes.push("Without an IOMMU nothing is mapped, and a device reaches all memory of the machine.");
    }
    if (all.some(({ isSymbolic }) => isSymbolic)) {
      notes.push(
        "IOVAs are the program's own addresses, which a trace does not have: each region is drawn at a place of its own.",
      );
    }
    if (all.length > CONTAINERS_MAX) notes.push(`${all.length - CONTAINERS_MAX} more containers are not shown.`);
    return notes;
  }

  #answered(call: TraceCall): boolean {
    const fd = String(call.fields.fd);
    if (call.call === "SET_IOMMU") {
      const container = new TraceContainer();
      container.iommuType = Number(call.fields.argument);
      this.#containers.set(fd, container);
      this.#informed.delete(fd);
      return false;
    }
    const container = this.#containers.get(fd);
    if (container === undefined) return false;
    switch (call.call) {
      case "close":
        this.#containers.delete(fd);
        this.ended = true;
        return true;
      case "GET_INFO":
        container.info(call, !this.#informed.has(fd));
        this.#informed.add(fd);
        return false;
      case "MAP_DMA":
        container.map(call, this.#places);
        return true;
      case "UNMAP_DMA":
        container.unmap(call, this.#places);
        return true;
      case "TCE_CREATE":
        container.create(call);
        return true;
      case "TCE_REMOVE":
        container.removeWindow(call);
        return true;
    }
    return false;
  }

  /** The last group takes the IOMMU along. On sPAPR each of them takes all that is mapped. */
  #leave({ container: fd, isLast }: { readonly container: string; readonly isLast: boolean }): boolean {
    const container = this.#containers.get(fd);
    if (container === undefined) return false;
    if (isLast) this.#containers.delete(fd);
    else if (container.isSpapr) container.clear();
    return isLast || container.isSpapr;
  }

  #unmapped(call: TraceCall): void {
    const region = this.#places.unmapped(call);
    if (region !== undefined) for (const container of this.#containers.values()) container.forget(region);
  }

  /** The windows of a container: the kernel's own, or on type1 one over all that it allows. */
  windowsOf(container: TraceContainer, of = ""): WindowPicture[] {
    const { live, pageShift } = container;
    const regions = container.regions();
    if (container.isSymbolic) {
      const hull = hullOf([...live, ...regions]);
      return hull === undefined ? [] : [windowPicture({ name: `IOVAs${of}`, ...hull, pageShift, live, regions })];
    }
    if (!container.isType1) {
      const windows = [...container.windows.values()].sort((a, b) => (a.start < b.start ? -1 : 1));
      return windows.map((window) => windowPicture({ name: `window${of}`, ...window, live, regions }));
    }
    const { ranges } = container;
    const allowed = hullOf(ranges ?? [{ start: 0n, last: USUAL_LAST }]) as AddressRange;
    const highest = ranges === undefined ? (hullOf(live)?.last ?? 0n) : 0n;
    const last = highest > allowed.last ? highest : allowed.last;
    const kept = ranges === undefined ? [] : gapsIn(ranges);
    return [windowPicture({ name: `IOVAs${of}`, start: allowed.start, last, pageShift, live, regions, kept })];
  }

  /** By descriptor. */
  get containers(): ReadonlyMap<string, TraceContainer> {
    return this.#containers;
  }
}

/** Where nobody says what the IOMMU allows: 48 bits, as most have. */
const USUAL_LAST = (1n << 48n) - 1n;

/** From the lowest of them to the highest; undefined where there is none. */
function hullOf(ranges: Iterable<AddressRange>): AddressRange | undefined {
  let hull: AddressRange | undefined;
  for (const { start, last } of ranges) {
    const from = hull === undefined || start < hull.start ? start : hull.start;
    hull = { start: from, last: hull === undefined || last > hull.last ? last : hull.last };
  }
  return hull;
}

/** What lies between ranges that are ascending. */
function gapsIn(ranges: readonly AddressRange[]): AddressRange[] {
  const gaps: AddressRange[] = [];
  for (const [i, { start }] of ranges.entries()) {
    const before = ranges[i - 1];
    if (before !== undefined && before.last + 1n < start) gaps.push({ start: before.last + 1n, last: start - 1n });
  }
  return gaps;
}
