/** Resets of a device, alone and with its bus. */
import { type Cause, causesOf } from "../cause.ts";
import { CORE, kernelMemory, memoryOf, structUnknown, unplugged, wake } from "./common.ts";

export const resetCauses: readonly Cause[] = [
  ...causesOf("VFIO_DEVICE_RESET", {
    EINVAL: [
      {
        id: "no-reset",
        source: `${CORE}: vfio_pci_ioctl_reset`,
        why: "the device cannot be reset alone",
        next: "reset its whole bus, by device.hotReset(), where that can be",
      },
    ],
    ENOTTY: [
      {
        id: "no-reset",
        source: "drivers/pci/pci.c: pci_try_reset_function",
        why: "none of the ways to reset the device works (reset_method in sysfs)",
        next: "reset its whole bus, by device.hotReset(), where that can be",
      },
    ],
    EAGAIN: [
      {
        id: "locked",
        source: "drivers/pci/pci.c: pci_try_reset_function, pci_dev_trylock",
        why: "somebody else is resetting, binding or removing the device",
        next: "try again",
      },
    ],
    ETIMEDOUT: [
      {
        id: "hangs",
        source: "drivers/pci/pci.c: pci_dev_wait",
        why: "the device did not come back from the reset",
        next: "close it, and take it from the bus and put it back: remove in its directory of sysfs, then /sys/bus/pci/rescan",
      },
    ],
    EIO: [wake],
    ENODEV: [unplugged],
  }),
  ...causesOf("VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", {
    ENODEV: [
      {
        id: "root-bus",
        source: `${CORE}: vfio_pci_ioctl_get_pci_hot_reset_info`,
        why: "the device is on a root bus, where there is neither a slot nor a bridge to reset it by",
        next: "use device.reset(), where the device can",
      },
    ],
    ENOSPC: [
      {
        id: "more",
        summary: true,
        source: `${CORE}: vfio_pci_ioctl_get_pci_hot_reset_info`,
        why: "the bus has more devices than there was room for",
        next: "try again",
      },
    ],
    EPERM: [
      {
        id: "no-group",
        source: `${CORE}: vfio_pci_fill_devs`,
        why: "a device on the bus is in no IOMMU group",
        next: "reset the device alone, by device.reset(), where it can",
      },
    ],
    EAGAIN: [
      {
        id: "changing",
        source: `${CORE}: vfio_pci_fill_devs`,
        why: "a device came to the bus meanwhile",
        next: "try again",
      },
    ],
    EINVAL: [{ ...structUnknown, source: `${CORE}: vfio_pci_ioctl_get_pci_hot_reset_info` }],
    EFAULT: [memoryOf(`${CORE}: vfio_pci_ioctl_get_pci_hot_reset_info`)],
    ENOMEM: [kernelMemory],
  }),
  ...causesOf("VFIO_DEVICE_PCI_HOT_RESET", {
    EINVAL: [
      {
        id: "not-all-groups",
        source: `${CORE}: vfio_pci_dev_set_hot_reset, vfio_dev_in_groups`,
        why: "a device on the bus is in a group that was not given, or with another driver than VFIO's",
        next: "bind all devices of the bus to vfio-pci, and add their groups to the container (device.hotResetReason() names them)",
      },
      {
        id: "descriptor",
        source: `${CORE}: vfio_pci_ioctl_pci_hot_reset_groups`,
        why: "a descriptor leads to no group of VFIO",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    ENODEV: [
      {
        id: "root-bus",
        source: `${CORE}: vfio_pci_ioctl_pci_hot_reset, vfio_pci_ioctl_pci_hot_reset_groups`,
        why: "the device is on a root bus, where there is neither a slot nor a bridge to reset it by",
        next: "use device.reset(), where the device can",
      },
    ],
    ENOTTY: [
      {
        id: "bridge",
        source: "drivers/pci/pci.c: pci_bridge_secondary_bus_reset, pci_bridge_wait_for_secondary_bus, pci_reset_bus",
        why: "the bridge above the device did not reset its bus, or its link did not come back in time; the devices may have been reset all the same",
        next: "see the kernel's log (dmesg), and set the devices up anew",
      },
    ],
    EAGAIN: [
      {
        id: "locked",
        source: "drivers/pci/pci.c: pci_bus_trylock",
        why: "somebody else is resetting, binding or removing a device of the bus",
        next: "try again",
      },
    ],
    EBADF: [
      {
        id: "descriptor",
        source: `${CORE}: vfio_pci_ioctl_pci_hot_reset_groups`,
        why: "a group's descriptor was closed behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    ENOMEM: [kernelMemory],
    EFAULT: [memoryOf(`${CORE}: vfio_pci_ioctl_pci_hot_reset, vfio_pci_ioctl_pci_hot_reset_groups`)],
  }),
];
