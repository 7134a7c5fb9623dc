/** Answers of 0 that do not mean what they seem to. */
import { bytes, hex } from "../../hex.ts";
import { type Asked, type Cause, othersOf, SUCCESS } from "../cause.ts";
import { known, operand, when } from "../facts.ts";

const TCE = "drivers/vfio/vfio_iommu_spapr_tce.c";
const TYPE1 = "drivers/vfio/vfio_iommu_type1.c";
const PUT = "arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_put";

/** With the struct of MAP the kernel takes vaddr for the IOVA, and the IOVA for the size. */
const looksLikeMap = when(["argsz"], (argsz) => argsz === 32n && "argsz is 32, as of the struct of MAP_DMA");

function unmapsNothing(asked: Asked): string | boolean | undefined {
  const unmapped = operand(asked, "unmapped");
  if (unmapped === undefined) return undefined;
  const size = operand(asked, "size");
  return unmapped === 0n && `0 bytes were unmapped${size === undefined ? "" : ` of ${bytes(size)}`}`;
}

export const successCauses: readonly Cause[] = [
  ...othersOf("VFIO_IOMMU_MAP_DMA", {
    [SUCCESS]: [
      {
        id: "replaced",
        iommu: ["spapr"],
        source: `${TCE}: tce_iommu_build_v2`,
        why: "what was mapped at these IOVAs before is replaced without a word",
        next: "know what is mapped: sPAPR does not say EEXIST",
      },
      {
        id: "size-0",
        iommu: ["spapr"],
        source: `${TCE}: tce_iommu_build_v2`,
        why: "of size 0 nothing is mapped, also of memory that is not registered",
        next: "map whole pages",
        holds: when(["size"], (size) => size === 0n),
      },
      {
        id: "past-the-end",
        iommu: ["spapr"],
        source: `${TCE}: tce_iommu_find_table`,
        why: "a map that begins inside the window and runs past its end was written behind the table: the kernel may crash later, elsewhere",
        next: "map what lies inside the window, and boot the machine again",
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_UNMAP_DMA", {
    [SUCCESS]: [
      {
        id: "nothing-unmapped",
        iommu: ["type1"],
        source: `${TYPE1}: vfio_dma_do_unmap`,
        why: "nothing was mapped there, or type1 v1 was asked for a part of a map: size, which the kernel writes, says how much was unmapped",
        next: "unmap exactly what was mapped, once: what the same range is mapped to afterwards is EEXIST, and the device keeps the old memory",
        holds: unmapsNothing,
      },
      {
        id: "struct-of-map",
        source: `${TCE}: tce_iommu_ioctl; ${TYPE1}: vfio_iommu_type1_unmap_dma`,
        why: "with the struct of MAP_DMA the kernel reads vaddr as the IOVA and the IOVA as the size: all below the target is unmapped, and the target stays",
        next: "give vfio_iommu_type1_dma_unmap: argsz 24, iova at byte 8, size at 16",
        holds: looksLikeMap,
      },
      {
        id: "never-mapped",
        iommu: ["spapr"],
        source: `${TCE}: tce_iommu_clear`,
        why: "sPAPR answers 0 also where nothing was mapped",
        next: "know what is mapped",
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", {
    [SUCCESS]: [
      {
        id: "still-mapped",
        source: `${PUT}; ${TCE}: tce_iommu_prereg_free`,
        why: "memory that is still mapped stays locked and charged until the process ends, and the device reaches it",
        next: "unmap first, always",
        holds: (asked) => {
          const [vaddr, size, zombies] = [operand(asked, "vaddr"), operand(asked, "size"), known(asked, "zombies")];
          if (vaddr === undefined || size === undefined || zombies === undefined) return undefined;
          return zombies.some((one) => one.start === vaddr && one.size === size);
        },
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_SPAPR_TCE_REMOVE", {
    [SUCCESS]: [
      {
        id: "only-cancelled",
        source: `${TCE}: tce_iommu_ioctl`,
        why: "the default window that was not made yet is only cancelled: nothing was charged for it, and nothing is given back",
        next: "make another one before the first map",
      },
    ],
  }),
  ...othersOf("VFIO_IOMMU_SPAPR_TCE_CREATE", {
    [SUCCESS]: [
      {
        id: "elsewhere",
        source: `${TCE}: tce_iommu_create_window`,
        why: "the window may begin elsewhere than at 0: beside the default one at 1 << 59, and on an LPAR always there; start_addr says where",
        next: "take IOVAs from start_addr on; a program that wants 0 removes the default window first, on PowerNV",
        holds: (asked) => {
          const start = operand(asked, "start");
          return start === undefined ? undefined : start !== 0n && `it begins at ${hex(start)}`;
        },
      },
    ],
  }),
];
