/** What sPAPR TCE checks of a registration, and of its end. */
import { bytes, hex } from "../../hex.ts";
import { type Asked, type Cause, othersOf, type Row } from "../cause.ts";
import { known, misaligned, operand, overlapping, passes, when } from "../facts.ts";
import { noFlags, tooShort } from "./structs.ts";

const SPAPR = ["spapr"] as const;
const TCE = "drivers/vfio/vfio_iommu_spapr_tce.c";
const IOCTL = `${TCE}: tce_iommu_ioctl`;
const ALLOC = "arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc";

const head: readonly Row[] = [tooShort(24, IOCTL, SPAPR), noFlags(IOCTL, SPAPR)];

function offPages(asked: Asked): string | boolean | undefined {
  const unit = known(asked, "cpuPage");
  const found = misaligned(asked, ["vaddr", "size"], unit ?? 4096n);
  return unit === undefined && found === false ? undefined : found;
}

const isExactly = (asked: Asked, name: "registrations" | "elsewhere" | "zombies"): boolean | undefined => {
  const [vaddr, size, ranges] = [operand(asked, "vaddr"), operand(asked, "size"), known(asked, name)];
  if (vaddr === undefined || size === undefined || ranges === undefined) return undefined;
  return ranges.some((range) => range.start === vaddr && range.size === size);
};

function overlaps(asked: Asked): string | boolean | undefined {
  const [vaddr, size, own] = [operand(asked, "vaddr"), operand(asked, "size"), known(asked, "registrations")];
  if (vaddr === undefined || size === undefined || own === undefined) return undefined;
  const others = [...own, ...(known(asked, "elsewhere") ?? []), ...(known(asked, "zombies") ?? [])];
  const found = overlapping(others, vaddr, size);
  if (found === undefined || (found.start === vaddr && found.size === size)) return false;
  return `${hex(vaddr)}-${hex(vaddr + size - 1n)} overlaps ${hex(found.start)}-${hex(found.start + found.size - 1n)}, which this process has registered`;
}

export const spaprMemoryArguments: readonly Cause[] = [
  ...othersOf("VFIO_IOMMU_SPAPR_REGISTER_MEMORY", {
    EINVAL: [
      ...head,
      {
        id: "alignment",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_register_pages`,
        why: "vaddr or size is no multiple of the CPU's page",
        next: "register whole pages",
        holds: offPages,
      },
      {
        id: "wraps",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_register_pages`,
        why: "the range reaches 2^64 or runs past it",
        next: "register memory that the process has",
        holds: when(
          ["vaddr", "size"],
          (vaddr, size) => size > 0n && (passes(vaddr, size) || vaddr + size === 1n << 64n),
        ),
      },
      {
        id: "overlap-here",
        iommu: SPAPR,
        source: ALLOC,
        why: "the memory overlaps a range that this process has registered, here or elsewhere, or that was unregistered while mapped and stayed",
        next: "register it as one and the same range everywhere, and unmap before UNREGISTER",
        holds: overlaps,
      },
      {
        id: "dirty-pages-flags",
        iommu: ["type1"],
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_ioctl, vfio_iommu_type1_dirty_pages",
        why: "type1 takes the number for that of DIRTY_PAGES, and what was given is none of its flags",
        next: "type1 registers nothing: MAP_DMA locks the memory",
        holds: (asked) => (known(asked, "type1") === 1 ? false : undefined),
      },
    ],
    EBUSY: [
      {
        id: "registered-already",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_register_pages`,
        why: "this range is registered in this container already",
        next: "register a range once in a container, or take the answer for success",
        holds: (asked) => isExactly(asked, "registrations"),
      },
    ],
    EACCES: [
      {
        id: "dirty-pages-v1",
        iommu: ["type1"],
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_ioctl, vfio_iommu_type1_dirty_pages",
        why: "type1 takes the number for that of DIRTY_PAGES, which its version 1 refuses",
        next: "type1 registers nothing: MAP_DMA locks the memory",
      },
    ],
    ENOMEM: [
      {
        id: "empty",
        mistake: true,
        iommu: SPAPR,
        source: ALLOC,
        why: "size is 0: for a list of no pages the kernel gets no memory",
        next: "register one page at least",
        holds: when(["size"], (size) => size === 0n && "size is 0"),
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", {
    EPERM: [
      {
        id: "nobody-used",
        iommu: SPAPR,
        source: IOCTL,
        why: "nothing was registered in this container, and no window made or removed: it belongs to nobody yet",
        next: "REGISTER_MEMORY comes first",
        holds: (asked) => {
          const claimed = known(asked, "claimed");
          return claimed === undefined ? undefined : !claimed;
        },
      },
    ],
    EINVAL: [
      ...head,
      {
        id: "pages",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_unregister_pages`,
        why: "vaddr or size is no multiple of the CPU's page",
        next: "unregister what was registered",
        holds: offPages,
      },
    ],
    ENOENT: [
      {
        id: "zombie",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_unregister_pages; arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_put`,
        why: "it was unregistered while it was mapped: that answered 0, and the memory stays locked and charged",
        next: "unmap first, always; what stayed goes with the process",
        holds: (asked) => isExactly(asked, "zombies"),
      },
      {
        id: "other-range",
        iommu: SPAPR,
        source: `${TCE}: tce_iommu_unregister_pages`,
        why: "no registration of this container is that range: only a whole one is ended, in the container that has it",
        next: "give the vaddr and size that were registered",
        holds: (asked) => {
          const own = isExactly(asked, "registrations");
          if (own !== false) return own === undefined ? undefined : false;
          const size = operand(asked, "size") ?? 0n;
          return isExactly(asked, "zombies")
            ? false
            : `no registration of this container has that beginning and ${bytes(size)}`;
        },
      },
    ],
  }),
];
