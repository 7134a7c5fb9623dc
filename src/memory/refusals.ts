/** The core's refusals of lists and memsegs, in words. */
import { codeOf, Status } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { MemsegList } from "./types.ts";

/** No room for so many pages in a row. `waiting`: bytes of freed memory that something may still reach. */
export function listFull(list: MemsegList, pages: number, waiting: bigint): DmaWindowError {
  const about = `${pages} pages of ${bytes(list.pageSize)} in a row`;
  const message = `the list at ${hex(list.base)} has no ${about} free; it holds ${bytes(list.length)}`;
  if (waiting === 0n) return new DmaWindowError("ERR_LIST_FULL", message);
  const why = `${bytes(waiting)} of it are freed, and wait until nothing can reach them: buffers that were moved out of a view have to be collected as garbage, and input and output into one to end`;
  return new DmaWindowError("ERR_LIST_FULL", `${message}; ${why}`, { facts: { waiting } });
}

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
