/**
 * Where a window of type1 goes, and how large it is. The kernel has no windows there: any whole pages of allowed IOVAs will
 * do, so size and place are what the ranges leave. In this order:
 *
 *     1   ....|================|........    the power of two that holds what is needed, at a multiple of its size
 *     2   ..|===========|...............    what is needed, at a multiple of the largest page that leaves a place for it
 *     3   ..|=====|####|========|.......    several ranges and the holes between: each list in one piece, in one range
 *
 * The first two are one piece of one range, so that whatever comes later fits as well as what is known; where nobody says how
 * far the IOMMU reaches (kernels before 5.4), the lower of the two is taken. The third is for lists that are known: they are
 * laid out here as an attached memory lays them out, so that it finds the same places again.
 */
import { core, NO_ADDRESS } from "../core.ts";
import type { AddressRange, Type1Info } from "../iommu.ts";
import { lowestStart, without } from "./ranges.ts";
import type { PlannedPiece } from "./types.ts";

const EVERYTHING: readonly AddressRange[] = [{ start: 0n, last: NO_ADDRESS }];

export interface Place {
  readonly start: bigint;
  /** Bytes: whole pages of the window. */
  readonly size: bigint;
}

/** What a place is looked for. */
export interface Wanted {
  /** Bytes that must fit. */
  readonly needed: bigint;
  /** Bytes of a page of the window. */
  readonly pageSize: bigint;
  /** A power of two of which the start must be a multiple: the largest page of the lists. */
  readonly alignment: bigint;
  /** The page sizes of the IOMMU, as a mask. */
  readonly pageSizes: bigint;
  /** The lower the better: nobody says where what the IOMMU can translate ends. */
  readonly low?: boolean;
}

/** Only VFIO's own ranges end where the IOMMU's reach does. User-made facts without a source are taken at their word. */
export function isReachUnknown({ rangesFrom = "kernel" }: Pick<Type1Info, "rangesFrom">): boolean {
  return rangesFrom !== "kernel";
}

/** Whole pages. bigint: the sum does not wrap. */
export function wholePages(bytes: bigint, pageSize: bigint): bigint {
  return ((bytes + pageSize - 1n) / pageSize) * pageSize;
}

/** A place in one range, apart from what is taken; undefined when there is none. `ranges` are those that are reached. */
export function placeInOneRange(
  ranges: readonly AddressRange[],
  wanted: Wanted,
  taken: readonly AddressRange[] = [],
): Place | undefined {
  const round = roundPlace(ranges, wanted, taken);
  if (round !== undefined && !wanted.low) return round;
  const tight = tightPlace(ranges, wanted, taken);
  if (round === undefined || tight === undefined) return round ?? tight;
  return tight.start + tight.size < round.start + round.size && tight.start < round.start ? tight : round;
}

/** A power of two, at a multiple of itself. */
function roundPlace(
  ranges: readonly AddressRange[],
  { needed, alignment }: Wanted,
  taken: readonly AddressRange[],
): Place | undefined {
  const least = needed > alignment ? needed : alignment;
  if (least > 1n << 63n) return undefined;
  const size = core.powerOfTwoAtLeast(least);
  const start = lowestStart(ranges, size, taken);
  return start === undefined ? undefined : { start, size };
}

/** What is needed, and no more than a page of the window besides. */
function tightPlace(
  ranges: readonly AddressRange[],
  wanted: Wanted,
  taken: readonly AddressRange[],
): Place | undefined {
  const size = wholePages(wanted.needed, wanted.pageSize);
  for (const alignment of alignments(wanted, size)) {
    const start = lowestStart(ranges, size, taken, alignment);
    if (start !== undefined) return { start, size };
  }
  return undefined;
}

/** The larger the page that begins where the window does, the fewer entries the IOMMU needs for it. */
function alignments({ pageSizes, alignment }: Wanted, size: bigint): bigint[] {
  const larger: bigint[] = [];
  for (let page = 1n << 63n; page > alignment; page >>= 1n)
    if ((pageSizes & page) !== 0n && page <= size) larger.push(page);
  return [...larger, alignment];
}

/**
 * A place over several ranges, in which every piece, one after the other, finds the lowest free region of its length, as
 * `Attachment` does. Small pages may lie before the first multiple of the largest; the start is the multiple before them, for the
 * core aligns a region in its window, and what is not allowed there is a hole as any other. Undefined when there is none, and where
 * ranges adjoin: the kernel refuses a map over their border (vfio_iommu_type1.c: vfio_iommu_iova_dma_valid), which no hole marks.
 *
 * All of it, holes too, lies between two that are taken: an IOVA belongs to one window.
 */
export function placeOverRanges(
  ranges: readonly AddressRange[],
  wanted: Pick<Wanted, "pageSize" | "alignment">,
  pieces: readonly PlannedPiece[],
  taken: readonly AddressRange[] = [],
): Place | undefined {
  for (const gap of taken.reduce(without, EVERYTHING)) {
    const place = placeWithin(within(ranges, gap), gap, wanted, pieces);
    if (place !== undefined) return place;
  }
  return undefined;
}

/** The same in ranges that all lie in `gap`, which the window must not leave. */
function placeWithin(
  ranges: readonly AddressRange[],
  gap: AddressRange,
  { pageSize, alignment }: Pick<Wanted, "pageSize" | "alignment">,
  pieces: readonly PlannedPiece[],
): Place | undefined {
  for (const range of ranges) {
    const laid = layOut(from(ranges, multipleBefore(range.start, alignment)), pieces);
    if (laid === undefined) continue;
    const start = multipleBefore(laid.start, alignment);
    if (adjoin(from(ranges, start).filter((one) => one.start <= laid.last))) continue;
    const size = wholePages(laid.last - start + 1n, pageSize);
    if (start >= gap.start && start + size - 1n <= gap.last) return { start, size };
  }
  return undefined;
}

/** What of the ranges lies in `gap`. */
function within(ranges: readonly AddressRange[], gap: AddressRange): AddressRange[] {
  return ranges
    .filter(({ start, last }) => start <= gap.last && last >= gap.start)
    .map(({ start, last }) => ({
      start: start > gap.start ? start : gap.start,
      last: last < gap.last ? last : gap.last,
    }));
}

function multipleBefore(address: bigint, alignment: bigint): bigint {
  return address - (address % alignment);
}

/** What of the ranges is at `start` or behind it: all that a window which begins there may have. */
function from(ranges: readonly AddressRange[], start: bigint): AddressRange[] {
  return ranges
    .filter(({ last }) => last >= start)
    .map((range) => (range.start < start ? { start, last: range.last } : range));
}

/** From the lowest of the pieces to the highest one's end; undefined when one finds no region. */
function layOut(ranges: readonly AddressRange[], pieces: readonly PlannedPiece[]): AddressRange | undefined {
  let free = ranges;
  let [lowest, highest] = [NO_ADDRESS, 0n];
  for (const { length, pageSize } of pieces) {
    const start = lowestStart(free, length, [], pageSize);
    if (start === undefined) return undefined;
    const last = start + length - 1n;
    free = without(free, { start, last });
    if (start < lowest) lowest = start;
    if (last > highest) highest = last;
  }
  return { start: lowest, last: highest };
}

function adjoin(ranges: readonly AddressRange[]): boolean {
  return ranges.some(({ start }, i) => ranges[i - 1]?.last === start - 1n);
}
