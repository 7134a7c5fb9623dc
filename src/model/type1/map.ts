import { hex } from "../../hex.ts";
import { EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, ENOSPC, EOVERFLOW } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import type { PinRules } from "../memory/address-space.ts";
import type { MemoryOwner } from "../memory-owner.ts";
import { bytesOf, PAGES_OF_ADDRESS_SPACE } from "../pages.ts";
import { DmaMap, type Struct } from "../structs.ts";
import type { DmaMapping, DmaMaps } from "./maps.ts";
import type { Type1Settings } from "./settings.ts";

/** VFIO_DMA_MAP_FLAG_VADDR: gives a map whose address was taken away another one. */
const NEW_VADDR = 4;

const ACCESS = DmaMap.READ | DmaMap.WRITE;

/**
 * MAP_DMA. Rules, and the order of the checks: `drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_map_dma,
 * vfio_dma_do_map`.
 */
export function mapDma(
  struct: Struct | undefined,
  maps: DmaMaps,
  process: MemoryOwner,
  settings: Type1Settings,
): number {
  if (struct === undefined) return EFAULT;
  struct.need(DmaMap.BYTES);
  const { flags } = struct;
  if (struct.argsz < DmaMap.BYTES || (flags & ~(ACCESS | NEW_VADDR)) !== 0) return EINVAL;
  const access = flags & ACCESS;
  const { saysOverflow, takesUnmapFlags } = settings.rules;
  if (saysOverflow && wraps(struct)) return EOVERFLOW;
  // One or the other. To a kernel that does not know the flag it is an unknown one, with the same answer.
  if ((access !== 0) === ((flags & NEW_VADDR) !== 0)) return EINVAL;

  const start = struct.page(DmaMap.IOVA);
  const page = struct.page(DmaMap.VADDR);
  const pages = struct.page(DmaMap.SIZE);
  const { pageUnit } = process;
  if ((struct.offset(DmaMap.IOVA) | struct.offset(DmaMap.VADDR) | struct.offset(DmaMap.SIZE)) !== 0) return EINVAL;
  if (start % pageUnit !== 0 || page % pageUnit !== 0 || pages % pageUnit !== 0 || pages === 0) return EINVAL;
  if (start + pages > PAGES_OF_ADDRESS_SPACE || page + pages > PAGES_OF_ADDRESS_SPACE) return EINVAL;

  const end = start + pages;
  // An old kernel's search forms the end, and one of exactly 2^64 is 0: it finds nothing then (`vfio_find_dma`).
  const isTaken = (end < PAGES_OF_ADDRESS_SPACE || saysOverflow) && maps.overlap(start, end);
  if (access === 0) return takesUnmapFlags ? newAddress(start, end, isTaken, maps, process) : EINVAL;
  if (isTaken) return EEXIST;
  if (maps.available === 0) return ENOSPC;
  if (!isAllowed(start, end, settings)) return EINVAL;
  const beside = { devices: true, zeros: !settings.rules.unsharesBeforePin };
  return pinAndMap({ start, end, page, access }, maps, process, beside);
}

/** Whether a range of IOVAs or of memory runs past 2^64; one of no bytes does not. */
function wraps(struct: Struct): boolean {
  const page = Math.max(struct.page(DmaMap.IOVA), struct.page(DmaMap.VADDR));
  // Ranges of this end are far from it.
  if (page + struct.page(DmaMap.SIZE) < PAGES_OF_ADDRESS_SPACE - 2) return false;
  const size = struct.u64(DmaMap.SIZE);
  return size > 0n && [DmaMap.IOVA, DmaMap.VADDR].some((at) => struct.u64(at) + size > 1n << 64n);
}

/** The flag VADDR: exactly a map that has no address gets one again. */
function newAddress(start: number, end: number, isTaken: boolean, maps: DmaMaps, process: MemoryOwner): number {
  if (!isTaken) return ENOENT;
  const mapping = maps.at(start);
  if (mapping === undefined || !mapping.addressTaken || mapping.start !== start || mapping.end !== end) return EINVAL;
  return maps.giveAddress(mapping, process) ? 0 : ENOMEM;
}

/** `vfio_iommu_iova_dma_valid`: inside one range; two that adjoin do not count as one. */
function isAllowed(start: number, end: number, { allowed, rules }: Type1Settings): boolean {
  if (rules.hasRanges) {
    for (const range of allowed) if (start >= range.start && end <= range.end) return true;
    return false;
  }
  // Before Linux 5.4 nobody looked, and the IOMMU's own driver had the last word: about what it cannot reach.
  const [first, last] = [allowed[0], allowed[allowed.length - 1]];
  if (first !== undefined && last !== undefined && start >= first.start && end <= last.end) return true;
  const asked = `${hex(bytesOf(start))}-${hex(bytesOf(end) - 1n)}`;
  throw new ModelUnknown(`MAP of IOVA ${asked} on a kernel without capabilities, past what the IOMMU reaches`);
}

/**
 * `vfio_pin_map_dma`, page by page: each is pinned first, and then looked at whether it may be locked. So the limit is what
 * answers where it is reached before the first page that cannot be pinned. A device's memory is mapped as it is: nothing is
 * locked for it. Nothing is left of a map that fails.
 */
function pinAndMap(
  wanted: Pick<DmaMapping, "start" | "end" | "page" | "access">,
  maps: DmaMaps,
  process: MemoryOwner,
  beside: PinRules,
): number {
  const { start, end, page, access } = wanted;
  const pinned = process.space.pin(page, page + end - start, (access & DmaMap.WRITE) !== 0, beside);
  if (pinned.pages === 0) return EFAULT;
  const locked = pinned.pages - pinned.ofDevice;
  const cpuPages = locked / process.pageUnit;
  if (!process.locked.charge(cpuPages)) {
    pinned.memory?.release();
    return ENOMEM;
  }
  if (pinned.memory === undefined) {
    process.locked.release(cpuPages);
    return EFAULT;
  }
  maps.add({ start, end, page, access, process, locked, memory: pinned.memory, addressTaken: false });
  return 0;
}
