/**
 * What devices may still reach of memory that is about to go back to the system. Tables ask before anything is changed, containers
 * answer.
 *
 *     behind an IOMMU   what a window has mapped is pinned, and reached: it is unmapped first
 *     without one       nothing is mapped, and nothing pinned: what a device was told it may write to for as long as it is bus master
 *
 * Each thread has its own, as it has its own devices.
 */
import { OwnMap, OwnSet } from "../captured.ts";
import type { DmaWindowError } from "../errors.ts";
import { ownerOf } from "../open-devices.ts";
import type { Syscalls } from "../syscalls.ts";

/** Pages that are about to go. */
export interface Going {
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint;
  /** As errors call them. */
  readonly what: string;
  /** Whether their physical address was told, to whomever asked. */
  readonly isPhysical: boolean;
  /** Whether a window unmaps them by itself, before they go. */
  isServedBy(window: object): boolean;
}

/** What devices of one container reach. */
export interface Reach {
  /** Why they must not go yet; `undefined` where nothing is against it. Changes nothing. */
  against(going: Going): DmaWindowError | undefined;
  /** They went: what lies at their addresses from now on is other memory. */
  forget(va: bigint, length: bigint): void;
}

/** By the process and kernel that a container is of. */
const reaches = new OwnMap<unknown, OwnSet<Reach>>();

export function addReach(kernel: Syscalls, reach: Reach): void {
  const owner = ownerOf(kernel);
  const known = reaches.get(owner) ?? new OwnSet<Reach>();
  known.add(reach);
  reaches.set(owner, known);
}

/** Its devices reach nothing any more. */
export function removeReach(kernel: Syscalls, reach: Reach): void {
  const owner = ownerOf(kernel);
  const known = reaches.get(owner);
  known?.delete(reach);
  if (known?.size === 0) reaches.delete(owner);
}

/** @throws `ERR_DEVICE_RUNNING`, `ERR_STILL_MAPPED`. */
export function checkReach(kernel: Syscalls, going: Going): void {
  let against: DmaWindowError | undefined;
  reaches.get(ownerOf(kernel))?.forEach((reach) => {
    against ??= reach.against(going);
  });
  if (against !== undefined) throw against;
}

/** Pages went back to the system. */
export function forgetReach(kernel: Syscalls, va: bigint, length: bigint): void {
  reaches.get(ownerOf(kernel))?.forEach((reach) => {
    reach.forget(va, length);
  });
}
