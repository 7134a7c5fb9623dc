/** Memory: hugepages by size and NUMA node, the limits of cgroups, and whether physical addresses are shown. */
import { DmaWindowError } from "../errors.ts";
import { hugetlbLimit, type Limit, memoryLimit } from "../system/cgroups.ts";
import { borrowable, type HugepagePool, readHugepages } from "../system/hugepages.ts";
import { parseIomem } from "../system/iomem.ts";
import { readNodes } from "../system/nodes.ts";
import type { ProcessFacts } from "./process.ts";
import type { Survey } from "./survey.ts";

export interface PoolFacts {
  /** Bytes of one page. */
  readonly pageSize: bigint;
  /** Pages: in the pool, without an owner, and of these promised to mappings that have not touched them yet. */
  readonly total: number;
  readonly free: number;
  readonly reserved: number;
  /** Pages that the kernel may take from ordinary memory where the pool has none. */
  readonly borrowable: number;
  /** By NUMA node, where there are several. */
  readonly nodes: readonly { readonly node: number; readonly total: number; readonly free: number }[];
  /** The tightest limit of this process's cgroups on pages of this size. */
  readonly limit: Limit | undefined;
}

export interface MemoryFacts {
  /** Ascending by page size; `undefined`: not known. None: the kernel has no hugetlb. */
  readonly hugepages: readonly PoolFacts[] | undefined;
  /** The tightest limit of this process's cgroups on memory. */
  readonly limit: Limit | undefined;
  /** Bytes that can be had without swapping. */
  readonly available: bigint | undefined;
  /** `hidden`: the kernel shows zeros. `masked`: it names no memory, as where a container has an empty file in its place. */
  readonly iomem: "shown" | "hidden" | "masked" | "malformed" | undefined;
  /** The last address of RAM, where it is shown. */
  readonly highestRam: bigint | undefined;
  /** Whether /proc/self/pagemap shows page frame numbers, by capability: the file is not read. */
  readonly pagemap: "shown" | "hidden" | "missing" | undefined;
}

export function readMemory(survey: Survey, process: ProcessFacts): MemoryFacts {
  const iomem = iomemOf(survey);
  return {
    hugepages: poolsOf(survey),
    limit: quietly(() => memoryLimit(survey.files)),
    available: survey.meminfo("MemAvailable"),
    ...iomem,
    pagemap: pagemapOf(survey, process),
  };
}

function poolsOf(survey: Survey): readonly PoolFacts[] | undefined {
  const pools = quietly(() => readHugepages(survey.machine));
  if (pools === undefined || (pools.length === 0 && survey.names("/sys/kernel") === undefined)) return undefined;
  const nodes = quietly(() => readNodes(survey.machine)) ?? [];
  return pools.map((pool) => ({
    pageSize: pool.pageSize,
    total: pool.total,
    free: pool.free,
    reserved: pool.reserved ?? 0,
    borrowable: borrowable(survey.machine, pool.pageSize),
    nodes: nodes.length < 2 ? [] : nodes.flatMap(({ id, hugepages }) => ofNode(id, hugepages, pool.pageSize)),
    limit: quietly(() => hugetlbLimit(survey.files, pool.pageSize, "either")),
  }));
}

function ofNode(node: number, pools: readonly HugepagePool[], pageSize: bigint): PoolFacts["nodes"] {
  const pool = pools.find((one) => one.pageSize === pageSize);
  return pool === undefined ? [] : [{ node, total: pool.total, free: pool.free }];
}

function iomemOf(survey: Survey): Pick<MemoryFacts, "iomem" | "highestRam"> {
  const text = survey.text("/proc/iomem");
  if (text === undefined) return { iomem: undefined, highestRam: undefined };
  try {
    return { iomem: "shown", highestRam: parseIomem(text).highest };
  } catch (error) {
    const code = error instanceof DmaWindowError ? error.code : "";
    const iomem = code === "ERR_IOMEM_HIDDEN" ? "hidden" : code === "ERR_IOMEM_NO_RAM" ? "masked" : "malformed";
    return { iomem, highestRam: undefined };
  }
}

/** `fs/proc/task_mmu.c: pagemap_open`: CAP_SYS_ADMIN in the first user namespace, since Linux 4.2. */
function pagemapOf(survey: Survey, { capabilities }: ProcessFacts): MemoryFacts["pagemap"] {
  const files = survey.names("/proc/self");
  if (files === undefined) return undefined;
  if (!files.includes("pagemap")) return "missing";
  const { CAP_SYS_ADMIN } = capabilities;
  return CAP_SYS_ADMIN === undefined ? undefined : CAP_SYS_ADMIN ? "shown" : "hidden";
}

function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined; // a directory that cannot be listed, a file that no kernel writes
  }
}
