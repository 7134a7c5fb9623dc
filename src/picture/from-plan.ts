/** The picture of a plan: nothing is live, and each list has the region that it will get. */
import { bytes } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";
import type { WindowPlan } from "../plan/index.ts";
import { inPlacingOrder } from "../plan/order.ts";
import { holesIn, lowestStart, without } from "../plan/ranges.ts";
import { type Picture, type RegionFacts, windowPicture } from "./picture.ts";

/** A list as a plan was made for it. */
interface PlannedList {
  readonly base: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
}

/**
 * @param title What it is of: `the plan`, or a machine's name.
 * @param lists Those that the plan was made for. Without them there is one region, as large as what is needed; on type1 one for
 * each of the plan's pieces.
 */
export function planPicture(plan: WindowPlan, title: string, lists?: readonly PlannedList[]): Picture {
  const { kind, start, size, pageShift, holes, deviceAddressBits } = plan;
  const window = windowPicture({
    name: kind === "spapr" ? "window" : "IOVAs",
    start,
    last: start + size - 1n,
    pageShift,
    regions: regionsOf(plan, lists),
    kept: holes,
    deviceBits: deviceAddressBits,
    isEverything: kind === "noiommu",
  });
  return { title, windows: [window], notes: notesOf(plan) };
}

function notesOf({ kind, window }: WindowPlan): string[] {
  if (kind !== "spapr") return ["It is a plan: nothing is mapped yet."];
  if (window === "default") return ["It is a plan for the window that is there at first: nothing is mapped yet."];
  return ["It is a plan: nothing is mapped yet, and the kernel decides where the window begins."];
}

function regionsOf(plan: WindowPlan, lists: readonly PlannedList[] | undefined): RegionFacts[] {
  const { iovaMode, start, size, needed, kind } = plan;
  if (iovaMode === "va" && lists !== undefined) {
    // An IOVA is the address itself.
    return lists.map(({ base, length, pageSize }, i) => ({
      ...named(i, pageSize),
      start: base,
      last: base + length - 1n,
    }));
  }
  if (iovaMode !== "rebased") return [{ name: "addresses of memory", start, last: start + needed - 1n }];
  const free = holesIn(plan.holes, start, start + size - 1n); // what is allowed lies between the plan's holes
  if (lists !== undefined && lists.length > 0) {
    const numbers = new Map(lists.map((list, i) => [list, i]));
    return placed(free, inPlacingOrder(lists, kind), (list) => named(numbers.get(list) ?? 0, list.pageSize));
  }
  if (plan.pieces !== undefined) return placed(free, plan.pieces, ({ pageSize }, i) => named(i, pageSize));
  return [{ name: "what is needed", start, last: start + needed - 1n }];
}

function named(i: number, pageSize: bigint): Pick<RegionFacts, "name" | "pageSize"> {
  return { name: `list ${i}`, pageSize };
}

/**
 * Each at the lowest place that is free, as an attached memory lays them out. What is free only becomes less: where one of a kind found its
 * place, the next one need not look before that.
 */
function placed<T extends { readonly length: bigint; readonly pageSize: bigint }>(
  ranges: readonly AddressRange[],
  pieces: readonly T[],
  name: (piece: T, i: number) => Pick<RegionFacts, "name" | "pageSize">,
): RegionFacts[] {
  const free = [...ranges];
  let at = 0;
  return pieces.flatMap((piece, i) => {
    const before = pieces[i - 1];
    if (before?.length !== piece.length || before.pageSize !== piece.pageSize) at = 0;
    for (; at < free.length; at++) {
      const here = free.slice(at, at + 1);
      const start = lowestStart(here, piece.length, [], piece.pageSize);
      if (start === undefined) continue;
      const last = start + piece.length - 1n;
      free.splice(at, 1, ...without(here, { start, last }));
      return [{ ...name(piece, i), start, last }];
    }
    return []; // a stored plan may have been made for less: nothing is drawn outside of it
  });
}

/** `8 GiB in pages of 2 MiB`, for a title. */
export function planTitle(plan: WindowPlan): string {
  return `a plan for ${bytes(plan.size)} in pages of ${bytes(1n << BigInt(plan.pageShift))}`;
}
