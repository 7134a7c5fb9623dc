/** From a group's descriptor to a device. */
import { ERRNO } from "../errno.ts";
import { asOurs, type DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { type Syscalls, VfioCall } from "../syscalls.ts";
import { numaNodeOf } from "../system/nodes.ts";
import { devicesOfGroup } from "./address.ts";
import { Device, type DeviceKeeper } from "./device.ts";
import { readFacts } from "./facts.ts";
import { checkDeviceCalls, DeviceFile, type Whereabouts } from "./file.ts";
import { ioctlLater } from "./later.ts";
import { deviceName } from "./structs.ts";

const CALL = "VFIO_GROUP_GET_DEVICE_FD";

/** @throws `ERR_KERNEL`, and what {@link makeDevice} throws. */
export function openDevice(kernel: Syscalls, groupFd: number, where: Whereabouts, keeper: DeviceKeeper): Device {
  checkDeviceCalls(kernel);
  const name = deviceName(where.address);
  const fd = kernel.ioctlStruct(groupFd, VfioCall.GROUP_GET_DEVICE_FD, name, 0);
  return makeDevice(kernel, fd, where, keeper);
}

/** The first half of the same: the descriptor, or the kernel's answer, for {@link makeDevice}. */
export function deviceFdLater(kernel: Syscalls, groupFd: number, { address }: Whereabouts): Promise<number> {
  checkDeviceCalls(kernel);
  return ioctlLater(kernel, groupFd, VfioCall.GROUP_GET_DEVICE_FD, deviceName(address));
}

/** The second half. Nothing stays open where it fails. @throws `ERR_KERNEL`, `ERR_NOT_PCI`, `ERR_MALFORMED_INFO`. */
export function makeDevice(kernel: Syscalls, fd: number, where: Whereabouts, keeper: DeviceKeeper): Device {
  if (fd < 0) throw refusedDevice(kernel, fd, where);
  const file = new DeviceFile(checkDeviceCalls(kernel), fd, where);
  try {
    const node = kernel.files && numaNodeOf(where.address, kernel.files);
    const device = new Device(file, readFacts(file), node, keeper);
    // The kernel opens it so. It was open already where a BAR of it is still mapped from before, and then it may be on.
    if (device.busMaster) device.config.change(COMMAND, 2, BUS_MASTER, 0);
    return device;
  } catch (error) {
    throw withResidue(
      error,
      leftBy(() => file.end()),
    );
  }
}

/** Closes a descriptor of a device that nobody will use. */
export function dropDeviceFd(kernel: Syscalls, fd: number): DmaWindowError | undefined {
  if (fd < 0) return undefined;
  try {
    const answer = kernel.close(fd);
    return answer < 0 ? refusedByKernel("close", answer, { files: kernel.files, facts: { fd } }) : undefined;
  } catch (error) {
    return asOurs(withResidue(error, [`descriptor ${fd} may still be open`]));
  }
}

const COMMAND = 4;
const BUS_MASTER = 4;

/** ENODEV says only that the name is not there: the group's own files say what is. */
function refusedDevice(kernel: Syscalls, answer: number, { address, group, iommu }: Whereabouts): DmaWindowError {
  const about = `${CALL} of ${address} in group ${group}${answer === -ERRNO.ENODEV ? inGroup(kernel, group) : ""}`;
  return refusedByKernel(CALL, answer, { about, hint: CALL, iommu, files: kernel.files, facts: { address, group } });
}

function inGroup({ files }: Syscalls, group: number): string {
  const devices = devicesOfGroup(files, group);
  if (devices === undefined) return "";
  if (devices.length === 0) return " (the group has no devices any more)";
  const has = devices.map(({ name, driver }) => `${name} with ${driver ?? "no driver"}`);
  return ` (the group has ${has.join(", ")})`;
}
