/**
 * Resets of a whole bus: GET_PCI_HOT_RESET_INFO and PCI_HOT_RESET. Every device on it must be the caller's, or nobody's.
 *
 * Rules: `drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_pci_hot_reset_info, vfio_pci_ioctl_pci_hot_reset_groups,
 * vfio_pci_dev_set_hot_reset`.
 *
 *     vfio_pci_hot_reset_info   0 argsz   4 flags   8 count   then of each: group (4), segment (2), bus (1), devfn (1)
 *     vfio_pci_hot_reset        0 argsz   4 flags   8 count   then of each: a group's descriptor (4)
 */
import { EBADF, EINVAL, ENODEV, ENOSPC, ENOTTY } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import type { Caller, OpenFile } from "../open-file.ts";
import type { Struct } from "../structs.ts";
import { isBehindBridge } from "./pci-function.ts";
import type { PciMachine } from "./pci-machine.ts";

const HotReset = { BYTES: 12, COUNT: 8, DEVICE_BYTES: 8, FD_BYTES: 4 };

/** A device as its bus knows it. */
export interface BusDevice {
  readonly address: string;
  readonly machine: PciMachine;
  readonly group: OpenFile & { readonly number: number };
  readonly isOpen: boolean;
  /** A reset of the bus has come by. */
  wasReset(): void;
}

/** `bus` is all that is on the bus of `device`, and itself. */
export function hotResetInfo(struct: Struct, device: BusDevice, bus: readonly BusDevice[]): number {
  struct.need(HotReset.BYTES);
  const { argsz } = struct;
  if (argsz < HotReset.BYTES) return EINVAL;
  if (!isBehindBridge(device.address)) return ENODEV;
  if (device.machine.busReset === "unknown") throw new ModelUnknown("the reset of a bus behind an LPAR's bridge");
  struct.setU32(4, 0);
  struct.setU32(HotReset.COUNT, bus.length);
  const needed = HotReset.BYTES + bus.length * HotReset.DEVICE_BYTES;
  if (argsz < needed) return ENOSPC;
  struct.need(needed);
  for (const [place, { address, group }] of bus.entries()) {
    const at = HotReset.BYTES + place * HotReset.DEVICE_BYTES;
    const { segment, number, devfn } = partsOf(address);
    struct.setU32(at, group.number);
    struct.setU32(at + 4, ((devfn << 24) | (number << 16) | segment) >>> 0);
  }
  return 0;
}

export function hotReset(struct: Struct, device: BusDevice, bus: readonly BusDevice[], caller: Caller): number {
  struct.need(HotReset.BYTES);
  const { argsz, flags } = struct;
  const count = struct.u32(HotReset.COUNT);
  // No groups at all is for devices that were opened without one.
  if (argsz < HotReset.BYTES || flags !== 0 || count === 0) return EINVAL;
  if (!isBehindBridge(device.address)) return ENODEV;
  if (device.machine.busReset === "unknown") throw new ModelUnknown("the reset of a bus behind an LPAR's bridge");
  if (count > bus.length) return EINVAL;
  struct.need(HotReset.BYTES + count * HotReset.FD_BYTES);
  const groups = new Set<OpenFile>();
  for (let place = 0; place < count; place++) {
    const file = caller.descriptors.get(struct.i32(HotReset.BYTES + place * HotReset.FD_BYTES));
    if (file === undefined) return EBADF;
    if (!file.isGroup) return EINVAL; // `vfio_file_is_group`
    groups.add(file);
  }
  if (bus.some(({ isOpen, group }) => isOpen && !groups.has(group))) return EINVAL;
  // One that fails has reset the bus too: it was waited for in vain.
  for (const one of bus) one.wasReset();
  return device.machine.busReset === "fails" ? ENOTTY : 0;
}

function partsOf(address: string): { readonly segment: number; readonly number: number; readonly devfn: number } {
  const [segment = "", number = "", slot = ""] = address.split(/[:.]/);
  const one = address.slice(-1);
  const hex = (text: string) => Number.parseInt(text, 16);
  return { segment: hex(segment), number: hex(number), devfn: (hex(slot) << 3) | hex(one) };
}
