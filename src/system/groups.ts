/**
 * The IOMMU groups of the machine, from sysfs, so that an error can say why a group cannot be used:
 *
 *     /sys/kernel/iommu_groups/26/devices/0000:01:00.0         a link to the device
 *     /sys/kernel/iommu_groups/26/devices/0000:01:00.0/driver  a link to its driver; absent when it has none
 *     /dev/vfio/26                                             what a program opens
 *     /dev/vfio/noiommu-26                                     the same for a device without an IOMMU
 *
 * (`drivers/iommu/iommu.c: iommu_group_alloc`, `drivers/vfio/group.c: vfio_create_group`)
 */

import { argumentTypeError } from "../errors.ts";
import type { MachineFiles } from "../syscalls.ts";
import { checkPath, object } from "../validate.ts";
import { checkFiles, listed, pointedTo } from "./files.ts";
import { machineFiles } from "./machine-files.ts";
import { basename, join } from "./paths.ts";

export interface GroupDevice {
  /** The device's name on its bus: for PCI its address, `0000:01:00.0`. */
  readonly name: string;
  /** The driver that it is bound to, or `null`. */
  readonly driver: string | null;
}

export interface IommuGroup {
  /** The group's number: an `int` of the kernel's, so exact. */
  readonly id: number;
  /** Sorted by name. */
  readonly devices: readonly GroupDevice[];
  /** The path that opens the group, `/dev/vfio/26` or `/dev/vfio/noiommu-26`; `null` when there is none. */
  readonly node: string | null;
}

/**
 * The groups of this machine, ascending by number; none when it has no IOMMU in use (the directory is missing or empty).
 * A device or group that goes away while it is being read is left out.
 *
 * Throws a DmaWindowError `ERR_GROUPS_UNREADABLE` with the errno when something is there and cannot be read.
 */
export function readGroups(root?: string, devRoot?: string): IommuGroup[];
/** The same of the machine that these files belong to: those of a kernel, `kernel.files`. */
export function readGroups(files: MachineFiles): IommuGroup[];
export function readGroups(
  from: string | MachineFiles = "/sys/kernel/iommu_groups",
  devRoot = "/dev/vfio",
): IommuGroup[] {
  if (typeof from === "object" && from !== null) {
    checkFiles(from);
    return groupsOf(from, "/sys/kernel/iommu_groups", "/dev/vfio");
  }
  checkPath("root", from);
  checkPath("devRoot", devRoot);
  return groupsOf(machineFiles, from, devRoot);
}

function groupsOf(files: MachineFiles, root: string, devRoot: string): IommuGroup[] {
  const nodes = new Set(list(files, devRoot));
  return (list(files, root) ?? [])
    .filter((name) => /^[0-9]{1,10}$/.test(name))
    .map((name) => readGroup(files, join(root, name, "devices"), Number(name), devRoot, nodes))
    .filter((group) => group !== undefined)
    .sort((a, b) => a.id - b.id);
}

/**
 * Why VFIO would refuse the group, in sentences; empty when nothing speaks against it. Judged by the drivers' names, so
 * this explains a refusal and does not replace the kernel's own answer.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for what is no group of {@link readGroups}.
 */
export function groupProblems(group: IommuGroup): string[] {
  if (!Array.isArray((object("group", group) as IommuGroup).devices)) {
    throw argumentTypeError("group", "a group as readGroups gives it", group);
  }
  const problems: string[] = [];
  const vfio = group.devices.filter((device) => isVfioDriver(device.driver));
  if (group.devices.length === 0) problems.push(`group ${group.id} has no devices`);
  else if (vfio.length === 0) {
    const names = group.devices.map(({ name }) => name).join(", ");
    problems.push(`no device of group ${group.id} is bound to a VFIO driver; bind one of ${names} to vfio-pci`);
  } else if (group.node === null) {
    const names = vfio.map(({ name }) => name).join(", ");
    problems.push(`${names} has a VFIO driver, but the node of group ${group.id} is missing from /dev/vfio here`);
  }
  problems.push(...usedByKernel(group).map((device) => belongsToo(group.id, device)));
  return problems;
}

/** Why a device of a group keeps VFIO from it. */
export function belongsToo(group: number, { name, driver }: GroupDevice): string {
  return `${name} belongs to group ${group} too and is in use by ${driver}; unbind it or bind it to vfio-pci`;
}

/** The devices of a group that keep VFIO from it: those that a driver of the kernel uses for DMA of its own. */
export function usedByKernel({ devices }: Pick<IommuGroup, "devices">): GroupDevice[] {
  return devices.filter(({ driver }) => driver !== null && !isVfioDriver(driver) && !bystanders.has(driver));
}

/**
 * A driver that lets the kernel do its device's DMA claims the whole group for the kernel
 * (`drivers/iommu/iommu.c: iommu_device_use_default_domain`), unless it is marked `driver_managed_dma`. So are VFIO's
 * own drivers, which all have "vfio" in their names (vfio-pci, mlx5_vfio_pci, nvgrace-gpu-vfio-pci), and these two.
 */
const bystanders: ReadonlySet<string> = new Set(["pci-stub", "pcieport"]);

/** Whether a driver's name says that it is one of VFIO's. */
export function isVfioDriver(driver: string | null | undefined): boolean {
  return driver?.includes("vfio") ?? false;
}

function readGroup(
  files: MachineFiles,
  directory: string,
  id: number,
  devRoot: string,
  nodes: ReadonlySet<string>,
): IommuGroup | undefined {
  const devices = list(files, directory)?.map((name) => ({ name, driver: driverOf(files, join(directory, name)) }));
  if (devices === undefined) return undefined;
  const node = [`${id}`, `noiommu-${id}`].find((name) => nodes.has(name));
  return { id, devices, node: node === undefined ? null : join(devRoot, node) };
}

const CODE = "ERR_GROUPS_UNREADABLE";
const NEXT = "Name the group yourself; its node tells whether it works.";

function list(files: MachineFiles, directory: string): readonly string[] | undefined {
  return listed(files, directory, CODE, NEXT);
}

function driverOf(files: MachineFiles, device: string): string | null {
  const target = pointedTo(files, join(device, "driver"), CODE, NEXT);
  return target === undefined ? null : basename(target);
}
