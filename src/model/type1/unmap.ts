import { EFAULT, EINVAL, EOVERFLOW } from "../errno.ts";
import type { LinuxRules } from "../linux-rules.ts";
import { PAGES_OF_ADDRESS_SPACE } from "../pages.ts";
import { DmaUnmap, type Struct } from "../structs.ts";
import type { DmaMaps } from "./maps.ts";

/** VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, _ALL, _VADDR. */
const Flag = { DIRTY_BITMAP: 1, ALL: 2, VADDR: 4 };

/** The flags that the kernel knows. */
export function unmapFlags({ hasDirtyPages, takesUnmapFlags }: LinuxRules): number {
  return (hasDirtyPages ? Flag.DIRTY_BITMAP : 0) | (takesUnmapFlags ? Flag.ALL | Flag.VADDR : 0);
}

/** How this kernel unmaps. */
export interface UnmapRules {
  readonly version: 1 | 2;
  readonly linux: LinuxRules;
  /** {@link unmapFlags} of it. */
  readonly known: number;
  /** Pages of 4 KiB in one of the CPU. */
  readonly pageUnit: number;
}

/**
 * UNMAP_DMA. Rules, and the order of the checks: `drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_unmap_dma,
 * vfio_dma_do_unmap`. The size field tells what was unmapped, and is written only when the answer is 0.
 */
export function unmapDma(struct: Struct | undefined, maps: DmaMaps, rules: UnmapRules): number {
  if (struct === undefined) return EFAULT;
  struct.need(DmaUnmap.BYTES);
  const { flags } = struct;
  if (struct.argsz < DmaUnmap.BYTES || (flags & ~rules.known) !== 0) return EINVAL;
  // With other flags it is refused, and without them too: nothing ever tracks dirty pages here.
  if ((flags & Flag.DIRTY_BITMAP) !== 0) return EINVAL;

  const all = (flags & Flag.ALL) !== 0;
  const start = struct.page(DmaUnmap.IOVA);
  const pages = struct.page(DmaUnmap.SIZE);
  const { pageUnit, version, linux } = rules;
  if ((struct.offset(DmaUnmap.IOVA) | struct.offset(DmaUnmap.SIZE)) !== 0) return EINVAL;
  if (all ? start !== 0 || pages !== 0 : start % pageUnit !== 0 || pages % pageUnit !== 0 || pages === 0) return EINVAL;
  const end = all ? PAGES_OF_ADDRESS_SPACE : start + pages;
  if (end > PAGES_OF_ADDRESS_SPACE) return linux.saysOverflow ? EOVERFLOW : EINVAL;

  if (!all && version === 2 && cuts(start, end, maps)) return EINVAL;
  const done = isOutOfReach(start, end, all, maps, rules) ? 0 : act(start, end, flags, maps);
  if (done < 0) return EINVAL;
  struct.setPages(DmaUnmap.SIZE, done);
  return 0;
}

/** Whether an edge lies inside a map. */
function cuts(start: number, end: number, maps: DmaMaps): boolean {
  const first = maps.at(start);
  if (first !== undefined && first.start !== start) return true;
  const last = maps.at(end - 1);
  return last !== undefined && last.end !== end;
}

/**
 * Whether the kernel finds nothing there, whatever is: an old one forms the end, and one of exactly 2^64 is 0
 * (`vfio_find_dma_first_node`). With ALL it asks for a byte less. v1 gives up when it begins inside a map; one that it
 * begins with or comes to later goes as a whole.
 */
function isOutOfReach(
  start: number,
  end: number,
  all: boolean,
  maps: DmaMaps,
  { version, linux }: UnmapRules,
): boolean {
  if (!all && end === PAGES_OF_ADDRESS_SPACE && !linux.saysOverflow) return true;
  const first = maps.at(start);
  return version === 1 && first !== undefined && first.start !== start;
}

/** How many pages of 4 KiB it was done to, or -1. */
function act(start: number, end: number, flags: number, maps: DmaMaps): number {
  return (flags & Flag.VADDR) !== 0 ? maps.takeAddresses(start, end) : maps.remove(start, end);
}
