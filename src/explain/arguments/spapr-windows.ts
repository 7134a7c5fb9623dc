/** What sPAPR TCE checks of a window that is made or removed, and of GET_INFO. */

import { bytes, hex } from "../../hex.ts";
import { isPowerOfTwo } from "../../power-of-two.ts";
import { type Asked, type Cause, type Holds, othersOf } from "../cause.ts";
import { known, operand, when } from "../facts.ts";
import { noFlags, tooShort } from "./structs.ts";

const SPAPR = ["spapr"] as const;
const TCE = "drivers/vfio/vfio_iommu_spapr_tce.c";
const IOCTL = `${TCE}: tce_iommu_ioctl`;
const PLACE = "arch/powerpc/platforms/powernv/pci-ioda.c: pnv_pci_ioda2_get_table_size";

/** Of what one of the machines refuses: not on the other. */
function on(platform: "powernv" | "pseries", holds: Holds): Holds {
  return (asked) => {
    const other = platform === "powernv" ? "pseries" : "powernv";
    return known(asked, "platform") === other ? false : holds(asked);
  };
}

const oddSize = when(["size"], (size) => size > 0n && !isPowerOfTwo(size) && `${bytes(size)} are no power of two`);

function noSuchPage(asked: Asked): string | boolean | undefined {
  const [shift, sizes] = [operand(asked, "pageShift"), known(asked, "pageSizes")];
  if (shift === undefined) return undefined;
  // TCEs have pages of 4 KiB at least.
  if (shift < 12n) return `pageShift is ${shift}`;
  if (sizes === undefined) return shift > 40n ? `pageShift is ${shift}` : undefined;
  return ((sizes >> shift) & 1n) === 0n && `pageShift is ${shift}, and GET_INFO has pgsizes ${hex(sizes)}`;
}

export const spaprWindowArguments: readonly Cause[] = [
  ...othersOf("VFIO_IOMMU_SPAPR_TCE_GET_INFO", {
    EINVAL: [
      {
        ...tooShort(16, IOCTL, SPAPR),
        why: "argsz is less than the struct has: 16 bytes without the dynamic windows, 32 with them",
        next: "set argsz to 32",
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_SPAPR_TCE_CREATE", {
    EINVAL: [
      tooShort(40, IOCTL, SPAPR),
      noFlags(IOCTL, SPAPR),
      {
        id: "page-size",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_create_default_window, tce_iommu_create_window, tce_iommu_create_table`,
        why: "the page size is none of pgsizes of GET_INFO; the default window was made, and charged, all the same",
        next: "take a size of pgsizes",
        holds: noSuchPage,
      },
      {
        id: "empty",
        mistake: true,
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_create_table; ${PLACE}`,
        why: "the window's size is 0",
        next: "ask for one page at least",
        holds: when(["size"], (size) => size === 0n && "size is 0"),
      },
      {
        id: "power-of-two",
        iommu: SPAPR,
        source: `${PLACE}; arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table`,
        why: "the window's size is no power of two; on an LPAR the charge for its table stays",
        next: "round it up to a power of two",
        holds: oddSize,
      },
      {
        id: "smaller-than-a-page",
        iommu: SPAPR,
        source: `${PLACE}; arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages; arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table`,
        why: "the window is smaller than one of its pages",
        next: "ask for one page at least",
        holds: when(["size", "pageShift"], (size, shift) => size > 0n && shift < 64n && size < 1n << shift),
      },
      {
        id: "levels",
        iommu: SPAPR,
        source: `${PLACE}; arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages; arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table`,
        why: "the kernel makes no table of so many levels: of 0, of more than GET_INFO says, or of more than the window's TCEs fill",
        next: "take fewer levels, 1 at least; on an LPAR 1",
        holds: (asked) => {
          const [levels, most] = [operand(asked, "levels"), known(asked, "maxLevels")];
          if (levels === undefined) return undefined;
          if (levels === 0n) return "levels is 0";
          if (known(asked, "platform") === "pseries")
            return levels > 1n && `levels is ${levels}, and an LPAR's tables have one`;
          if (most !== undefined && levels > BigInt(most)) return `levels is ${levels}, and GET_INFO says ${most}`;
          return levels > 5n ? `levels is ${levels}` : undefined;
        },
      },
      {
        id: "many-tces",
        iommu: SPAPR,
        source: "arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table",
        why: "the LPAR's firmware makes no window of so many TCEs; the charge for its table stays",
        next: "ask for fewer: larger pages, or less memory",
        holds: on(
          "pseries",
          when(["size", "pageShift"], (size, shift) => (size >> shift >= 1n << 37n ? true : undefined)),
        ),
      },
    ],
    ENOSPC: [
      {
        id: "two-windows",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_find_free_table, tce_iommu_create_window`,
        why: "the container has two windows: the default one counts, and is made by the first call that needs one",
        next: "TCE_REMOVE one first, the default one by its start",
        holds: (asked) => {
          const windows = known(asked, "windows");
          return windows === undefined ? undefined : windows.length >= 2;
        },
      },
    ],
    EPERM: [
      {
        id: "two-groups",
        iommu: SPAPR,
        source: "arch/powerpc/platforms/pseries/iommu.c: spapr_tce_set_window",
        why: "an LPAR makes no window for two groups: each has tables of its own",
        next: "give each group a container of its own",
        holds: (asked) => {
          const groups = known(asked, "groups");
          return groups === undefined ? undefined : groups > 1;
        },
      },
    ],
    ENOMEM: [
      {
        id: "default-window",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_create_default_window`,
        why: "the default window is made before the one that was asked for, and its tables do not fit under RLIMIT_MEMLOCK",
        next: "TCE_REMOVE the default window first, at its start: before it is made that only cancels it",
        holds: (asked) => {
          const windows = known(asked, "windows");
          return windows === undefined ? undefined : windows.length === 0 ? undefined : false;
        },
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_SPAPR_TCE_REMOVE", {
    EINVAL: [
      tooShort(16, IOCTL, SPAPR),
      noFlags(IOCTL, SPAPR),
      {
        id: "elsewhere",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_remove_window, tce_iommu_ioctl`,
        why: "no window is at that address; one that was not made yet is removed by its exact start alone",
        next: "give the start of a window, which TCE_CREATE has said",
        holds: (asked) => {
          const [start, windows] = [operand(asked, "start"), known(asked, "windows")];
          if (start === undefined || windows === undefined) return undefined;
          return !windows.some((one) => start >= one.start && start < one.start + one.size);
        },
      },
    ],
  }),
];
