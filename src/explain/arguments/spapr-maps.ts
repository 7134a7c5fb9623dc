/** What sPAPR TCE checks of a map and an unmap. */
import { bytes, hex } from "../../hex.ts";
import { type Asked, type Cause, CRASH, othersOf, POSITIVE, type Row } from "../cause.ts";
import { flagsBeside, type KnownWindow, known, misaligned, operand, overlapping, type Range, when } from "../facts.ts";
import { noFlags, tooShort } from "./structs.ts";

const SPAPR = ["spapr"] as const;
const TCE = "drivers/vfio/vfio_iommu_spapr_tce.c";
const IOCTL = `${TCE}: tce_iommu_ioctl`;
const FIRMWARE = "arch/powerpc/platforms/pseries/iommu.c";

/** The window that the call's IOVA is in. */
export function windowOf(asked: Asked): KnownWindow | undefined {
  const iova = operand(asked, "iova");
  if (iova === undefined) return undefined;
  return known(asked, "windows")?.find(({ start, size }) => iova >= start && iova < start + size);
}

function unitOf(asked: Asked): bigint | undefined {
  const window = windowOf(asked);
  return window === undefined ? undefined : 1n << BigInt(window.pageShift);
}

/** Whole pages of the window; where no window is known, of the smallest page that any has. */
function offPages(names: readonly string[]): (asked: Asked) => string | boolean | undefined {
  return (asked) => {
    const unit = unitOf(asked);
    const found = misaligned(asked, names, unit ?? 4096n);
    return unit === undefined && found === false ? undefined : found;
  };
}

function isOutside(asked: Asked): string | boolean | undefined {
  const [iova, windows] = [operand(asked, "iova"), known(asked, "windows")];
  if (iova === undefined || windows === undefined || windows.length === 0)
    return windows === undefined ? undefined : false;
  if (windowOf(asked) !== undefined) return false;
  const all = windows.map(({ start, size }) => `${hex(start)}-${hex(start + size - 1n)}`).join(", ");
  return `IOVA ${hex(iova)} is in no window of the container (${all})`;
}

function isPast(asked: Asked): string | boolean | undefined {
  const [iova, size, window] = [operand(asked, "iova"), operand(asked, "size"), windowOf(asked)];
  if (iova === undefined || size === undefined || window === undefined) return undefined;
  const end = window.start + window.size;
  return iova + size > end && `${bytes(size)} at ${hex(iova)} run past the window's end at ${hex(end)}`;
}

/** How much from `vaddr` on lies in registered memory without a gap: the kernel looks at each TCE alone. */
function unregistered(asked: Asked): string | boolean | undefined {
  const [vaddr, size] = [operand(asked, "vaddr"), operand(asked, "size")];
  const ranges = allRegistered(asked);
  if (vaddr === undefined || size === undefined || ranges === undefined) return undefined;
  for (let at = vaddr; at < vaddr + size; ) {
    const range = ranges.find(({ start, size: length }) => at >= start && at < start + length);
    if (range === undefined) return `no memory is registered at ${hex(at)}`;
    at = range.start + range.size;
  }
  return false;
}

/** Each TCE's memory has to be in one registration. */
function cutByRegistration(asked: Asked): string | boolean | undefined {
  const [vaddr, size, unit, ranges] = [
    operand(asked, "vaddr"),
    operand(asked, "size"),
    unitOf(asked),
    allRegistered(asked),
  ];
  if (vaddr === undefined || size === undefined || unit === undefined || ranges === undefined) return undefined;
  for (const { start, size: length } of ranges) {
    if (overlapping([{ start, size: length }], vaddr, size) === undefined) continue;
    const isCut = (edge: bigint) => edge % unit !== 0n && edge > vaddr - unit && edge < vaddr + size;
    if (isCut(start) || isCut(start + length))
      return `the registration at ${hex(start)} begins or ends within a page of the window`;
  }
  return false;
}

function smallPages(asked: Asked): string | boolean | undefined {
  const [page, unit] = [known(asked, "memoryPage"), unitOf(asked)];
  if (page === undefined || unit === undefined) return undefined;
  return page < unit && `the memory lies in pages of ${bytes(page)}, and the window's are ${bytes(unit)}`;
}

function allRegistered(asked: Asked): readonly Range[] | undefined {
  const own = known(asked, "registrations");
  return own === undefined
    ? undefined
    : [...own, ...(known(asked, "elsewhere") ?? []), ...(known(asked, "zombies") ?? [])];
}

const twoGroups = {
  id: "two-groups",
  iommu: SPAPR,
  source: `${FIRMWARE}: spapr_tce_set_window`,
  why: "an LPAR makes no window for two groups: each has tables of its own",
  next: "give each group a container of its own",
  holds: (asked: Asked) => {
    const [groups, platform] = [known(asked, "groups"), known(asked, "platform")];
    if (platform === "powernv") return false;
    return groups === undefined ? undefined : groups > 1;
  },
} as const;

const firmware = {
  id: "firmware",
  iommu: SPAPR,
  source: `${FIRMWARE}: spapr_tce_create_table`,
  why: "the LPAR's firmware makes no window for this group any more, not the default one either: it refused one before",
  next: "boot the LPAR again",
  holds: (asked: Asked) => (known(asked, "platform") === "powernv" ? false : undefined),
} as const;

const nothingRegistered = {
  id: "none-registered",
  iommu: SPAPR,
  source: `${IOCTL}, tce_iommu_release`,
  why: "no memory is registered in this container",
  next: "REGISTER_MEMORY comes first",
  holds: (asked: Asked) => {
    const any = known(asked, "registeredAny");
    return any === undefined ? undefined : !any;
  },
} as const;

const outside = {
  id: "outside",
  iommu: SPAPR,
  source: `${TCE}: tce_iommu_find_table, tce_iommu_ioctl; arch/powerpc/platforms/powernv/pci-ioda.c: pnv_pci_ioda2_create_table`,
  why: "the IOVA is outside every window of the container",
  next: "take IOVAs inside the window; TCE_CREATE says where it begins",
  holds: isOutside,
} as const;

const positive = (what: string): readonly Row[] => [
  {
    id: "iova-alignment",
    iommu: SPAPR,
    source: "arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba",
    why: "the IOVA is no multiple of the window's page: EINVAL, which became a truth value on its way",
    next: `${what} whole pages of the window`,
    holds: offPages(["iova"]),
  },
  {
    id: "past-the-end",
    iommu: SPAPR,
    since: "7.3, 7.2.8, 6.12.113",
    source: `arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba; ${TCE}: tce_iommu_find_table`,
    why: "the range begins inside the window and runs past its end: EINVAL, which became a truth value on its way",
    next: `${what} what lies inside the window`,
    holds: isPast,
  },
];

export const spaprMapArguments: readonly Cause[] = [
  ...othersOf("VFIO_IOMMU_MAP_DMA", {
    EPERM: [
      nothingRegistered,
      {
        id: "other-process",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_ioctl, tce_iommu_mm_set`,
        why: "the container belongs to the process that used it first",
        next: "open one in this process: it cannot be used after a fork",
      },
      twoGroups,
      {
        id: "page-not-contained",
        iommu: SPAPR,
        source: `${TCE}: tce_page_is_contained`,
        why: "ordinary memory that was registered behind a hugepage is taken for one, and its page is smaller than the window's",
        next: "register hugepages and ordinary memory apart",
        holds: smallPages,
      },
    ],
    ENODEV: [firmware],
    ENXIO: [outside],
    EINVAL: [
      tooShort(32, IOCTL, SPAPR),
      {
        id: "flags",
        mistake: true,
        iommu: SPAPR,
        source: IOCTL,
        why: "there is a flag that the kernel does not know: READ is 1, WRITE is 2",
        next: "leave the others out",
        holds: flagsBeside(3n),
      },
      {
        id: "alignment",
        iommu: SPAPR,
        source: IOCTL,
        why: "vaddr or size is no multiple of the window's page",
        next: "map whole pages of the window",
        holds: offPages(["vaddr", "size"]),
      },
      {
        id: "no-permission",
        mistake: true,
        iommu: SPAPR,
        source: IOCTL,
        why: "flags have neither READ nor WRITE",
        next: "set one of them, or both",
        holds: when(["flags"], (flags) => (flags & 3n) === 0n && `flags are ${hex(flags)}: neither READ nor WRITE`),
      },
      {
        id: "not-registered",
        iommu: SPAPR,
        source: `arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_lookup; ${TCE}: tce_iommu_prereg_ua_to_hpa, tce_iommu_build_v2, tce_iommu_ioctl`,
        why: "not all of the memory is registered; what was mapped before the page that is not is unmapped again, live maps with it",
        next: "REGISTER_MEMORY all of it first",
        holds: unregistered,
      },
      {
        id: "page-size",
        iommu: SPAPR,
        source: `arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_ua_to_hpa; ${TCE}: tce_iommu_prereg_ua_to_hpa; arch/powerpc/platforms/powernv/pci-ioda.c: pnv_pci_ioda2_create_table`,
        why: "the memory's pages are smaller than the window's",
        next: "use hugepages as large as the window's pages, or a window with smaller ones",
        holds: smallPages,
      },
      {
        id: "registration-edge",
        iommu: SPAPR,
        source: "arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_ua_to_hpa",
        why: "a registered range begins or ends within a page of the window",
        next: "register whole pages of the window",
        holds: cutByRegistration,
      },
    ],
    EINTR: [
      {
        id: "past-the-end",
        iommu: SPAPR,
        source: `${FIRMWARE}: tce_exchange_pseries`,
        why: "the range runs past the window's end, and firmware refuses; the page stays counted, so that UNREGISTER leaves it locked",
        next: "map what lies inside the window",
        holds: isPast,
      },
    ],
    [POSITIVE]: positive("map"),
    [CRASH]: [
      {
        id: "past-the-end",
        iommu: SPAPR,
        source: `${FIRMWARE}: tce_exchange_pseries; ${TCE}: tce_iommu_find_table`,
        why: "the map begins inside the window and runs past its end: the kernel looks at the beginning alone",
        next: "map what lies inside the window",
        holds: isPast,
      },
      {
        id: "no-view",
        iommu: SPAPR,
        source: `${FIRMWARE}: pseries_tce_iommu_userspace_view_alloc`,
        why: "the kernel had no memory for its view of the window's TCEs, 8 bytes for each, and CREATE answered 0 all the same",
        next: "make a window of fewer TCEs: larger pages, or less memory",
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_UNMAP_DMA", {
    EPERM: [nothingRegistered, twoGroups],
    ENODEV: [firmware],
    ENXIO: [outside],
    EINVAL: [
      tooShort(24, IOCTL, SPAPR),
      {
        ...noFlags(IOCTL, SPAPR),
        why: "there is a flag: the call has none here, ALL neither",
      },
      {
        id: "alignment",
        iommu: SPAPR,
        source: IOCTL,
        why: "size is no multiple of the window's page",
        next: "unmap whole pages of the window",
        holds: offPages(["size"]),
      },
    ],
    [POSITIVE]: positive("unmap"),
  }),
];
