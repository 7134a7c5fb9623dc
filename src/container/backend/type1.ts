/**
 * type1 (x86, Arm): the kernel has no windows. One of ours is a part of the IOVAs that it allows, in which no other window
 * of the container lies, and to which this library keeps.
 */
import { DmaWindowError } from "../../errors.ts";
import { bytes, hex } from "../../hex.ts";
import type { Type1Info } from "../../iommu.ts";
import type { WindowPlan } from "../../plan/index.ts";
import { holesIn, lowestStart, pagesOver, showRanges } from "../../plan/ranges.ts";
import { IommuType, type Syscalls } from "../../syscalls.ts";
import { type Backend, checkApart, type MadeWindow, type OpenWindow } from "./backend.ts";
import { readType1Info } from "./type1-info.ts";

export class Type1Backend implements Backend {
  readonly kind = "type1";
  readonly iommu: typeof IommuType.TYPE1 | typeof IommuType.TYPE1v2;
  readonly #kernel: Syscalls;
  readonly #containerFd: number;

  constructor(kernel: Syscalls, containerFd: number, iommu: typeof IommuType.TYPE1 | typeof IommuType.TYPE1v2) {
    this.#kernel = kernel;
    this.#containerFd = containerFd;
    this.iommu = iommu;
  }

  info(): Type1Info {
    const { pageSizes, ranges, mapsAvailable } = readType1Info(this.#kernel, this.#containerFd);
    return {
      kind: "type1",
      version: this.iommu === IommuType.TYPE1 ? 1 : 2,
      cpuPageSize: this.#kernel.pageSize,
      pageSizes,
      lockedMemory: this.#kernel.lockedMemory(),
      ranges,
      ...(mapsAvailable === undefined ? {} : { mapsAvailable }),
    };
  }

  makeWindow(plan: WindowPlan, others: readonly OpenWindow[]): MadeWindow {
    const info = this.info();
    checkPages(plan, info);
    const start = plan.iovaMode === "rebased" ? lowestFree(plan, info, others) : plan.start;
    checkApart(start, plan.size, others);
    const window = { start, last: start + plan.size - 1n };
    const holes = holesIn(info.ranges, window.start, window.last);
    // What the plan holds back besides is its maker's business; it says so for the place that it expected.
    if (start === plan.start) holes.push(...plan.holes);
    return {
      start,
      forbidden: pagesOver(holes, plan.pageShift, window),
      allowed: info.ranges,
      unmake: () => [],
    };
  }

  removeWindow(): undefined {
    // The kernel knows of no window, and nothing is mapped in this one.
  }
}

/** The kernel maps whole pages of its smallest size (vfio_iommu_type1.c: vfio_dma_do_map); a window's may be larger. */
function checkPages(plan: WindowPlan, info: Type1Info): void {
  const page = 1n << BigInt(plan.pageShift);
  const smallest = info.pageSizes & -info.pageSizes;
  if (page >= smallest && smallest !== 0n) return;
  throw new DmaWindowError(
    "ERR_PLAN_MISFIT",
    `the plan is for pages of ${bytes(page)}; the smallest of this IOMMU have ${bytes(smallest)}`,
    { facts: { pageSize: page, smallest } },
  );
}

function lowestFree(plan: WindowPlan, info: Type1Info, others: readonly OpenWindow[]): bigint {
  const taken = others.map(({ start, size }) => ({ start, last: start + size - 1n }));
  const start = lowestStart(info.ranges, plan.size, taken);
  if (start !== undefined) return start;
  const beside = others.map((one) => `${bytes(one.size)} at ${hex(one.start)}`).join(", ");
  throw new DmaWindowError(
    "ERR_NO_WINDOW_SLOT",
    `no ${bytes(plan.size)} of allowed IOVAs at a multiple of that are free${beside && `, beside the windows of ${beside}`}; ` +
      `allowed are ${showRanges(info.ranges)}: close a window, or plan a smaller one`,
    { facts: { size: plan.size, open: others.map((one) => one.start), ranges: info.ranges } },
  );
}
