/** How much memory a number of maps holds, where each page is allocated, and mapped, by itself. */
import type { ExactList } from "./types.ts";

/**
 * Bytes that `maps` maps hold at the least: the lists with the smallest pages fill up first. What they do not hold is memory of
 * lists to come, in pages of `smallest`.
 */
export function memoryInMaps(lists: readonly ExactList[], smallest: bigint, maps: bigint): bigint {
  const ascending = [...lists].sort((a, b) => (a.pageSize === b.pageSize ? 0 : a.pageSize < b.pageSize ? -1 : 1));
  let [left, held] = [maps, 0n];
  for (const { length, pageSize } of ascending) {
    const pages = length / pageSize;
    if (pages >= left) return held + left * pageSize;
    left -= pages;
    held += length;
  }
  return held + left * smallest;
}
