/** What a window's size and start have to be, in a plan: whoever reads one asks here, before a kernel is asked for the window. */
import { core } from "../core.ts";
import { bytes, hex } from "../hex.ts";
import type { WindowPlan } from "./types.ts";

/** A window of pages of 2^`pageShift` bytes: what of a plan says where it lies, and how long it is. */
export interface Shape extends Pick<WindowPlan, "kind" | "pageShift"> {
  /** sPAPR: the window that is there from the beginning, as long as the firmware made it. */
  readonly isDefault: boolean;
  readonly start: bigint;
  readonly size: bigint;
}

/** Shifts of an IOMMU's page. */
export const PAGE_SHIFT = { least: 12, most: 40 } as const;

/** What the size has to be, behind "be" in a sentence; `undefined` where it is. */
export function sizeWanted({ kind, isDefault, pageShift, size }: Shape): string | undefined {
  const page = 1n << BigInt(pageShift);
  if (kind === "type1" || isDefault)
    return size === 0n || size % page !== 0n ? `whole pages of ${bytes(page)}, and not 0` : undefined;
  const isRound = core.isPowerOfTwo(size) === 1 && size >= page;
  return isRound ? undefined : `a power of two, and not smaller than a page of ${bytes(page)}`;
}

/** The same of the start, for a size that is as it has to be. */
export function startWanted({ kind, pageShift, start, size }: Shape): string | undefined {
  const border = kind === "noiommu" ? size : 1n << BigInt(pageShift);
  if (start % border !== 0n) return `a multiple of ${hex(border)}`;
  return start + size > 1n << 64n ? "such that the window ends by 2^64" : undefined; // a bigint: nothing wraps
}

/** The same of a page size of the memory that is mapped there. */
export function pageWanted(pageSize: bigint, least: bigint): string | undefined {
  return core.isPowerOfTwo(pageSize) === 1 && pageSize >= least ? undefined : `a power of two from ${hex(least)} on`;
}
