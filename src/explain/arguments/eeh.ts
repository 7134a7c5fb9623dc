/** What EEH_PE_OP checks: errors of a device, on POWER. */
import { type Cause, othersOf } from "../cause.ts";
import { known, operand } from "../facts.ts";
import { noFlags, tooShort } from "./structs.ts";

const SPAPR = ["spapr"] as const;
const OPERATION = "drivers/vfio/vfio_iommu_spapr_tce.c: vfio_spapr_ioctl_eeh_pe_op";
const INJECT = "arch/powerpc/kernel/eeh.c: eeh_pe_inject_err";

export const eehArguments: readonly Cause[] = othersOf("VFIO_EEH_PE_OP", {
  EPERM: [
    {
      id: "other-process",
      iommu: SPAPR,
      source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl, tce_iommu_mm_set",
      why: "the container belongs to the process that used it first",
      next: "open one in this process: it cannot be used after a fork",
    },
  ],
  EINVAL: [
    {
      ...tooShort(12, OPERATION, SPAPR),
      why: "argsz is less than the struct has: 12 bytes, and 40 for an error that is injected",
      next: "set argsz to 40",
    },
    noFlags(OPERATION, SPAPR),
    {
      id: "no-operation",
      mistake: true,
      iommu: SPAPR,
      source: OPERATION,
      why: "there is no such operation: they are 0 to 9",
      next: "take one of those of <linux/vfio.h>",
      holds: (asked) => {
        const op = operand(asked, "op");
        return op === undefined ? undefined : op > 9n && `op is ${op}`;
      },
    },
    {
      id: "error",
      iommu: SPAPR,
      source: INJECT,
      why: "the error that is to be injected is of no kind or function that EEH has",
      next: "take those of <uapi/asm/eeh.h>",
    },
    {
      id: "groups",
      iommu: SPAPR,
      source: OPERATION,
      why: "the container has several groups: the operation is made on each, and the last error is the answer",
      next: "give each group a container of its own",
      holds: (asked) => {
        const groups = known(asked, "groups");
        return groups === undefined ? undefined : groups > 1 ? undefined : false;
      },
    },
  ],
  ERANGE: [
    {
      id: "error-type",
      iommu: SPAPR,
      source: INJECT,
      why: "the error that is to be injected has a type that there is not",
      next: "take those of <uapi/asm/eeh.h>: 32 and 64 bits",
    },
  ],
});
