/**
 * The arithmetic of TCE tables: a TCE is one u64 that says which page of memory stands at one page of IOVAs.
 *
 * PowerNV keeps a tree of tables, every table 2^s bytes, of `levels` levels:
 *
 *     IOVA offset   | level 1 index | level 2 index | ... | in page |
 *                     s - 3 bits      s - 3 bits            page shift bits
 *
 * Source: Linux 6.12, arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages, and
 * pci-ioda.c: pnv_pci_ioda2_get_table_size, pnv_pci_ioda2_create_table.
 *
 * pSeries has one level, kept by the firmware; Linux counts 8 bytes for each TCE.
 * Source: drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_table.
 */
import { alignUp, log2Ceil } from "./bits";

const TCE_SHIFT: u32 = 3;

/** Why a PowerNV table of that shape cannot be. `src/core.ts` holds the same list. */
export const SHAPE_OK: i32 = 0;
/** 1 to 5 levels. */
export const SHAPE_LEVELS: i32 = 1;
/** (s - 3) * levels + page shift reaches 55. */
export const SHAPE_REACH: i32 = 2;
/** One table is larger than 16 MiB, the largest block of memory in one piece. */
export const SHAPE_NOT_CONTIGUOUS: i32 = 3;
/** The window is smaller than a page. */
export const SHAPE_WINDOW: i32 = 4;

const LEVELS_MAX: u32 = 5;
const REACH_END: u32 = 55;
const TABLE_SHIFT_MAX: u32 = 24;

/** log2 of the size of one table. `windowShift` > `pageShift`, `levels` >= 1. */
function tableShift(windowShift: u32, pageShift: u32, levels: u32, cpuPageShift: u32): u32 {
  const indexBits = (windowShift - pageShift + levels - 1) / levels;
  return max<u32>(indexBits + TCE_SHIFT, cpuPageShift);
}

/** Whether PowerNV can make a window of 2^windowShift bytes in that shape, and if not, which rule is in the way. */
export function powernvShape(windowShift: u32, pageShift: u32, levels: u32, cpuPageShift: u32): i32 {
  if (levels < 1 || levels > LEVELS_MAX) return SHAPE_LEVELS;
  if (windowShift < pageShift) return SHAPE_WINDOW;
  const shift = tableShift(windowShift, pageShift, levels, cpuPageShift);
  if ((shift - TCE_SHIFT) * levels + pageShift >= REACH_END) return SHAPE_REACH;
  if (shift > TABLE_SHIFT_MAX) return SHAPE_NOT_CONTIGUOUS;
  return SHAPE_OK;
}

/**
 * Bytes of all tables of one level: 1 is the one that holds the TCEs, `levels` the root. 0 for a level that is not.
 * The shape is one that powernvShape accepts, so every figure is below 2^55.
 */
export function powernvLevelBytes(windowShift: u32, pageShift: u32, levels: u32, cpuPageShift: u32, level: u32): u64 {
  if (level > levels) return 0;
  const shift = tableShift(windowShift, pageShift, levels, cpuPageShift);
  let entries = (<u64>1) << (windowShift - pageShift);
  let bytes: u64 = 0;
  for (let i: u32 = 0; i < level; i++) {
    bytes = alignUp(entries << TCE_SHIFT, shift);
    entries = bytes >> shift;
  }
  return bytes;
}

/** Bytes of all levels together, each table counted once. */
export function powernvTableBytes(windowShift: u32, pageShift: u32, levels: u32, cpuPageShift: u32): u64 {
  let total: u64 = 0;
  for (let level: u32 = 1; level <= levels; level++) {
    total += powernvLevelBytes(windowShift, pageShift, levels, cpuPageShift, level);
  }
  return total;
}

/** What Linux charges: the tables, and a second copy of each with the user's addresses. */
export function powernvCharge(windowShift: u32, pageShift: u32, levels: u32, cpuPageShift: u32): u64 {
  return powernvTableBytes(windowShift, pageShift, levels, cpuPageShift) << 1;
}

/** 8 bytes a TCE, once. `windowShift` >= `pageShift`, and at most 60 above it. */
export function pseriesCharge(windowShift: u32, pageShift: u32): u64 {
  return (<u64>1) << (windowShift - pageShift + TCE_SHIFT);
}

/** How many address bits a device needs to reach `last`. */
export function maskBits(last: u64): u32 {
  return last == 0 ? 1 : last == u64.MAX_VALUE ? 64 : log2Ceil(last + 1);
}
