/** What of a container is open, and where it was made. */

import { callSite } from "../call-site.ts";
import { core } from "../core.ts";
import type { Device } from "../device/device.ts";
import { bytes, hex } from "../hex.ts";
import { type Leak, leakAt, Sites } from "../leaks.ts";
import type { MemsegTable } from "../memory/table.ts";
import { rows } from "./columns.ts";
import type { Window } from "./window.ts";

/** What a program mapped by itself in one call. */
interface Made {
  readonly va: bigint;
  readonly length: bigint;
  readonly site: string | undefined;
}

/** Sites of a container's: also those of maps, by window and IOVA. What the core does not know any more is left out when it is asked about. */
export class ContainerSites extends Sites {
  readonly #maps = new Map<number, Map<bigint, Made>>();

  /** The first `count` rows of the request columns are mapped. */
  noteMaps(window: number, count: number): void {
    const site = callSite();
    const { vas, iovas, lengths } = rows(count);
    const maps = this.#maps.get(window) ?? new Map<bigint, Made>();
    this.#maps.set(window, maps);
    for (let i = 0; i < count; i++) {
      maps.set(iovas[i] as bigint, { va: vas[i] as bigint, length: lengths[i] as bigint, site });
    }
  }

  /** The program has unmapped the first `count` rows of the request columns: a map each, or several, or a part of one. */
  noteUnmaps(window: number, count: number): void {
    const maps = this.#maps.get(window);
    if (maps === undefined) return;
    const { iovas, lengths } = rows(count);
    for (let i = 0; i < count; i++) {
      const [start, length] = [iovas[i] as bigint, lengths[i] as bigint];
      if (maps.get(start)?.length === length) maps.delete(start);
      else for (const iova of maps.keys()) if (iova >= start && iova - start < length) maps.delete(iova);
    }
  }

  /** The window is closed. */
  noteEnd(window: number): void {
    this.#maps.delete(window);
  }

  /** Those of a window that are there still. */
  mapsIn(window: number): Leak[] {
    const maps = this.#maps.get(window) ?? new Map<bigint, Made>();
    const leaks: Leak[] = [];
    for (const [iova, { va, length, site }] of maps) {
      if (core.windowReverse(window, iova) === va)
        leaks.push(leakAt("map", `${bytes(length)} mapped at IOVA ${hex(iova)}`, site));
      else maps.delete(iova);
    }
    return leaks;
  }
}

/** What is open in a container. */
export interface Open {
  readonly windows: Iterable<Window>;
  readonly devices: Iterable<Device>;
  readonly memories: Iterable<MemsegTable>;
}

/** Devices first, as they are what can still reach the rest. */
export function leaksOf({ windows, devices, memories }: Open, sites: ContainerSites = new ContainerSites()): Leak[] {
  return [
    ...Array.from(devices, (device) => sites.leak("device", `device ${device.address}`, device)),
    ...Array.from(windows, (window) => [
      sites.leak("window", `a window of ${bytes(window.size)} at ${hex(window.start)}`, window),
      ...sites.mapsIn(window.target.window),
    ]).flat(),
    ...Array.from(memories, (memory) => sites.leak("memory", `a memory of ${bytes(memory.bytes)} attached`, memory)),
  ];
}
