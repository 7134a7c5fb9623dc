/** Maps and unmaps in the windows of sPAPR TCE. */
import { guards } from "../../guards.ts";
import { bytes, hex } from "../../hex.ts";
import { noDriver } from "../arguments/descriptors.ts";
import { type Asked, type Cause, causesOf, POSITIVE } from "../cause.ts";
import { askedOfContainer, known } from "../facts.ts";
import { IOCTL, otherProcess, SPAPR, tablesLimit } from "./common.ts";

/** None is left: the default one was removed, or is not made before the first map. */
function noWindow(asked: Asked): boolean | undefined {
  const windows = known(asked, "windows");
  return windows === undefined ? undefined : windows.length === 0;
}

/** Of a MAP and of an UNMAP alike. */
const NO_WINDOW = {
  id: "no-window",
  iommu: SPAPR,
  source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_find_table, tce_iommu_remove_window, tce_iommu_attach_group",
  holds: noWindow,
  why: "the window is gone",
  next: "it was removed behind this library's back: let nobody else use this container",
};

export const mapCauses: readonly Cause[] = [
  ...causesOf("VFIO_IOMMU_MAP_DMA", {
    ENXIO: [NO_WINDOW],
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
        summary: true,
        iommu: SPAPR,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_prereg_ua_to_hpa, tce_iommu_build_v2",
        why: "the memory's pages are smaller than the window's, or it is not registered as a whole",
        next: "use pages as large as the window's, or a window with smaller ones",
      },
      {
        id: "no-iommu",
        iommu: SPAPR,
        source: noDriver.source,
        holds: askedOfContainer(false),
        why: "the container has no IOMMU any more: its last group has gone",
        next: "bind the devices to vfio-pci again, and open a new container",
      },
    ],
    EPERM: [
      {
        id: "nothing-registered",
        summary: true,
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
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_default_window, tce_iommu_create_table",
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
        summary: true,
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
    ENXIO: [NO_WINDOW],
    EINVAL: [
      {
        id: "no-iommu",
        iommu: SPAPR,
        source: noDriver.source,
        holds: askedOfContainer(false),
        why: "the container has no IOMMU any more (its last group has gone), or these are no whole pages of it",
        next: "bind the devices to vfio-pci again, and open a new container",
      },
    ],
    EPERM: [{ ...otherProcess, iommu: SPAPR, why: "the container belongs to another process" }],
    ENOMEM: [
      {
        id: "locked-memory",
        iommu: SPAPR,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_default_window, tce_iommu_create_table",
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
        summary: true,
        iommu: SPAPR,
        source: "arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba",
        why: "the IOVA is no page of a window, or the unmap runs past its end (Linux 6.12.113 and later)",
        next: "unmap whole pages inside the window",
      },
    ],
  }),
];
