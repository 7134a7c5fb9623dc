/** The same memory in pages of each size, side by side: what a plan's choice of a page costs, and what another one would. */
import { DmaWindowError } from "../errors.ts";
import { pageShifts } from "./candidates.ts";
import { planWindow } from "./index.ts";
import { limitsOf, type PlanLimit } from "./limits.ts";
import { isServed } from "./needs.ts";
import { checkRequest } from "./request.ts";
import type { ListFacts, PlanRequest, Rejection, WindowPlan } from "./types.ts";

/** Pages of one size: the plan, or why there is none. */
export interface PageChoice {
  /** Bytes. */
  readonly pageSize: bigint;
  readonly plan: WindowPlan | undefined;
  /** Of the plan; empty where there is none. */
  readonly limits: readonly PlanLimit[];
  /** What was refused: all that there is where there is no plan. */
  readonly rejected: readonly Rejection[];
}

/** Where addresses end. */
const END = 1n << 64n;

/** More sizes than a machine has. */
const SIZES_MAX = 64;

/** The largest pages that memory comes in; an IOMMU may have larger ones. */
const MEMORY_PAGE_MAX = 1n << 40n;

/**
 * Plans the same memory once for each page size of the IOMMU, smallest first, or for those of `sizes`: its lists then have pages of
 * that size (of the CPU's, where those are larger), and as many bytes, in whole pages; and no other page of the IOMMU is taken.
 * External memory stays as it is: nobody can choose its pages.
 *
 * @throws what `planWindow` throws of the request, but `ERR_PLAN_IMPOSSIBLE`, which becomes `rejected`.
 */
export function comparePageSizes(request: PlanRequest, sizes?: readonly bigint[]): PageChoice[] {
  const { info, memory } = checkRequest(request);
  const all = sizes ?? pageShifts(info.pageSizes).map((shift) => 1n << BigInt(shift));
  // Without an IOMMU every size is one; the CPU's is as good as any to begin with.
  const asked = sizes === undefined && info.kind === "noiommu" ? [1n << 21n, 1n << 30n] : all;
  const ascending = [...new Set(asked)].sort((a, b) => (a < b ? -1 : 1)).slice(0, SIZES_MAX);
  return ascending.map((pageSize) => {
    const cpuPage = BigInt(info.cpuPageSize);
    const memoryPage = pageSize > MEMORY_PAGE_MAX ? MEMORY_PAGE_MAX : pageSize;
    const lists = inPagesOf(memory.lists, memoryPage > cpuPage ? memoryPage : cpuPage);
    if (lists === undefined) return { pageSize, ...without("in pages of that size the lists do not end by 2^64") };
    const pageSizes = info.kind === "noiommu" ? info.pageSizes : info.pageSizes & pageSize;
    const other = { ...request, memory: { ...request.memory, lists }, info: { ...info, pageSizes } } as PlanRequest;
    return { pageSize, ...choice(other, info.pageSizes, pageSize) };
  });
}

/** There is no plan. */
function without(reason: string): Omit<PageChoice, "pageSize"> {
  return { plan: undefined, limits: [], rejected: [{ choice: "this page size", reason }] };
}

function choice(request: PlanRequest, offered: bigint, pageSize: bigint): Omit<PageChoice, "pageSize"> {
  if ((offered & pageSize) === 0n) return without("the IOMMU has no pages of that size");
  try {
    const plan = planWindow(request);
    return { plan, limits: limitsOf(request, plan), rejected: plan.rejected };
  } catch (error) {
    if (!(error instanceof DmaWindowError) || error.code !== "ERR_PLAN_IMPOSSIBLE") throw error;
    return { plan: undefined, limits: [], rejected: (error.facts?.rejected ?? []) as readonly Rejection[] };
  }
}

/**
 * Lists of as many bytes, in whole pages, each where it was or at the multiple behind it, and so the ones behind it; at the end of the
 * address space at the one before it. `undefined` where they have no room in 2^64 bytes: bigint does not wrap.
 */
function inPagesOf(lists: readonly ListFacts[], pageSize: bigint): ListFacts[] | undefined {
  const places = new Map<ListFacts, { base: bigint; readonly length: bigint }>();
  const byAddress = lists
    .filter((list) => isServed(list) && !list.external)
    .sort((a, b) => (a.base < b.base ? -1 : Number(a.base > b.base)));
  let next = 0n;
  for (const list of byAddress) {
    const place = {
      base: up(list.base > next ? list.base : next, pageSize),
      length: up(BigInt(list.length), pageSize),
    };
    places.set(list, place);
    next = place.base + place.length;
  }
  let end = END;
  for (const place of [...places.values()].reverse()) {
    if (place.base + place.length <= end) break;
    place.base = end - place.length;
    end = place.base;
  }
  if (end < 0n || [...places.values()].some(({ length }) => length === END)) return undefined;
  return lists.map((list) => ({ ...list, ...(places.has(list) ? { ...places.get(list), pageSize } : {}) }));
}

function up(value: bigint, unit: bigint): bigint {
  return ((value + unit - 1n) / unit) * unit;
}
