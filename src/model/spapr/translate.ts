import { EFAULT, EINVAL, ENXIO } from "../errno.ts";
import { ModelKernelOops, ModelUnknown } from "../errors.ts";
import type { Process } from "../process.ts";
import { DmaMap, DmaUnmap, type Struct } from "../structs.ts";
import type { Platform } from "./platform.ts";
import type { Registration } from "./registrations.ts";
import type { Runs } from "./runs.ts";
import type { WindowSet } from "./window-set.ts";
import type { DmaWindow } from "./windows.ts";

/** What `iommu_tce_check_ioba` makes of an unaligned IOVA: its caller turns the errno into a truth value. */
const UNALIGNED_IOVA = 1;

/** MAP_DMA, once something was registered. Rule: `drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl`. */
export function mapDma(struct: Struct | undefined, windows: WindowSet, process: Process, platform: Platform): number {
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
  if (struct.offset(DmaMap.IOVA) !== 0 || iovaPage % unit !== 0) return UNALIGNED_IOVA;
  const first = window.indexOf(iovaPage);
  const count = pages / unit;
  const replaced = windows.replacing();
  const done = writeTces(window, first, count, page, platform.tceAccess(flags), process, platform, replaced);
  if (done === count) {
    windows.mapped(window, count, replaced);
    return 0;
  }
  // What was mapped there before is gone with what this call wrote.
  windows.clear(window, first, done);
  return EINVAL;
}

/** Writes TCEs until a page is not registered. Returns how many. Rule: the same file, `tce_iommu_build_v2`. */
function writeTces(
  window: DmaWindow,
  first: number,
  count: number,
  firstPage: number,
  access: number,
  { registrations, pageUnit }: Process,
  platform: Platform,
  replaced: Runs | undefined,
): number {
  const { unit, pageShift, entries, tces } = window;
  let memory: Registration | undefined;
  for (let done = 0; done < count; done++) {
    const page = firstPage + done * unit;
    if (memory === undefined || page + unit > memory.end) memory = registrations.around(page, page + unit);
    if (memory === undefined) return done;
    // Memory's own pages are never smaller than the CPU's: only larger TCE pages have to be looked at.
    if (unit > pageUnit && memory.pageShift < pageShift) return done;
    if (memory.smallestShift < pageShift && unit > pageUnit && memory.memory.pageShiftAt(page) < pageShift) {
      throw new ModelUnknown(
        "MAP with TCE pages larger than the memory's, which was registered behind hugepages: Linux answers 0, and a device then " +
          "reaches whatever lies physically behind the first page",
      );
    }
    if (first + done >= entries && platform.pastTheEnd === "oops") {
      throw new ModelKernelOops(
        `MAP_DMA ran past the end of a window of ${entries} TCEs: TCE ${first + done} has no place in its table`,
      );
    }
    if (replaced !== undefined && tces.leadsElsewhere(first + done, page, access)) replaced.add(first + done);
    tces.set(first + done, page, access, memory);
  }
  return count;
}

/** UNMAP_DMA. Whether anything is mapped there is not asked, and the end is not checked. */
export function unmapDma(struct: Struct | undefined, windows: WindowSet): number {
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
  if (struct.offset(DmaUnmap.IOVA) !== 0 || iovaPage % unit !== 0) return UNALIGNED_IOVA;
  windows.clear(window, window.indexOf(iovaPage), pages / unit);
  return 0;
}
