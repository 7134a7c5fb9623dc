import type { AttachedGroup } from "../iommu-driver.ts";

/** What CREATE asks for. */
export interface TableRequest {
  readonly pageShift: number;
  /** Of 64 bits, in bytes: any number, also one that is no power of two. */
  readonly windowSize: bigint;
  readonly levels: number;
}

/** A TCE table that was made. */
export interface TableShape {
  /** The first page of 4 KiB that it covers in the IOVA space. */
  readonly startPage: number;
  /** How many TCEs the kernel says that it has. */
  readonly entries: number;
  /** How many it really has, and a device reaches: as many or more. */
  readonly places: number;
}

/** The places for windows of a container, as firmware and its part of the kernel know them: by the tables that are there. */
export interface TableSlots {
  at(slot: number): TableShape | undefined;
  readonly all: readonly TableShape[];
}

/**
 * What becomes of a TCE that a MAP writes: it is written (in the table, or in memory behind it), firmware refuses it, or the kernel
 * crashes.
 */
export type TceOutcome = "written" | "refused" | "crash";

/** What GET_INFO reports. */
export interface PlatformInfo {
  /** Bit n: TCE pages of 2^n bytes. */
  readonly pgsizes: bigint;
  /** The default window starts at 0 and has pages of 4 KiB. Bytes, below 4 GiB. */
  readonly defaultWindowSize: bigint;
  readonly levels: number;
}

/** A kind of POWER machine: what its firmware and its part of the kernel decide. One file each. */
export interface Platform {
  readonly info: PlatformInfo;
  /** IOMMU types that CHECK_EXTENSION knows; SET_IOMMU takes 7 of them. */
  readonly extensions: readonly number[];
  /** EEH_PE_OP finds the group's partitionable endpoint, the unit that errors are handled by. */
  readonly hasEeh: boolean;

  /** What becomes of the TCE of this number in a window, which may lie behind its end. */
  outcomeOf(window: TableShape, index: number): TceOutcome;

  /** What a TCE allows of which the map asked for `access`, bits of READ and WRITE. */
  tceAccess(access: number): number;

  /** The bytes that CREATE charges before it tries; 0 when it does not even try (EINVAL). */
  tableBytes(request: TableRequest): bigint;

  /** Makes the table for `slot`, or says why not (a negative errno): the charge stays then. */
  createTable(group: AttachedGroup, slot: number, tables: TableSlots, request: TableRequest): TableShape | number;

  /** Shows a window to all groups of a container. Not 0: undone, and the charge is given back. */
  program(groups: readonly AttachedGroup[]): number;

  /** Shows the windows that a container has to a group that joins. */
  join(tables: TableSlots): number;
}

/** `1UL << shift` as POWER's `sld` does it: seven bits of the shift count, and 0 from 64 on. */
export function oneShiftedBy(shift: number): bigint {
  const count = shift % 128;
  return count > 63 ? 0n : 1n << BigInt(count);
}

/** The number of the highest bit. For sizes above 0. */
export function log2Floor(value: bigint): number {
  return value.toString(2).length - 1;
}
