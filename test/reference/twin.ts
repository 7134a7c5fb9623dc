/**
 * What the twins of all kernels have in common: what they really have mapped, what a request needs of them beyond its shape,
 * and which calls carry it out.
 */
import { VfioCall } from "../../src/syscalls.ts";
import type { WindowTwin } from "./window.ts";

export interface Request {
  readonly va: bigint;
  /** NO_ADDRESS: of a map, that the core is to choose. */
  readonly iova: bigint;
  readonly length: bigint;
  /** Maps only. */
  readonly permission?: number;
}

/** An ioctl: its number, and the bytes of its struct. */
export type Call = readonly [call: number, struct: Uint8Array];

export interface Twin {
  /** As SET_IOMMU numbers it. */
  readonly iommu: number;
  readonly windows: WindowTwin[];
  /** Registrations; on type1 maps. */
  readonly pieces: number;
  /** Whether a registration is there of which nothing is mapped. */
  hasIdle(): boolean;
  clone(): Twin;
  /** Carries out one call on the bytes of its struct, and gives the kernel's answer. */
  execute(call: number, bytes: Uint8Array): number;
  /** The core's status for a map whose shape is right, and whose IOVAs and memory are free. */
  mapStatus(request: Request): number;
  /** The core's status for an unmap of what is all mapped. */
  unmapStatus(request: Request): number;
  /** The calls of a request, one after the other: each is made before the next is asked for. */
  mapCalls(request: Request): Iterable<Call>;
  unmapCalls(request: Request): Iterable<Call>;
  /** Where there are no calls: makes, or ends, a map of a window at once. */
  readonly direct?: {
    map(window: WindowTwin, request: Request): void;
    unmap(window: WindowTwin, request: Request): void;
  };
}

/** The fields of a struct of MAP_DMA or UNMAP_DMA, checked as every driver checks them; an errno when they cannot be. */
export function fieldsOf(bytes: Uint8Array): { argsz: number; flags: number; field: (offset: number) => bigint } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    argsz: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    field: (offset) => view.getBigUint64(offset, true),
  };
}

/** Fails for an UNMAP with a struct that is not its own. */
export function mustBeUnmap(argsz: number): void {
  if (argsz !== 24) throw new Error(`UNMAP_DMA was given a struct of ${argsz} bytes`);
}

export function notOfABatch(call: number): Error {
  return new Error(`call ${call} (${VfioCall.IOMMU_MAP_DMA} is MAP_DMA) is not one of a batch here`);
}
