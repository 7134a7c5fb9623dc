import type { IommuInfo } from "../iommu.ts";
import type { ExactList } from "./types.ts";

/**
 * The order in which lists get their regions, in a plan and in an attached memory alike. On type1, where holes are to be got
 * around, the largest page first, and the longest list of those with the same: so each region begins where the one before it ends,
 * what is hard to place goes first, and the order in which lists were added does not matter. Lists that are alike stay as they are.
 * A window of the kernel's has no holes and is a power of two: there lists lie in the order in which they were added.
 */
export function inPlacingOrder<T extends Pick<ExactList, "pageSize" | "length">>(
  lists: readonly T[],
  kind: IommuInfo["kind"],
): readonly T[] {
  if (kind !== "type1") return lists;
  return [...lists].sort((a, b) => descending(a.pageSize, b.pageSize) || descending(a.length, b.length));
}

function descending(a: bigint, b: bigint): number {
  return a === b ? 0 : a < b ? 1 : -1;
}
