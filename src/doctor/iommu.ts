/** The machine's IOMMU: whether one is in use, and if not why; what its units say of themselves. */
import { turnOn } from "../pci/problems.ts";
import type { Survey } from "./survey.ts";

export interface IommuUnit {
  /** As sysfs calls it: `dmar0`, `ivhd0`, `smmu3.0x0000000009050000`. */
  readonly name: string;
  readonly kind: "Intel VT-d" | "AMD-Vi" | "SMMU" | "virtio" | "POWER" | undefined;
  /** How many bits an IOVA may have, where the unit says so: Intel's do. */
  readonly addressBits: number | undefined;
  /** Whether it remaps interrupts too, likewise. */
  readonly remapsInterrupts: boolean | undefined;
}

export interface IommuFacts {
  /** `off`: the kernel's command line says so. `none`: no group is there. `undefined`: the machine does not say. */
  readonly state: "on" | "off" | "none" | undefined;
  /** What of the command line turns it off. */
  readonly offBy: string | undefined;
  readonly units: readonly IommuUnit[];
  /** The least of the units'. */
  readonly addressBits: number | undefined;
  /** Whether a device's interrupts are kept apart by all units. */
  readonly remapsInterrupts: boolean | undefined;
  /** Firmware's tables that name an IOMMU: DMAR, IVRS, IORT, VIOT. `undefined`: not known. */
  readonly firmwareTables: readonly string[] | undefined;
  /** How many groups there are, those that VFIO made up aside. */
  readonly groups: number | undefined;
  /** What turns it on here. */
  readonly turnOn: string;
}

const GROUPS = "/sys/kernel/iommu_groups";

/** The words of a command line by which there is none (`Documentation/admin-guide/kernel-parameters.txt`). */
const OFF = /^(?:(?:intel_|amd_)?iommu=(?:\S*,)?off\b|acpi=off$)/;
const NO_REMAPPING = /^(?:intremap=(?:\S*,)?off\b|nointremap$)/;

export function readIommu(survey: Survey): IommuFacts {
  const groups = survey.names(GROUPS)?.filter((name) => /^\d{1,10}$/.test(name) && !isMadeUp(survey, name)).length;
  const started = survey.words("/proc/cmdline");
  const offBy = started.find((word) => OFF.test(word));
  const none =
    groups === 0 || (groups === undefined && survey.lacks(GROUPS) && survey.names("/sys/kernel") !== undefined);
  const units = (survey.names("/sys/class/iommu") ?? []).slice(0, 256).map((name) => unitAt(survey, name));
  const bits = units.flatMap(({ addressBits }) => addressBits ?? []);
  const remaps = units.map(({ remapsInterrupts }) => remapsInterrupts);
  const turnedOff = started.some((word) => NO_REMAPPING.test(word));
  return {
    state: groups !== undefined && groups > 0 ? "on" : none ? (offBy === undefined ? "none" : "off") : undefined,
    offBy,
    units,
    addressBits: bits.length === 0 ? undefined : Math.min(...bits),
    remapsInterrupts: turnedOff || remaps.includes(false) ? false : remaps.includes(true) ? true : undefined,
    firmwareTables: survey
      .names("/sys/firmware/acpi/tables")
      ?.filter((table) => ["DMAR", "IVRS", "IORT", "VIOT"].includes(table)),
    groups,
    turnOn: turnOn(survey),
  };
}

function isMadeUp(survey: Survey, name: string): boolean {
  return survey.text(`${GROUPS}/${name}/name`)?.trim() === "vfio-noiommu";
}

function unitAt(survey: Survey, name: string): IommuUnit {
  const register = (file: string) => {
    const text = survey.text(`/sys/class/iommu/${name}/intel-iommu/${file}`)?.trim() ?? "";
    return /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
  };
  const [capabilities, extended] = [register("cap"), register("ecap")];
  return {
    name: name.slice(0, 64),
    kind: kindOf(name),
    addressBits: capabilities === undefined ? undefined : widthIn(capabilities),
    remapsInterrupts: extended === undefined ? undefined : ((extended >> 3n) & 1n) === 1n,
  };
}

function kindOf(name: string): IommuUnit["kind"] {
  if (/^dmar\d/.test(name)) return "Intel VT-d";
  if (/^ivhd\d/.test(name)) return "AMD-Vi";
  if (/smmu/.test(name)) return "SMMU";
  if (/^iommu-phb/.test(name)) return "POWER";
  return /^virtio/.test(name) ? "virtio" : undefined;
}

/**
 * Of VT-d's capability register (`drivers/iommu/intel/iommu.h: cap_mgaw, cap_sagaw`): bits 16 to 21 are the guest's width less one, and
 * bits 8 to 12 which depths of table there are, each with 9 bits more than the one before. The kernel takes the deepest
 * (`drivers/iommu/intel/iommu.c: __iommu_calculate_agaw`).
 */
function widthIn(capabilities: bigint): number | undefined {
  const most = Number((capabilities >> 16n) & 0x3fn) + 1;
  const depths = [39, 48, 57].filter((_, i) => ((capabilities >> BigInt(9 + i)) & 1n) === 1n);
  const deepest = depths.at(-1);
  return deepest === undefined ? undefined : Math.min(most, deepest);
}
