/** Ranges of IOVAs that an IOMMU allows, and what lies between them. All ranges are inclusive and ascending. */
import { core } from "../core.ts";
import { hex } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";

/**
 * The lowest multiple of `alignment`, a power of two, from which `size` bytes lie in one of the ranges and touch none of
 * `taken`; undefined when there is none. A size that is a power of two is its own alignment, unless another one is given.
 */
export function lowestStart(
  ranges: readonly AddressRange[],
  size: bigint,
  taken: readonly AddressRange[] = [],
  alignment: bigint = size,
): bigint | undefined {
  const shift = core.log2Floor(alignment);
  for (const range of ranges) {
    let from = range.start;
    while (true) {
      const start = core.alignUp(from, shift);
      // alignUp gives 0 for what would be 2^64; it is below `from` then.
      if (start < from || core.rangeContains(range.start, range.last, start, size) === 0) break;
      const last = start + size - 1n;
      const other = taken.find((one) => core.rangesOverlap(start, last, one.start, one.last) === 1);
      if (other === undefined) return start;
      if (other.last >= range.last) break;
      from = other.last + 1n; // behind one of the taken ranges, and never the same one twice: this ends
    }
  }
  return undefined;
}

/** What of the ranges a device of so many address bits reaches; all of them where that is not said. */
export function reachable(ranges: readonly AddressRange[], deviceAddressBits = 64): readonly AddressRange[] {
  const end = (1n << BigInt(deviceAddressBits)) - 1n;
  return ranges
    .filter(({ start }) => start <= end)
    .map(({ start, last }) => ({ start, last: last < end ? last : end }));
}

/** The ranges without [piece.start, piece.last]. */
export function without(ranges: readonly AddressRange[], piece: AddressRange): AddressRange[] {
  return ranges.flatMap((range) => {
    if (core.rangesOverlap(range.start, range.last, piece.start, piece.last) === 0) return [range];
    return [
      ...(range.start < piece.start ? [{ start: range.start, last: piece.start - 1n }] : []),
      ...(range.last > piece.last ? [{ start: piece.last + 1n, last: range.last }] : []),
    ];
  });
}

/** The longest of the ranges; undefined where there is none. */
export function longest(ranges: readonly AddressRange[]): AddressRange | undefined {
  const lengthOf = ({ start, last }: AddressRange) => last - start;
  return ranges.reduce<AddressRange | undefined>(
    (best, range) => (best === undefined || lengthOf(range) > lengthOf(best) ? range : best),
    undefined,
  );
}

/** The parts of [start, last] that are in none of the ranges. */
export function holesIn(ranges: readonly AddressRange[], start: bigint, last: bigint): AddressRange[] {
  const holes: AddressRange[] = [];
  let at = start;
  for (const range of ranges) {
    if (range.last < at) continue;
    if (range.start > last) break;
    if (range.start > at) holes.push({ start: at, last: range.start - 1n });
    at = range.last + 1n;
    if (at > last) return holes;
  }
  holes.push({ start: at, last });
  return holes;
}

/**
 * The pages of [start, last], which begins and ends with a page, that any of the holes touches: in order, and none twice.
 */
export function pagesOver(
  holes: readonly AddressRange[],
  pageShift: number,
  { start, last }: AddressRange,
): AddressRange[] {
  const mask = (1n << BigInt(pageShift)) - 1n;
  const whole = holes
    .filter((hole) => core.rangesOverlap(hole.start, hole.last, start, last) === 1)
    .map((hole) => {
      const from = hole.start < start ? start : hole.start;
      const to = hole.last > last ? last : hole.last;
      return { start: from - (from & mask), last: to | mask };
    })
    .sort((a, b) => (a.start < b.start ? -1 : 1));
  const merged: { start: bigint; last: bigint }[] = [];
  for (const hole of whole) {
    const previous = merged.at(-1);
    if (previous === undefined || hole.start > previous.last) merged.push(hole);
    else if (hole.last > previous.last) previous.last = hole.last;
  }
  return merged;
}

/** `0x0-0xfedfffff, 0xfef00000-0xffffffffffff`; `none`. */
export function showRanges(ranges: readonly AddressRange[]): string {
  return ranges.length === 0 ? "none" : ranges.map((range) => `${hex(range.start)}-${hex(range.last)}`).join(", ");
}
