import { EFAULT, EINTR, EINVAL, ENXIO, EPERM } from "../errno.ts";
import { ModelKernelOops } from "../errors.ts";
import type { LinuxRules } from "../linux-rules.ts";
import type { MemoryOwner } from "../memory-owner.ts";
import { DmaMap, DmaUnmap, type Struct } from "../structs.ts";
import type { Platform } from "./platform.ts";
import type { Registration } from "./registrations.ts";
import type { Runs } from "./runs.ts";
import type { WindowSet } from "./window-set.ts";
import type { DmaWindow } from "./windows.ts";

/** What becomes of an IOVA that `iommu_tce_check_ioba` refuses: its caller turns the errno into a truth value. */
const BAD_IOVA = 1;

/** MAP_DMA, once something was registered. Rule: `drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl`. */
export function mapDma(
  struct: Struct | undefined,
  windows: WindowSet,
  process: MemoryOwner,
  platform: Platform,
): number {
  if (struct === undefined) return EFAULT;
  struct.need(DmaMap.BYTES);
  const flags = struct.flags;
  if (struct.argsz < DmaMap.BYTES || (flags & ~(DmaMap.READ | DmaMap.WRITE)) !== 0) return EINVAL;
  const lazily = windows.makeDefault();
  if (lazily !== 0) return lazily;
  const iovaPage = struct.page(DmaMap.IOVA);
  const window = windows.slots.containing(iovaPage);
  if (window === undefined) return ENXIO;
  const { unit } = window;
  const page = struct.page(DmaMap.VADDR);
  const pages = struct.page(DmaMap.SIZE);
  if (struct.offset(DmaMap.SIZE) !== 0 || pages % unit !== 0) return EINVAL;
  if (struct.offset(DmaMap.VADDR) !== 0 || page % unit !== 0) return EINVAL;
  if (flags === 0) return EINVAL;
  if (struct.offset(DmaMap.IOVA) !== 0 || iovaPage % unit !== 0) return BAD_IOVA;
  const first = window.indexOf(iovaPage);
  const count = pages / unit;
  const replaced = windows.replacing();
  const tces = { window, first, count, page, access: platform.tceAccess(flags), replaced };
  const refused = writeTces(tces, process, windows, platform);
  if (refused === 0) windows.mapped(window, count, replaced);
  return refused;
}

/** What a MAP is to write: `count` TCEs from number `first` on, to memory from `page` on. */
interface Wanted {
  readonly window: DmaWindow;
  readonly first: number;
  readonly count: number;
  readonly page: number;
  readonly access: number;
  readonly replaced: Runs | undefined;
}

/**
 * Writes TCEs, one after the other, until one cannot be written: then all are cleared that it wrote, and what was mapped there before
 * is gone with them. 0, or the errno. Rule: the same file, `tce_iommu_build_v2`.
 */
function writeTces(
  { window, first, count, page: firstPage, access, replaced }: Wanted,
  { registrations, pageUnit }: MemoryOwner,
  windows: WindowSet,
  platform: Platform,
): number {
  const { unit, pageShift, sure, tces } = window;
  const stopAt = (done: number, errno: number) => {
    windows.clear(window, first, done);
    return errno;
  };
  let memory: Registration | undefined;
  for (let done = 0; done < count; done++) {
    const page = firstPage + done * unit;
    if (memory === undefined || page + unit > memory.end) memory = registrations.around(page, page + unit);
    if (memory === undefined) return stopAt(done, EINVAL);
    // Memory's own pages are never smaller than the CPU's: only larger TCE pages have to be looked at.
    if (unit > pageUnit) {
      if (memory.pageShift < pageShift) return stopAt(done, EINVAL);
      // It was registered behind hugepages, and taken for one: the page itself says that it is none (`tce_page_is_contained`).
      if (memory.smallestShift < pageShift && memory.memory.pageShiftAt(page) < pageShift) return stopAt(done, EPERM);
    }
    const index = first + done;
    if (index >= sure) {
      const outcome = platform.outcomeOf(window, index);
      if (outcome === "crash") throw new ModelKernelOops(whyItCrashes(window, index));
      if (outcome === "refused") {
        // The kernel has counted the page, and looks in vain for what to take back (`tce_iommu_unuse_page_v2`).
        memory.mapped++;
        return stopAt(done, EINTR);
      }
    }
    if (replaced !== undefined && tces.leadsElsewhere(index, page, access)) replaced.add(index);
    tces.set(index, page, access, memory);
  }
  return 0;
}

function whyItCrashes({ entries }: DmaWindow, index: number): string {
  return index < entries
    ? `MAP_DMA in a window of ${entries} TCEs: the kernel had no memory for its view of user addresses, and did not look`
    : `MAP_DMA ran past the end of a window of ${entries} TCEs: TCE ${index} has no place in its table`;
}

/** UNMAP_DMA. Whether anything is mapped there is not asked, and by an old kernel not where it ends. */
export function unmapDma(struct: Struct | undefined, windows: WindowSet, { checksWholeUnmap }: LinuxRules): number {
  if (struct === undefined) return EFAULT;
  struct.need(DmaUnmap.BYTES);
  if (struct.argsz < DmaUnmap.BYTES || struct.flags !== 0) return EINVAL;
  const lazily = windows.makeDefault();
  if (lazily !== 0) return lazily;
  const iovaPage = struct.page(DmaUnmap.IOVA);
  const window = windows.slots.containing(iovaPage);
  if (window === undefined) return ENXIO;
  const { unit } = window;
  const pages = struct.page(DmaUnmap.SIZE);
  if (struct.offset(DmaUnmap.SIZE) !== 0 || pages % unit !== 0) return EINVAL;
  if (struct.offset(DmaUnmap.IOVA) !== 0 || iovaPage % unit !== 0) return BAD_IOVA;
  const first = window.indexOf(iovaPage);
  const count = pages / unit;
  if (checksWholeUnmap && first + count > window.entries) return BAD_IOVA;
  windows.clear(window, first, count);
  return 0;
}
