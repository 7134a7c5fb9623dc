/** Calls on a container of sPAPR TCE: IBM POWER, on the machine itself and on an LPAR. */
import { guards } from "../guards.ts";
import { bytes, hex } from "../hex.ts";
import { type Cause, causesOf, POSITIVE, type Question } from "./cause.ts";
import { lengthOf, lockedLimit } from "./questions.ts";

const SPAPR = ["spapr"] as const;
const IOCTL = "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl";
const REGISTER = "arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc";

const otherProcess = {
  id: "other-process",
  source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_mm_set",
  why: "a container belongs to the process that used it first",
  next: "it cannot be used after a fork: open one in this process",
} as const;

/** What only one of the two machines answers so; `platform` is a fact of a window that is made. */
function onlyOn(platform: "powernv" | "pseries"): Question {
  return (_, asked) => {
    if (asked.platform === undefined) return undefined;
    return { verdict: asked.platform === platform ? "likely" : "ruled out" };
  };
}

/** Tables are charged by their size, which the call's facts do not have. */
const tablesLimit = lockedLimit(() => undefined);

export const spaprCauses: readonly Cause[] = [
  ...causesOf("VFIO_IOMMU_SPAPR_TCE_GET_INFO", {
    EINVAL: [
      {
        id: "struct",
        source: IOCTL,
        why: "this kernel wants another struct, or the container has no IOMMU any more: its last group has gone",
        next: "bind the devices to vfio-pci again, and open a new container",
      },
    ],
    EPERM: [otherProcess],
    ENXIO: [
      {
        id: "no-group",
        source: IOCTL,
        why: "the container has no group with tables",
        next: "put the groups in first",
      },
    ],
    EFAULT: [
      {
        id: "memory",
        source: IOCTL,
        why: "the kernel could not write its answer: wasm memory went away under the call, which is a defect of this library",
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_SPAPR_TCE_CREATE", {
    ENOSPC: [
      {
        id: "slots",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_find_free_table",
        why: "both windows of the container are taken",
        next: "close one",
      },
    ],
    ENOMEM: [
      {
        id: "locked-memory",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_table",
        why: "the tables do not fit under RLIMIT_MEMLOCK",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or use larger pages",
        ask: tablesLimit,
      },
      {
        id: "kernel-memory",
        source: "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages",
        why: "the tables do not fit into memory, which they need in one piece for each level",
        next: "use larger pages, or more levels",
        ask: onlyOn("powernv"),
      },
      {
        id: "view-memory",
        source: "arch/powerpc/platforms/pseries/iommu.c: pseries_tce_iommu_userspace_view_alloc",
        why: "the kernel has no memory for its view of the tables, 8 bytes for each TCE",
        next: "use larger pages, or less memory",
        ask: onlyOn("pseries"),
      },
    ],
    EINVAL: [
      {
        id: "shape",
        source: "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages",
        why: "the kernel does not make that shape of table",
        next: "plan the window with the container's info(), which has the page sizes and levels",
        ask: onlyOn("powernv"),
      },
      {
        id: "firmware",
        source: "arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table",
        why: "the LPAR's firmware makes no window of so many TCEs, or none with such pages",
        next: "ask for fewer TCEs, which larger pages or less memory need, or use the default window where that is large enough",
        ask: onlyOn("pseries"),
      },
    ],
    ENODEV: [
      {
        id: "firmware",
        source: "arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table",
        why: "the firmware refused, and will refuse this group until the machine is booted again",
        next: "use the default window, and boot again before the next try",
      },
    ],
    EPERM: [
      {
        id: "default-window",
        source: "arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table",
        why: "an LPAR does not make its default window again while another one exists, or the container has two groups",
        next: "close the other window first",
      },
      otherProcess,
    ],
    EFAULT: [
      {
        id: "memory",
        source: IOCTL,
        why: "the kernel could not write where the window begins: wasm memory went away under the call, which is a defect of this library",
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_SPAPR_TCE_REMOVE", {
    EINVAL: [
      {
        id: "no-window",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_remove_window",
        why: "no window is there: it was removed behind this library's back",
        next: "let nobody else use this container",
      },
    ],
    EPERM: [otherProcess],
    ENOMEM: [
      {
        id: "kernel-memory",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_remove_window",
        why: "the kernel has no memory",
        next: "free some, and close the window again",
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_SPAPR_REGISTER_MEMORY", {
    ENOMEM: [
      {
        id: "locked-memory",
        source: REGISTER,
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
        next: "mmap all of it readable and writable first; memory of a device, or of a file on a disk, is not pinned",
      },
    ],
    EINVAL: [
      {
        id: "overlap",
        source: REGISTER,
        why: "the memory overlaps what this process has registered in another container",
        next: "register it there and here as one and the same range",
      },
    ],
    EBUSY: [
      {
        id: "registered",
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
        next: "see what lies behind them: memory of a device, or no memory",
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", {
    ENOENT: [
      {
        id: "not-registered",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_unregister_pages",
        why: "the kernel does not know this registration",
        next: "let nobody else use this container",
      },
    ],
    EINVAL: [
      {
        id: "alignment",
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
  ...causesOf("VFIO_IOMMU_MAP_DMA", {
    ENXIO: [
      {
        id: "no-window",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_find_table",
        why: "the window is gone",
        next: "it was removed behind this library's back: let nobody else use this container",
      },
    ],
    EEXIST: [
      {
        id: "mapped",
        iommu: SPAPR,
        source: IOCTL,
        why: "other memory is mapped at some of these IOVAs: nothing was mapped",
        next: "unmap it first",
      },
    ],
    EINVAL: [
      {
        id: "pages",
        iommu: SPAPR,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_prereg_ua_to_hpa, tce_iommu_build_v2",
        why: "the memory's pages are smaller than the window's, or it is not registered as a whole",
        next: "use pages as large as the window's, or a window with smaller ones",
      },
      {
        id: "no-iommu",
        iommu: SPAPR,
        source: "drivers/vfio/container.c: vfio_fops_unl_ioctl",
        why: "the container has no IOMMU any more: its last group has gone",
        next: "bind the devices to vfio-pci again, and open a new container",
      },
    ],
    EPERM: [
      {
        id: "nothing-registered",
        iommu: SPAPR,
        source: IOCTL,
        why: "nothing is registered in this container, or it belongs to another process",
        next: "register memory first; a container cannot be used after a fork",
      },
    ],
    ENOMEM: [
      {
        id: "locked-memory",
        iommu: SPAPR,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_table",
        why: "more memory would be locked than RLIMIT_MEMLOCK allows: the default window's tables are made, and charged, by the first call that needs them",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or run with CAP_IPC_LOCK",
        ask: tablesLimit,
      },
      {
        id: "kernel-memory",
        iommu: SPAPR,
        source: "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_tce",
        why: "the tables do not fit into memory",
        next: "free some, or use larger pages",
      },
    ],
    [POSITIVE]: [
      {
        id: "iova",
        iommu: SPAPR,
        source: "arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba",
        why: "the IOVA is no page of a window, or the map runs past its end (Linux 6.12.113 and later)",
        next: "map whole pages inside the window",
        ask: (_, { iova, length }) =>
          typeof iova === "bigint" && typeof length === "bigint"
            ? {
                verdict: "possible",
                why: `IOVA ${hex(iova)} is no page of a window, or ${bytes(length)} run past its end (Linux 6.12.113 and later)`,
              }
            : undefined,
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_UNMAP_DMA", {
    ENXIO: [
      {
        id: "no-window",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_find_table",
        why: "the window is gone",
        next: "it was removed behind this library's back: let nobody else use this container",
      },
    ],
    EINVAL: [
      {
        id: "no-iommu",
        iommu: SPAPR,
        source: IOCTL,
        why: "the container has no IOMMU any more (its last group has gone), or these are no whole pages of it",
        next: "bind the devices to vfio-pci again, and open a new container",
      },
    ],
    EPERM: [{ ...otherProcess, iommu: SPAPR, why: "the container belongs to another process" }],
    ENOMEM: [
      {
        id: "locked-memory",
        iommu: SPAPR,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_table",
        why: "the window's tables do not fit under RLIMIT_MEMLOCK",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or run with CAP_IPC_LOCK",
        ask: tablesLimit,
      },
      {
        id: "kernel-memory",
        iommu: SPAPR,
        source: "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_tce",
        why: "the kernel has no memory",
        next: "free some, and unmap again",
      },
    ],
    [POSITIVE]: [
      {
        id: "iova",
        iommu: SPAPR,
        source: "arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba",
        why: "the IOVA is no page of a window, or the unmap runs past its end (Linux 6.12.113 and later)",
        next: "unmap whole pages inside the window",
      },
    ],
  }),
  ...causesOf("VFIO_EEH_PE_OP", {
    EINVAL: [
      {
        id: "operation",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: vfio_spapr_iommu_eeh_ioctl",
        why: "the struct is too short, or names no operation of EEH",
      },
    ],
    ENODEV: [
      {
        id: "no-partition",
        source: "arch/powerpc/kernel/eeh.c: eeh_pe_get_state",
        why: "EEH knows no partition of the group's devices, as in an LPAR whose firmware has none for them",
        next: "do without EEH there: errors of the device show as registers that read as all ones",
      },
    ],
  }),
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
