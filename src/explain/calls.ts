/** Calls by the names and numbers that people give them. */
import { VfioCall, vfioCallName } from "../syscalls.ts";
import { causes } from "./table.ts";

/** `_IO(';', 100 + n)`: without a direction on x86 and Arm, with one on POWER. (include/uapi/asm-generic/ioctl.h) */
const VFIO_TYPE = 0x3b00;
const VFIO_BASE = 100;
const POWER_NONE = 0x2000_0000;

/** Distances that are calls of another file, /dev/iommu: 0x3b80 and above. (include/uapi/linux/iommufd.h) */
const [IOMMUFD_FIRST, IOMMUFD_LAST] = [0x80 - VFIO_BASE, 0x9f - VFIO_BASE];

/** A number that no call has. */
export const NOBODYS = "ioctl";

/** A call has one number with two structs, or two calls have one number: which is meant depends on the descriptor. */
const TYPE1_INFO = "VFIO_IOMMU_GET_INFO";
const SPAPR_INFO = "VFIO_IOMMU_SPAPR_TCE_GET_INFO";

const aliases: Readonly<Record<string, string>> = {
  OPEN: "open group",
  "OPEN GROUP": "open group",
  "OPEN CONTAINER": "open /dev/vfio/vfio",
  "OPEN /DEV/VFIO/VFIO": "open /dev/vfio/vfio",
  CONTAINER: "open /dev/vfio/vfio",
  MMAP_REGION: "mmap of a region",
  "MMAP OF A REGION": "mmap of a region",
  READ: "pread",
  WRITE: "pwrite",
  SETRLIMIT: "prlimit",
  PRLIMIT64: "prlimit",
  DIRTY_PAGES: "VFIO_IOMMU_SPAPR_REGISTER_MEMORY",
};

/** Without its prefixes: `MAP_DMA`, `DEVICE_SET_IRQS`, `TCE_CREATE`, `SET_IRQS`. */
function shortNames(call: string): readonly string[] {
  const bare = call.replace(/^VFIO_/, "");
  const shorter = bare.replace(/^IOMMU_/, "");
  const shortest = shorter.replace(/^(SPAPR_TCE|SPAPR|DEVICE|GROUP)_/, "");
  return [call, bare, shorter, shorter.replace(/^SPAPR_/, ""), shortest, shortest.replace(/_MEMORY$/, "")];
}

let names: ReadonlyMap<string, readonly string[]> | undefined;

function byName(): ReadonlyMap<string, readonly string[]> {
  if (names !== undefined) return names;
  const found = new Map<string, readonly string[]>();
  for (const call of new Set(causes.map((cause) => cause.call))) {
    if (call === "any") continue;
    for (const name of new Set(shortNames(call).map((one) => one.toUpperCase()))) {
      found.set(name, [...(found.get(name) ?? []), call]);
    }
  }
  names = found;
  return found;
}

/** All calls that the table has. */
export function callNames(): readonly string[] {
  return [...new Set(byName().values())].flat().filter((name, i, all) => all.indexOf(name) === i);
}

/**
 * The calls that a name or a number may mean, likeliest first; none for what is none. A name is one of `<linux/vfio.h>` with or
 * without its prefixes, or of the manual; a number is the ioctl's (0x3b71, 0x20003b71 on POWER), or its distance from VFIO_BASE
 * (`BASE+13`, 13).
 */
export function callsNamed(word: string, platform?: string): readonly string[] {
  const name = word.trim().toUpperCase();
  const number = numberOf(name);
  if (number !== undefined) return ofNumber(number, platform);
  if (/^(VFIO_IOMMU_|IOMMU_|VFIO_)?(SPAPR_TCE_|SPAPR_)?GET_INFO$/.test(name)) {
    if (name.includes("SPAPR")) return [SPAPR_INFO];
    return /^(VFIO_)?IOMMU_/.test(name) && platform === undefined ? [TYPE1_INFO, SPAPR_INFO] : infos(platform);
  }
  const alias = aliases[name];
  return alias === undefined ? (byName().get(name) ?? []) : [alias];
}

function infos(platform: string | undefined): readonly string[] {
  if (platform === "type1") return [TYPE1_INFO];
  return isPower(platform) ? [SPAPR_INFO] : [TYPE1_INFO, SPAPR_INFO];
}

function isPower(platform: string | undefined): boolean {
  return platform === "powernv" || platform === "pseries" || platform === "spapr";
}

/** The distance from VFIO_BASE. */
function numberOf(name: string): number | undefined {
  const [, base] = /^(?:VFIO_)?BASE ?\+ ?(\d{1,3})$/.exec(name) ?? [];
  if (base !== undefined) return Number(base);
  if (!/^(0X[0-9A-F]{1,8}|\d{1,10})$/.test(name)) return undefined;
  const number = Number(name);
  if (number < VFIO_BASE) return number;
  const bare = number >= POWER_NONE ? number - POWER_NONE : number;
  const distance = bare - VFIO_TYPE - VFIO_BASE;
  return distance >= 0 && distance < 100 ? distance : undefined;
}

/** What is MAP_DMA to a container is PCI_HOT_RESET to a device. */
function ofNumber(number: number, platform: string | undefined): readonly string[] {
  if (number === VfioCall.IOMMU_SPAPR_TCE_GET_INFO) return [...infos(platform), ...deviceCalls(number)];
  const own = Object.values(VfioCall).includes(number as VfioCall) ? [vfioCallName(number)] : [];
  const calls = [...own, ...deviceCalls(number)];
  if (calls.length > 0) return calls;
  return number >= IOMMUFD_FIRST && number <= IOMMUFD_LAST ? [] : [NOBODYS];
}

function deviceCalls(number: number): readonly string[] {
  const call = number + 0x100;
  return Object.values(VfioCall).includes(call as VfioCall) ? [vfioCallName(call)] : [];
}
