import { argumentRangeError, argumentTypeError } from "../errors.ts";
import type { LockedMemoryLimits } from "./memory/locked.ts";
import type { MemorySource } from "./memory/source.ts";
import { isPowerOfTwo, type PlatformInfo } from "./spapr/platform.ts";
import { powernvInfo } from "./spapr/powernv.ts";
import { type Firmware, pseriesInfo, usualFirmware } from "./spapr/pseries.ts";
import { type IovaRange, type Type1Settings, type1Settings } from "./type1/settings.ts";

/** A kind of machine, by what stands between its devices and its memory. */
export type ModelPlatform = "powernv" | "pseries" | "type1" | "noiommu";

/** What a model is made of. Everything has a default. An option that does not belong to the platform is refused. */
export interface ModelOptions {
  /**
   * - `"powernv"` (the default): POWER9, bare metal; sPAPR TCE v2.
   * - `"pseries"`: an LPAR on POWER9; sPAPR TCE v2 through firmware.
   * - `"type1"`: x86 with VT-d, and with larger pages of the CPU an Arm SMMU.
   * - `"noiommu"`: no IOMMU; the kernel runs with `vfio.enable_unsafe_noiommu_mode=1`, and its groups are
   *   `/dev/vfio/noiommu-<n>`.
   */
  readonly platform?: ModelPlatform;
  /** The CPU's page in bytes: 4096 (the default) or 65536; on type1 and noiommu also 16384. */
  readonly pageSize?: number;
  /** The numbers of the IOMMU groups; `[26]` by default. */
  readonly groups?: readonly number[];
  /** type1: groups besides `groups` whose device has no IOMMU. None by default; with one, the unsafe mode is on. */
  readonly noIommuGroups?: readonly number[];
  /**
   * All but noiommu: which page sizes the IOMMU has, bit n for 2^n bytes. 0x40211000 on PowerNV, 0x1211000 on pSeries,
   * 0x40201000 on type1 with CPU pages of 4 KiB, 0x2004000 with 16 KiB, 0x20010000 with 64 KiB.
   */
  readonly pgsizes?: bigint;
  /** sPAPR: the default window's size in bytes: a power of two below 4 GiB. 2 GiB on PowerNV, 1 GiB on pSeries. */
  readonly defaultWindowSize?: bigint;
  /** pSeries: where firmware puts windows other than the default one; a multiple of 2^32 above it. 1 << 59 by default. */
  readonly firmwareWindowStart?: bigint;
  /** pSeries: how many TCEs the largest window has that firmware still makes. By default any that were seen to work. */
  readonly firmwareLargestBlock?: bigint;
  /**
   * type1: where IOVAs may be, in order, in pages of 4 KiB, below 2^57. VT-d's by default: 0-0xfedfffff and
   * 0xfef00000-0xffffffffffff. With CPU pages of 16 or 64 KiB an SMMU's: 0-0x7ffffff and 0x8100000-0xffffffffffff.
   */
  readonly ranges?: readonly IovaRange[];
  /** type1: how many maps a container may have (`vfio_iommu_type1.dma_entry_limit`): 65535 by default. */
  readonly dmaEntryLimit?: number;
  /** type1: 1 for a kernel that has no v2, as before Linux 3.15 and in some that are not Linux. 2 by default. */
  readonly iommuVersion?: 1 | 2;
  /**
   * type1: whether a device can read through a map that is WRITE only. True by default, as VT-d was seen to let it; false
   * with CPU pages of 16 or 64 KiB, as on an SMMU.
   */
  readonly readsThroughWriteOnly?: boolean;
  /**
   * type1: whether GET_INFO has a chain of capabilities, true by default. False for a kernel before Linux 5.4: it does not
   * know UNMAP's flags, CHECK_EXTENSION's 9 and 10 and DIRTY_PAGES either.
   */
  readonly infoCapabilities?: boolean;
  /**
   * RLIMIT_MEMLOCK and CAP_IPC_LOCK, read anew on every charge. 8 MiB and privileged by default, as root has it.
   * `privileged` is CAP_SYS_RAWIO too, without which a group without an IOMMU cannot be used.
   */
  readonly lockedMemory?: LockedMemoryLimits;
  /**
   * The hugetlb pool of simulated memory: the number of pages by their page shift. By default 2 GiB of each size that is
   * usual on the platform. A size that is not named does not exist.
   */
  readonly hugepages?: Readonly<Record<number, number>>;
  /**
   * The NUMA nodes of simulated memory, from 0 on, each with hugepages of its own, in the form of `hugepages`, in whose place it
   * stands. Of ordinary memory no node is known. One node by default, with all of `hugepages`.
   */
  readonly nodes?: readonly Readonly<Record<number, number>>[];
  /** Bytes of RAM: 64 GiB by default. REGISTER wants 8 of them for each page before it looks at the first. */
  readonly ram?: bigint;
  /** `"simulated"` (the default), or where real memory comes from: the model then runs on it, and keeps a record. */
  readonly memory?: "simulated" | MemorySource;
}

/** What stands between the devices and memory. */
export type IommuSettings =
  | { readonly platform: "powernv"; readonly info: PlatformInfo }
  | { readonly platform: "pseries"; readonly info: PlatformInfo; readonly firmware: Firmware }
  | { readonly platform: "type1"; readonly type1: Type1Settings }
  | { readonly platform: "noiommu" };

/** The options, checked and complete. */
export interface ModelSettings {
  readonly iommu: IommuSettings;
  readonly pageSize: number;
  /** By number. */
  readonly groups: readonly { readonly number: number; readonly noIommu: boolean }[];
  readonly lockedMemory: LockedMemoryLimits;
  /** The hugepages of each NUMA node. */
  readonly nodes: readonly Readonly<Record<number, number>>[];
  readonly ram: bigint;
  readonly memory: "simulated" | MemorySource;
}

const PAGE_SIZES: Readonly<Record<ModelPlatform, readonly number[]>> = {
  powernv: [4096, 65536],
  pseries: [4096, 65536],
  type1: [4096, 16384, 65536],
  noiommu: [4096, 16384, 65536],
};

/** Options that not every platform has. */
const BELONGS_TO: Partial<Record<keyof ModelOptions, readonly ModelPlatform[]>> = {
  pgsizes: ["powernv", "pseries", "type1"],
  defaultWindowSize: ["powernv", "pseries"],
  firmwareWindowStart: ["pseries"],
  firmwareLargestBlock: ["pseries"],
  noIommuGroups: ["type1"],
  ranges: ["type1"],
  dmaEntryLimit: ["type1"],
  iommuVersion: ["type1"],
  readsThroughWriteOnly: ["type1"],
  infoCapabilities: ["type1"],
};

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function settingsFrom(options: ModelOptions): ModelSettings {
  const { platform = "powernv", pageSize = 4096, memory = "simulated", ram = 64n << 30n } = options;
  const { lockedMemory = { limit: 8n << 20n, privileged: true } } = options;
  if (!Object.hasOwn(PAGE_SIZES, platform)) {
    throw argumentRangeError("platform", '"powernv", "pseries", "type1" or "noiommu"', platform);
  }
  if (!PAGE_SIZES[platform].includes(pageSize)) {
    throw argumentRangeError("pageSize", `one of ${PAGE_SIZES[platform].join(", ")} on ${platform}`, pageSize);
  }
  for (const [name, platforms] of Object.entries(BELONGS_TO)) {
    const value = options[name as keyof ModelOptions];
    if (value !== undefined && !platforms.includes(platform)) {
      throw argumentRangeError(name, `left out on ${platform}: it belongs to ${platforms.join(", ")}`, value);
    }
  }
  if (memory !== "simulated" && typeof memory?.mmap !== "function") {
    throw argumentTypeError("memory", '"simulated" or an object with mmap, munmap, view and unview', memory);
  }
  if (typeof lockedMemory?.privileged !== "boolean") {
    throw argumentTypeError("lockedMemory", "an object with limit and privileged", lockedMemory);
  }
  if (typeof ram !== "bigint") throw argumentTypeError("ram", "a bigint", ram);
  if (ram < 1n << 20n || ram >= 1n << 53n) throw argumentRangeError("ram", "from 1 MiB to below 2^53", ram);
  const nodes = nodesFrom(options, usualHugepages(platform, pageSize));
  const groups = groupsFrom(platform, options);
  return { iommu: iommuFrom(platform, options, pageSize), pageSize, groups, lockedMemory, nodes, ram, memory };
}

/** Linux is built for at most 1024 nodes (CONFIG_NODES_SHIFT). */
const NODES_MAX = 1024;

function nodesFrom({ hugepages, nodes }: ModelOptions, usual: Readonly<Record<number, number>>) {
  if (nodes === undefined) return [hugepages ?? usual];
  if (!Array.isArray(nodes)) throw argumentTypeError("nodes", "an array of hugepages, one object for each node", nodes);
  if (hugepages !== undefined) throw argumentRangeError("hugepages", "left out with nodes, which have them", hugepages);
  if (nodes.length === 0 || nodes.length > NODES_MAX) {
    throw argumentRangeError("nodes", `1 to ${NODES_MAX} nodes`, `${nodes.length} nodes`);
  }
  for (const [index, node] of nodes.entries()) {
    if (typeof node !== "object" || node === null) {
      throw argumentTypeError(`nodes[${index}]`, "an object: hugepages by their page shift", node);
    }
  }
  return nodes as NonNullable<ModelOptions["nodes"]>;
}

function groupsFrom(platform: ModelPlatform, { groups = [26], noIommuGroups = [] }: ModelOptions) {
  const noIommu = platform === "noiommu";
  const found = [
    ...numbered("groups", groups, []).map((number) => ({ number, noIommu })),
    ...numbered("noIommuGroups", noIommuGroups, groups).map((number) => ({ number, noIommu: true })),
  ];
  return found.sort((a, b) => a.number - b.number);
}

function numbered(name: string, groups: readonly number[], others: readonly number[]): readonly number[] {
  if (!Array.isArray(groups)) throw argumentTypeError(name, "an array of group numbers", groups);
  for (const [index, group] of groups.entries()) {
    if (!Number.isInteger(group) || group < 0)
      throw argumentRangeError(`${name}[${index}]`, "an integer of 0 or more", group);
    if (groups.indexOf(group) !== index || others.includes(group))
      throw argumentRangeError(`${name}[${index}]`, "named only once", group);
  }
  return groups;
}

/** 2 GiB each. POWER: 2 MiB, 16 MiB and 1 GiB. x86: 2 MiB and 1 GiB. Arm: what its CPU's page makes possible. */
function usualHugepages(platform: ModelPlatform, pageSize: number): Readonly<Record<number, number>> {
  if (platform === "powernv" || platform === "pseries") return { 21: 1024, 24: 128, 30: 2 };
  if (pageSize === 16384) return { 21: 1024, 25: 64, 30: 2 };
  return pageSize === 65536 ? { 21: 1024, 29: 4 } : { 21: 1024, 30: 2 };
}

function iommuFrom(platform: ModelPlatform, options: ModelOptions, pageSize: number): IommuSettings {
  if (platform === "noiommu") return { platform };
  if (platform === "type1") return { platform, type1: type1Settings(options, pageSize) };
  const info = infoFrom(platform, options);
  return platform === "powernv" ? { platform, info } : { platform, info, firmware: firmwareFrom(options) };
}

function firmwareFrom(options: ModelOptions): Firmware {
  const { firmwareWindowStart: windowStart = usualFirmware.windowStart, firmwareLargestBlock: largestBlock } = options;
  if (typeof windowStart !== "bigint") throw argumentTypeError("firmwareWindowStart", "a bigint", windowStart);
  // No window reaches 2^62, and none wraps from below 2^63.
  if (windowStart < 1n << 32n || windowStart >= 1n << 63n || windowStart % (1n << 32n) !== 0n) {
    throw argumentRangeError("firmwareWindowStart", "a multiple of 2^32 from 2^32 on, below 2^63", windowStart);
  }
  if (largestBlock === undefined) return { windowStart, largestBlock };
  if (typeof largestBlock !== "bigint") throw argumentTypeError("firmwareLargestBlock", "a bigint", largestBlock);
  if (largestBlock < 0n || largestBlock >= 1n << 64n)
    throw argumentRangeError("firmwareLargestBlock", "0..2^64-1", largestBlock);
  return { windowStart, largestBlock };
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
