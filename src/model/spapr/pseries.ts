import { bytes } from "../../hex.ts";
import { isPowerOfTwo } from "../../power-of-two.ts";
import { EINVAL, ENODEV, EPERM } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import { pageOf } from "../pages.ts";
import {
  log2Floor,
  type Platform,
  type PlatformInfo,
  type TableRequest,
  type TableShape,
  type TceOutcome,
} from "./platform.ts";

/** What an LPAR's firmware does with windows that are not the default one. */
export interface Firmware {
  /** Where they begin, in bytes: 1 << 59 in every LPAR that was seen. */
  readonly windowStart: bigint;
  /** TCEs of the largest that it still makes (`query_ddw`: largest_available_block); `undefined`: any that we know of. */
  readonly largestBlock: bigint | undefined;
}

export const usualFirmware: Firmware = { windowStart: 1n << 59n, largestBlock: undefined };

/** The kernel's answer to "how large is a table of several levels": there is none, and it charges this (`~0U`). */
const NO_SUCH_TABLE = 0xffff_ffffn;

/** Windows of this size or more are refused. */
const TOO_LARGE = 1n << 62n;

/** Tables that no machine we know has room for. One was seen to fail for ever; others answered 0 and crashed at a MAP. */
const TABLE_BEYOND_KNOWLEDGE = 1n << 40n;

export const pseriesInfo: PlatformInfo = {
  pgsizes: 0x1211000n,
  defaultWindowSize: 1n << 30n,
  levels: 1,
};

/**
 * An LPAR: the hypervisor owns the TCE tables, and its firmware decides where a window lies (DDW, LoPAR 7.3.14).
 *
 *     slot 0   the default window at 0, or after its removal: up to its size with 4 KiB pages -> at 0 again;
 *              everything else -> a dynamic window where firmware puts it, 1 << 59
 *     slot 1   always a dynamic window there
 *
 * There is room for one dynamic window. Rule: `arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table`.
 */
export function pseries(
  info: PlatformInfo,
  { windowStart, largestBlock }: Firmware,
  pageSize: number,
  ram: number,
): Platform {
  const dynamicPage = pageOf(windowStart);
  const isDefaultLike = (slot: number, { pageShift, windowSize }: TableRequest) =>
    slot === 0 && pageShift === 12 && windowSize >= 4096n && windowSize <= info.defaultWindowSize;

  return {
    info,
    extensions: [2, 7],
    hasEeh: false,
    outcomeOf: (window, index) => outcomeOf(window, index, viewOf(window, pageSize, ram)),
    tceAccess: (access) => access,
    // `spapr_tce_get_table_size`, once: 8 bytes for each TCE.
    tableBytes: ({ pageShift, windowSize, levels }) =>
      levels > 1 ? NO_SUCH_TABLE : windowSize >> BigInt(shiftOf(pageShift) - 3),
    createTable(group, slot, tables, request) {
      const { windowSize } = request;
      const pageShift = shiftOf(request.pageShift);
      if (!isPowerOfTwo(windowSize) || request.levels > 1) return EINVAL;
      // `failed_ddw_pdn_list`: firmware said no once, and the kernel never asks again.
      if (group.refusedByFirmware) return ENODEV;
      if (slot === 0 && tables.at(1) !== undefined) return EPERM;
      const entries = 2 ** Math.max(log2Floor(windowSize) - pageShift, 0);
      if (isDefaultLike(slot, request)) return { startPage: 0, entries, places: entries };
      if (windowSize >> BigInt(pageShift) === 0n || windowSize >= TOO_LARGE) return EINVAL;
      const beside = tables.at(0);
      if (slot === 1 && beside !== undefined && beside.startPage === dynamicPage) {
        group.refusedByFirmware = true;
        return ENODEV;
      }
      // Not remembered against the group: a smaller window may do.
      if (largestBlock !== undefined && BigInt(entries) > largestBlock) return EINVAL;
      if (request.pageShift !== pageShift) {
        // Firmware looks at all of it, and knows no such page.
        group.refusedByFirmware = true;
        return ENODEV;
      }
      const tableBytes = windowSize >> BigInt(pageShift - 3);
      if (tableBytes >= TABLE_BEYOND_KNOWLEDGE) {
        throw new ModelUnknown(
          `CREATE on pSeries with a TCE table of ${bytes(tableBytes)}: more memory than a machine has`,
        );
      }
      return { startPage: dynamicPage, entries, places: entries };
    },
    // `spapr_tce_set_window`: a table belongs to the group it was made for.
    program: (groups) => (groups.length > 1 ? EPERM : 0),
    join: (tables) => (tables.all.length > 0 ? EPERM : 0),
  };
}

/** A page shift as the kernel's own arithmetic takes it: see `oneShiftedBy`. */
function shiftOf(pageShift: number): number {
  return pageShift % 128;
}

/**
 * How many TCEs the kernel's view of user addresses has room for: as many as the table, rounded up to pages of the CPU; none where
 * RAM has no room for them, which nobody looks at. (`arch/powerpc/platforms/pseries/iommu.c:
 * pseries_tce_iommu_userspace_view_alloc`)
 */
function viewOf({ entries }: TableShape, pageSize: number, ram: number): number {
  const bytes = Math.ceil((entries * 8) / pageSize) * pageSize;
  return bytes <= ram ? bytes / 8 : 0;
}

/**
 * Firmware refuses a TCE behind the table's end. Then, and once a TCE is written, the kernel looks at its place in the view:
 *
 *     table    [ TCEs ........ )
 *     view     [ ............. | rest of the page )      a refusal: EINTR
 *                                                 behind  a crash
 *
 * (the same file: `tce_exchange_pseries`, `drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_build_v2, tce_iommu_unuse_page_v2`)
 */
function outcomeOf({ entries }: TableShape, index: number, view: number): TceOutcome {
  if (index >= entries) return view === 0 || index < view ? "refused" : "crash";
  return view === 0 ? "crash" : "written";
}
