/** Regions of a device, read, written and mapped. */
import { type Cause, causesOf, type Holds, type Row } from "../cause.ts";
import { when } from "../facts.ts";
import { CORE, kernelMemory, memoryOf, unplugged, wake } from "./common.ts";

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

const memory = memoryOf(`${CONFIG}: vfio_pci_config_rw; ${RDWR}: vfio_pci_core_do_io_rw`);

/** Of regions, by their number. (include/uapi/linux/vfio.h) */
const [ROM, CONFIG_SPACE] = [6n, 7n] as const;

/** What is mapped and what is not is said of BARs alone. */
const isNoBar: Holds = when(["index"], (index) => {
  if (index < ROM) return undefined;
  return index === ROM ? "region 6 is the ROM" : index === CONFIG_SPACE ? "region 7 is the configuration space" : true;
});

const pastRegion: Row = {
  id: "past-the-end",
  source: `${RDWR}: vfio_pci_bar_rw; ${CORE}: vfio_pci_rw`,
  why: "it lies past the end of the region, or the device has none of that number",
  next: "stay within what device.regions says",
};

const noImage: Row = {
  id: "no-image",
  source: `drivers/pci/rom.c: pci_map_rom, pci_get_rom_size; ${RDWR}: vfio_pci_bar_rw`,
  why: "the ROM has no image that can be read: the device's memory is switched off in the command register, it sleeps in D3, or the ROM does not begin with 55 aa",
  next: 'set device.memory = true and device.powerState = "D0" first; a ROM without an image cannot be read',
  holds: when(["index"], (index) => (index === ROM ? undefined : false)),
};

const gone = { ...unplugged, source: `${CORE}: vfio_pci_rw` } as const;

export const regionCauses: readonly Cause[] = [
  ...causesOf("pread", {
    EFAULT: [pastConfig, memory],
    EINVAL: [pastRegion],
    EIO: [asleep, gone],
    ENODEV: [gone],
    ENOMEM: [noImage, kernelMemory],
  }),
  ...causesOf("pwrite", {
    EFAULT: [pastConfig, memory],
    EINVAL: [
      pastRegion,
      {
        id: "read-only",
        source: `${CORE}: vfio_pci_rw`,
        why: "the region is the ROM, which can only be read",
        next: "leave it as it is; what a ROM holds is changed by the device's own registers",
        holds: when(["index"], (index) => index === ROM),
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
        why: "the region cannot be mapped, not even for reading, or not as a whole: it is the configuration space or the ROM, it is of ports, it is not there, or before Linux 4.16 it has the MSI-X table",
        next: "see what device.regions says of it (mappable, msixMappable)",
        holds: isNoBar,
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
