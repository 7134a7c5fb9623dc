import { bytes, hex } from "../../hex.ts";
import type { Machine } from "../machine.ts";
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

/** A map of type1: one MAP_DMA. */
export interface MapSnapshot {
  readonly iova: bigint;
  readonly va: bigint;
  readonly size: bigint;
  readonly read: boolean;
  readonly write: boolean;
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
  /** type1, by IOVA. */
  readonly maps: readonly MapSnapshot[];
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

/** What is there: `process`'s own, and the machine's. */
export function snapshotOf(
  { groups, containers }: Machine,
  { descriptors, locked, registrations }: Process,
): ModelSnapshot {
  const ranges = [...registrations.ranges];
  const open = descriptors.all;
  const shownContainers = containers.map(
    (container): ContainerSnapshot => ({
      id: container.id,
      fd: open.find(([, file]) => file === container)?.[0] ?? null,
      groups: container.groups.map(({ number }) => number).sort((a, b) => a - b),
      ...(container.driver?.holdings() ?? { windows: [], registrations: [], maps: [] }),
    }),
  );
  const tables = shownContainers.flatMap(({ windows }) => windows);
  return {
    descriptors: open.map(([fd, { path }]) => ({ fd, path })),
    groups: groups.map(({ number, isOpen, container }) => ({ number, open: isOpen, container: container?.id ?? null })),
    containers: shownContainers,
    zombies: ranges.filter(({ zombie }) => zombie).map(registrationOf),
    charges: {
      tableBytes: tables.reduce((sum, { tableBytes }) => sum + tableBytes, 0n),
      pinnedBytes: ranges.reduce((sum, { start, end }) => sum + bytesOf(end - start), 0n),
      leakedBytes: locked.leakedBytes,
    },
    lockedBytes: locked.report().used,
  };
}

/** One sentence for each thing that is still held. A program that closed everything leaves none. */
export function leaksOf({ descriptors, containers, zombies, charges }: ModelSnapshot): string[] {
  const held: string[] = [];
  for (const { fd, path } of descriptors) held.push(`descriptor ${fd} is open: ${path}`);
  for (const { id, windows, registrations, maps } of containers) {
    for (const { start, size, liveTces, tableBytes } of windows) {
      const live = liveTces === 0 ? "" : `, ${liveTces} live TCEs`;
      held.push(
        `container ${id} has a window at ${hex(start)} of ${bytes(size)}${live}; its table locks ${bytes(tableBytes)}`,
      );
    }
    for (const { iova, size } of maps) held.push(`container ${id} has ${bytes(size)} mapped at IOVA ${hex(iova)}`);
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

export function registrationOf({ start, end, mapped }: Registration): RegistrationSnapshot {
  return { va: bytesOf(start), size: bytesOf(end - start), mapped };
}
