/** How far a window must reach, before any page size or kernel is looked at. */
import { core } from "../core.ts";
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { inPlacingOrder } from "./order.ts";
import type { ExactList, ExactRequest, IovaMode, ListFacts } from "./types.ts";

export interface Needs {
  readonly iovaMode: IovaMode;
  /** The lists that are mapped: all but external memory that is no heap. */
  readonly lists: readonly ExactList[];
  /** All lists, as the caller numbers them. */
  readonly declared: readonly ExactList[];
  /** The last offset from the window's start that must be inside; inclusive, so that 2^64 bytes can be said. */
  readonly last: bigint;
  /** Bytes of the lists one behind the other, each at a multiple of its page size, in their placing order. */
  readonly listsEnd: bigint;
}

/** Whether a list is mapped with its memory, and counts for the window: external memory that is no heap is its owner's. */
export function isServed(list: ListFacts): boolean {
  return !list.external || list.heap === true;
}

/** `needed` - 1 for every IOVA mode, with `growTo` in place of the default where it is given. */
export function findNeeds(request: ExactRequest): Needs {
  const iovaMode = request.iovaMode ?? (request.info.kind === "noiommu" ? "pa" : "rebased");
  const lists = request.memory.lists.filter(isServed);
  const listsEnd = endOf(inPlacingOrder(lists, request.info.kind));
  const atLeast = iovaMode === "rebased" ? lastOffset(listsEnd) : highestOf(lists, iovaMode, request);
  const last = request.growTo === undefined ? atLeast : grown(request.growTo, atLeast, iovaMode);
  if (last === undefined) {
    throw new DmaWindowError(
      "ERR_NOTHING_TO_MAP",
      "a window cannot be sized from memory without lists; add a list first, or state growTo",
    );
  }
  return { iovaMode, lists, declared: request.memory.lists, last, listsEnd };
}

/** `rebased`: the lists one behind the other, each at a multiple of its page size. */
function endOf(lists: readonly ExactList[]): bigint {
  // bigint does not wrap: the end may be formed here, and even be 2^64.
  let end = 0n;
  for (const { pageSize, length } of lists) end = ((end + pageSize - 1n) / pageSize) * pageSize + length;
  return end;
}

function lastOffset(end: bigint): bigint | undefined {
  if (end > 1n << 64n) throw tooLarge(end);
  return end === 0n ? undefined : end - 1n;
}

function highestOf(lists: readonly ExactList[], iovaMode: IovaMode, request: ExactRequest): bigint | undefined {
  if (iovaMode === "pa") {
    if (request.highestRam === undefined && request.growTo === undefined) {
      throw argumentTypeError(
        "highestRam",
        "a bigint in IOVA mode pa (readIomem().highest), or growTo given",
        undefined,
      );
    }
    return request.highestRam;
  }
  return lists.reduce<bigint | undefined>((highest, list) => {
    const last = list.base + list.length - 1n;
    return highest === undefined || last > highest ? last : highest;
  }, undefined);
}

function grown(growTo: bigint, atLeast: bigint | undefined, iovaMode: IovaMode): bigint {
  if (growTo === 0n)
    throw new DmaWindowError("ERR_NOTHING_TO_MAP", "growTo is 0 bytes; state how large memory may become");
  // Physical memory may be declared smaller than the machine's: the program may know where its memory comes from.
  if (iovaMode === "pa") return growTo - 1n;
  return atLeast !== undefined && atLeast > growTo - 1n ? atLeast : growTo - 1n;
}

function tooLarge(end: bigint): DmaWindowError {
  return new DmaWindowError("ERR_MEMORY_TOO_LARGE", `the lists hold ${end} bytes together; an IOVA has 64 bits`);
}

export function shiftOf(list: Pick<ExactList, "pageSize">): number {
  return core.log2Floor(list.pageSize);
}
