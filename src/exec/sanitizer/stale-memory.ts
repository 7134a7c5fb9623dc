import { bytes, hex } from "../../hex.ts";
import { bytesOf } from "../../model/pages.ts";
import type { DeviceAccess } from "../devices.ts";
import type { Finding } from "./finding.ts";
import type { LiveMap } from "./live-maps.ts";
import type { ContainerState } from "./state.ts";

/** More than that are not kept: the oldest go. */
const PIECES_MAX = 4096;

/** Memory that a process gave back while a device reached it. */
interface StaleMemory {
  readonly container: ContainerState;
  /** What led there, cut to what went. */
  readonly map: LiveMap;
  /** The call, in words. */
  readonly how: string;
  readonly stack: readonly string[];
  /** Ways in which a device was seen there. */
  readonly said: Set<DeviceAccess["way"]>;
}

/** What devices reach still, and the program has not any more. */
export class StaleMemories {
  #all: StaleMemory[] = [];

  add(container: ContainerState, maps: readonly LiveMap[], how: string, stack: readonly string[]): void {
    for (const map of maps) this.#all.push({ container, map, how, stack, said: new Set() });
    if (this.#all.length > PIECES_MAX) this.#all = this.#all.filter(isLive).slice(-PIECES_MAX);
  }

  closed(container: ContainerState): void {
    this.#all = this.#all.filter((one) => one.container !== container);
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /**
   * What a device's access to pages [start, end) of IOVA means. `leadsTo` is where they lead now, as the IOMMU has it. Each piece of
   * memory is named once for each way.
   */
  judge(
    access: DeviceAccess,
    start: number,
    end: number,
    leadsTo: (page: number) => number | undefined,
  ): readonly Finding[] {
    return this.#all.flatMap((stale) => {
      const { container, map, said } = stale;
      if (said.has(access.way)) return [];
      const reached = container.maps
        .within(Math.max(start, map.start), Math.min(end, map.end))
        .filter((live) => live.call === map.call && leadsTo(live.start) === live.page);
      const [first] = reached;
      if (first === undefined) return [];
      said.add(access.way);
      return [findingOf(access, stale, first)];
    });
  }
}

function isLive({ container, map }: StaleMemory): boolean {
  return container.maps.within(map.start, map.end).some(({ call }) => call === map.call);
}

function findingOf(access: DeviceAccess, { map, how, stack }: StaleMemory, first: LiveMap): Finding {
  const { name, way, iova, length, unknown } = access;
  const did =
    way === "write"
      ? `The device ${name} wrote ${bytes(BigInt(length))} from IOVA ${hex(iova)} on, to`
      : `The device ${name} read ${bytes(BigInt(length))} from IOVA ${hex(iova)} on, of`;
  const then =
    way === "write"
      ? "The pages are the ones of then, which only the device has: the program never sees what was written."
      : "It was given what was there before.";
  const found = unknown === undefined ? then : "What it found there is not known.";
  return {
    kind: "stale-access",
    message:
      `${did} memory at ${hex(bytesOf(first.page))} that the program had given back by ${how}. ${found} ` +
      "Let the device end what it was told to do, and UNMAP, before its memory goes. (The stack is that of the call that gave it back.)",
    addresses: [{ va: bytesOf(map.page), iova: bytesOf(map.start), length: bytesOf(map.end - map.start) }],
    calls: [map.call.text],
    stack,
  };
}
