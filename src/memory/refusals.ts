/** The core's refusals of lists and memsegs, in words. */
import { codeOf, NO_ADDRESS, Status } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { Memseg, MemsegList } from "./types.ts";

export function refused(status: number, what: string): DmaWindowError {
  const reasons: Readonly<Record<number, string>> = {
    [Status.OUT_OF_MEMORY]: "the core's memory cannot grow",
    [Status.ZERO_LENGTH]: "its length is 0",
    [Status.WRAPS]: "it runs past 2^64",
    [Status.UNALIGNED_VA]: "its address is not on a page border",
    [Status.UNALIGNED_IOVA]: "its IOVA is not on a page border",
    [Status.UNALIGNED_LENGTH]: "its length is not a number of whole pages",
    [Status.OVERLAPS]: "it overlaps what is there",
    [Status.OUTSIDE_LIST]: "it is not inside its list",
    [Status.NOT_FOUND]: "there is none",
    [Status.BUSY]: "it still has memsegs: remove or free them first",
    [Status.TOO_LARGE]: "it has more pages than can be kept track of (2^36)",
  };
  return new DmaWindowError(codeOf(status), `${what}: ${reasons[status] ?? codeOf(status)}`);
}

/** No `pages` in a row are free in a list whose memsegs are these, by address. Only where there is no room they are walked. */
export function listFull(list: MemsegList, pages: bigint, memsegs: Iterable<Memseg>): DmaWindowError {
  const { base, length, pageSize } = list;
  let [at, free, longest] = [base, 0n, 0n];
  const gap = (upTo: bigint): void => {
    free += upTo - at;
    if (upTo - at > longest) longest = upTo - at;
  };
  for (const memseg of memsegs) {
    gap(memseg.va);
    at = memseg.va + memseg.length;
  }
  gap(base + length);
  return new DmaWindowError(
    "ERR_LIST_FULL",
    `the list at ${hex(base)} has no ${pages} pages of ${bytes(pageSize)} in a row free: of its ${bytes(length)}, ` +
      `${bytes(free)} are free, ${bytes(longest)} of them in a row. Free some, or add another list`,
    { facts: { wanted: pages * pageSize, free, longest, list: { base, length, pageSize } } },
  );
}

/** Memsegs of one call lie one behind the other. */
export function nameOf(memsegs: readonly Memseg[]): string {
  const length = memsegs.reduce((sum, memseg) => sum + memseg.length, 0n);
  return `${bytes(length)} of memory at ${hex(memsegs[0]?.va ?? NO_ADDRESS)}`;
}
