/** What the causes of several calls on a container of sPAPR TCE have in common. */
import { lockedLimit } from "../questions.ts";

export const SPAPR = ["spapr"] as const;
export const IOCTL = "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl";

export const otherProcess = {
  id: "other-process",
  source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_mm_set",
  why: "a container belongs to the process that used it first",
  next: "it cannot be used after a fork: open one in this process",
} as const;

/** Tables are charged by their size, which the call's facts do not have. */
export const tablesLimit = lockedLimit(() => undefined);
