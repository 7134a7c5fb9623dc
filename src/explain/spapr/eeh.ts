/** Errors of a device that EEH has stopped: POWER's own. */
import { type Cause, causesOf } from "../cause.ts";

export const eehCauses: readonly Cause[] = causesOf("VFIO_EEH_PE_OP", {
  EINVAL: [
    {
      id: "operation",
      summary: true,
      source: "drivers/vfio/vfio_iommu_spapr_tce.c: vfio_spapr_iommu_eeh_ioctl",
      why: "the struct is too short, or names no operation of EEH",
    },
  ],
  ENODEV: [
    {
      id: "no-partition",
      source:
        "drivers/vfio/vfio_iommu_spapr_tce.c: vfio_spapr_ioctl_eeh_pe_op; arch/powerpc/kernel/eeh.c: eeh_iommu_group_to_pe",
      why: "EEH knows no partition of the group's devices, as in an LPAR whose firmware has none for them",
      next: "do without EEH there: errors of the device show as registers that read as all ones",
    },
  ],
});
