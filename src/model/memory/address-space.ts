import { Protection } from "../../syscalls.ts";
import { pagesPer } from "../pages.ts";
import { type Range, SortedRanges } from "../sorted.ts";
import type { Addresses, Backing } from "./backing.ts";
import { PinnedMemory, type PinnedPart } from "./pinned.ts";
import { withZeros } from "./zeros.ts";

/** Memory that was mmapped with one call, or what is left of it. In pages of 4 KiB. */
export interface Area extends Range {
  readonly start: number;
  readonly end: number;
  /** Bits of `Protection`. */
  readonly protection: number;
  readonly backing: Backing;
  /** False: the kernel does not pin it, though the process uses it as any other. */
  readonly pinnable: boolean;
  /** True: to touch it is a SIGBUS. Its pages were promised, and a cgroup lets no more be present. */
  readonly absent?: boolean;
  /** It is a device's, mmapped into the process: type1 maps what it cannot pin. */
  readonly ofDevice: boolean;
}

/** What a driver pins beside memory that may be used as the device is going to. */
export interface PinRules {
  /** Memory of devices too. */
  readonly devices: boolean;
  /** For memory that is only read, and that nobody has touched: the page of zeros. */
  readonly zeros: boolean;
}

const NOTHING_BESIDE: PinRules = { devices: false, zeros: false };

/** What the kernel finds when it pins a range for a device. */
export interface Pinned {
  /** Pages of 4 KiB at the range's start that could be pinned. */
  readonly pages: number;
  /** Those of them that are a device's: nothing is locked for them. */
  readonly ofDevice: number;
  /** Kept until it is released. `undefined` unless the whole range could be pinned: nothing is kept then. */
  readonly memory: PinnedMemory | undefined;
}

/** Which addresses of a process are mmapped, and how: for the simulated memory and for a record of real memory. */
export class AddressSpace implements Addresses {
  readonly areas = new SortedRanges<Area>();

  /** Trusted: nothing is mapped there. */
  add(area: Area): void {
    this.areas.insert(area);
    area.backing.hold(area.start, area.end);
  }

  /** Takes [start, end) out, cutting the areas at its ends. Their pages stay for as long as a pin needs them. */
  carve(start: number, end: number): void {
    for (const area of this.#cutOut(start, end)) area.backing.release(area.start, area.end);
  }

  /** From now on [start, end) cannot be pinned; with `ofDevice` it is as a device's memory. Pins that are there stay. */
  makeUnpinnable(start: number, end: number, ofDevice: boolean): void {
    for (const area of this.#cutOut(start, end)) this.areas.insert({ ...area, pinnable: false, ofDevice });
  }

  /** From now on [start, end) may be used so. Pins that are there stay. */
  protect(start: number, end: number, protection: number): void {
    for (const area of this.#cutOut(start, end)) this.areas.insert({ ...area, protection });
  }

  /** The areas that touch [start, end), by address. */
  within(start: number, end: number): Area[] {
    const found: Area[] = [];
    for (let at = start; at < end; ) {
      const area = this.areas.overlapping(at, end);
      if (area === undefined) break;
      found.push(area);
      at = area.end;
    }
    return found;
  }

  /** Whether one of the range's edges lies inside a page of what is mapped there. */
  cutsPage(start: number, end: number): boolean {
    return [start, end].some((edge) => {
      const area = this.areas.at(edge);
      return area !== undefined && edge > area.start && edge % pagesPer(area.backing.pageShift) !== 0;
    });
  }

  /** As a child gets it: the same areas, with copies of the bytes. */
  copyTo(child: AddressSpace): void {
    const copies = new Map<Backing, Backing>();
    for (const area of this.areas) {
      const backing = copies.get(area.backing) ?? area.backing.copyFor(child);
      copies.set(area.backing, backing);
      child.add({ ...area, backing });
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
   * Pins from `start` on until something is in the way: memory that is absent, or that may not be used as the device is
   * going to. Rule: `mm/gup.c: pin_user_pages`, with FOLL_WRITE when the device may write.
   */
  pin(start: number, end: number, forWriting: boolean, { devices, zeros } = NOTHING_BESIDE): Pinned {
    const needed = forWriting ? Protection.WRITE : Protection.READ;
    const parts: PinnedPart[] = [];
    let at = start;
    let ofDevice = 0;
    while (at < end) {
      const area = this.areas.at(at);
      if (area === undefined || (area.protection & needed) === 0) break;
      if (!area.pinnable && !(devices && area.ofDevice)) break;
      const partEnd = Math.min(area.end, end);
      const part = { start: at, end: partEnd, backing: area.backing };
      if (area.ofDevice) ofDevice += partEnd - at;
      if (zeros && !forWriting) parts.push(...withZeros(part));
      else parts.push(part);
      at = partEnd;
    }
    return { pages: at - start, ofDevice, memory: at < end ? undefined : new PinnedMemory(parts) };
  }

  without(backing: Backing, start: number, end: number): Range[] {
    const pieces: Range[] = [];
    let at = start;
    while (at < end) {
      const area = this.areas.overlapping(at, end);
      const from = Math.max(area?.start ?? end, at);
      const isIts = area?.backing === backing;
      const to = area === undefined ? end : Math.min(area.end, end);
      if (isIts && from > at) pieces.push({ start: at, end: from });
      if (!isIts) pieces.push({ start: at, end: to });
      at = to;
    }
    return pieces;
  }

  /** Takes what lies in [start, end) out of the areas, and gives it back cut to fit. */
  #cutOut(start: number, end: number): Area[] {
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
}
