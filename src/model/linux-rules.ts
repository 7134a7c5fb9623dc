import { type Change, hasChange, type LinuxVersion } from "../linux-version.ts";

/**
 * What of a kernel's answers depends on its version: each change in one place, with where it is in the source and who saw it.
 * The series that a change was carried back to are those that are known; another one is taken to answer as before.
 */
const changes = {
  /**
   * UNMAP looks at all the pages that it names, and not at the first alone: one that runs past its window's end is refused.
   * MAP still looks at one (`arch/powerpc/include/asm/iommu.h: iommu_tce_put_param_check`).
   * (`arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba`; 6.12.107 and 7.2.13 seen)
   */
  checksWholeUnmap: ["7.3", "7.2.8", "6.12.113"],

  /**
   * CREATE refuses page shifts of 64 and more before it charges. This is a matter of how a kernel is built (CONFIG_UBSAN_SHIFT), and
   * Debian's newer ones are; others look at the low seven bits alone, as POWER shifts.
   * (`drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_window`; 6.12.107 and 7.2.13 seen)
   */
  checksShifts: ["7.2"],

  /** SET_CONTAINER of a group that a driver of the kernel uses is EBUSY. (`drivers/iommu/iommu.c: iommu_group_claim_dma_owner`; read) */
  claimsDma: ["5.19"],

  /** sysfs says how a device can be reset. (`drivers/pci/pci.c: dev_attr_reset_method`; read) */
  saysResetMethods: ["5.15"],

  /** sysfs says in which power state a device is. (`drivers/pci/pci-sysfs.c: power_state_show`; read) */
  saysPowerState: ["5.11"],

  /** SET_CONTAINER with another file than a container is EBADFD; EINVAL before. (`drivers/vfio/group.c`; 6.1 and 6.12 seen) */
  saysBadFile: ["6.2"],

  /**
   * A pin for reading alone gets a page of its own where the process has none yet. Before, it got the page of zeros, and the
   * process another one when it wrote. (`mm/gup.c: gup_must_unshare`; 6.1 and 6.12 seen)
   */
  unsharesBeforePin: ["6.2"],

  /** Capabilities of GET_INFO begin on multiples of 8. (`drivers/vfio/vfio_main.c: vfio_info_cap_add`; 6.1 and 6.12 seen) */
  alignsCapabilities: ["6.6"],

  /** Nested type1 is gone. (`drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_check_extension`; 6.12 and 6.17 seen) */
  forgotNesting: ["6.13"],

  /**
   * VT-d's entries say no more than the map: what is WRITE only cannot be read.
   * (`drivers/iommu/intel/iommu.c: __domain_mapping`; 6.12.107 and 6.16.12 seen)
   */
  keepsWriteOnly: ["6.16"],

  /**
   * type1: ranges that wrap are EOVERFLOW, which comes before alignment and flags, and the last page there is can be unmapped.
   * (`drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map, vfio_dma_do_unmap`; 6.17.13 and 6.18.15 seen)
   */
  saysOverflow: ["6.18"],

  /** type1: GET_INFO has a chain of capabilities, the IOVA ranges are one, and MAP looks at them. (the same file; read) */
  hasRanges: ["5.4"],

  /** type1: DIRTY_PAGES, UNMAP's flag for them, and their capability. (read) */
  hasDirtyPages: ["5.8"],

  /** type1: the capability that says how many maps there may still be. (read) */
  saysMapsAvailable: ["5.10"],

  /** type1: UNMAP's flags ALL and VADDR, MAP's VADDR, and their extensions. (read) */
  takesUnmapFlags: ["5.12"],

  /** vfio-pci: vectors of MSI-X can be added while it is on. (`drivers/vfio/pci/vfio_pci_intrs.c: vfio_msi_alloc_irq`; 6.12.117 seen on x86) */
  growsMsix: ["6.5"],

  /**
   * vfio-pci: pread and pwrite of 8 bytes at a multiple of 8 are one access. POWER has this since 6.11, so always here.
   * (`drivers/vfio/pci/vfio_pci_rdwr.c: vfio_pci_core_do_io_rw`; read, and 6.12.107 seen on POWER)
   */
  movesEightBytes: ["6.14"],

  /** vfio-pci: DEVICE_FEATURE has low power. (`drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_ioctl_feature`; 6.12 seen) */
  hasLowPower: ["6.1"],
} satisfies Record<string, Change>;

/** What a kernel of some version does. */
export type LinuxRules = Readonly<Record<keyof typeof changes, boolean>>;

/** Looked up once, when a model is started. */
export function rulesOf(version: LinuxVersion): LinuxRules {
  const rules = Object.entries(changes).map(([name, change]) => [name, hasChange(version, change)]);
  return Object.fromEntries(rules) as LinuxRules;
}
