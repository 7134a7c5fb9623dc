/** What type1 checks of GET_INFO, a map and an unmap. */
import { bytes, hex } from "../../hex.ts";
import { type Asked, type Cause, othersOf } from "../cause.ts";
import { flagsBeside, known, misaligned, operand, overlapping, passes, TWO_64, when } from "../facts.ts";
import { tooShort } from "./structs.ts";

const TYPE1 = ["type1"] as const;
const FILE = "drivers/vfio/vfio_iommu_type1.c";
const IOCTL = `${FILE}: vfio_iommu_type1_ioctl`;
const MAP = `${FILE}: vfio_dma_do_map`;
const UNMAP = `${FILE}: vfio_dma_do_unmap`;

const READ_WRITE = 3n;
const VADDR = 4n;
const [GET_DIRTY, ALL, UNMAP_VADDR] = [1n, 2n, 4n];

/** The smallest page of the IOMMU; 4 KiB where that is not known, which no IOMMU goes below. */
function offPages(names: readonly string[]): (asked: Asked) => string | boolean | undefined {
  return (asked) => {
    const sizes = known(asked, "pageSizes");
    const found = misaligned(asked, names, sizes === undefined || sizes === 0n ? 4096n : sizes & -sizes);
    return sizes === undefined && found === false ? undefined : found;
  };
}

const isEmpty = when(["size"], (size) => size === 0n && "size is 0");

function wraps(names: readonly ["iova"] | readonly ["iova", "vaddr"]): (asked: Asked) => string | boolean | undefined {
  return (asked) => {
    const size = operand(asked, "size");
    if (size === undefined || size === 0n) return size === undefined ? undefined : false;
    let isKnown = true;
    for (const name of names) {
      const start = operand(asked, name);
      if (start === undefined) isKnown = false;
      else if (passes(start, size)) return `${name} ${hex(start)} and size ${hex(size)} run past 2^64`;
    }
    return isKnown ? false : undefined;
  };
}

/** Where a map would be cut by an unmap of `[iova, iova + size)`. */
function cuts(asked: Asked): string | boolean | undefined {
  const [iova, size, maps] = [operand(asked, "iova"), operand(asked, "size"), known(asked, "maps")];
  if (iova === undefined || size === undefined || maps === undefined) return undefined;
  const end = iova + size;
  for (const map of maps) {
    const isCut = (at: bigint) => at > map.start && at < map.start + map.size;
    if (isCut(iova) || isCut(end)) return `the map at ${hex(map.start)} of ${bytes(map.size)} would be cut`;
  }
  return false;
}

/** The map that is in the way of one. */
function isThere(asked: Asked): string | boolean | undefined {
  const [iova, size, maps] = [operand(asked, "iova"), operand(asked, "size"), known(asked, "maps")];
  if (iova === undefined || size === undefined || maps === undefined) return undefined;
  const map = overlapping(maps, iova, size);
  return map === undefined ? false : `${bytes(map.size)} are mapped at ${hex(map.start)} already`;
}

export const type1Arguments: readonly Cause[] = [
  ...othersOf("VFIO_IOMMU_GET_INFO", {
    EINVAL: [
      {
        ...tooShort(16, `${FILE}: vfio_iommu_type1_get_info`, TYPE1),
        why: "argsz is less than the struct has: 16 bytes at least",
        next: "set argsz to 24, and to what the kernel wrote into it for the capabilities",
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_MAP_DMA", {
    EINVAL: [
      tooShort(32, `${IOCTL}, vfio_iommu_type1_map_dma`, TYPE1),
      {
        id: "flags",
        mistake: true,
        iommu: TYPE1,
        source: `${IOCTL}, vfio_iommu_type1_map_dma`,
        why: "there is a flag that the kernel does not know: READ is 1, WRITE is 2, VADDR is 4 (since 5.12)",
        next: "leave the others out",
        holds: flagsBeside(READ_WRITE | VADDR),
      },
      {
        id: "permission",
        mistake: true,
        iommu: TYPE1,
        source: MAP,
        why: "flags have neither READ nor WRITE, or VADDR beside them",
        next: "set READ, WRITE or both; VADDR alone",
        holds: when(["flags"], (flags) => {
          const [prot, vaddr] = [flags & READ_WRITE, flags & VADDR];
          if (prot === 0n && vaddr === 0n) return `flags are ${hex(flags)}: neither READ nor WRITE`;
          return prot !== 0n && vaddr !== 0n && `flags are ${hex(flags)}: VADDR beside READ or WRITE`;
        }),
      },
      {
        id: "empty",
        mistake: true,
        iommu: TYPE1,
        source: MAP,
        why: "size is 0",
        next: "map one page at least",
        holds: isEmpty,
      },
      {
        id: "whole-pages",
        iommu: TYPE1,
        source: MAP,
        why: "vaddr, iova or size is no multiple of the IOMMU's smallest page",
        next: "map whole pages of the IOMMU: the lowest bit of pgsizes of GET_INFO",
        holds: offPages(["vaddr", "iova", "size"]),
      },
      {
        id: "wraps-64",
        iommu: TYPE1,
        before: "6.18",
        source: MAP,
        why: "vaddr or iova and size run past 2^64",
        next: "map less",
        holds: wraps(["iova", "vaddr"]),
      },
    ],
    EEXIST: [
      {
        id: "not-unmapped",
        iommu: TYPE1,
        source: `${FILE}: vfio_dma_do_unmap, vfio_find_dma`,
        why: "an UNMAP before it answered 0 and unmapped nothing: it lay inside a map (type1 v1), had VADDR, or the struct of MAP; what UNMAP wrote into size says so",
        next: "unmap exactly what was mapped, and look at size: with EEXIST taken for success a device writes to other memory",
      },
      {
        id: "stays-with-container",
        iommu: TYPE1,
        source: `${FILE}: vfio_iommu_type1_attach_group, vfio_iommu_type1_detach_group`,
        why: "maps are the container's, and stay as long as any group is in it: of each group that joins, and when one leaves",
        next: "map once for all groups of the container",
        holds: (asked) => {
          const groups = known(asked, "groups");
          return groups === undefined ? undefined : groups > 1 ? undefined : false;
        },
      },
    ],
    EFAULT: [
      {
        id: "address-width",
        iommu: TYPE1,
        before: "5.4",
        source: "drivers/iommu/intel/iommu.c: intel_iommu_map",
        why: "the IOVA has more bits than the IOMMU's tables: 39 on many desktops, and in QEMU's unless aw-bits says otherwise",
        next: "take lower IOVAs; Linux 5.4 and later say the ranges by GET_INFO, and answer EINVAL",
      },
    ],
    ENOENT: [
      {
        id: "vaddr-of-nothing",
        iommu: TYPE1,
        since: "5.12",
        source: MAP,
        why: "VADDR gives a map its address again, and there is no such map",
        next: "give it for a range that was mapped and lost its address",
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_UNMAP_DMA", {
    EINVAL: [
      {
        ...tooShort(24, `${IOCTL}, vfio_iommu_type1_unmap_dma`, TYPE1),
        why: "argsz is less than the struct has: 24 bytes, and 48 with a bitmap of dirty pages",
        next: "set argsz to 24",
      },
      {
        id: "flags",
        mistake: true,
        iommu: TYPE1,
        source: `${IOCTL}, vfio_iommu_type1_unmap_dma`,
        why: "there is a flag that the kernel does not know: GET_DIRTY_BITMAP is 1 (since 5.8), ALL is 2 and VADDR is 4 (since 5.12)",
        next: "leave the others out",
        holds: flagsBeside(GET_DIRTY | ALL | UNMAP_VADDR),
      },
      {
        id: "dirty-bitmap",
        iommu: TYPE1,
        since: "5.8",
        source: `${UNMAP}, vfio_iommu_type1_unmap_dma`,
        why: "GET_DIRTY_BITMAP is set, and nothing tracks dirty pages, or ALL or VADDR stand beside it",
        next: "start DIRTY_PAGES first, or leave the flag out",
        holds: when(["flags"], (flags) => (flags & GET_DIRTY) !== 0n && `flags are ${hex(flags)}`),
      },
      {
        id: "all-with-range",
        iommu: TYPE1,
        since: "5.12",
        source: UNMAP,
        why: "with ALL, iova and size have to be 0",
        next: "set both to 0",
        holds: when(
          ["flags", "iova", "size"],
          (flags, iova, size) => (flags & ALL) !== 0n && (iova !== 0n || size !== 0n),
        ),
      },
      {
        id: "empty",
        mistake: true,
        iommu: TYPE1,
        source: UNMAP,
        why: "size is 0",
        next: "unmap what was mapped",
        holds: when(["size", "flags"], (size, flags) => size === 0n && (flags & ALL) === 0n && "size is 0"),
      },
      {
        id: "whole-pages",
        iommu: TYPE1,
        source: UNMAP,
        why: "iova or size is no multiple of the IOMMU's smallest page",
        next: "unmap what was mapped",
        holds: offPages(["iova", "size"]),
      },
      {
        id: "wraps-64",
        iommu: TYPE1,
        before: "6.18",
        source: UNMAP,
        why: "iova and size run past 2^64, or, before 6.18, reach it",
        next: "unmap less",
        holds: (asked) => {
          const [iova, size] = [operand(asked, "iova"), operand(asked, "size")];
          if (iova === undefined || size === undefined) return undefined;
          return size > 0n && iova + size > TWO_64 && `iova ${hex(iova)} and size ${hex(size)} run past 2^64`;
        },
      },
      {
        id: "cuts-a-map",
        iommu: TYPE1,
        source: UNMAP,
        why: "a map would be cut: type1 v2 unmaps whole maps only, as they were made",
        next: "unmap what was mapped in one call, in one call",
        holds: (asked) => (known(asked, "type1") === 1 ? false : cuts(asked)),
      },
    ],
  }),
];

export const mappedAlready = isThere;
export const wrapsMap = wraps(["iova", "vaddr"]);
export const wrapsUnmap = wraps(["iova"]);

/** Not all of `[iova, iova + size)` is where type1 allows IOVAs. */
export function outsideRanges(asked: Asked): string | boolean | undefined {
  const [iova, size, ranges] = [operand(asked, "iova"), operand(asked, "size"), known(asked, "ranges")];
  if (iova === undefined || size === undefined || ranges === undefined) return undefined;
  if (ranges.some((range) => iova >= range.start && iova + size <= range.start + range.size)) return false;
  const all = ranges.map(({ start, size: length }) => `${hex(start)}-${hex(start + length - 1n)}`).join(", ");
  return `${hex(iova)}-${hex(iova + size - 1n)} is not within one of the ranges of GET_INFO (${all})`;
}
