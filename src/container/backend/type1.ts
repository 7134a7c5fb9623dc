/**
 * type1 (x86, Arm): the kernel has no windows. One of ours is a part of the IOVAs that it allows, in which no other window
 * of the container lies, and to which this library keeps.
 */
import { core } from "../../core.ts";
import { DmaWindowError } from "../../errors.ts";
import { bytes, hex } from "../../hex.ts";
import type { AddressRange, Type1Info } from "../../iommu.ts";
import type { WindowPlan } from "../../plan/index.ts";
import { isReachUnknown, type Place, placeInOneRange, placeOverRanges } from "../../plan/place.ts";
import { holesIn, lowestStart, pagesOver, reachable, showRanges } from "../../plan/ranges.ts";
import { IommuType, type Syscalls } from "../../syscalls.ts";
import { type Backend, checkApart, type MadeWindow, type OpenWindow } from "./backend.ts";
import { rangesOfMachine } from "./machine-ranges.ts";
import { readType1Info } from "./type1-info.ts";

export class Type1Backend implements Backend {
  readonly kind = "type1";
  readonly iommu: typeof IommuType.TYPE1 | typeof IommuType.TYPE1v2;
  readonly #kernel: Syscalls;
  readonly #containerFd: number;
  readonly #groups: () => readonly number[];

  constructor(
    kernel: Syscalls,
    containerFd: number,
    iommu: typeof IommuType.TYPE1 | typeof IommuType.TYPE1v2,
    groups: () => readonly number[],
  ) {
    this.#kernel = kernel;
    this.#containerFd = containerFd;
    this.#groups = groups;
    this.iommu = iommu;
  }

  info(): Type1Info {
    const { pageSizes, ranges, mapsAvailable } = readType1Info(this.#kernel, this.#containerFd);
    const said =
      ranges === undefined ? rangesOfMachine(this.#kernel, this.#groups()) : { ranges, rangesFrom: "kernel" as const };
    return {
      kind: "type1",
      version: this.iommu === IommuType.TYPE1 ? 1 : 2,
      cpuPageSize: this.#kernel.pageSize,
      pageSizes,
      lockedMemory: this.#kernel.lockedMemory(),
      ...said,
      ...(mapsAvailable === undefined ? {} : { mapsAvailable }),
    };
  }

  makeWindow(plan: WindowPlan, others: readonly OpenWindow[]): MadeWindow {
    const info = this.info();
    checkPages(plan, info);
    const place = plan.iovaMode === "rebased" ? placeOf(plan, info, others) : plan;
    const { start, size } = place;
    checkApart(start, size, others);
    const window = { start, last: start + size - 1n };
    const holes = holesIn(info.ranges, window.start, window.last);
    // What the plan holds back besides is its maker's business; it says so for the place that it expected.
    if (start === plan.start && !("isLaidOut" in place)) holes.push(...plan.holes);
    return {
      start,
      size,
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

/** A window over several ranges, laid out anew: the plan's own holes were those of another layout. */
interface LaidOut extends Place {
  readonly isLaidOut: true;
}

/**
 * Where it was planned, as long as that is free and as it was; else the lowest place for all that is needed in one range, or, where
 * no range has one and the plan says how to divide it, in several.
 */
function placeOf(plan: WindowPlan, info: Type1Info, others: readonly OpenWindow[]): Place | LaidOut {
  const { size, pageShift, pieces, alignment = 1n << BigInt(pageShift), deviceAddressBits } = plan;
  const needed = plan.needed < size ? plan.needed : size;
  const taken = others.map(({ start, size: bytesOfIt }) => ({ start, last: start + bytesOfIt - 1n }));
  if (isAsPlanned(plan, info, taken)) return plan;
  const ranges = reachable(info.ranges, deviceAddressBits);
  const { pageSizes } = info;
  const low = isReachUnknown(info);
  const wanted = { needed, pageSize: 1n << BigInt(pageShift), alignment, pageSizes, low };
  const asLarge = core.isPowerOfTwo(size) === 1 && !low ? lowestStart(ranges, size, taken) : undefined;
  const place = asLarge === undefined ? placeInOneRange(ranges, wanted, taken) : { start: asLarge, size };
  if (place !== undefined) return place;
  const laidOut = pieces === undefined ? undefined : placeOverRanges(ranges, wanted, pieces, taken);
  if (laidOut !== undefined) return { ...laidOut, isLaidOut: true };
  const beside = others.map((one) => `${bytes(one.size)} at ${hex(one.start)}`).join(", ");
  throw new DmaWindowError(
    "ERR_NO_WINDOW_SLOT",
    `no ${bytes(needed)} of allowed IOVAs at a multiple of ${bytes(alignment)} are free in one piece${pieces === undefined ? "" : ", nor in several, list by list"}${beside && `, beside the windows of ${beside}`}; ` +
      `${deviceAddressBits === undefined ? "" : `the device has ${deviceAddressBits} address bits, and `}` +
      `allowed are ${showRanges(info.ranges)}: close a window, or plan a smaller one`,
    { facts: { size, needed, open: others.map((one) => one.start), ranges: info.ranges } },
  );
}

/** No other window is there, and the kernel allows there what it allowed when it was planned. */
function isAsPlanned(
  { start, size, holes }: WindowPlan,
  { ranges }: Type1Info,
  taken: readonly AddressRange[],
): boolean {
  const last = start + size - 1n;
  if (taken.some((one) => core.rangesOverlap(start, last, one.start, one.last) === 1)) return false;
  return holesIn(ranges, start, last).every((hole) =>
    holes.some((known) => known.start <= hole.start && hole.last <= known.last),
  );
}
