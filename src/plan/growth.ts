/**
 * What full growth takes, held against what the machine says now. What is there already, and cannot be, is a refusal of the
 * planners; what will not suffice later is a warning: a limit can be raised and a pool filled before it is reached.
 */
import { guards, sentence } from "../guards.ts";
import { bytes } from "../hex.ts";
import type { HugepageFacts, IommuInfo } from "../iommu.ts";
import { pages } from "./candidates.ts";
import { memoryInMaps } from "./map-growth.ts";
import { nodeWarnings } from "./near.ts";
import { type Needs, shiftOf } from "./needs.ts";
import type { ExactList, ExactRequest, FullGrowth, Held, HugepageGrowth, WindowPlan } from "./types.ts";

/** @param chargeBytes What the window's own tables count against RLIMIT_MEMLOCK. */
export function growthOf(
  request: ExactRequest,
  needs: Needs,
  chargeBytes: bigint,
): Pick<WindowPlan, "fullGrowth" | "warnings"> {
  const { info } = request;
  const { held } = request.memory;
  const memoryBytes = memoryOf(request, needs);
  const smallest = smallestPage(needs, info);
  const pins = info.kind !== "noiommu";
  const growth: FullGrowth = {
    memoryBytes,
    lockedBytes: pins ? chargeBytes + memoryBytes : 0n,
    lockable: lockableOf(info, held),
    maps: pins ? mapsOf(needs, memoryBytes, smallest, held) : 0n,
    mapsAvailable: mapsAvailableOf(info, held),
    hugepages: hugepagesOf(request, needs),
  };
  const warnings = [
    lockedWarning(growth, chargeBytes, smallest, info, held),
    mapsWarning(growth, needs.lists, smallest, held),
    ...growth.hugepages.map((one) => hugepageWarning(one, info)),
    ...nodeWarnings(request, needs),
  ];
  return { fullGrowth: growth, warnings: warnings.filter((one) => one !== undefined) };
}

/** What the lists can hold; `rebased`, also what `growTo` leaves room for. As an address it says nothing of an amount. */
function memoryOf({ growTo = 0n, memory }: ExactRequest, { lists, iovaMode }: Needs): bigint {
  const held = lists.reduce((sum, { length }) => sum + length, 0n);
  const grown = iovaMode === "rebased" ? growTo : 0n;
  return [held, grown, memory.bytes].reduce((most, one) => (one > most ? one : most));
}

function smallestPage({ lists }: Needs, { cpuPageSize }: IommuInfo): bigint {
  const [first, ...more] = lists.map(({ pageSize }) => pageSize);
  return first === undefined ? BigInt(cpuPageSize) : more.reduce((least, one) => (one < least ? one : least), first);
}

/** What others have locked is left out of the limit: what this memory has locked will not be counted again. */
function lockableOf({ lockedMemory: { limit, used, privileged } }: IommuInfo, held: Held): bigint | null {
  if (privileged || limit === null) return null;
  const others = used > held.bytes ? used - held.bytes : 0n;
  return limit > others ? limit - others : 0n;
}

function mapsAvailableOf(info: IommuInfo, held: Held): number | null {
  if (info.kind !== "type1" || info.mapsAvailable === undefined) return null;
  return info.mapsAvailable + Number(held.maps); // a kernel counts maps in an unsigned int
}

/** Each allocation is a map, and the smallest is a page; what is mapped already is so in the maps that it has. */
function mapsOf({ lists }: Needs, memoryBytes: bigint, smallest: bigint, held: Held): bigint {
  let [maps, rest] = [0n, memoryBytes];
  for (const { length, pageSize } of lists) {
    maps += length / pageSize;
    rest -= length;
  }
  if (rest > 0n) maps += (rest + smallest - 1n) / smallest;
  return maps > held.pages ? maps - held.pages + held.maps : held.maps;
}

/** Pools by page size, for lists of pages that are no CPU's. */
function hugepagesOf({ info, memory }: ExactRequest, { lists }: Needs): HugepageGrowth[] {
  const isOurs = ({ external, pageSize }: ExactList) => !external && pageSize > BigInt(info.cpuPageSize);
  const sizes = [...new Set(lists.filter(isOurs).map(({ pageSize }) => pageSize))].sort((a, b) => (a < b ? -1 : 1));
  return sizes.map((pageSize) => {
    const held = lists.filter((list) => isOurs(list) && list.pageSize === pageSize);
    const needed = held.reduce((sum, { length }) => sum + length, 0n) / pageSize;
    // What is there has left its pool already. Of which size it is, nothing says: all of it may be of this one.
    const there = memory.bytes / pageSize;
    const more = moreOf(info.hugepages, pageSize);
    return { pageSize, needed, available: more === undefined ? null : more + (there < needed ? there : needed) };
  });
}

function poolOf(pools: readonly HugepageFacts[] | undefined, pageSize: bigint): HugepageFacts | undefined {
  return pools?.find((pool) => pool.pageSize === pageSize);
}

/** Pages that can still be had; undefined where nothing is known of pools. */
function moreOf(pools: readonly HugepageFacts[] | undefined, pageSize: bigint): bigint | undefined {
  if (pools === undefined) return undefined;
  const { available = 0, allowedBytes } = poolOf(pools, pageSize) ?? {};
  const [free, allowed] = [BigInt(available), allowedBytes === undefined ? undefined : allowedBytes / pageSize];
  return allowed !== undefined && allowed < free ? allowed : free;
}

function lockedWarning(
  { memoryBytes, lockedBytes, lockable }: FullGrowth,
  chargeBytes: bigint,
  smallest: bigint,
  { lockedMemory: { limit, used } }: IommuInfo,
  held: Held,
): string | undefined {
  if (lockable === null || limit === null || lockedBytes <= lockable) return undefined;
  const left = lockable > chargeBytes ? lockable - chargeBytes : 0n;
  const end = left - (left % smallest);
  const when = end === 0n ? `no page of ${bytes(smallest)} can be mapped` : `maps fail from ${bytes(end)} of memory on`;
  const more = lockedBytes - held.bytes;
  const raised = used + more;
  const already = held.bytes === 0n ? "" : `, ${bytes(held.bytes)} of it locked already`;
  return (
    `RLIMIT_MEMLOCK is ${bytes(limit)}, ${bytes(used)} used, and full growth locks ${bytes(more)} more ` +
    `(${bytes(chargeBytes)} of tables, ${bytes(memoryBytes)} of memory${already}): ${when}. ${sentence(guards.lockedMemory)}: raise it to ${bytes(raised)} ` +
    `(ulimit -l ${(raised + 1023n) / 1024n}), or run with CAP_IPC_LOCK`
  );
}

function mapsWarning(
  growth: FullGrowth,
  lists: readonly ExactList[],
  smallest: bigint,
  held: Held,
): string | undefined {
  if (growth.mapsAvailable === null || growth.maps <= BigInt(growth.mapsAvailable)) return undefined;
  const [maps, available] = [growth.maps - held.maps, BigInt(growth.mapsAvailable) - held.maps];
  const more = held.maps === 0n ? "" : "more ";
  const limit = `the kernel takes ${available} more (dma_entry_limit of vfio_iommu_type1)`;
  if (available === 0n)
    return `full growth makes up to ${maps} ${more}maps, and ${limit}: no map will succeed. ${sentence(guards.dmaEntries)}: raise it where the program needs them`;
  const each = (growth.memoryBytes - held.bytes + available - 1n) / available;
  const least = ((each + smallest - 1n) / smallest) * smallest;
  return (
    `full growth makes ${maps} ${more}maps if pages are allocated one by one, and ${limit}: maps then fail from ` +
    `${bytes(held.bytes + memoryInMaps(lists, smallest, available))} of memory on. Allocate ${bytes(least)} or more at a time. ${sentence(guards.dmaEntries)}: or raise it`
  );
}

function hugepageWarning({ pageSize, needed, available }: HugepageGrowth, info: IommuInfo): string | undefined {
  if (available === null || needed <= available) return undefined;
  const pool = poolOf(info.hugepages, pageSize);
  const what = `the lists of ${pages(shiftOf({ pageSize }))} hold ${needed} pages in full growth`;
  const file = `/sys/kernel/mm/hugepages/hugepages-${pageSize / 1024n}kB/nr_hugepages`;
  if (pool === undefined) return `${what}, and the kernel has no pool of that size: 0 can be allocated`;
  const end = `allocate fails from ${bytes(available * pageSize)} on`;
  const allowed = pool.allowedBytes === undefined ? undefined : pool.allowedBytes / pageSize;
  // What the memory has already counts for both.
  const there =
    available - (allowed !== undefined && allowed < BigInt(pool.available) ? allowed : BigInt(pool.available));
  const missing = needed - there - BigInt(pool.available);
  const inPool = `the pool has ${pool.available} more of ${pool.total}`;
  const fill = `Write ${BigInt(pool.total) + missing} to ${file}`;
  if (allowed !== undefined && allowed < BigInt(pool.available)) {
    const inCgroup = `the hugetlb cgroup allows ${allowed} more, ${bytes(pool.allowedBytes ?? 0n)}`;
    const guard = sentence(guards.hugetlbCgroup);
    if (missing <= 0n) return `${what}, and ${inCgroup}: ${end}. ${guard}: raise it, or plan less`;
    return `${what}, ${inCgroup}, and ${inPool}: ${end}. ${guard}: raise it, and ${fill.replace("Write", "write")}; or plan less`;
  }
  return `${what}, and ${inPool}: ${end}. ${fill}`;
}
