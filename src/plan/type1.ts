/**
 * A "window" of type1: a part of the IOVAs that the kernel allows, which this library keeps to. The IOMMU makes its own
 * tables, so nothing is charged for it, and it need not be a power of two: see place.ts for where it goes.
 */
import { core } from "../core.ts";
import { bytes, hex } from "../hex.ts";
import type { AddressRange, Type1Info } from "../iommu.ts";
import {
  budgetProblem,
  deviceProblem,
  NO_TABLES,
  pageProblem,
  pageShifts,
  Rejections,
  sizeProblem,
  windowShiftFor,
} from "./candidates.ts";
import { growthOf } from "./growth.ts";
import type { Needs } from "./needs.ts";
import { inPlacingOrder } from "./order.ts";
import { isReachUnknown, type Place, placeInOneRange, placeOverRanges, type Wanted, wholePages } from "./place.ts";
import { holesIn, longest, reachable, showRanges } from "./ranges.ts";
import type { ExactRequest, PlannedPiece, Rejection, WindowPlan } from "./types.ts";

export function planType1(request: ExactRequest, info: Type1Info, needs: Needs): WindowPlan | readonly Rejection[] {
  const rejections = new Rejections();
  const { deviceAddressBits } = request;
  for (const pageShift of pageShifts(info.pageSizes)) {
    if (rejections.notePages(pageShift, "", pageProblem(pageShift, needs, info))) continue;
    const windowShift = windowShiftFor(needs.last, pageShift);
    if (rejections.notePages(pageShift, "", sizeProblem(windowShift, pageShift))) continue;
    const wanted = wantedOf(needs, info, pageShift);
    const size = 1n << BigInt(windowShift);
    const place =
      needs.iovaMode === "rebased" ? placeFor(info.ranges, needs, wanted, deviceAddressBits) : { start: 0n, size };
    if (place === undefined) {
      const asked = `, ${bytes(needs.last + 1n)} of IOVAs`;
      rejections.notePages(pageShift, asked, noPlace(info.ranges, needs, wanted, deviceAddressBits));
      continue;
    }
    const last = place.start + place.size - 1n;
    const choice = `, ${bytes(place.size)} of IOVAs`;
    if (rejections.notePages(pageShift, choice, pagesProblem(place.size, pageShift))) continue;
    const dmaMaskBits = core.maskBits(last);
    if (rejections.notePages(pageShift, choice, rangesProblem(info.ranges, needs))) continue;
    if (rejections.notePages(pageShift, choice, deviceProblem(dmaMaskBits, deviceAddressBits))) continue;
    if (rejections.notePages(pageShift, choice, budgetProblem(0n, request))) continue;
    return {
      kind: "type1",
      iovaMode: needs.iovaMode,
      ...place,
      needed: needs.last + 1n,
      pageShift,
      tces: place.size >> BigInt(pageShift),
      ...NO_TABLES,
      dmaMaskBits,
      holes: holesIn(info.ranges, place.start, last),
      alignment: wanted.alignment,
      ...piecesFor(needs, wanted),
      ...(deviceAddressBits === undefined ? {} : { deviceAddressBits }),
      ...growthOf(request, needs, 0n),
      rejected: rejections.list,
    };
  }
  return rejections.list;
}

/** The start is a multiple of the largest page of the lists, so that IOVA and memory begin their pages together. */
function wantedOf({ lists, last }: Needs, info: Type1Info, pageShift: number): Wanted {
  const pageSize = 1n << BigInt(pageShift);
  const alignment = lists.reduce((largest, list) => (list.pageSize > largest ? list.pageSize : largest), pageSize);
  return { needed: last + 1n, pageSize, alignment, pageSizes: info.pageSizes, low: isReachUnknown(info) };
}

function placeFor(
  ranges: readonly AddressRange[],
  needs: Needs,
  wanted: Wanted,
  deviceAddressBits: number | undefined,
): Place | undefined {
  const reached = reachable(ranges, deviceAddressBits);
  return placeInOneRange(reached, wanted) ?? placeOverRanges(reached, wanted, piecesOf(needs, wanted));
}

/** What the plan says of them: where one piece is all there is, its size says it. */
function piecesFor(needs: Needs, wanted: Wanted): Pick<WindowPlan, "pieces"> {
  if (needs.iovaMode !== "rebased") return {};
  const pieces = piecesOf(needs, wanted);
  return pieces.length > 1 ? { pieces } : {};
}

/** The lists that are known, and behind them in one piece what `growTo` leaves for those that will come. */
function piecesOf({ lists, last, listsEnd }: Needs, { alignment }: Wanted): readonly PlannedPiece[] {
  const rest = last + 1n - listsEnd;
  const pieces = inPlacingOrder(lists, "type1").map(({ length, pageSize }) => ({ length, pageSize }));
  return rest <= 0n ? pieces : [...pieces, { length: wholePages(rest, alignment), pageSize: alignment }];
}

/** Why there is no place: what was looked for, what there is, and what of it would pass. */
function noPlace(
  ranges: readonly AddressRange[],
  needs: Needs,
  wanted: Wanted,
  deviceAddressBits: number | undefined,
): string {
  const largest = longest(reachable(ranges, deviceAddressBits));
  const passes =
    largest === undefined
      ? "it reaches none of them"
      : `the largest that it reaches is ${hex(largest.start)}-${hex(largest.last)}, ${bytes(largest.last - largest.start + 1n)}`;
  const elsewhere = deviceAddressBits === undefined ? undefined : placeFor(ranges, needs, wanted, 64);
  if (elsewhere !== undefined) {
    const bits = core.maskBits(elsewhere.start + elsewhere.size - 1n);
    return `${deviceProblem(bits, deviceAddressBits)}; of the ranges ${showRanges(ranges)} ${passes}`;
  }
  const size = largest === undefined ? "" : `; the largest has ${bytes(largest.last - largest.start + 1n)}`;
  const several =
    needs.lists.length === 0
      ? "and without lists it is not known how to divide it: state them"
      : "nor do several, list by list";
  return (
    `no range that the IOMMU allows holds it in one piece at a multiple of ${bytes(wanted.alignment)}, ` +
    `${several}: ${showRanges(ranges)}${size}`
  );
}

/** A window over several ranges is larger than what is needed, and may be too large for the bookkeeping. */
function pagesProblem(size: bigint, pageShift: number): string | undefined {
  return sizeProblem(core.log2Ceil(size), pageShift);
}

/** IOVAs that are addresses must be allowed, all that the lists can hold. */
function rangesProblem(ranges: readonly AddressRange[], needs: Needs): string | undefined {
  if (needs.iovaMode === "rebased") return undefined;
  if (needs.iovaMode === "va") {
    const outside = needs.lists.find(
      (list) => !ranges.some((range) => core.rangeContains(range.start, range.last, list.base, list.length)),
    );
    if (outside) {
      const last = outside.base + outside.length - 1n;
      return `the list ${hex(outside.base)}-${hex(last)} is not in one of the ranges that the IOMMU allows: ${showRanges(ranges)}`;
    }
  }
  const end = ranges.at(-1);
  if (end && needs.last <= end.last) return undefined;
  return `the highest address ${hex(needs.last)} is above the ranges that the IOMMU allows: ${showRanges(ranges)}`;
}
