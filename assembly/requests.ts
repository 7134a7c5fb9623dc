/**
 * Maps and unmaps, from request to record. The caller fills the columns (columns.ts), and then, for maps:
 *
 *     prepareMaps     checks every request, against the tables and against the requests before it, and writes the calls
 *                     (calls.ts). All requests are recorded as mapped, or none, and the first that is wrong is named.
 *        kernel       goes through the calls and writes their results
 *     collectMaps     reads the results
 *     prepareUndo     where a call failed: writes the calls that take back what was done, latest first
 *        kernel       goes through them
 *     collectUndo     reads the results
 *     settleMaps      makes the tables say what the kernel now has: what is not mapped is forgotten
 *
 * For unmaps there is nothing to take back: prepareUnmaps, the kernel, settleUnmaps.
 *
 * Between prepare and settle the tables say what is about to be, so that a request sees those before it. Nothing else may
 * happen in between. No step after prepare needs memory that it might not get: undoing takes no more calls than doing.
 *
 * A container without an IOMMU has no calls: its requests are done once they are recorded.
 *
 * Here is what maps.ts and unmaps.ts share.
 */
import { isAligned } from "./bits";
import * as calls from "./calls";
import { iova, iovaLast, length, va, vaLast } from "./columns";
import { isRange } from "./range";
import { Container, countMapped, NOIOMMU, SPAPR, TYPE1 } from "./registrations";
import * as status from "./status";
import { unmappedLength } from "./structs";
import { allReserved, anyReserved, inWindow, Window } from "./window";

/** On whose behalf: of the program itself, of an attached memory, or of a window that ends. */
export const OWNER_PROGRAM: u32 = 0;
export const OWNER_MEMORY: u32 = 1;
export const OWNER_WINDOW: u32 = 2;

/** What the batch of the moment is. */
export class Batch {
  static count: u32 = 0;
  /** The request that the last prepare refused. */
  static refused: u32 = 0;
}

export function refusedRequest(): u32 {
  return Batch.refused;
}

/** What a map and an unmap have to fulfil alike. */
export function checkShape(window: Window, i: u32, owner: u32): i32 {
  const bytes = length(i);
  if (bytes == 0) return status.ZERO_LENGTH;
  if (!isRange(va(i), bytes) || !isRange(iova(i), bytes)) return status.WRAPS;
  if (!isAligned(va(i), window.pageShift)) return status.UNALIGNED_VA;
  if (!isAligned(iova(i), window.pageShift)) return status.UNALIGNED_IOVA;
  if (!isAligned(bytes, window.pageShift)) return status.UNALIGNED_LENGTH;
  if (!inWindow(window, iova(i), bytes)) return status.OUTSIDE_WINDOW;
  if (owner == OWNER_PROGRAM && anyReserved(window, iova(i), iovaLast(i))) return status.RESERVED;
  if (owner == OWNER_MEMORY && !allReserved(window, iova(i), iovaLast(i))) return status.NOT_RESERVED;
  return status.OK;
}

/** Where the container keeps what the kernel has of request `i`: by memory on sPAPR, by IOVA on type1. */
export function keptFrom(container: Container, i: u32): u64 {
  return container.iommu == SPAPR ? va(i) : iova(i);
}

export function keptLast(container: Container, i: u32): u64 {
  return container.iommu == SPAPR ? vaLast(i) : iovaLast(i);
}

/** Counts request `i` as mapped once more or once less. */
export function countRequest(container: Container, i: u32, more: bool): void {
  if (container.iommu != NOIOMMU) countMapped(container, keptFrom(container, i), keptLast(container, i), more);
}

/**
 * Whether UNMAP, call `k`, took away what it was for. type1 v1 answers 0 also where it left a map alone that it would
 * have cut; what it says to have unmapped is then too little (drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_unmap).
 */
export function hasUnmapped(container: Container, k: u32): bool {
  if (calls.resultAt(k) != 0) return false;
  return container.iommu != TYPE1 || unmappedLength(calls.structAt(k)) >= length(calls.requestAt(k));
}

/**
 * The first call from number `from` on that is an UNMAP, was answered with 0, and by the kernel's own account took away
 * another length than it was asked for; the count of all calls when there is none.
 */
export function wrongUnmap(from: u32): u32 {
  const total = calls.callCount();
  let k = from;
  while (k < total) {
    const asked = calls.callAt(k) == calls.UNMAP && calls.resultAt(k) == 0;
    if (asked && unmappedLength(calls.structAt(k)) != length(calls.requestAt(k))) break;
    k++;
  }
  return k;
}
