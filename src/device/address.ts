/**
 * A PCI device's address, and the group that it is in. The address is matched as one before it becomes part of a path: what is named
 * here is opened by root.
 */
import { argumentRangeError, argumentTypeError, DmaWindowError, errnoName } from "../errors.ts";
import type { MachineFiles, Syscalls } from "../syscalls.ts";

/** Domain, bus, slot, function, as sysfs has them. A domain has more than four digits behind some bridges (`drivers/pci/controller/vmd.c`). */
const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** @throws TypeError, RangeError: with the address that was meant, where it is one without its domain. */
export function checkAddress(name: string, value: unknown): string {
  if (typeof value !== "string") throw argumentTypeError(name, 'a PCI address such as "0000:01:00.0"', value);
  if (ADDRESS.test(value)) return value;
  const meant = [value.toLowerCase(), `0000:${value.toLowerCase()}`].find((one) => ADDRESS.test(one));
  const hint = meant === undefined ? "" : ` (${JSON.stringify(meant)}?)`;
  throw argumentRangeError(name, `a PCI address such as "0000:01:00.0", with its domain${hint}`, value.slice(0, 80));
}

/** `undefined` where the machine's files do not say. */
export function groupOfAddress(files: MachineFiles | undefined, address: string): number | undefined {
  const link = files?.link(`/sys/bus/pci/devices/${address}/iommu_group`);
  const [, group] = (typeof link === "string" && /(?:^|\/)([0-9]{1,10})\/*$/.exec(link)) || [];
  return group === undefined ? undefined : Number(group);
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
    const near = devices.filter((one) => one.slice(0, -4) === address.slice(0, -4));
    const others = near.length === 0 ? devices : near;
    const has = others.length === 0 ? "none" : `${others.slice(0, 8).join(", ")}${others.length > 8 ? ", ..." : ""}`;
    throw new DmaWindowError("ERR_NO_DEVICE", `the machine has no PCI device ${address}; it has ${has}`, {
      facts: { address },
    });
  }
  throw new DmaWindowError(
    "ERR_NO_GROUP",
    `device ${address} is in no IOMMU group: the IOMMU is off (intel_iommu=on, amd_iommu=on; firmware's setup). Without one it can ` +
      "be used only where vfio is loaded with enable_unsafe_noiommu_mode=1, and then reaches all memory",
    { facts: { address } },
  );
}

/** The names of the devices in a group, and which of them are bound to VFIO; `undefined` where the machine does not say. */
export function devicesOfGroup(
  files: MachineFiles | undefined,
  group: number,
): readonly { readonly address: string; readonly driver: string | undefined }[] | undefined {
  const directory = `/sys/kernel/iommu_groups/${group}/devices`;
  const names = files?.names(directory);
  if (!Array.isArray(names)) return undefined;
  return names.map((address: string) => {
    const link = files?.link(`${directory}/${address}/driver`);
    return { address, driver: typeof link === "string" ? link.split("/").at(-1) : undefined };
  });
}

/** The node of a device's memory; -1 in the file is none (`drivers/base/node.c`). */
export function numaNodeOfAddress(files: MachineFiles | undefined, address: string): number | undefined {
  const text = files?.text(`/sys/bus/pci/devices/${address}/numa_node`);
  return typeof text === "string" && /^[0-9]{1,9}\s*$/.test(text) ? Number(text) : undefined;
}
