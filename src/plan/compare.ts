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

/** More sizes than a machine has. */
const SIZES_MAX = 64;

/** The largest pages that memory comes in; an IOMMU may have larger ones. */
const MEMORY_PAGE_MAX = 1n << 40n;

const U64_END = 1n << 64n;

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
    const pageSizes = info.kind === "noiommu" ? info.pageSizes : info.pageSizes & pageSize;
    const other = { ...request, memory: { ...request.memory, lists }, info: { ...info, pageSizes } } as PlanRequest;
    return { pageSize, ...choice(other, info.pageSizes, pageSize) };
  });
}

function choice(request: PlanRequest, offered: bigint, pageSize: bigint): Omit<PageChoice, "pageSize"> {
  if ((offered & pageSize) === 0n) return impossible("the IOMMU has no pages of that size");
  const isTooHigh = request.memory.lists.some(({ base, length }) => base + BigInt(length) > U64_END);
  if (isTooHigh) return impossible("in whole pages of that size the lists would end behind 2^64");
  try {
    const plan = planWindow(request);
    return { plan, limits: limitsOf(request, plan), rejected: plan.rejected };
  } catch (error) {
    if (!(error instanceof DmaWindowError) || error.code !== "ERR_PLAN_IMPOSSIBLE") throw error;
    return { plan: undefined, limits: [], rejected: (error.facts?.rejected ?? []) as readonly Rejection[] };
  }
}

function impossible(reason: string): Omit<PageChoice, "pageSize"> {
  return { plan: undefined, limits: [], rejected: [{ choice: "this page size", reason }] };
}

/** Lists of as many bytes, in whole pages, each where it was or at the multiple behind it. */
function inPagesOf(lists: readonly ListFacts[], pageSize: bigint): ListFacts[] {
  let next = 0n;
  return lists.map((list) => {
    if (!isServed(list) || list.external) return list;
    const from = list.base > next ? list.base : next;
    const base = up(from, pageSize);
    const length = up(BigInt(list.length), pageSize);
    next = base + length;
    return { ...list, base, length, pageSize };
  });
}

function up(value: bigint, unit: bigint): bigint {
  return ((value + unit - 1n) / unit) * unit;
}
