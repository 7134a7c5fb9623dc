/** The core's refusals of lists and memsegs, in words. */
import { codeOf, NO_ADDRESS, Status } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { Memseg, MemsegList } from "./types.ts";

type Extent = Pick<Memseg, "va" | "length">;

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

/**
 * No `pages` in a row are free in a list whose memsegs are these, by address, and of whose freed memory something may still
 * reach `kept`. Only where there is no room they are walked.
 */
export function listFull(
  list: MemsegList,
  pages: bigint,
  memsegs: Iterable<Extent>,
  kept: readonly Extent[],
): DmaWindowError {
  const { base, length, pageSize } = list;
  const taken = [...memsegs, ...kept].sort((a, b) => (a.va < b.va ? -1 : 1));
  let [at, free, longest] = [base, 0n, 0n];
  for (const next of [...taken, { va: base + length, length: 0n }]) {
    const gap = next.va - at;
    free += gap;
    if (gap > longest) longest = gap;
    at = next.va + next.length;
  }
  const waiting = kept.reduce((sum, one) => sum + one.length, 0n);
  const about =
    `the list at ${hex(base)} has no ${pages} pages of ${bytes(pageSize)} in a row free: of its ${bytes(length)}, ` +
    `${bytes(free)} are free, ${bytes(longest)} of them in a row`;
  const facts = { wanted: pages * pageSize, free, longest, list: { base, length, pageSize } };
  if (waiting === 0n) {
    return new DmaWindowError("ERR_LIST_FULL", `${about}. Free some, or add another list`, { facts });
  }
  return new DmaWindowError(
    "ERR_LIST_FULL",
    `${about}. ${bytes(waiting)} are freed, and wait until nothing can reach them: buffers that were moved out of a view have ` +
      "to be collected as garbage, sockets that read into one (onread) to be destroyed, and other input and output to end. " +
      "Free others, or add another list",
    { facts: { ...facts, waiting } },
  );
}

/** Memsegs of one call lie one behind the other. */
export function nameOf(memsegs: readonly Memseg[]): string {
  const length = memsegs.reduce((sum, memseg) => sum + memseg.length, 0n);
  return `${bytes(length)} of memory at ${hex(memsegs[0]?.va ?? NO_ADDRESS)}`;
}
