/** What a program asks a window for, one object for each request, and how it becomes rows of the request columns. */
import { core, NO_ADDRESS } from "../core.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import { keysOf, known } from "../known.ts";
import { Segment } from "../memory/segment.ts";
import type { IovaMode } from "../plan/index.ts";
import { address, boolean, object, size } from "../validate.ts";
import { requestColumns } from "./columns.ts";
import type { Target } from "./target.ts";

/**
 * Memory to be mapped. All of it whole pages of the window.
 *
 * A segment may stand for one: all of it, to be read and written. So may a memseg of `memory.memsegs()`: its list is not looked
 * at, and its `iova`, where it has one, is asked for as any other: it is the memory's own place in mode `pa`, so leave it out
 * in others.
 */
export interface MapRequest {
  /** Where the memory is. */
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint | number;
  /**
   * Where the device shall find it. Default: in IOVA mode `rebased` the lowest IOVAs that are free, in mode `va` the
   * virtual address. Mode `pa` needs it; but without an IOMMU the memory's physical address is asked for, and an IOVA that is
   * given must be that.
   */
  readonly iova?: bigint;
  /** Whether the device may read it. Default: true. */
  readonly read?: boolean;
  /** Whether the device may write it. Default: true. Some IOMMUs (VT-d) let a device read what it may only write. */
  readonly write?: boolean;
}

/**
 * What is to be unmapped: whole pages that are mapped, at one offset from their memory. Runs of several maps, and parts of
 * one, too; on type1 whole maps only.
 */
export interface UnmapRequest {
  readonly iova: bigint;
  /** Bytes. */
  readonly length: bigint | number;
  /** The memory that is expected there. Default: whatever is there. */
  readonly va?: bigint;
}

const MAP_KEYS = [
  ...keysOf<MapRequest>({ va: true, length: true, iova: true, read: true, write: true }),
  "list", // of a memseg
];
const UNMAP_KEYS = keysOf<UnmapRequest>({ iova: true, length: true, va: true });

/** Writes requests to map into the request columns, all of them checked before. Gives how many there are. */
export function writeMaps(target: Target, mode: IovaMode, requests: readonly (MapRequest | Segment)[]): number {
  if (!Array.isArray(requests)) throw argumentTypeError("requests", "an array", requests);
  // Array.from and not map, which passes over the holes of an array: their rows would be those of an earlier call.
  const checked = Array.from(requests, (request, i) => mapRow(target, mode, `requests[${i}]`, request));
  const { vas, iovas, lengths, permissions } = requestColumns(checked.length);
  checked.forEach((row, i) => {
    [vas[i], iovas[i], lengths[i], permissions[i]] = row;
  });
  return checked.length;
}

/** va, IOVA, length, permission. */
type Row = readonly [bigint, bigint, bigint, number];

function mapRow(target: Target, mode: IovaMode, name: string, request: MapRequest | Segment): Row {
  if (request instanceof Segment) return segmentRow(target, mode, name, request);
  known(name, object(name, request), MAP_KEYS);
  const va = address(`${name}.va`, request.va);
  const length = size(`${name}.length`, request.length);
  const read = request.read === undefined || boolean(`${name}.read`, request.read);
  const write = request.write === undefined || boolean(`${name}.write`, request.write);
  return [va, iovaFor(target, mode, name, request), length, (read ? 1 : 0) | (write ? 2 : 0)];
}

/** All of a segment, for a device that may read and write it; its own `read` and `write` copy bytes. */
function segmentRow(target: Target, mode: IovaMode, name: string, segment: Segment): Row {
  const { va, length, freed } = segment;
  if (freed) {
    throw new DmaWindowError("ERR_FREED", `${name}, the segment at ${hex(va)}, has been freed`, {
      facts: { va, length },
    });
  }
  return [va, iovaFor(target, mode, name, { va, length }), length, 3];
}

function iovaFor(target: Target, mode: IovaMode, name: string, request: MapRequest): bigint {
  if (request.iova !== undefined) {
    const iova = address(`${name}.iova`, request.iova);
    if (iova === NO_ADDRESS) throw argumentRangeError(`${name}.iova`, "the first byte of a page", iova);
    return iova;
  }
  const left = leftOpen(target, mode);
  if (left === "refused") throw argumentTypeError(`${name}.iova`, "a bigint in IOVA mode pa", undefined);
  return left === "va" ? request.va : NO_ADDRESS;
}

/** What becomes of a request that leaves its IOVA open: it is placed, or gets the virtual address, or is refused. */
export function leftOpen(target: Target, mode: IovaMode): "placed" | "va" | "refused" {
  if (target.kind === "noiommu") return "placed"; // where it is in physical memory: performMaps asks
  if (mode === "pa") return "refused";
  return mode === "va" ? "va" : "placed";
}

/** Writes requests to unmap into the request columns, likewise. */
export function writeUnmaps(target: Target, requests: readonly UnmapRequest[]): number {
  if (!Array.isArray(requests)) throw argumentTypeError("requests", "an array", requests);
  const checked = Array.from(requests, (request, i): readonly [bigint, bigint, bigint] => {
    const name = `requests[${i}]`;
    known(name, object(name, request), UNMAP_KEYS);
    const iova = address(`${name}.iova`, request.iova);
    const length = size(`${name}.length`, request.length);
    const va = request.va === undefined ? memoryAt(target, iova) : address(`${name}.va`, request.va);
    return [va, iova, length];
  });
  const { vas, iovas, lengths } = requestColumns(checked.length);
  checked.forEach((row, i) => {
    [vas[i], iovas[i], lengths[i]] = row;
  });
  return checked.length;
}

/** The page of memory at an IOVA. Where nothing is mapped it is any: the core then says that it is not live. */
export function memoryAt(target: Target, iova: bigint): bigint {
  const va = core.windowReverse(target.window, iova);
  return va === NO_ADDRESS ? 0n : (va >> BigInt(target.pageShift)) << BigInt(target.pageShift);
}
