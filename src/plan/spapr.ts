/**
 * Windows of sPAPR TCE v2. Levels are computed, never tried: a CREATE that fails can keep its charge until the process
 * ends, and on pSeries takes the group's DDW away until the machine is booted again.
 */
import { core, Shape } from "../core.ts";
import { bytes, hex } from "../hex.ts";
import type { SpaprInfo } from "../iommu.ts";
import {
  budgetProblem,
  deviceProblem,
  pageProblem,
  pageShifts,
  pages,
  Rejections,
  sizeProblem,
  startProblem,
  windowShiftFor,
} from "./candidates.ts";
import { planDefaultWindow } from "./default-window.ts";
import { growthOf } from "./growth.ts";
import type { Needs } from "./needs.ts";
import type { ExactRequest, Rejection, WindowPlan } from "./types.ts";

/** Where PowerNV's second window, and an LPAR's 64-bit window, begin (pci-ioda.c: pnv_pci_ioda2_..._tce64_base). */
const HIGH_WINDOW = 1n << 59n;

/** pSeries answers EINVAL from 2^62 on (arch/powerpc/platforms/pseries/iommu.c). */
const PSERIES_SHIFT_END = 62;

/** More than five levels PowerNV does not make: one refusal says it for all of them. */
const LEVELS_MAX = 5;

interface Shapes {
  readonly levels: number;
  readonly levelBytes: readonly bigint[];
  readonly tableBytes: bigint;
  readonly chargeBytes: bigint;
}

export function planSpapr(request: ExactRequest, info: SpaprInfo, needs: Needs): WindowPlan | readonly Rejection[] {
  const rejections = new Rejections();
  const { deviceAddressBits } = request;
  if (!info.dynamicWindows) {
    const { start, size } = info.defaultWindow;
    rejections.note(
      "a window of our own",
      `the kernel offers no dynamic windows (DDW) for this container, only the default one of ${bytes(size)} at ${hex(start)}`,
    );
  }
  if (!info.dynamicWindows || request.window === "default") {
    return planDefaultWindow(request, info, needs, rejections) ?? rejections.list;
  }
  for (const pageShift of pageShifts(info.pageSizes)) {
    if (rejections.notePages(pageShift, "", pageProblem(pageShift, needs, info))) continue;
    const windowShift = windowShiftFor(needs.last, pageShift);
    if (rejections.notePages(pageShift, "", sizeProblem(windowShift, pageShift))) continue;
    const start = expectedStart(info, windowShift, pageShift);
    const size = 1n << BigInt(windowShift);
    const last = start + size - 1n;
    const dmaMaskBits = core.maskBits(last);
    const place = `, a window of ${bytes(size)} at ${hex(start)}`;
    if (rejections.notePages(pageShift, place, startProblem(start, needs, info))) continue;
    if (rejections.notePages(pageShift, place, deviceProblem(dmaMaskBits, deviceAddressBits))) continue;
    const shape = chooseShape(info, windowShift, pageShift, rejections);
    if (!shape) continue;
    const choice = `${pages(pageShift)}, ${shape.levels} ${shape.levels === 1 ? "level" : "levels"}`;
    if (rejections.note(choice, budgetProblem(shape.chargeBytes, request))) continue;
    return {
      kind: "spapr",
      iovaMode: needs.iovaMode,
      start,
      size,
      needed: needs.last + 1n,
      pageShift,
      tces: size >> BigInt(pageShift),
      ...shape,
      dmaMaskBits,
      holes: [],
      ...(deviceAddressBits === undefined ? {} : { deviceAddressBits }),
      ...growthOf(request, needs, shape.chargeBytes),
      rejected: rejections.list,
    };
  }
  return rejections.list;
}

/**
 * PowerNV gives the first free slot, and slot 0 is free once the default window is removed. An LPAR's firmware puts
 * everything at 1 << 59 but a window just like the default one: 4 KiB pages, and not larger.
 */
function expectedStart(info: SpaprInfo, windowShift: number, pageShift: number): bigint {
  if (info.platform === "powernv") return 0n;
  const likeDefault = pageShift === 12 && 1n << BigInt(windowShift) <= info.defaultWindow.size;
  return likeDefault ? info.defaultWindow.start : HIGH_WINDOW;
}

/** The fewest levels that the platform can make. */
function chooseShape(
  info: SpaprInfo,
  windowShift: number,
  pageShift: number,
  rejections: Rejections,
): Shapes | undefined {
  if (info.platform === "pseries") {
    const reason =
      windowShift >= PSERIES_SHIFT_END
        ? `2^${windowShift} bytes; pSeries windows are smaller than 2^${PSERIES_SHIFT_END}`
        : undefined;
    if (rejections.notePages(pageShift, "", reason)) return undefined;
    const tableBytes = core.pseriesCharge(windowShift, pageShift);
    // Charged in whole CPU pages, and what is over is free (vfio_iommu_spapr_tce.c: tce_iommu_create_table).
    const chargeBytes = tableBytes - (tableBytes % BigInt(info.cpuPageSize));
    return { levels: 1, levelBytes: [tableBytes], tableBytes, chargeBytes };
  }
  const cpuPageShift = core.log2Floor(BigInt(info.cpuPageSize));
  for (let levels = 1; levels <= Math.min(info.levels, LEVELS_MAX + 1); levels++) {
    const problem = shapeProblem(windowShift, pageShift, levels, cpuPageShift);
    if (rejections.note(`${pages(pageShift)}, ${levels} ${levels === 1 ? "level" : "levels"}`, problem)) continue;
    const levelBytes = Array.from({ length: levels }, (_, i) =>
      core.powernvLevelBytes(windowShift, pageShift, levels, cpuPageShift, i + 1),
    );
    return {
      levels,
      levelBytes,
      tableBytes: core.powernvTableBytes(windowShift, pageShift, levels, cpuPageShift),
      chargeBytes: core.powernvCharge(windowShift, pageShift, levels, cpuPageShift),
    };
  }
  return undefined;
}

function shapeProblem(
  windowShift: number,
  pageShift: number,
  levels: number,
  cpuPageShift: number,
): string | undefined {
  // The size of one table, as assembly/tce.ts has it, for the words alone.
  const tableShift = Math.max(Math.ceil((windowShift - pageShift) / levels) + 3, cpuPageShift);
  switch (core.powernvShape(windowShift, pageShift, levels, cpuPageShift)) {
    case Shape.OK:
      return undefined;
    case Shape.LEVELS:
      return `${levels} levels; PowerNV makes 1 to ${LEVELS_MAX}`;
    case Shape.REACH:
      return `tables of 2^${tableShift} bytes in ${levels} levels reach (${tableShift} - 3) * ${levels} + ${pageShift} = ${
        (tableShift - 3) * levels + pageShift
      } bits; PowerNV takes less than 55`;
    case Shape.NOT_CONTIGUOUS:
      return `one table would be ${bytes(1n << BigInt(tableShift))} in one piece; the kernel allocates at most 16 MiB so`;
    default:
      return `a window of 2^${windowShift} bytes is smaller than a page`;
  }
}
