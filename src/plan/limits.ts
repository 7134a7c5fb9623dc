/**
 * What ends the growth of a plan's memory, and when. Each limit stands on one axis: bytes of memory that are there, from none to full
 * growth, every page allocated by itself and the smallest first: so many maps make no other order sooner.
 */
import { bytes } from "../hex.ts";
import { memoryInMaps } from "./map-growth.ts";
import { isServed } from "./needs.ts";
import { checkRequest } from "./request.ts";
import type { ExactRequest, PlanRequest, WindowPlan } from "./types.ts";

/** A limit, and where growth meets it. */
export interface PlanLimit {
  /** `RLIMIT_MEMLOCK`. */
  readonly what: string;
  /** What is counted: bytes, maps or pages. */
  readonly unit: "bytes" | "maps" | "pages";
  /** What full growth takes, and what there is; `null` where nothing limits it. */
  readonly needed: bigint;
  readonly available: bigint | null;
  /** Bytes of memory at which nothing more can be had: at most full growth; `null` where all of it can. */
  readonly at: bigint | null;
}

/**
 * The limits of a plan, those that growth meets in the order in which it does, and behind them those that it does not meet.
 *
 * @throws what `planWindow` throws of such a request.
 */
export function limitsOf(request: PlanRequest, plan: WindowPlan): PlanLimit[] {
  const exact = checkRequest(request);
  const limits = [
    ...lockedLimits(exact, plan),
    ...mapLimits(exact, plan),
    ...poolLimits(plan),
    ...ramLimits(exact, plan),
  ];
  const reached = limits.filter(({ at }) => at !== null);
  const others = limits.filter(({ at }) => at === null);
  // Sorting keeps the order of those that are met together.
  return [...reached.sort((a, b) => compare(a.at ?? 0n, b.at ?? 0n)), ...others];
}

function compare(a: bigint, b: bigint): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function limit(
  what: string,
  unit: PlanLimit["unit"],
  needed: bigint,
  available: bigint | null,
  at: () => bigint,
): PlanLimit {
  return { what, unit, needed, available, at: available !== null && needed > available ? at() : null };
}

function lockedLimits(request: ExactRequest, { kind, fullGrowth, chargeBytes }: WindowPlan): PlanLimit[] {
  if (kind === "noiommu") return []; // nothing is pinned
  const { lockedBytes, lockable } = fullGrowth;
  return [
    limit("RLIMIT_MEMLOCK", "bytes", lockedBytes, lockable, () => {
      const left = lockable !== null && lockable > chargeBytes ? lockable - chargeBytes : 0n;
      return left - (left % smallestPage(request));
    }),
  ];
}

function mapLimits(request: ExactRequest, { kind, fullGrowth }: WindowPlan): PlanLimit[] {
  if (kind !== "type1") return []; // no other kernel counts maps
  const { maps, mapsAvailable, memoryBytes } = fullGrowth;
  const available = mapsAvailable === null ? null : BigInt(mapsAvailable);
  return [
    limit("dma_entry_limit", "maps", maps, available, () => {
      const { lists, held } = request.memory;
      const more = (available ?? 0n) - held.maps;
      const there = memoryInMaps(lists.filter(isServed), smallestPage(request), more > 0n ? more : 0n);
      return least(held.bytes + there, memoryBytes); // more is said to be mapped than the lists have, where facts do not fit
    }),
  ];
}

function poolLimits({ fullGrowth: { hugepages, memoryBytes } }: WindowPlan): PlanLimit[] {
  const known = hugepages.filter(({ available }) => available !== null);
  return known.map(({ pageSize, needed, available }) => {
    const what = `pool of ${bytes(pageSize)} pages`;
    // Lists of other pages may be full before: this one ends where its own pages do, wherever the others are.
    return limit(what, "pages", needed, available, () => least((available ?? 0n) * pageSize, memoryBytes));
  });
}

/** RAM where it is known: memory that a device reaches is there, and not swapped. */
function ramLimits({ highestRam }: ExactRequest, { fullGrowth: { memoryBytes } }: WindowPlan): PlanLimit[] {
  // All addresses: no memory is larger, and no number of 64 bits says so many bytes.
  if (highestRam === undefined || highestRam === (1n << 64n) - 1n) return [];
  // Its highest address is no amount of RAM, but no machine has more.
  return [limit("RAM up to its highest address", "bytes", memoryBytes, highestRam + 1n, () => highestRam + 1n)];
}

function smallestPage({ memory: { lists }, info }: ExactRequest): bigint {
  const sizes = lists.filter(isServed).map(({ pageSize }) => pageSize);
  return sizes.length === 0 ? BigInt(info.cpuPageSize) : sizes.reduce(least);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
