/** The core's refusals in words: what was asked, what the limit is, what would pass. */
import { codeOf, core, Status } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";
import { showRanges } from "../plan/ranges.ts";

/** The request that was refused, and the window that it was for. */
export interface Refused {
  readonly what: "map" | "unmap";
  /** Which one of a batch; left out of the words for a batch of one. */
  readonly index: number;
  readonly count: number;
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
  readonly window: number;
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
  readonly cpuPageSize: number;
  readonly container: number;
  /** type1: what of the window the IOMMU does not allow, and what it allows in all. */
  readonly forbidden: readonly AddressRange[];
  readonly allowed: readonly AddressRange[];
}

export function refusal(status: number, refused: Refused): DmaWindowError {
  const { what, index, count, va, iova, length } = refused;
  const which = count === 1 ? "" : ` (request ${index} of ${count})`;
  const begin = `cannot ${what} ${range(iova, length)}${which}`;
  const facts = { index, count, va, iova, length };
  // What may not be mapped is set aside in the window for nobody: the core says of it what it says of a list's IOVAs.
  if (status === Status.RESERVED && isForbidden(iova, length, refused.forbidden)) {
    return outsideRanges(begin, facts, refused.allowed);
  }
  if (status === Status.CUTS_MAP) return cutsMap(begin, facts, refused.container);
  return new DmaWindowError(codeOf(status), `${begin}: ${reason(status, refused)}`, { facts });
}

/** Whether any of [iova, iova + length) is what the IOMMU does not allow. */
export function isForbidden(iova: bigint, length: bigint, forbidden: readonly AddressRange[]): boolean {
  return forbidden.some(({ start, last }) => iova <= last && iova + length > start);
}

export function outsideRanges(
  begin: string,
  facts: Readonly<Record<string, unknown>>,
  allowed: readonly AddressRange[],
): DmaWindowError {
  return new DmaWindowError(
    "ERR_OUTSIDE_RANGES",
    `${begin}: the IOMMU does not allow all of these IOVAs; allowed are ${showRanges(allowed)}, in whole pages of the window`,
    { facts: { ...facts, ranges: allowed } },
  );
}

/** The map that begins before the range, or else the one that ends behind it. */
function cutsMap(begin: string, facts: { iova: bigint; length: bigint }, container: number): DmaWindowError {
  const { iova, length } = facts;
  const at = core.containerPieceStart(container, iova) === iova ? iova + length - 1n : iova;
  const [mapIova, mapLength] = [core.containerPieceStart(container, at), core.containerPieceLength(container, at)];
  return new DmaWindowError(
    "ERR_CUTS_MAP",
    `${begin}: it would cut the map of ${range(mapIova, mapLength)}; type1 unmaps as a whole what was mapped as a whole. ` +
      "Unmap all of it, or map in the pieces that you will unmap",
    { facts: { ...facts, mapIova, mapLength } },
  );
}

function range(start: bigint, length: bigint): string {
  return start === 0xffff_ffff_ffff_ffffn ? `${bytes(length)} anywhere` : `${bytes(length)} at IOVA ${hex(start)}`;
}

function reason(status: number, refused: Refused): string {
  const { va, iova, length, window, start, size, pageShift, cpuPageSize } = refused;
  const last = start + size - 1n;
  const page = bytes(1n << BigInt(pageShift));
  const registered =
    1n << BigInt(pageShift) < BigInt(cpuPageSize) ? `, and is registered in pages of ${bytes(cpuPageSize)}` : "";
  switch (status) {
    case Status.OUT_OF_MEMORY:
      return "the core's memory cannot grow";
    case Status.UNKNOWN_HANDLE:
      return "the window is closed";
    case Status.ZERO_LENGTH:
      return `its length is 0; the shortest map is one page of ${page}`;
    case Status.UNALIGNED_VA:
      return `the address ${hex(va)} is not on a page border; the window has pages of ${page}${registered}`;
    case Status.UNALIGNED_IOVA:
      return `the IOVA is not on a page border; the window has pages of ${page}`;
    case Status.UNALIGNED_LENGTH:
      return `the length is not a number of whole pages; the window has pages of ${page}${registered}`;
    case Status.WRAPS:
      return `it runs past 2^64, from ${hex(va)} or ${hex(iova)}`;
    case Status.OUTSIDE_WINDOW:
      return `the window is ${hex(start)}-${hex(last)}${headroom(window, iova)}`;
    case Status.ALREADY_LIVE:
      return "part of it is mapped already; unmap that first, or leave the IOVA to the window";
    case Status.VA_ALREADY_MAPPED:
      return `part of the memory ${hex(va)}-${hex(va + length - 1n)} is mapped in this window already`;
    case Status.NOT_LIVE:
      return "part of it is not mapped";
    case Status.RESERVED:
      return "part of it belongs to an attached memory: use its allocate and free, or detach it";
    case Status.NOT_RESERVED:
      return "part of it does not belong to the memory that asks";
    case Status.PARTLY_REGISTERED:
      return `part of the memory ${hex(va)}-${hex(va + length - 1n)} is registered with this container, and part is not`;
    case Status.STALE_REGISTRATION:
      return `an earlier registration of ${hex(va)} could not be ended; close the container to end it`;
    case Status.BAD_PERMISSION:
      return "a device must be allowed to read, to write, or both";
    case Status.VA_MISMATCH:
      return `the memory there is not ${length === 0n ? "" : "all of "}${hex(va)}-${hex(va + length - 1n)} at one offset`;
    case Status.NO_HOLE:
      return `the largest hole of the window has ${bytes(core.windowLargestHole(window))}; plan it with growTo`;
    default:
      return codeOf(status);
  }
}

function headroom(window: number, iova: bigint): string {
  const left = core.windowHeadroom(window, iova);
  return left === 0n ? "" : `; ${bytes(left)} are left from there`;
}
