/** What a trace's descriptors lead to, and what was done with them. */
import type { KnownWindow, Range } from "../explain/facts.ts";
import { IommuType } from "../syscalls.ts";
import { Spans } from "../trace/spans.ts";

export interface TracedContainer {
  readonly kind: "container";
  isOpen: boolean;
  /** Of SET_IOMMU. */
  type: number | undefined;
  readonly groups: Set<TracedGroup>;
  /** A process has used it: it is that process's. */
  claimed: boolean;
  registeredAny: boolean;
  /** Those that were made. */
  windows: KnownWindow[];
  /** sPAPR's first one: not made yet, or gone; `undefined` where GET_INFO was not asked. */
  pending: "unknown" | KnownWindow | "gone";
  registrations: Spans<Range>;
  /** By IOVA. */
  maps: Spans<TracedMap>;
  count: number;
  pageSizes: bigint | undefined;
  levels: number | undefined;
  ranges: readonly Range[] | undefined;
  mapsAvailable: number | undefined;
}

export interface TracedMap extends Range {
  readonly vaddr: bigint | undefined;
}

export interface TracedGroup {
  readonly kind: "group";
  isOpen: boolean;
  readonly path: string;
  container: TracedContainer | undefined;
  /** Devices of it that are open. */
  devices: number;
}

export interface TracedDevice {
  readonly kind: "device";
  isOpen: boolean;
  readonly group: TracedGroup | undefined;
  /** The index of the interrupts that are on. */
  interrupts: number | undefined;
  vectorsOn: number;
  /** How many the device has, by index. */
  readonly vectors: Map<number, number>;
}

export interface OtherFile {
  readonly kind: "eventfd" | "other";
  isOpen: boolean;
}

export type TracedFile = TracedContainer | TracedGroup | TracedDevice | OtherFile;

export function newContainer(): TracedContainer {
  return {
    kind: "container",
    isOpen: true,
    type: undefined,
    groups: new Set(),
    ...nothing(),
  };
}

function nothing() {
  return {
    claimed: false,
    registeredAny: false,
    windows: [] as KnownWindow[],
    pending: "unknown" as const,
    registrations: new Spans<Range>(),
    maps: new Spans<TracedMap>(),
    count: 0,
    pageSizes: undefined,
    levels: undefined,
    ranges: undefined,
    mapsAvailable: undefined,
  };
}

/** The last group takes the IOMMU along, and with it all that it held. */
export function leave(group: TracedGroup): void {
  const { container } = group;
  group.container = undefined;
  if (container === undefined) return;
  container.groups.delete(group);
  if (container.groups.size > 0) return;
  container.type = undefined;
  Object.assign(container, nothing());
}

/** A group stays in its container as long as it or a device of it is open. */
export function closed(file: TracedFile, leaves: (group: TracedGroup) => void): void {
  file.isOpen = false;
  if (file.kind === "device" && file.group !== undefined) {
    file.group.devices--;
    if (!file.group.isOpen && file.group.devices === 0) leaves(file.group);
  }
  if (file.kind === "group" && file.devices === 0) leaves(file);
}

export function newDevice(group: TracedGroup): TracedDevice {
  return { kind: "device", isOpen: true, group, interrupts: undefined, vectorsOn: 0, vectors: new Map() };
}

export function isSpapr({ type }: TracedContainer): boolean {
  return type === IommuType.SPAPR_TCE_V2 || type === IommuType.SPAPR_TCE;
}

export function isType1({ type }: TracedContainer): boolean {
  return type === IommuType.TYPE1 || type === IommuType.TYPE1v2;
}
