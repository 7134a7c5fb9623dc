import type { Group } from "../group.ts";
import type { WindowSlots } from "./windows.ts";

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
  readonly entries: number;
}

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
  /** What a MAP does that starts inside a window and runs past its end. */
  readonly pastTheEnd: "accepted" | "oops";

  /** What a TCE allows of which the map asked for `access`, bits of READ and WRITE. */
  tceAccess(access: number): number;

  /** The bytes that CREATE charges before it tries; 0 when it does not even try (EINVAL). */
  tableBytes(request: TableRequest): bigint;

  /** Makes the table for `slot`, or says why not (a negative errno): the charge stays then. */
  createTable(group: Group, slot: number, windows: WindowSlots, request: TableRequest): TableShape | number;

  /** Shows a window to all groups of a container. Not 0: undone, and the charge is given back. */
  program(groups: readonly Group[]): number;

  /** Shows the windows that a container has to a group that joins. */
  join(windows: WindowSlots): number;
}

export function isPowerOfTwo(value: bigint): boolean {
  return value > 0n && (value & (value - 1n)) === 0n;
}

/** The number of the highest bit. For sizes above 0. */
export function log2Floor(value: bigint): number {
  return value.toString(2).length - 1;
}
