/** What the causes of several calls on a device have in common. */
export const CORE = "drivers/vfio/pci/vfio_pci_core.c";

export const structUnknown = {
  id: "struct",
  summary: true,
  why: "this kernel wants another struct: it is not the VFIO that this library speaks",
} as const;

/** A pointer that leads nowhere, in what copies by it. */
export const memoryOf = (where: string) =>
  ({
    id: "memory",
    source: `${where}; lib/usercopy.c: copy_from_user, copy_to_user`,
    why: "the kernel could not read or write the call's memory: it went away under the call, which is a defect of this library",
  }) as const;

export const unplugged = {
  id: "unplugged",
  source: "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl",
  why: "the device has gone: it was unplugged, or hung in a reset",
  next: "close it, and see the kernel's log (dmesg)",
} as const;

export const wake = {
  id: "no-wake",
  since: "6.0",
  source: "drivers/base/power/runtime.c: pm_runtime_resume_and_get",
  why: "the device did not wake from its low-power state",
  next: "close it, and see the kernel's log (dmesg)",
} as const;

export const kernelMemory = {
  id: "kernel-memory",
  source: "mm/slub.c: kmalloc",
  why: "the kernel has no memory for it",
  next: "free some",
} as const;
