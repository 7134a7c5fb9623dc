/** Calls on a device: what it has, its interrupts, its resets, and its regions. */
import { guards } from "../guards.ts";
import { type Cause, causesOf } from "./cause.ts";
import { openFiles } from "./questions.ts";

const CORE = "drivers/vfio/pci/vfio_pci_core.c";
const INTRS = "drivers/vfio/pci/vfio_pci_intrs.c";
const CONFIG = "drivers/vfio/pci/vfio_pci_config.c";
const RDWR = "drivers/vfio/pci/vfio_pci_rdwr.c";

const structUnknown = {
  id: "struct",
  why: "this kernel wants another struct: it is not the VFIO that this library speaks",
} as const;

const memory = {
  id: "memory",
  source: "lib/usercopy.c: copy_from_user, copy_to_user",
  why: "the kernel could not read or write the call's memory: it went away under the call, which is a defect of this library",
} as const;

const unplugged = {
  id: "unplugged",
  source: "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl",
  why: "the device has gone: it was unplugged, or hung in a reset",
  next: "close it, and see the kernel's log (dmesg)",
} as const;

const wake = {
  id: "no-wake",
  since: "6.0",
  source: "drivers/base/power/runtime.c: pm_runtime_resume_and_get",
  why: "the device did not wake from its low-power state",
  next: "close it, and see the kernel's log (dmesg)",
} as const;

const kernelMemory = {
  id: "kernel-memory",
  source: "mm/slub.c: kmalloc",
  why: "the kernel has no memory for it",
  next: "free some",
} as const;

const asleep = {
  id: "memory-off",
  source: `${RDWR}: vfio_pci_core_do_io_rw, __vfio_pci_memory_enabled`,
  why: "the device does not answer: its memory is switched off in the command register, it sleeps in D3, or it is in a reset",
  next: 'set device.memory = true and device.powerState = "D0" first',
} as const;

export const deviceCauses: readonly Cause[] = [
  ...causesOf("VFIO_DEVICE_GET_INFO", {
    EINVAL: [{ ...structUnknown, source: `${CORE}: vfio_pci_ioctl_get_info` }],
    EFAULT: [memory],
    EIO: [wake],
    ENODEV: [unplugged],
  }),
  ...causesOf("VFIO_DEVICE_GET_REGION_INFO", {
    EINVAL: [
      {
        id: "no-region",
        source: `${CORE}: vfio_pci_ioctl_get_region_info`,
        why: "the device has no region of that number",
        next: "take one of device.regions",
      },
      { ...structUnknown, source: `${CORE}: vfio_pci_ioctl_get_region_info` },
    ],
    EFAULT: [memory],
    EIO: [wake],
    ENODEV: [unplugged],
    ENOMEM: [kernelMemory],
  }),
  ...causesOf("VFIO_DEVICE_GET_IRQ_INFO", {
    EINVAL: [
      {
        id: "no-irq",
        source: `${CORE}: vfio_pci_ioctl_get_irq_info`,
        why: "the device has no interrupts of that kind",
        next: "take those of device.info.irqs",
      },
    ],
    EFAULT: [memory],
    EIO: [wake],
    ENODEV: [unplugged],
  }),
  ...causesOf("VFIO_DEVICE_SET_IRQS", {
    EINVAL: [
      {
        id: "other-kind",
        source: `${INTRS}: vfio_pci_set_msi_trigger, vfio_pci_set_intx_trigger`,
        why: "interrupts of another kind are on, or none where some have to be",
        next: "switch them off first",
      },
      {
        id: "no-resize",
        source: `${INTRS}: vfio_msi_set_block, vfio_pci_set_msi_trigger`,
        why: "the kernel cannot add vectors to those that are on (NORESIZE)",
        next: "switch all on in one call: irqs.msix(count), or vectors.grow(count)",
      },
      {
        id: "too-many",
        source: "drivers/vfio/vfio_main.c: vfio_set_irqs_validate_and_prepare",
        why: "the device has not so many vectors, or the call's struct is not one",
        next: "ask for no more than device.info.irqs says",
      },
      {
        id: "not-an-eventfd",
        source: "fs/eventfd.c: eventfd_ctx_fileget",
        why: "the descriptor is no eventfd any more: it was closed, and opened for another file, behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    EBADF: [
      {
        id: "descriptor",
        source: "fs/eventfd.c: eventfd_ctx_fdget",
        why: "an eventfd was closed behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    ENOTTY: [
      {
        id: "action",
        source: `${INTRS}: vfio_pci_set_irqs_ioctl`,
        why: "interrupts of this kind cannot be masked or unmasked",
        next: "mask them in the device's own registers",
      },
    ],
    ENOSPC: [
      {
        id: "vectors",
        source: "drivers/pci/msi/msi.c: pci_alloc_irq_vectors",
        why: "the machine has no interrupt vectors left",
        next: "ask for fewer",
      },
    ],
    EBUSY: [
      {
        id: "intx-shared",
        source: `${INTRS}: vfio_intx_set_signal, request_irq`,
        why: "the device's interrupt line is shared with another device's driver, and this device cannot mask its own part",
        next: "use MSI or MSI-X, or unbind that driver",
      },
      {
        id: "two-users",
        source: "virt/lib/irqbypass.c: irq_bypass_register_producer",
        why: "the interrupt belongs to another user already",
        next: "switch it off there first",
      },
    ],
    ERANGE: [
      {
        id: "no-vectors",
        source: "drivers/pci/msi/api.c: pci_alloc_irq_vectors",
        why: "no vector was asked for",
        next: "ask for one at least",
      },
    ],
    ENODEV: [unplugged],
    EIO: [wake],
    ENOMEM: [kernelMemory],
    EFAULT: [memory],
  }),
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
        source: "drivers/pci/pci.c: pci_dev_trylock",
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
    EFAULT: [memory],
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
        source: `${CORE}: vfio_pci_ioctl_pci_hot_reset`,
        why: "the device is on a root bus, where there is neither a slot nor a bridge to reset it by",
        next: "use device.reset(), where the device can",
      },
    ],
    ENOTTY: [
      {
        id: "bridge",
        source: "drivers/pci/pci.c: pci_bridge_secondary_bus_reset, pci_reset_bus",
        why: "the bridge above the device did not reset its bus",
        next: "see the kernel's log (dmesg)",
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
    EFAULT: [memory],
  }),
  ...causesOf("VFIO_DEVICE_FEATURE", {
    ENOTTY: [
      {
        id: "not-known",
        source: `${CORE}: vfio_pci_core_ioctl_feature`,
        why: "the device, or this kernel, has no such feature",
        next: "do without it",
      },
    ],
    EINVAL: [{ ...structUnknown, source: "drivers/vfio/vfio_main.c: vfio_ioctl_device_feature" }],
    EFAULT: [memory],
  }),
  ...causesOf("pread", {
    EFAULT: [
      {
        id: "past-the-end",
        source: `${CONFIG}: vfio_pci_config_rw`,
        why: "it lies past the end of the configuration space",
        next: "stay below config.length",
      },
    ],
    EINVAL: [
      {
        id: "past-the-end",
        source: `${RDWR}: vfio_pci_bar_rw`,
        why: "it lies past the end of the region, or the device has none of that number",
        next: "stay within what device.regions says",
      },
    ],
    EIO: [asleep, { ...unplugged, source: `${CORE}: vfio_pci_rw` }],
    ENODEV: [{ ...unplugged, source: `${CORE}: vfio_pci_rw` }],
    ENOMEM: [kernelMemory],
  }),
  ...causesOf("pwrite", {
    EFAULT: [
      {
        id: "past-the-end",
        source: `${CONFIG}: vfio_pci_config_rw`,
        why: "it lies past the end of the configuration space",
        next: "stay below config.length",
      },
    ],
    EINVAL: [
      {
        id: "past-the-end",
        source: `${RDWR}: vfio_pci_bar_rw`,
        why: "it lies past the end of the region, the device has none of that number, or it is the ROM, which is read only",
        next: "stay within what device.regions says",
      },
    ],
    EIO: [asleep, { ...unplugged, source: `${CORE}: vfio_pci_rw` }],
    ENODEV: [{ ...unplugged, source: `${CORE}: vfio_pci_rw` }],
    ENOMEM: [kernelMemory],
  }),
  ...causesOf("mmap of a region", {
    EINVAL: [
      {
        id: "not-mappable",
        source: `${CORE}: vfio_pci_core_mmap`,
        why: "the region cannot be mapped, or not as a whole: it is of ports, it is not there, or before Linux 4.16 it has the MSI-X table",
        next: "see what device.regions says of it (mappable, msixMappable)",
      },
    ],
    EBUSY: [
      {
        id: "claimed",
        source: `${CORE}: vfio_pci_core_mmap, pci_request_selected_regions`,
        why: "a driver of the kernel has claimed the region: often the firmware's frame buffer",
        next: "see whose it is in /proc/iomem; for a frame buffer start the kernel with video=efifb:off, or bind the device before its driver",
      },
    ],
    ENODEV: [unplugged],
    EIO: [wake],
    ENOMEM: [
      {
        id: "address-space",
        source: "mm/mmap.c: do_mmap, may_expand_vm",
        why: "the process has no address space left for it, or may have no more maps (vm.max_map_count, RLIMIT_AS)",
        next: "close other BARs, or map less memory",
      },
    ],
    EAGAIN: [
      {
        id: "locked-memory",
        source: "mm/mmap.c: mlock_future_ok",
        why: "the process locks all that it maps (mlockall), and the limit of locked memory is met",
        next: "do without mlockall's MCL_FUTURE",
      },
    ],
    EPERM: [
      {
        id: "sealed",
        source: "security/security.c: security_mmap_file",
        why: "a security policy (SELinux) does not let the process map the device",
        next: "see the kernel's log for a denial",
      },
    ],
  }),
  ...causesOf("eventfd", {
    EMFILE: [
      {
        id: "open-files",
        source: "fs/file.c: alloc_fd",
        why: "this process has as many files open as it may, and each interrupt vector is one",
        guards: guards.openFiles,
        next: "ask for fewer vectors, close some files, or raise the limit (ulimit -n)",
        ask: openFiles,
      },
    ],
    ENFILE: [
      {
        id: "all-files",
        source: "fs/file_table.c: alloc_empty_file",
        why: "the machine has as many files open as it may (fs.file-max)",
        next: "close some",
      },
    ],
    ENODEV: [
      {
        id: "anonymous-inodes",
        source: "fs/eventfd.c: do_eventfd",
        why: "the kernel could not mount its device of anonymous files",
        next: "see the kernel's log (dmesg)",
      },
    ],
    ENOMEM: [kernelMemory],
    EBADF: [
      {
        id: "descriptor",
        source: "fs/eventfd.c: eventfd_read",
        why: "the eventfd was closed behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    EINVAL: [
      {
        id: "descriptor",
        source: "fs/eventpoll.c: do_epoll_ctl",
        why: "the descriptor is no eventfd any more",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    EPERM: [
      {
        id: "not-pollable",
        source: "fs/eventpoll.c: do_epoll_ctl",
        why: "the descriptor is of a file that nobody can wait for",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
  }),
];
