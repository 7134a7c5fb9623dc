/** The group that a PCI device is in, and what else is there, by the machine's files. */
import { DmaWindowError, errnoName } from "../errors.ts";
import { lookAlikes } from "../pci/address.ts";
import { groupOf, Look } from "../pci/look.ts";
import { isUnsafe, noGroup } from "../pci/problems.ts";
import type { MachineFiles, Syscalls } from "../syscalls.ts";
import type { GroupDevice } from "../system/groups.ts";

/** `undefined` where the machine's files do not say. The address was matched as one: it becomes part of a path. */
export function groupOfAddress(files: MachineFiles | undefined, address: string): number | undefined {
  return files === undefined ? undefined : groupOf(new Look(files), address);
}

/** The group that has to be opened for a device. @throws `ERR_NO_DEVICE`, `ERR_NO_GROUP`, `ERR_NO_DEVICE_FILES`. */
export function groupToOpen({ files }: Pick<Syscalls, "files">, address: string): number {
  const group = groupOfAddress(files, address);
  if (group !== undefined) return group;
  const devices = files?.names("/sys/bus/pci/devices");
  if (!Array.isArray(devices)) {
    const why = typeof devices === "number" ? ` (${errnoName(devices)})` : "";
    throw new DmaWindowError(
      "ERR_NO_DEVICE_FILES",
      `the machine does not say in which group device ${address} is: /sys/bus/pci/devices cannot be read${why}. Name the group itself: groups: [number]`,
      { facts: { address } },
    );
  }
  if (!devices.includes(address)) {
    const near = lookAlikes(address, devices).slice(0, 8);
    const hint = near.length === 0 ? "it has none" : `what looks like it is ${near.join(", ")}`;
    throw new DmaWindowError("ERR_NO_DEVICE", `the machine has no PCI device ${address}: ${hint}`, {
      facts: { address, near },
    });
  }
  throw new DmaWindowError("ERR_NO_GROUP", whyNoGroup(new Look(files as MachineFiles), address), {
    facts: { address },
  });
}

function whyNoGroup(look: Look, address: string): string {
  if (!isUnsafe(look)) {
    const unsafe =
      "it can be used only where vfio is loaded with enable_unsafe_noiommu_mode=1, and then reaches all memory";
    return `${noGroup(look, address)}. Without one ${unsafe}`;
  }
  return (
    `${address} is in no group yet: without an IOMMU VFIO makes one for a device that is bound to it, so bind it first (bindToVfio, or ` +
    `dma-window bind ${address})`
  );
}

/** The devices in a group, and whose they are; `undefined` where the machine does not say. */
export function devicesOfGroup(files: MachineFiles | undefined, group: number): readonly GroupDevice[] | undefined {
  if (files === undefined) return undefined;
  try {
    return new Look(files).group(group)?.devices;
  } catch {
    return undefined; // ERR_GROUPS_UNREADABLE
  }
}
