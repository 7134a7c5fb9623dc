import { bytes, hex } from "../../hex.ts";
import { Container } from "../container.ts";
import type { Descriptors } from "../descriptors.ts";
import type { Group } from "../group.ts";
import { bytesOf } from "../pages.ts";
import type { Process } from "../process.ts";
import type { Registration } from "../spapr/registrations.ts";

export interface WindowSnapshot {
  readonly start: bigint;
  /** What its table covers, which can be more than was asked for. */
  readonly size: bigint;
  readonly pageShift: number;
  readonly levels: number;
  /** Those that a MAP wrote behind the window's end count too. */
  readonly liveTces: number;
  readonly tableBytes: bigint;
}

export interface RegistrationSnapshot {
  readonly va: bigint;
  readonly size: bigint;
  /** Live TCEs that point into it, in all containers. */
  readonly mapped: number;
}

export interface ContainerSnapshot {
  /** Counts the containers that this model opened, from 0. */
  readonly id: number;
  /** `null` once closed: a group keeps it alive. */
  readonly fd: number | null;
  readonly groups: readonly number[];
  /** By start. */
  readonly windows: readonly WindowSnapshot[];
  /** By address. One range can be in several containers. */
  readonly registrations: readonly RegistrationSnapshot[];
}

/** The model's whole state as plain data, in an order that does not depend on how it came about. */
export interface ModelSnapshot {
  readonly descriptors: readonly { readonly fd: number; readonly path: string }[];
  readonly groups: readonly { readonly number: number; readonly open: boolean; readonly container: number | null }[];
  readonly containers: readonly ContainerSnapshot[];
  /** Memory that was given up while mapped, by address: it stays pinned until the process ends. */
  readonly zombies: readonly RegistrationSnapshot[];
  /** What `lockedBytes` is made of. */
  readonly charges: {
    /** For the tables of windows. */
    readonly tableBytes: bigint;
    /** For registered memory, zombies too; each range once. */
    readonly pinnedBytes: bigint;
    /** For tables that were never made. Nothing gives it back. */
    readonly leakedBytes: bigint;
  };
  /** VmLck. */
  readonly lockedBytes: bigint;
}

export interface ModelState {
  readonly process: Process;
  readonly groups: readonly Group[];
  readonly containers: ReadonlySet<Container>;
  readonly descriptors: Descriptors;
}

export function snapshotOf({ process, groups, containers, descriptors }: ModelState): ModelSnapshot {
  const ranges = [...process.registrations.ranges];
  const shownContainers = [...containers].map(containerOf);
  const tables = shownContainers.flatMap(({ windows }) => windows);
  return {
    descriptors: descriptors.all.map(([fd, file]) => ({ fd, path: pathOf(file) })),
    groups: groups.map(({ number, open, container }) => ({ number, open, container: container?.id ?? null })),
    containers: shownContainers,
    zombies: ranges.filter(({ zombie }) => zombie).map(registrationOf),
    charges: {
      tableBytes: tables.reduce((sum, { tableBytes }) => sum + tableBytes, 0n),
      pinnedBytes: ranges.reduce((sum, { start, end }) => sum + bytesOf(end - start), 0n),
      leakedBytes: process.locked.leakedBytes,
    },
    lockedBytes: process.locked.report().used,
  };

  function containerOf({ id, fd, groups: members, driver }: Container): ContainerSnapshot {
    const windows = (driver?.windows.slots.all ?? []).map((window) => ({
      start: bytesOf(window.startPage),
      size: window.sizeBytes,
      pageShift: window.pageShift,
      levels: window.levels,
      liveTces: window.tces.live,
      tableBytes: process.locked.bytesOf(window.chargedPages),
    }));
    return {
      id,
      fd: fd ?? null,
      groups: members.map(({ number }) => number).sort((a, b) => a - b),
      windows: windows.sort((a, b) => (a.start < b.start ? -1 : 1)),
      registrations: [...(driver?.held ?? [])].sort((a, b) => a.start - b.start).map(registrationOf),
    };
  }
}

/** One sentence for each thing that is still held. A program that closed everything leaves none. */
export function leaksOf(state: ModelState): string[] {
  const { descriptors, containers, zombies, charges } = snapshotOf(state);
  const held: string[] = [];
  for (const { fd, path } of descriptors) held.push(`descriptor ${fd} is open: ${path}`);
  for (const { id, windows, registrations } of containers) {
    for (const { start, size, liveTces, tableBytes } of windows) {
      const live = liveTces === 0 ? "" : `, ${liveTces} live TCEs`;
      held.push(
        `container ${id} has a window at ${hex(start)} of ${bytes(size)}${live}; its table locks ${bytes(tableBytes)}`,
      );
    }
    for (const { va, size, mapped } of registrations) {
      held.push(`container ${id} has ${bytes(size)} registered at ${hex(va)}, mapped by ${mapped} TCEs`);
    }
  }
  for (const { va, size } of zombies) {
    held.push(`${bytes(size)} at ${hex(va)} stays pinned until the process ends: it was unregistered while mapped`);
  }
  if (charges.leakedBytes > 0n) {
    held.push(`${bytes(charges.leakedBytes)} of locked memory stay charged for windows that could not be made`);
  }
  return held;
}

export function pathOf(file: Container | Group): string {
  return file instanceof Container ? "/dev/vfio/vfio" : `/dev/vfio/${file.number}`;
}

function registrationOf({ start, end, mapped }: Registration): RegistrationSnapshot {
  return { va: bytesOf(start), size: bytesOf(end - start), mapped };
}
