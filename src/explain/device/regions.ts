/** Regions of a device, read, written and mapped. */
import { type Cause, causesOf } from "../cause.ts";
import { CORE, kernelMemory, unplugged, wake } from "./common.ts";

const RDWR = "drivers/vfio/pci/vfio_pci_rdwr.c";
const CONFIG = "drivers/vfio/pci/vfio_pci_config.c";

const asleep = {
  id: "memory-off",
  source: `${RDWR}: vfio_pci_bar_rw, vfio_pci_core_do_io_rw, __vfio_pci_memory_enabled; ${CONFIG}: vfio_pm_config_write`,
  why: "the device does not answer: its memory is switched off in the command register, it sleeps in D3, or it is in a reset",
  next: 'set device.memory = true and device.powerState = "D0" first',
} as const;

const pastConfig = {
  id: "past-the-end",
  source: `${CONFIG}: vfio_pci_config_rw`,
  why: "it lies past the end of the configuration space",
  next: "stay below config.length",
} as const;

const gone = { ...unplugged, source: `${CORE}: vfio_pci_rw` } as const;

export const regionCauses: readonly Cause[] = [
  ...causesOf("pread", {
    EFAULT: [pastConfig],
    EINVAL: [
      {
        id: "past-the-end",
        source: `${RDWR}: vfio_pci_bar_rw; ${CORE}: vfio_pci_rw`,
        why: "it lies past the end of the region, or the device has none of that number",
        next: "stay within what device.regions says",
      },
    ],
    EIO: [asleep, gone],
    ENODEV: [gone],
    ENOMEM: [kernelMemory],
  }),
  ...causesOf("pwrite", {
    EFAULT: [pastConfig],
    EINVAL: [
      {
        id: "past-the-end",
        source: `${RDWR}: vfio_pci_bar_rw; ${CORE}: vfio_pci_rw`,
        why: "it lies past the end of the region, the device has none of that number, or it is the ROM, which is read only",
        next: "stay within what device.regions says",
      },
    ],
    EIO: [asleep, gone],
    ENODEV: [gone],
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
];
