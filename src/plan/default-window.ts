/**
 * A plan for the window that is there at first, and that nobody has to make: on an LPAR whose firmware has no TCEs left, or
 * offers no dynamic windows, it is all there is. It has pages of 4 KiB and one level
 * (drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_default_window); the kernel makes its table, and charges for it,
 * with the first map.
 */
import { core } from "../core.ts";
import { bytes, hex } from "../hex.ts";
import type { SpaprInfo } from "../iommu.ts";
import { budgetProblem, deviceProblem, type Rejections, sizeProblem, startProblem } from "./candidates.ts";
import { growthOf } from "./growth.ts";
import type { Needs } from "./needs.ts";
import type { ExactRequest, WindowPlan } from "./types.ts";

export const DEFAULT_PAGE_SHIFT = 12;

/** Undefined, with the reason noted, where it will not do. */
export function planDefaultWindow(
  request: ExactRequest,
  info: SpaprInfo,
  needs: Needs,
  rejections: Rejections,
): WindowPlan | undefined {
  const { start, size } = info.defaultWindow;
  const { deviceAddressBits } = request;
  const choice = `the default window, ${bytes(size)} at ${hex(start)} in 4 KiB pages`;
  if (rejections.note(choice, roomProblem(size, needs))) return undefined;
  const dmaMaskBits = core.maskBits(start + size - 1n);
  const { tableBytes, chargeBytes } = defaultTable(info);
  for (const problem of [
    sizeProblem(shiftOf(info), DEFAULT_PAGE_SHIFT),
    startProblem(start, needs, info),
    deviceProblem(dmaMaskBits, deviceAddressBits),
    budgetProblem(chargeBytes, request),
  ]) {
    if (rejections.note(choice, problem)) return undefined;
  }
  return {
    kind: "spapr",
    window: "default",
    iovaMode: needs.iovaMode,
    start,
    size,
    needed: needs.last + 1n,
    pageShift: DEFAULT_PAGE_SHIFT,
    levels: 1,
    tces: size >> BigInt(DEFAULT_PAGE_SHIFT),
    levelBytes: [tableBytes],
    tableBytes,
    chargeBytes,
    dmaMaskBits,
    holes: [],
    ...(deviceAddressBits === undefined ? {} : { deviceAddressBits }),
    ...growthOf(request, needs, chargeBytes),
    rejected: rejections.list,
  };
}

function roomProblem(size: bigint, { last }: Needs): string | undefined {
  if (last < size) return undefined;
  return `${bytes(last + 1n)} are needed, and it has ${bytes(size)}`;
}

function shiftOf({ defaultWindow: { size } }: SpaprInfo): number {
  return Math.max(core.log2Ceil(size), DEFAULT_PAGE_SHIFT);
}

/** Bytes of its table, and of those that count against RLIMIT_MEMLOCK. */
export function defaultTable(info: SpaprInfo): { readonly tableBytes: bigint; readonly chargeBytes: bigint } {
  const { platform, cpuPageSize } = info;
  const windowShift = shiftOf(info);
  if (platform === "pseries") {
    const tableBytes = core.pseriesCharge(windowShift, DEFAULT_PAGE_SHIFT);
    return { tableBytes, chargeBytes: tableBytes - (tableBytes % BigInt(cpuPageSize)) };
  }
  const cpuPageShift = core.log2Floor(BigInt(cpuPageSize));
  return {
    tableBytes: core.powernvTableBytes(windowShift, DEFAULT_PAGE_SHIFT, 1, cpuPageShift),
    chargeBytes: core.powernvCharge(windowShift, DEFAULT_PAGE_SHIFT, 1, cpuPageShift),
  };
}
