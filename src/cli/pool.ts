/** The memory to work with: the machine's own where that can be, of the kind that its IOMMU, or the lack of one, asks for. */
import { bytes } from "../hex.ts";
import { linuxKernel, linuxMemory } from "../linux/index.ts";
import type { MemorySource, ModelPlatform } from "../model/index.ts";
import { type HugepagePool, readHugepages } from "../system/hugepages.ts";
import { readMemAvailable } from "../system/memory.ts";

/** One list of pages of one size. */
export interface Pool {
  readonly pageSize: bigint;
  /** Pages that may be in use at a time. */
  readonly pages: number;
  readonly kind: string;
}

/** At most this much is used, and never more than an eighth of what is free: it is a demonstration. */
const BYTES_MAX = 64n << 20n;

/** Hugepages are used when at least so many are free. */
const HUGEPAGES_MIN = 16;

/** The software kernel has a pool of these on every platform. */
const SIMULATED_HUGEPAGE = 2n << 20n;

/** What this machine has: the size of its CPU's pages, and its pools of hugepages. */
export interface OwnMemory {
  readonly pageSize: number;
  readonly hugepages: readonly HugepagePool[];
  /** Undefined where the native shim cannot be loaded. */
  readonly source: MemorySource | undefined;
}

export function ownMemory(): OwnMemory {
  return { pageSize: linuxKernel().pageSize, hugepages: readHugepages(), source: linuxMemory() };
}

/** This machine's memory, for a container of its own kernel. */
export function linuxPool({ pageSize, hugepages }: OwnMemory, noIommu: boolean): Pool {
  const small = smallEnough(hugepages);
  const free = firstFree(small);
  if (free !== undefined) return poolOf(free);
  // Without an IOMMU ordinary pages cannot be used at all. A plan needs no page yet, and a run says that none is free.
  const [none] = small;
  return noIommu && none !== undefined ? { ...poolOf(none), pages: HUGEPAGES_MIN } : ordinary(pageSize);
}

/** What a software kernel works on. */
export interface ModelMemory {
  /** Of its CPU, in bytes. */
  readonly pageSize: number;
  /** This machine's own memory; undefined where it is simulated. */
  readonly memory: MemorySource | undefined;
  readonly pool: Pool;
  /** Why it is simulated. */
  readonly simulatedBecause: string | undefined;
}

/**
 * This machine's memory, or why it cannot be and what there is instead. `isHidden`: it has to be known where the memory lies,
 * and this user is not told.
 */
export function modelMemory(
  platform: ModelPlatform,
  { pageSize, hugepages, source }: OwnMemory,
  isHidden = false,
): ModelMemory {
  if (!modelPageSizes(platform).includes(pageSize)) {
    return simulated(platform, 4096, `${nameOf(platform)} has no pages of ${bytes(pageSize)}, as this machine has`);
  }
  if (source === undefined) return simulated(platform, pageSize, "the shim is not there");
  const free = firstFree(smallEnough(hugepages));
  if (platform === "noiommu" && free === undefined) {
    return simulated(platform, pageSize, `fewer than ${HUGEPAGES_MIN} hugepages are free`);
  }
  if (isHidden) return simulated(platform, pageSize, "the kernel hides physical addresses from this user");
  const pool = free === undefined ? ordinary(pageSize) : poolOf(free);
  return { pageSize, memory: source, pool, simulatedBecause: undefined };
}

/** The page sizes that a CPU of the software kernel can have, in bytes. POWER has no pages of 16 KiB. */
export function modelPageSizes(platform: ModelPlatform): readonly number[] {
  return platform === "powernv" || platform === "pseries" ? [4096, 65536] : [4096, 16384, 65536];
}

function nameOf(platform: ModelPlatform): string {
  return platform === "powernv" || platform === "pseries" ? "POWER" : "the software kernel";
}

function simulated(platform: ModelPlatform, pageSize: number, simulatedBecause: string): ModelMemory {
  const pool =
    platform === "noiommu"
      ? {
          pageSize: SIMULATED_HUGEPAGE,
          pages: Number(BYTES_MAX / SIMULATED_HUGEPAGE),
          kind: "simulated hugepages",
        }
      : { ...ordinary(pageSize), kind: "simulated pages" };
  return { pageSize, memory: undefined, pool, simulatedBecause };
}

function ordinary(pageSize: number): Pool {
  const eighth = readMemAvailable() / 8n;
  const budget = eighth < BYTES_MAX ? eighth : BYTES_MAX;
  const pages = Math.max(HUGEPAGES_MIN, Number(budget / BigInt(pageSize))); // at most 16384
  return { pageSize: BigInt(pageSize), pages, kind: "ordinary pages" };
}

function poolOf({ pageSize, available }: HugepagePool): Pool {
  return { pageSize, pages: Math.min(available, Number(BYTES_MAX / pageSize)), kind: "hugepages" };
}

/** Pages that are small enough for a demonstration, free or not. */
function smallEnough(pools: readonly HugepagePool[]): HugepagePool[] {
  return pools.filter(({ pageSize }) => pageSize <= BYTES_MAX / BigInt(HUGEPAGES_MIN));
}

function firstFree(pools: readonly HugepagePool[]): HugepagePool | undefined {
  return pools.find(({ available }) => available >= HUGEPAGES_MIN);
}
