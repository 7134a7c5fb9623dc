/**
 * A machine that is not an image of ours, as Linux describes it. Nothing here changes anything: devices are bound, and
 * hugepages set aside, by whoever the machine belongs to.
 */
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { IommuType, type Syscalls, VfioCall } from "../../../src/syscalls.ts";
import { type IommuGroup, readGroups } from "../../../src/system/groups.ts";
import { readHugepages } from "../../../src/system/hugepages.ts";
import type { BoundDevice, Found, GuestMachine } from "../guest/machine.ts";

/** Where Linux says what there is. */
export interface Roots {
  readonly groups: string;
  readonly nodes: string;
  readonly hugepages: string;
  readonly deviceTree: string;
}

export const thisSystem: Roots = {
  groups: "/sys/kernel/iommu_groups",
  nodes: "/dev/vfio",
  hugepages: "/sys/kernel/mm/hugepages",
  deviceTree: "/proc/device-tree",
};

/** Vendor and device number of QEMU's edu, which does DMA where it is told. */
export const EDU = "0x1234 0x11e8";

/** Page shifts that the tests know what to do with. */
const KNOWN_POOLS: readonly number[] = [21, 24, 30];

/** What random calls take of a pool: one with fewer to spare is not touched. Rows that want more look for themselves. */
export const HUGEPAGES_AT_A_TIME = 4;

/** The groups that `DMA_WINDOW_GROUP` names: one or two, by comma. @throws Error with a sentence for the user. */
export function groupsIn(text: string): number[] {
  const names = text.split(",").map((name) => name.trim());
  const wrong = names.find((name) => !/^(0|[1-9][0-9]{0,9})$/.test(name));
  if (wrong !== undefined)
    throw new Error(`DMA_WINDOW_GROUP=${text}: "${wrong}" is no number of a group; say 26, or 26,27 for two`);
  const groups = names.map(Number);
  if (groups.length > 2)
    throw new Error(`DMA_WINDOW_GROUP=${text}: the tests use one group or two, not ${groups.length}`);
  if (new Set(groups).size < groups.length) throw new Error(`DMA_WINDOW_GROUP=${text} names a group twice`);
  return groups;
}

/** What the tests need to know of a machine of which these groups may be used. @throws Error with a sentence for the user. */
export function fromSystem(asked: readonly number[], kernel: Syscalls, roots: Roots = thisSystem): Found {
  const groups = readGroups(roots.groups, roots.nodes);
  return {
    machine: { name: hostname(), machine: kindOf(kernel, roots.deviceTree), hugepages: poolsIn(roots.hugepages) },
    devices: asked.map((id) => deviceOf(groups, id, roots.groups)),
    isExpendable: false,
  };
}

/**
 * VFIO's driver says which IOMMU there is, and the device tree who manages it: Linux takes a machine for PowerNV by its
 * root's "compatible" (`arch/powerpc/platforms/powernv/setup.c`), and for an LPAR by the calls that its hypervisor offers
 * (`arch/powerpc/kernel/rtas.c: early_init_dt_scan_rtas`).
 */
function kindOf(kernel: Syscalls, deviceTree: string): GuestMachine["machine"] {
  const has = extensionsOf(kernel);
  if (has(IommuType.SPAPR_TCE_V2)) {
    if (compatibleWith(deviceTree).includes("ibm,powernv")) return "powernv";
    if (existsSync(join(deviceTree, "rtas/ibm,hypertas-functions"))) return "pseries";
    throw new Error(`this machine has sPAPR TCEs, and ${deviceTree} shows neither PowerNV nor an LPAR`);
  }
  if (has(IommuType.TYPE1v2) || has(IommuType.TYPE1)) return "x86";
  throw new Error(
    "VFIO has no driver for this machine's IOMMU: load vfio_iommu_spapr_tce (POWER) or vfio_iommu_type1 (x86), and see that " +
      "the IOMMU is on",
  );
}

/** What VFIO has a driver for. A container without a group answers for all drivers that are loaded. */
function extensionsOf(kernel: Syscalls): (type: number) => boolean {
  const container = kernel.open("/dev/vfio/vfio");
  if (container < 0) throw new Error(`/dev/vfio/vfio cannot be opened (errno ${-container}): load the module vfio-pci`);
  const types = [IommuType.SPAPR_TCE_V2, IommuType.TYPE1v2, IommuType.TYPE1];
  const there = types.filter((type) => kernel.ioctl(container, VfioCall.CHECK_EXTENSION, type) === 1);
  kernel.close(container);
  return (type) => there.some((one) => one === type);
}

/** The strings of the root's property, each of which ends with a 0. */
function compatibleWith(deviceTree: string): string[] {
  const path = join(deviceTree, "compatible");
  return existsSync(path) ? readFileSync(path, "latin1").split("\0") : [];
}

/** Pools that have enough to spare at this moment, and as many pages of each as nobody else was promised. */
function poolsIn(root: string): GuestMachine["hugepages"] {
  return readHugepages(root)
    .filter(({ pageShift, available }) => KNOWN_POOLS.includes(pageShift) && available >= HUGEPAGES_AT_A_TIME)
    .map(({ pageShift, available }) => [pageShift, available] as const);
}

/** Of several devices in the group the one that can be told what to do; where there is none, any that VFIO has. */
function deviceOf(groups: readonly IommuGroup[], id: number, root: string): BoundDevice {
  const bound = groups.find((group) => group.id === id)?.devices.filter(({ driver }) => driver?.includes("vfio"));
  const read = (name: string, what: string) => readFileSync(join(root, `${id}/devices/${name}/${what}`), "utf8").trim();
  const all = bound?.map(({ name }) => ({
    name,
    group: id,
    isEdu: /^[0-9a-f]+:/.test(name) && `${read(name, "vendor")} ${read(name, "device")}` === EDU,
  }));
  const device = all?.find(({ isEdu }) => isEdu) ?? all?.[0];
  if (device === undefined) throw new Error(`no device of group ${id} is bound to a VFIO driver`);
  return device;
}
