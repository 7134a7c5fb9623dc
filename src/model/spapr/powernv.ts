import { isPowerOfTwo } from "../../power-of-two.ts";
import { EINVAL, ENOMEM } from "../errno.ts";
import { pageOf } from "../pages.ts";
import { log2Floor, oneShiftedBy, type Platform, type PlatformInfo, type TableRequest } from "./platform.ts";
import { Access } from "./tces.ts";

const MAX_LEVELS = 5;

/** Where the second window starts: `arch/powerpc/platforms/powernv/pci-ioda.c: tce64_start`, 1 << 59. */
const SECOND_WINDOW_PAGE = pageOf(1n << 59n);

/** The largest piece of contiguous memory the kernel gives out, so the largest level: 16 MiB. */
const MAX_CONTIGUOUS_SHIFT = 24;

/** A device presents an IOVA of this many bits to the table. */
const REACHABLE_BITS = 55;

const SMALLEST_TABLE = 4096n;

export const powernvInfo: PlatformInfo = {
  pgsizes: 0x40211000n,
  defaultWindowSize: 2n << 30n,
  levels: MAX_LEVELS,
};

/**
 * Bare metal: the kernel owns the TCE tables.
 *
 * Rules: `arch/powerpc/platforms/powernv/pci-ioda.c: pnv_pci_ioda2_get_table_size` (the charge) and
 * `pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages` (what can be made).
 */
export function powernv(info: PlatformInfo, pageSize: number): Platform {
  const pageShift = Math.log2(pageSize);

  return {
    info,
    extensions: [2, 5, 7],
    hasEeh: true,
    // Nobody looks where a table ends.
    outcomeOf: () => "written",
    // Who may write may read as well: `pci-ioda-tce.c: pnv_tce_xchg`.
    tceAccess: (access) => ((access & Access.WRITE) === 0 ? access : access | Access.READ),
    tableBytes: (request) => worstCaseBytes(request, pageShift),
    createTable(_group, slot, _tables, request) {
      const levelShift = sizesOf(request, pageShift).levelShift;
      // Above 63 only when a window smaller than its pages was taken for a huge one; EINVAL was seen for those.
      if (levelShift > 63 || (levelShift - 3) * request.levels + request.pageShift >= REACHABLE_BITS) return EINVAL;
      if (levelShift > MAX_CONTIGUOUS_SHIFT) return ENOMEM;
      const asked = log2Floor(request.windowSize) - request.pageShift;
      // A table fills at least one page of the CPU, and a window is as large as its table.
      const entries = 2 ** Math.max(asked, pageShift - 3);
      // Several levels have places for a power of what one has, which can be more than the window has TCEs.
      const places = Math.max(entries, 2 ** ((levelShift - 3) * request.levels));
      return { startPage: slot === 0 ? 0 : SECOND_WINDOW_PAGE, entries, places };
    },
    program: () => 0,
    join: () => 0,
  };
}

/**
 * The kernel computes these in unsigned ints of 32 bits. A window smaller than its TCE page makes their difference
 * negative and wraps it: that is why 1 MiB with pages of 2 MiB is taken, and what is charged for those that are not.
 *
 *     entries  log2(window) - page shift: log2 of the TCEs           table   log2 of all their bytes
 *     level    log2 of one table's bytes on each level, at least a page of the CPU
 */
function sizesOf({ pageShift, windowSize, levels }: TableRequest, cpuShift: number) {
  const entriesShift = (log2Floor(windowSize) - pageShift) >>> 0;
  const tableShift = (entriesShift + 3) >>> 0;
  const perLevel = Math.floor(((entriesShift + levels - 1) >>> 0) / levels);
  const levelShift = Math.max((perLevel + 3) >>> 0, cpuShift);
  return { tableShift, levelShift };
}

/**
 * The most that the table can need, twice: once for the hardware, once for the kernel's own view of user addresses.
 *
 *     level 1    [ entries * 8, at least 4 KiB ]              each level rounded up to whole tables of
 *     level 2    [ 8 bytes for each table below ]             2^levelShift bytes
 *     ...
 */
function worstCaseBytes(request: TableRequest, cpuShift: number): bigint {
  const { windowSize, levels } = request;
  if (levels < 1 || levels > MAX_LEVELS || !isPowerOfTwo(windowSize)) return 0n;
  const { tableShift, levelShift } = sizesOf(request, cpuShift);
  const table = oneShiftedBy(levelShift);
  // Rounding up to a multiple of 0 gives 0 in the kernel, which it then takes for "cannot be".
  if (table === 0n) return 0n;
  let below = atLeast(oneShiftedBy(tableShift), SMALLEST_TABLE);
  let bytes = 0n;
  for (let level = 0; level < levels; level++) {
    bytes += ((below + table - 1n) / table) * table;
    below = atLeast((below / table) * 8n, table);
  }
  return bytes * 2n;
}

function atLeast(value: bigint, least: bigint): bigint {
  return value > least ? value : least;
}
