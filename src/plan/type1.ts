/**
 * A "window" of type1: a part of the IOVAs that the kernel allows, which this library keeps to. The IOMMU makes its own
 * tables, so nothing is charged for it.
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
  pages,
  Rejections,
  sizeProblem,
  windowShiftFor,
} from "./candidates.ts";
import type { Needs } from "./needs.ts";
import { holesIn, lowestStart, showRanges } from "./ranges.ts";
import type { ExactRequest, Rejection, WindowPlan } from "./types.ts";

export function planType1(request: ExactRequest, info: Type1Info, needs: Needs): WindowPlan | readonly Rejection[] {
  const rejections = new Rejections();
  for (const pageShift of pageShifts(info.pageSizes)) {
    if (rejections.note(pages(pageShift), pageProblem(pageShift, needs, info))) continue;
    const windowShift = windowShiftFor(needs.last, pageShift);
    if (rejections.note(pages(pageShift), sizeProblem(windowShift, pageShift))) continue;
    const size = 1n << BigInt(windowShift);
    const start = needs.iovaMode === "rebased" ? lowestStart(info.ranges, size) : 0n;
    const choice = `${pages(pageShift)}, ${bytes(size)} of IOVAs`;
    if (start === undefined) {
      rejections.note(
        choice,
        `no range that the IOMMU allows holds it at a multiple of its size: ${showRanges(info.ranges)}`,
      );
      continue;
    }
    const dmaMaskBits = core.maskBits(start + size - 1n);
    if (rejections.note(choice, rangesProblem(info.ranges, needs))) continue;
    if (rejections.note(choice, deviceProblem(dmaMaskBits, request.deviceAddressBits))) continue;
    if (rejections.note(choice, budgetProblem(0n, request.memory.bytes, info))) continue;
    return {
      kind: "type1",
      iovaMode: needs.iovaMode,
      start,
      size,
      needed: needs.last + 1n,
      pageShift,
      tces: size >> BigInt(pageShift),
      ...NO_TABLES,
      dmaMaskBits,
      holes: holesIn(info.ranges, start, start + size - 1n),
      rejected: rejections.list,
    };
  }
  return rejections.list;
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
