/**
 * A reset of the bus or slot that a device is on. It resets all devices there, so the kernel wants to see the groups of all of them
 * (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_pci_hot_reset_info, vfio_pci_ioctl_pci_hot_reset).
 */
import { ERRNO } from "../errno.ts";
import { DmaWindowError, errnoName } from "../errors.ts";
import { VfioCall } from "../syscalls.ts";
import type { DeviceFile } from "./file.ts";
import { type DependentDevice, hotReset, hotResetCount, hotResetInfo, readHotResetInfo } from "./structs.ts";

/** A group that the program has, and its descriptor. */
export interface HeldGroup {
  readonly group: number;
  readonly fd: number;
}

/** Asked again where there are more devices than there was room for; a bus may be changing meanwhile. */
const TRIES = 4;

/** The devices that it would reset, or why it cannot be: a sentence. @throws `ERR_KERNEL` for an answer that nobody knows. */
export function hotResetDevices(file: DeviceFile): readonly DependentDevice[] | string {
  let room = 0;
  for (let i = 0; i < TRIES; i++) {
    const info = hotResetInfo(room);
    const answer = file.call(VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO, info);
    if (answer === 0) return readHotResetInfo(info);
    if (answer === -ERRNO.ENODEV)
      return "it sits on the root bus, where there is neither a slot nor a bridge to reset it by";
    if (answer === -ERRNO.ENOTTY) return "its driver does not know such a reset";
    if (answer !== -ERRNO.ENOSPC) throw file.refused("VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", answer);
    room = hotResetCount(info);
  }
  return "the devices on its bus are changing";
}

/** Why the reset cannot be; `undefined` where nothing speaks against it. */
export function hotResetReason(file: DeviceFile, held: readonly HeldGroup[]): string | undefined {
  const devices = hotResetDevices(file);
  if (typeof devices === "string") return devices;
  const missing = devices.filter(({ group }) => !held.some((one) => one.group === group));
  if (missing.length === 0) return undefined;
  const who = missing.map(({ address, group }) => `${address} (group ${group})`).join(", ");
  return `it would reset ${who} too, which is not in this container: add the group (container.addGroup), once all in it is bound to vfio-pci`;
}

/** @throws `ERR_NO_HOT_RESET`, `ERR_KERNEL`. */
export function performHotReset(file: DeviceFile, held: readonly HeldGroup[]): void {
  const { address, group } = file.where;
  const why = hotResetReason(file, held);
  if (why !== undefined) throw cannot(address, group, why);
  const devices = hotResetDevices(file);
  const groups = typeof devices === "string" ? [] : devices.map((one) => one.group);
  const fds = held.filter((one) => groups.includes(one.group)).map(({ fd }) => fd);
  const answer = file.call(VfioCall.DEVICE_PCI_HOT_RESET, hotReset(fds));
  if (answer === 0) return;
  if (answer === -ERRNO.ENOTTY || answer === -ERRNO.ENODEV) {
    throw cannot(address, group, `the slot or bridge above it takes no reset (${errnoName(answer)})`, answer);
  }
  throw file.refused("VFIO_DEVICE_PCI_HOT_RESET", answer, { groups });
}

function cannot(address: string, group: number, why: string, errno?: number): DmaWindowError {
  return new DmaWindowError(
    "ERR_NO_HOT_RESET",
    `device ${address} cannot be reset with its bus: ${why}. device.reset() resets it alone, where it can`,
    {
      facts: { address, group },
      ...(errno === undefined ? {} : { errno, syscall: "VFIO_DEVICE_PCI_HOT_RESET" }),
    },
  );
}
