import { argumentRangeError, argumentTypeError } from "../errors.ts";
import { keysOf, known } from "../known.ts";
import { compareLinux, type LinuxVersion, linuxVersionIn, linuxVersionText } from "../linux-version.ts";
import { isPowerOfTwo } from "../power-of-two.ts";
import { count, object, size } from "../validate.ts";
import { checkDevices, groupsOf, type PlacedDevice, type PlacedGroup, placed } from "./devices/placing.ts";
import type { ModelPciDevice } from "./devices/plug.ts";
import { type LinuxRules, rulesOf } from "./linux-rules.ts";
import { checkLimits, type LockedMemoryLimits } from "./memory/locked.ts";
import type { MemorySource } from "./memory/source.ts";
import type { PlatformInfo } from "./spapr/platform.ts";
import { powernvInfo } from "./spapr/powernv.ts";
import { type Firmware, pseriesInfo, usualFirmware } from "./spapr/pseries.ts";
import { type IovaRange, type ModelReservedRegion, type Type1Settings, type1Settings } from "./type1/settings.ts";

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
  /**
   * The version of Linux that it answers as: `"6.12.107"`, or any text that has it as `uname -r` and `/proc/version` do. By default
   * the newest that was asked: 7.2.13 on PowerNV and pSeries, for which there is no newer kernel to ask, and 7.3.4 on type1 and
   * noiommu. A newer one answers as that. The oldest is 6.12 on PowerNV and pSeries (VFIO did not work there before), and 5.1 on
   * type1 and noiommu; below 6.1 the answers were only read. `docs/conformance.md` has what changed.
   */
  readonly linux?: string;
  /** The CPU's page in bytes: 4096 (the default) or 65536; on type1 and noiommu also 16384. */
  readonly pageSize?: bigint | number;
  /**
   * The numbers of the IOMMU groups; `[26]` by default, and with `devices` none besides theirs. In a group that none of `devices` is in
   * there is a device without registers.
   */
  readonly groups?: readonly number[];
  /** What is plugged in: devices with registers, such as `edu()`, or of one's own. Each in a group of its own, unless it says which. */
  readonly devices?: readonly ModelPciDevice[];
  /** type1: groups besides `groups` whose device has no IOMMU. None by default; with one, the unsafe mode is on. */
  readonly noIommuGroups?: readonly number[];
  /**
   * All but noiommu: which page sizes the IOMMU has, bit n for 2^n bytes. 0x40211000 on PowerNV, 0x1211000 on pSeries,
   * 0x40201000 on type1 with CPU pages of 4 KiB, 0x2004000 with 16 KiB, 0x20010000 with 64 KiB.
   */
  readonly pgsizes?: bigint;
  /** sPAPR: the default window's size in bytes: a power of two below 4 GiB. 2 GiB on PowerNV, 1 GiB on pSeries. */
  readonly defaultWindowSize?: bigint | number;
  /** pSeries: where firmware puts windows other than the default one; a multiple of 2^32 above it. 1 << 59 by default. */
  readonly firmwareWindowStart?: bigint;
  /** pSeries: how many TCEs the largest window has that firmware still makes. By default any that were seen to work. */
  readonly firmwareLargestBlock?: bigint | number;
  /**
   * type1: where IOVAs may be, in order, in pages of 4 KiB, below 2^57. VT-d's by default: 0-0xfedfffff and
   * 0xfef00000-0xffffffffffff. With CPU pages of 16 or 64 KiB an SMMU's: 0-0x7ffffff and 0x8100000-0xffffffffffff.
   */
  readonly ranges?: readonly IovaRange[];
  /** type1: how many maps a container may have (`vfio_iommu_type1.dma_entry_limit`): 65535 by default. */
  readonly dmaEntryLimit?: number;
  /** type1: 1 for a kernel that has no v2, as in some that are not Linux. 2 by default. */
  readonly iommuVersion?: 1 | 2;
  /**
   * type1: whether a device can read through a map that is WRITE only. By default false, but for VT-d before Linux 6.16, which was
   * seen to let it.
   */
  readonly readsThroughWriteOnly?: boolean;
  /**
   * type1: whether GET_INFO has a chain of capabilities: by default what `linux` says, which is true from 5.4 on. False for a
   * kernel that knows nothing that came with it or later: UNMAP's flags, CHECK_EXTENSION's 9 and 10 and DIRTY_PAGES.
   */
  readonly infoCapabilities?: boolean;
  /**
   * type1: what `/sys/kernel/iommu_groups/<n>/reserved_regions` says. By default what lies between the `ranges`, as msi;
   * `false`: there is no such file, as before Linux 4.11. A MAP is held to the `ranges`, whatever this says.
   */
  readonly reservedRegions?: readonly ModelReservedRegion[] | false;
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
  /**
   * How many of these a hugetlb cgroup lets be present, by page shift. An mmap of more succeeds, and the pages that are too many
   * cannot be touched. By default as many as there are.
   */
  readonly hugepageLimits?: Readonly<Record<number, number>>;
  /** Bytes of RAM: 64 GiB by default. REGISTER wants 8 of them for each page before it looks at the first. */
  readonly ram?: bigint | number;
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
  readonly linux: LinuxVersion;
  readonly rules: LinuxRules;
  readonly pageSize: number;
  /** By number. */
  readonly groups: readonly PlacedGroup[];
  /** At least one in each group. */
  readonly devices: readonly PlacedDevice[];
  readonly lockedMemory: LockedMemoryLimits;
  /** The hugepages of each NUMA node. */
  readonly nodes: readonly Readonly<Record<number, number>>[];
  readonly hugepageLimits: Readonly<Record<number, number>>;
  readonly ram: bigint;
  readonly memory: "simulated" | MemorySource;
}

const PAGE_SIZES: Readonly<Record<ModelPlatform, readonly number[]>> = {
  powernv: [4096, 65536],
  pseries: [4096, 65536],
  type1: [4096, 16384, 65536],
  noiommu: [4096, 16384, 65536],
};

const KEYS = keysOf<ModelOptions>({
  platform: true,
  linux: true,
  pageSize: true,
  groups: true,
  devices: true,
  noIommuGroups: true,
  pgsizes: true,
  defaultWindowSize: true,
  firmwareWindowStart: true,
  firmwareLargestBlock: true,
  ranges: true,
  dmaEntryLimit: true,
  iommuVersion: true,
  readsThroughWriteOnly: true,
  infoCapabilities: true,
  reservedRegions: true,
  lockedMemory: true,
  hugepages: true,
  hugepageLimits: true,
  nodes: true,
  ram: true,
  memory: true,
});
const POWER_VERSIONS = { oldest: "6.12", newest: "7.2.13" };
const OTHER_VERSIONS = { oldest: "5.1", newest: "7.3.4" };

/** The oldest kernel that is known well enough, and the newest that was asked. */
const VERSIONS: Readonly<Record<ModelPlatform, { readonly oldest: string; readonly newest: string }>> = {
  powernv: POWER_VERSIONS,
  pseries: POWER_VERSIONS,
  type1: OTHER_VERSIONS,
  noiommu: OTHER_VERSIONS,
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
  reservedRegions: ["type1"],
};

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function settingsFrom(options: ModelOptions): ModelSettings {
  known("options", object("options", options), KEYS);
  const { platform = "powernv", memory = "simulated" } = options;
  const { pageSize: page = 4096, ram: memoryBytes = 64n << 30n } = options;
  const { lockedMemory: limits = { limit: 8n << 20n, privileged: true } } = options;
  const pageSize = Number(size("pageSize", page)); // what is not exact is not a platform's, and refused below
  const ram = size("ram", memoryBytes);
  const lockedMemory = checkLimits("lockedMemory", limits);
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
  if (ram < 1n << 20n || ram >= 1n << 53n) throw argumentRangeError("ram", "from 1 MiB to below 2^53", ram);
  const { hugepageLimits = {} } = options;
  checkHugepages("hugepageLimits", hugepageLimits);
  const nodes = nodesFrom(options, usualHugepages(platform, pageSize));
  const { groups, devices } = groupsFrom(platform, options);
  const linux = linuxFrom(platform, options);
  const rules = rulesOf(linux);
  const iommu = iommuFrom(platform, options, pageSize, rules);
  return { iommu, linux, rules, pageSize, groups, devices, lockedMemory, nodes, hugepageLimits, ram, memory };
}

/** Linux is built for at most 1024 nodes (CONFIG_NODES_SHIFT). */
const NODES_MAX = 1024;

function nodesFrom({ hugepages, nodes }: ModelOptions, usual: Readonly<Record<number, number>>) {
  if (hugepages !== undefined) checkHugepages("hugepages", hugepages);
  if (nodes === undefined) return [hugepages ?? usual];
  if (!Array.isArray(nodes)) throw argumentTypeError("nodes", "an array of hugepages, one object for each node", nodes);
  if (hugepages !== undefined) throw argumentRangeError("hugepages", "left out with nodes, which have them", hugepages);
  if (nodes.length === 0 || nodes.length > NODES_MAX) {
    throw argumentRangeError("nodes", `1 to ${NODES_MAX} nodes`, `${nodes.length} nodes`);
  }
  for (const [index, node] of nodes.entries()) checkHugepages(`nodes[${index}]`, node);
  return nodes as NonNullable<ModelOptions["nodes"]>;
}

/** A size that is named in another way than by its page shift would be a size that does not exist. */
function checkHugepages(name: string, hugepages: Readonly<Record<number, number>>): void {
  for (const [shift, pages] of Object.entries(object(name, hugepages))) {
    if (!/^[1-9][0-9]$/.test(shift) || Number(shift) < 12 || Number(shift) > 62) {
      throw argumentRangeError(`a key of ${name}`, "a page shift from 12 to 62, such as 21 for pages of 2 MiB", shift);
    }
    count(`${name}[${shift}]`, pages);
  }
}

function linuxFrom(platform: ModelPlatform, { linux = VERSIONS[platform].newest }: ModelOptions): LinuxVersion {
  if (typeof linux !== "string") throw argumentTypeError("linux", 'a string as "6.12.107"', linux);
  const version = linuxVersionIn(linux);
  if (version === undefined) throw argumentRangeError("linux", 'a version of Linux, as "6.12.107" or uname -r', linux);
  const { oldest } = VERSIONS[platform];
  if (compareLinux(version, linuxVersionIn(oldest) as LinuxVersion) < 0) {
    const expected = `${oldest} or newer on ${platform}: what ${linuxVersionText(version)} answers is not known`;
    throw argumentRangeError("linux", expected, linux);
  }
  return version;
}

function groupsFrom(platform: ModelPlatform, options: ModelOptions) {
  const { devices = [], groups: named = options.devices === undefined ? [26] : [], noIommuGroups = [] } = options;
  checkDevices(devices);
  const noIommu = platform === "noiommu";
  const ordinary = numbered("groups", named, []);
  const without = numbered("noIommuGroups", noIommuGroups, named);
  const numbers = groupsOf(devices, [...ordinary, ...without]);
  const groups = [
    ...[...new Set([...ordinary, ...numbers.filter((number) => !without.includes(number))])].map((number) => ({
      number,
      noIommu,
    })),
    ...without.map((number) => ({ number, noIommu: true })),
  ].sort((a, b) => a.number - b.number);
  for (const group of groups) {
    const shared = numbers.filter((number) => number === group.number).length > 1;
    if (group.noIommu && shared)
      throw argumentRangeError("devices", "one for each group without an IOMMU", group.number);
  }
  return { groups, devices: placed(devices, numbers, groups, platform === "powernv") };
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

function iommuFrom(platform: ModelPlatform, options: ModelOptions, pageSize: number, rules: LinuxRules): IommuSettings {
  if (platform === "noiommu") return { platform };
  if (platform === "type1") return { platform, type1: type1Settings(options, pageSize, rules) };
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
  return { windowStart, largestBlock: size("firmwareLargestBlock", largestBlock) };
}

function infoFrom(platform: "powernv" | "pseries", options: ModelOptions): PlatformInfo {
  const usual = platform === "powernv" ? powernvInfo : pseriesInfo;
  const { pgsizes = usual.pgsizes, defaultWindowSize: windowSize = usual.defaultWindowSize } = options;
  const defaultWindowSize = size("defaultWindowSize", windowSize);
  if (typeof pgsizes !== "bigint") throw argumentTypeError("pgsizes", "a bigint", pgsizes);
  if ((pgsizes & 0xfffn) !== 0n || (pgsizes & 0x1000n) === 0n || pgsizes >> 64n !== 0n) {
    throw argumentRangeError("pgsizes", "64 bits with 4 KiB pages and none smaller", pgsizes);
  }
  if (!isPowerOfTwo(defaultWindowSize) || defaultWindowSize < 4096n || defaultWindowSize >= 1n << 32n) {
    throw argumentRangeError("defaultWindowSize", "a power of two from 4 KiB to 2 GiB", defaultWindowSize);
  }
  return { pgsizes, defaultWindowSize, levels: usual.levels };
}
