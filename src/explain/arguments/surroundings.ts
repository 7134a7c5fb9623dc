/** What programs around VFIO fail with before they come to it. */
import { guards } from "../../guards.ts";
import { type Cause, othersOf } from "../cause.ts";

export const surroundingCauses: readonly Cause[] = [
  ...othersOf("prlimit", {
    EPERM: [
      {
        id: "hard-limit",
        source: "kernel/sys.c: do_prlimit, check_prlimit_permission",
        why: "a program (libvirt) wants to raise RLIMIT_MEMLOCK of another process, above its hard limit or of another user, which CAP_SYS_RESOURCE allows alone",
        guards: guards.lockedMemory,
        next: "raise the limit of what starts it: LimitMEMLOCK= of its unit, CAP_SYS_RESOURCE or a larger limit in its container; or less memory for the guest",
      },
    ],
  }),
  ...othersOf("mlock", {
    ENOMEM: [
      {
        id: "locked-memory",
        source: "mm/mlock.c: do_mlock",
        why: "more memory would be locked than RLIMIT_MEMLOCK allows, or not all of it is mapped",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or run with CAP_IPC_LOCK",
      },
    ],
    EPERM: [
      {
        id: "no-limit",
        source: "mm/mlock.c: can_do_mlock",
        why: "RLIMIT_MEMLOCK is 0, and CAP_IPC_LOCK is missing",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or run with CAP_IPC_LOCK",
      },
    ],
  }),
  ...othersOf("IOMMU_IOAS_MAP", {
    EFAULT: [
      {
        id: "device-memory",
        source: "drivers/iommu/iommufd/pages.c: pfn_reader_user_pin; mm/gup.c: check_vma_flags",
        why: "it is memory of a device (a BAR that is mmapped), which iommufd does not pin as the containers of VFIO do",
        next: "peers cannot reach that BAR, which most programs do without; else map it by a dma-buf (IOMMU_IOAS_MAP_FILE, Linux 6.19), or take /dev/vfio/vfio",
      },
    ],
    ENOMEM: [
      {
        id: "locked-memory",
        source: "drivers/iommu/iommufd/pages.c: iopt_pages_update_pinned",
        why: "more memory would be locked than RLIMIT_MEMLOCK allows; iommufd counts for the user, and memory of devices too",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or run with CAP_IPC_LOCK",
      },
    ],
    EADDRINUSE: [
      {
        id: "mapped",
        source: "drivers/iommu/iommufd/io_pagetable.c: iopt_alloc_area_pages",
        why: "something is mapped at these IOVAs already",
        next: "unmap it first",
      },
    ],
    EINVAL: [
      {
        id: "iova-range",
        source: "drivers/iommu/iommufd/io_pagetable.c: iopt_check_iova",
        why: "the IOVAs are not allowed, or no whole pages of the IOMMU",
        next: "ask IOMMU_IOAS_IOVA_RANGES",
      },
    ],
  }),
];
