/**
 * What of a kernel's version is to be known: where Linux answered otherwise before or after some release, and what this library makes
 * of it. The rows of docs/conformance.md have the answers; the software kernel's own list (src/model/linux-rules.ts) is held against
 * this one by a test, and not shared with it.
 */
import { type Change, hasChange, type LinuxVersion } from "../linux-version.ts";

/** Where it is so. `power` is both of POWER's platforms. */
type Where = "x86" | "arm64" | "power" | "powernv" | "pseries";

export interface Quirk {
  readonly id: string;
  /** What this kernel does, and what comes of it. */
  readonly says: string;
  /** Where the kernel does so: `file: function`. */
  readonly source: string;
  /** VFIO does not work with it: another kernel is wanted. */
  readonly blocks: boolean;
}

/** A quirk is there from `since` on, and before `before`: each names a release, and those of older series that it was carried back to. */
interface Row extends Omit<Quirk, "blocks"> {
  readonly where?: readonly Where[];
  readonly since?: Change;
  readonly before?: Change;
  readonly blocks?: true;
}

const POWER: readonly Where[] = ["power", "powernv", "pseries"];
const TYPE1: readonly Where[] = ["x86", "arm64"];
const TYPE1_FILE = "drivers/vfio/vfio_iommu_type1.c";

const rows: readonly Row[] = [
  {
    id: "power-broken",
    where: POWER,
    since: ["5.19"],
    before: ["6.4"],
    blocks: true,
    says: "VFIO does not work on POWER from Linux 5.19 to 6.3: a group cannot be taken from the kernel",
    source: "drivers/iommu/iommu.c: iommu_group_claim_dma_owner; arch/powerpc/kernel/iommu.c: spapr_tce_iommu_ops",
  },
  {
    id: "lpar-broken",
    where: ["pseries"],
    before: ["6.11"],
    blocks: true,
    says: "VFIO does not work on an LPAR before Linux 6.11: a window's table has no view for a program's addresses",
    source: "arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table",
  },
  {
    id: "no-spapr-v2",
    where: POWER,
    before: ["4.2"],
    blocks: true,
    says: "sPAPR TCE v2, with windows that a program makes, came with Linux 4.2",
    source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl",
  },
  {
    id: "unmap-past-the-end",
    where: POWER,
    before: ["7.3", "7.2.8", "6.12.113"],
    says: "an UNMAP that runs past its window's end is not refused by the kernel, and on PowerNV writes over memory; this library refuses it first",
    source: "arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba",
  },
  {
    id: "shifts",
    where: POWER,
    before: ["7.2"],
    says: "CREATE charges for page shifts of 64 and more and keeps the charge; this library asks for none",
    source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_window",
  },
  {
    id: "no-ranges",
    where: TYPE1,
    before: ["5.4"],
    says: "VFIO names no IOVA ranges before Linux 5.4: they are taken from reserved_regions (since 4.11), and may be more than the IOMMU can translate",
    source: `${TYPE1_FILE}: vfio_iommu_iova_build_caps`,
  },
  {
    id: "no-reserved-regions",
    where: TYPE1,
    before: ["4.11"],
    says: "the kernel has no reserved_regions before Linux 4.11: what is left out is where interrupts are by the architecture",
    source: "drivers/iommu/iommu.c: iommu_group_show_resv_regions",
  },
  {
    id: "no-maps-available",
    where: TYPE1,
    before: ["5.10"],
    says: "VFIO does not say how many maps it still takes before Linux 5.10: a plan cannot count them",
    source: `${TYPE1_FILE}: vfio_iommu_dma_avail_build_caps`,
  },
  {
    id: "overflow",
    where: TYPE1,
    since: ["6.18"],
    says: "ranges that wrap answer EOVERFLOW, and EINVAL before Linux 6.18; this library refuses them first",
    source: `${TYPE1_FILE}: vfio_dma_do_map`,
  },
  {
    id: "write-only",
    where: ["x86"],
    before: ["6.16"],
    says: "on VT-d a device can read what is mapped for writing alone, before Linux 6.16",
    source: "drivers/iommu/intel/iommu.c: __domain_mapping",
  },
  {
    id: "busy-at-set-container",
    since: ["5.19"],
    says: "a group that a driver of the kernel uses is refused when a container takes it (EBUSY), and no more when it is opened",
    source: "drivers/iommu/iommu.c: iommu_group_claim_dma_owner",
  },
  {
    id: "direct-regions",
    where: TYPE1,
    since: ["6.6"],
    says: "any group with direct regions (RMRR) is refused since Linux 6.6, where before Intel's driver alone did so",
    source: "drivers/iommu/iommu.c: __iommu_device_set_domain",
  },
  {
    id: "zero-page",
    before: ["6.2"],
    says: "a pin for reading alone gets the page of zeros where nothing was written yet: write to every page before it is mapped",
    source: "mm/gup.c: gup_must_unshare",
  },
  {
    id: "no-populate",
    before: ["5.14"],
    says: "the kernel has no MADV_POPULATE_WRITE before Linux 5.14: the library touches pages itself",
    source: "mm/madvise.c: madvise_behavior_valid",
  },
  {
    id: "fixed-msix",
    where: TYPE1,
    before: ["6.5"],
    says: "vectors of MSI-X cannot be added while it is on, before Linux 6.5: ask for all at once",
    source: "drivers/vfio/pci/vfio_pci_intrs.c: vfio_msi_set_block",
  },
  {
    id: "split-eight-bytes",
    where: TYPE1,
    before: ["6.14"],
    says: "a register of 8 bytes that is not mapped is read and written in two halves by the kernel, before Linux 6.14",
    source: "drivers/vfio/pci/vfio_pci_rdwr.c: vfio_pci_core_do_io_rw",
  },
  {
    id: "no-low-power",
    before: ["6.1"],
    says: "a device cannot be asked to save power by VFIO before Linux 6.1",
    source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_ioctl_feature",
  },
  {
    id: "no-reset-methods",
    before: ["5.15"],
    says: "the kernel does not say how a device can be reset before Linux 5.15",
    source: "drivers/pci/pci.c: pci_dev_reset_method_attr_is_visible",
  },
];

/** Those of a kernel, in the table's order. Where the architecture is not known, those that are everywhere. */
export function quirksOf(version: LinuxVersion, where: Where | undefined): Quirk[] {
  return rows
    .filter((row) => row.where === undefined || (where !== undefined && row.where.includes(where)))
    .filter(({ since, before }) => (!since || hasChange(version, since)) && !(before && hasChange(version, before)))
    .map(({ id, says, source, blocks = false }) => ({ id, says, source, blocks }));
}
