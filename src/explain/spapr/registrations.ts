/** Memory that is registered with a container of sPAPR TCE, and so locked. */
import { guards } from "../../guards.ts";
import { type Cause, causesOf, POSITIVE } from "../cause.ts";
import { known, operand } from "../facts.ts";
import { lengthOf, lockedLimit, overLimit } from "../questions.ts";
import { otherProcess } from "./common.ts";

const REGISTER = "arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc";

export const registrationCauses: readonly Cause[] = [
  ...causesOf("VFIO_IOMMU_SPAPR_REGISTER_MEMORY", {
    ENOMEM: [
      {
        id: "locked-memory",
        source: `mm/util.c: __account_locked_vm; ${REGISTER}`,
        holds: overLimit,
        why: "more memory would be locked than RLIMIT_MEMLOCK allows",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l; LimitMEMLOCK= of a unit), or run with CAP_IPC_LOCK",
        ask: lockedLimit(lengthOf),
      },
      {
        id: "kernel-memory",
        source: REGISTER,
        why: "the kernel has no memory for its list of the pages, 8 bytes for each",
        next: "free some, or register less at once",
      },
    ],
    EFAULT: [
      {
        id: "not-there",
        source: REGISTER,
        why: "memory that a device may use must be mapped and writable",
        holds: (asked) => {
          const writable = known(asked, "writable");
          return writable === undefined ? undefined : writable === 0n;
        },
        next: "mmap all of it readable and writable first; memory of a device, or of a file on a disk, is not pinned",
      },
    ],
    EINVAL: [
      {
        id: "overlap",
        summary: true,
        source: REGISTER,
        why: "the memory overlaps what this process has registered in another container",
        next: "register it there and here as one and the same range",
      },
    ],
    EBUSY: [
      {
        id: "registered",
        summary: true,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_register_pages",
        why: "this range is registered already, behind this library's back",
        next: "let nobody else use this container",
      },
    ],
    EPERM: [otherProcess],
    [POSITIVE]: [
      {
        id: "pinned-partly",
        source: REGISTER,
        why: "only so many pages of the first could be pinned",
        holds: (asked) => {
          const [writable, size] = [known(asked, "writable"), operand(asked, "size")];
          return writable === undefined || size === undefined ? undefined : writable > 0n && writable < size;
        },
        next: "see what lies behind them: memory of a device, or no memory",
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", {
    ENOENT: [
      {
        id: "not-registered",
        summary: true,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_unregister_pages",
        why: "the kernel does not know this registration",
        next: "let nobody else use this container",
      },
    ],
    EINVAL: [
      {
        id: "alignment",
        summary: true,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_unregister_pages",
        why: "the kernel wants whole pages of the CPU, which every registration of this library is: it was changed on its way",
      },
    ],
    EBUSY: [
      {
        id: "mapped",
        source: "arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_put",
        why: "some of it is still mapped",
        next: "unmap it first",
      },
    ],
    EPERM: [otherProcess],
  }),
];
