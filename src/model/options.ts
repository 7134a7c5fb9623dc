import { argumentRangeError, argumentTypeError } from "../errors.ts";
import type { LockedMemoryLimits } from "./memory/locked.ts";
import type { MemorySource } from "./memory/source.ts";
import { isPowerOfTwo, type PlatformInfo } from "./spapr/platform.ts";
import { powernvInfo } from "./spapr/powernv.ts";
import { pseriesInfo } from "./spapr/pseries.ts";

/** What a model is made of. Everything has a default. */
export interface ModelOptions {
  /** Bare metal (`"powernv"`, the default) or an LPAR (`"pseries"`). */
  readonly platform?: "powernv" | "pseries";
  /** The CPU's page in bytes: 4096 (the default) or 65536. */
  readonly pageSize?: number;
  /** The numbers of the IOMMU groups; `[26]` by default. */
  readonly groups?: readonly number[];
  /** Which TCE page sizes there are, bit n for 2^n bytes. 0x40211000 on PowerNV, 0x1211000 on pSeries. */
  readonly pgsizes?: bigint;
  /** The default window's size in bytes: a power of two below 4 GiB. 2 GiB on PowerNV, 1 GiB on pSeries. */
  readonly defaultWindowSize?: bigint;
  /** RLIMIT_MEMLOCK and CAP_IPC_LOCK, read anew on every charge. 8 MiB and privileged by default, as root has it. */
  readonly lockedMemory?: LockedMemoryLimits;
  /**
   * The hugetlb pool of simulated memory: the number of pages by their page shift. By default 2 GiB of each of 2 MiB,
   * 16 MiB and 1 GiB. A size that is not named does not exist.
   */
  readonly hugepages?: Readonly<Record<number, number>>;
  /** `"simulated"` (the default), or where real memory comes from: the model then runs on it, and keeps a record. */
  readonly memory?: "simulated" | MemorySource;
}

/** The options, checked and complete. */
export interface ModelSettings {
  readonly platform: "powernv" | "pseries";
  readonly pageSize: number;
  readonly groups: readonly number[];
  readonly info: PlatformInfo;
  readonly lockedMemory: LockedMemoryLimits;
  readonly hugepages: Readonly<Record<number, number>>;
  readonly memory: "simulated" | MemorySource;
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function settingsFrom(options: ModelOptions): ModelSettings {
  const { platform = "powernv", pageSize = 4096, groups = [26], memory = "simulated" } = options;
  const { lockedMemory = { limit: 8n << 20n, privileged: true }, hugepages = { 21: 1024, 24: 128, 30: 2 } } = options;
  if (platform !== "powernv" && platform !== "pseries") {
    throw argumentRangeError("platform", '"powernv" or "pseries"', platform);
  }
  if (pageSize !== 4096 && pageSize !== 65536) throw argumentRangeError("pageSize", "4096 or 65536", pageSize);
  if (!Array.isArray(groups)) throw argumentTypeError("groups", "an array of group numbers", groups);
  for (const [index, group] of groups.entries()) {
    if (!Number.isInteger(group) || group < 0)
      throw argumentRangeError(`groups[${index}]`, "an integer of 0 or more", group);
    if (groups.indexOf(group) !== index) throw argumentRangeError(`groups[${index}]`, "named only once", group);
  }
  if (memory !== "simulated" && typeof memory?.mmap !== "function") {
    throw argumentTypeError("memory", '"simulated" or an object with mmap, munmap, view and unview', memory);
  }
  if (typeof lockedMemory?.privileged !== "boolean") {
    throw argumentTypeError("lockedMemory", "an object with limit and privileged", lockedMemory);
  }
  const info = infoFrom(platform, options);
  return { platform, pageSize, groups, info, lockedMemory, hugepages, memory };
}

function infoFrom(platform: "powernv" | "pseries", options: ModelOptions): PlatformInfo {
  const usual = platform === "powernv" ? powernvInfo : pseriesInfo;
  const { pgsizes = usual.pgsizes, defaultWindowSize = usual.defaultWindowSize } = options;
  if (typeof pgsizes !== "bigint") throw argumentTypeError("pgsizes", "a bigint", pgsizes);
  if ((pgsizes & 0xfffn) !== 0n || (pgsizes & 0x1000n) === 0n || pgsizes >> 64n !== 0n) {
    throw argumentRangeError("pgsizes", "64 bits with 4 KiB pages and none smaller", pgsizes);
  }
  if (typeof defaultWindowSize !== "bigint")
    throw argumentTypeError("defaultWindowSize", "a bigint", defaultWindowSize);
  if (!isPowerOfTwo(defaultWindowSize) || defaultWindowSize < 4096n || defaultWindowSize >= 1n << 32n) {
    throw argumentRangeError("defaultWindowSize", "a power of two from 4 KiB to 2 GiB", defaultWindowSize);
  }
  return { pgsizes, defaultWindowSize, levels: usual.levels };
}
