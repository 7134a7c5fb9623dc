/** Windows of sPAPR TCE: what there can be, one that is made, one that goes. */
import { guards } from "../../guards.ts";
import { bytes } from "../../hex.ts";
import { type Asked, type Cause, causesOf, type Question } from "../cause.ts";
import { known, operand } from "../facts.ts";
import { IOCTL, otherProcess, tablesLimit } from "./common.ts";

/** What only one of the two machines answers so; `platform` is a fact of a window that is made. */
function onlyOn(platform: "powernv" | "pseries"): Question {
  return (_, asked) => {
    if (asked.platform === undefined) return undefined;
    return { verdict: asked.platform === platform ? "likely" : "ruled out" };
  };
}

/** A level of the table has 8 bytes for each page, and the levels above it come on top. */
function chargeOverLimit(asked: Asked): string | boolean | undefined {
  const [left, size, shift] = [known(asked, "lockable"), operand(asked, "size"), operand(asked, "pageShift")];
  if (left === undefined || size === undefined || shift === undefined || shift > 63n) return undefined;
  const least = (size >> shift) * 8n;
  return least > left ? `${bytes(left)} may still be locked, and the table has ${bytes(least)} at least` : undefined;
}

export const windowCauses: readonly Cause[] = [
  ...causesOf("VFIO_IOMMU_SPAPR_TCE_GET_INFO", {
    EINVAL: [
      {
        id: "struct",
        summary: true,
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
        summary: true,
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_find_free_table",
        why: "both windows of the container are taken",
        next: "close one",
      },
    ],
    ENOMEM: [
      {
        id: "locked-memory",
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_table; mm/util.c: __account_locked_vm",
        holds: chargeOverLimit,
        why: "the tables do not fit under RLIMIT_MEMLOCK",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l), or use larger pages",
        ask: tablesLimit,
      },
      {
        id: "kernel-memory",
        source:
          "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages; drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_table, tce_iommu_create_window",
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
        summary: true,
        source: "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages",
        why: "the kernel does not make that shape of table",
        next: "plan the window with the container's info(), which has the page sizes and levels",
        ask: onlyOn("powernv"),
      },
      {
        id: "firmware",
        summary: true,
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
        summary: true,
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
];
