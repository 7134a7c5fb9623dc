/** The machine's IOMMU groups: who drives what in them, who holds them open, and what they keep to themselves. */
import { isPciAddress } from "../pci/address.ts";
import { className, isBridge } from "../pci/classes.ts";
import { inUse } from "../pci/in-use.ts";
import { driverOf, groupOf } from "../pci/look.ts";
import type { Opener } from "../pci/openers.ts";
import { neverTaken } from "../pci/problems.ts";
import { type IommuGroup, isVfioDriver, readGroups, usedByKernel } from "../system/groups.ts";
import { type ReservedRegion, readReservedRegions } from "../system/reserved-regions.ts";
import type { ProcessFacts } from "./process.ts";
import type { Survey } from "./survey.ts";
import { type NodeFacts, nodeAt } from "./vfio.ts";

export interface GroupDeviceFacts {
  /** `0000:01:00.0`, or what its bus calls it. */
  readonly address: string;
  /** `NVMe controller`; `undefined` where its class is not known. */
  readonly className: string | undefined;
  readonly class: number | undefined;
  readonly driver: string | undefined;
  readonly isVfio: boolean;
  /** Its driver lets the kernel do its DMA, so the whole group is the kernel's. */
  readonly keepsGroup: boolean;
  readonly isBridge: boolean;
  /** Why vfio-pci would never take it. */
  readonly denied: string | undefined;
  /** What would be lost if VFIO took it. */
  readonly inUse: readonly string[];
}

export interface GroupFacts {
  readonly id: number;
  /** VFIO made it up: no IOMMU stands before its device. */
  readonly noIommu: boolean;
  /** A device of it is with a driver of VFIO's. */
  readonly isBound: boolean;
  /** No driver of the kernel has a device of it. */
  readonly isViable: boolean;
  readonly node: NodeFacts | undefined;
  readonly devices: readonly GroupDeviceFacts[];
  /** The processes that have its node open, as far as this one is shown. */
  readonly openers: readonly Opener[];
  /** `undefined`: not known. */
  readonly reservedRegions: readonly ReservedRegion[] | undefined;
}

export interface PciFacts {
  /** How many devices PCI has; `undefined`: not known. */
  readonly devices: number | undefined;
  /** Those that are in no group, bridges aside, each with its driver. */
  readonly withoutGroup: readonly GroupDeviceFacts[];
  readonly groups: readonly GroupFacts[];
  /** How many processes do not show what they have open. */
  readonly hiddenProcesses: number;
}

/** A machine with more is described by its first. */
const DEVICES_MAX = 4096;

export function readPci(survey: Survey, process: ProcessFacts): PciFacts {
  const addresses = survey.addresses();
  const there = typeof addresses === "number" ? undefined : addresses.slice(0, DEVICES_MAX);
  const groups = groupsOf(survey).map((group) => groupFacts(survey, process, group));
  const alone = (there ?? []).filter((address) => groupOf(survey, address) === undefined);
  return {
    devices: there?.length,
    withoutGroup: alone
      .map((address) => deviceFacts(survey, address, driverOf(survey, address)))
      .filter((device) => !device.isBridge),
    groups,
    hiddenProcesses: survey.openers.hidden,
  };
}

/** What cannot be listed is not there to be used; that it may be there is said by what reads the IOMMU's state. */
function groupsOf(survey: Survey): readonly IommuGroup[] {
  try {
    return readGroups(survey.machine).slice(0, DEVICES_MAX);
  } catch {
    return [];
  }
}

function groupFacts(survey: Survey, process: ProcessFacts, group: IommuGroup): GroupFacts {
  const { id, node } = group;
  const kept = new Set(usedByKernel(group).map(({ name }) => name));
  const devices = group.devices.map(({ name, driver }) => ({
    ...deviceFacts(survey, name, driver ?? undefined),
    keepsGroup: kept.has(name),
  }));
  const made = survey.text(`/sys/kernel/iommu_groups/${id}/name`)?.trim() === "vfio-noiommu";
  return {
    id,
    noIommu: made || (node?.includes("/noiommu-") ?? false),
    isBound: devices.some(({ isVfio }) => isVfio),
    isViable: kept.size === 0,
    node: node === null ? undefined : nodeAt(survey, process, node),
    devices,
    openers: node === null ? [] : survey.openers.of(node),
    reservedRegions: regionsOf(survey, id),
  };
}

function deviceFacts(survey: Survey, address: string, driver: string | undefined): GroupDeviceFacts {
  const isPci = isPciAddress(address);
  const [code, vendor, device] = ["class", "vendor", "device"].map((name) =>
    isPci ? hexIn(survey.text(`${survey.at(address)}/${name}`)) : undefined,
  );
  const bridge = code !== undefined && isBridge(code);
  const identified = code === undefined || vendor === undefined || device === undefined;
  return {
    address,
    className: code === undefined ? undefined : className(code),
    class: code,
    driver,
    isVfio: isVfioDriver(driver),
    keepsGroup: false,
    isBridge: bridge,
    denied: identified ? undefined : neverTaken(survey, asked(address, code, vendor, device)),
    inUse: isPci && !bridge ? inUse(survey, address, undefined) : [],
  };
}

function asked(address: string, code: number, vendor: number, device: number): Parameters<typeof neverTaken>[1] {
  const unasked = { group: undefined, driver: undefined, physicalFunction: undefined, reservedRegions: [] };
  return { address, class: code, vendor, device, ...unasked };
}

function hexIn(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  return /^0x[0-9a-f]{1,8}$/i.test(trimmed) ? Number(trimmed) : undefined;
}

function regionsOf(survey: Survey, id: number): readonly ReservedRegion[] | undefined {
  try {
    return readReservedRegions(survey.machine, id);
  } catch {
    return undefined; // a file that no kernel writes
  }
}
