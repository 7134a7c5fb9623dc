/** Version 1 of the interface of sPAPR TCE, which locks a whole window: this library uses it nowhere. */
import { guards } from "../../guards.ts";
import { type Cause, causesOf } from "../cause.ts";
import { otherProcess, tablesLimit } from "./common.ts";

export const version1Causes: readonly Cause[] = [
  ...causesOf("VFIO_IOMMU_ENABLE", {
    EBUSY: [
      {
        id: "enabled",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_enable",
        why: "the container is enabled already",
      },
    ],
    ENXIO: [
      {
        id: "no-group",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_enable",
        why: "the container has no group with tables",
        next: "put the groups in first",
      },
    ],
    EPERM: [
      {
        id: "no-default-window",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_enable",
        why: "the group has no default window to be enabled, or the container belongs to another process",
        next: "use version 2 of the interface",
      },
    ],
    ENOMEM: [
      {
        id: "locked-memory",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_enable",
        why: "a whole window would be locked, which is more than RLIMIT_MEMLOCK allows",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or use version 2 of the interface, which locks what is registered",
        ask: tablesLimit,
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_DISABLE", {
    EPERM: [otherProcess],
  }),
];
