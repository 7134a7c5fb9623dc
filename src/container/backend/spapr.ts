/**
 * sPAPR TCE v2 (POWER): windows are the kernel's, made by CREATE with tables of their own, up to two at a time. One is
 * there at first; it is small, and in the way at IOVA 0.
 */
import { core } from "../../core.ts";
import { DmaWindowError, withResidue } from "../../errors.ts";
import { explain, refusedByKernel } from "../../explain.ts";
import { bytes, hex } from "../../hex.ts";
import type { SpaprInfo } from "../../iommu.ts";
import { DEFAULT_PAGE_SHIFT } from "../../plan/default-window.ts";
import type { WindowPlan } from "../../plan/index.ts";
import { IommuType, type Syscalls, VfioCall } from "../../syscalls.ts";
import { type Backend, checkApart, type MadeWindow, type OpenWindow } from "./backend.ts";

/** `flags` of vfio_iommu_spapr_tce_info: windows can be created. */
const DDW = 1;

const CREATE = "VFIO_IOMMU_SPAPR_TCE_CREATE";
const REMOVE = "VFIO_IOMMU_SPAPR_TCE_REMOVE";

export class SpaprBackend implements Backend {
  readonly kind = "spapr";
  readonly iommu = IommuType.SPAPR_TCE_V2;
  readonly #kernel: Syscalls;
  readonly #containerFd: number;
  /** Nothing in the kernel says so: GET_INFO names the default window even after it was removed. */
  #hasDefaultWindow = true;
  /** Where the default window begins, while it serves as a window of the container's. */
  #defaultUsedAt: bigint | undefined;
  /** Starts of windows that could not be removed again: they take their slots still. */
  readonly #stray: bigint[] = [];

  constructor(kernel: Syscalls, containerFd: number) {
    this.#kernel = kernel;
    this.#containerFd = containerFd;
  }

  info(): SpaprInfo {
    const at = core.structScratch();
    core.writeInfo(at);
    const answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_GET_INFO, at);
    if (answer !== 0) throw this.#refused("VFIO_IOMMU_SPAPR_TCE_GET_INFO", answer);
    const dynamicWindows = (core.infoFlags(at) & DDW) !== 0;
    const levels = dynamicWindows ? core.infoLevels(at) : 1;
    return {
      kind: "spapr",
      platform: levels > 1 ? "powernv" : "pseries",
      dynamicWindows,
      maxWindows: dynamicWindows ? core.infoWindows(at) : 1,
      levels,
      pageSizes: dynamicWindows ? core.infoPageSizes(at) : 0x1000n,
      defaultWindow: {
        start: BigInt(core.infoDefaultStart(at)),
        size: BigInt(core.infoDefaultSize(at)),
      },
      cpuPageSize: this.#kernel.pageSize,
      lockedMemory: this.#kernel.lockedMemory(),
    };
  }

  /**
   * The default window is removed first, as long as it is there and nothing of ours is in it. A plan for that window itself
   * takes it as it is; where it was removed for an earlier one, another like it is made.
   */
  makeWindow(plan: WindowPlan, others: readonly OpenWindow[]): MadeWindow {
    const info = this.info();
    if (plan.window === "default") {
      checkDefault(plan, info);
      checkApart(plan.start, plan.size, others);
      if (this.#hasDefaultWindow) return this.#takeDefault(info);
    }
    this.#checkRoom(info, others);
    const removedDefault = this.#removeDefault(info);
    let start: bigint | undefined;
    const unmake = (): string[] => {
      const left: string[] = [];
      if (start !== undefined) this.#abandon(start, left);
      if (removedDefault) this.#restoreDefault(info, left);
      return left;
    };
    try {
      start = this.#create(plan);
      checkStart(plan, start);
      return { start, size: plan.size, forbidden: [], allowed: [], unmake };
    } catch (error) {
      const left = unmake();
      const isFree = this.#hasDefaultWindow && this.#defaultUsedAt === undefined;
      throw withResidue(isFree ? offerDefault(error, plan, info) : error, left);
    }
  }

  /** The kernel is not asked: it makes the default window with the first map. */
  #takeDefault({ defaultWindow }: SpaprInfo): MadeWindow {
    this.#defaultUsedAt = defaultWindow.start;
    const unmake = (): string[] => {
      this.#defaultUsedAt = undefined;
      return [];
    };
    return { ...defaultWindow, forbidden: [], allowed: [], unmake };
  }

  /** The default window stays: the kernel has it for as long as the container. */
  removeWindow(start: bigint): void {
    if (start === this.#defaultUsedAt) {
      this.#defaultUsedAt = undefined;
      return;
    }
    const answer = this.#remove(start);
    if (answer !== 0) throw this.#refused(REMOVE, answer);
  }

  /**
   * A window too many is refused before the kernel is asked. On an LPAR this is more than a courtesy: beside a window at
   * 1 << 59 every other one makes the firmware refuse the group until the machine is booted again
   * (arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table).
   */
  #checkRoom(info: SpaprInfo, others: readonly OpenWindow[]): void {
    const starts = [...others.map(({ start }) => start), ...this.#stray];
    const firmware = info.platform === "pseries" && starts.some((start) => start !== info.defaultWindow.start);
    if (!firmware && starts.length < info.maxWindows) return;
    throw new DmaWindowError(
      "ERR_NO_WINDOW_SLOT",
      `${starts.length} ${starts.length === 1 ? "window is" : "windows are"} open, and ${
        firmware ? "an LPAR takes no other beside one at 1 << 59" : `the kernel takes ${info.maxWindows}`
      }: close one, or plan one window for all memory`,
      { facts: { open: starts } },
    );
  }

  #removeDefault(info: SpaprInfo): boolean {
    if (!this.#hasDefaultWindow || this.#defaultUsedAt !== undefined) return false;
    this.removeWindow(info.defaultWindow.start);
    this.#hasDefaultWindow = false;
    return true;
  }

  /** Only into its own slot: beside a window that could not be removed it would be another window, or the LPAR's last. */
  #restoreDefault(info: SpaprInfo, left: string[]): void {
    if (this.#stray.length > 0) {
      left.push("the default window is not put back");
      return;
    }
    const at = core.structScratch();
    core.writeCreate(at, DEFAULT_PAGE_SHIFT, info.defaultWindow.size, 1);
    const answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_CREATE, at);
    if (answer === 0) this.#hasDefaultWindow = true;
    else left.push(`the default window is not put back (${explain(CREATE, answer, this.kind)})`);
  }

  /** Removes a window that nobody will use. */
  #abandon(start: bigint, left: string[]): void {
    const answer = this.#remove(start);
    if (answer === 0) return;
    this.#stray.push(start);
    left.push(`the window at ${hex(start)} (${explain(REMOVE, answer, this.kind)})`);
  }

  #create(plan: WindowPlan): bigint {
    const at = core.structScratch();
    core.writeCreate(at, plan.pageShift, plan.size, plan.levels);
    const answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_CREATE, at);
    if (answer !== 0) throw this.#refused(CREATE, answer, `${CREATE}${shapeOf(plan)}`);
    return core.createdStart(at);
  }

  #remove(start: bigint): number {
    const at = core.structScratch();
    core.writeRemove(at, start);
    return this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_REMOVE, at);
  }

  #ioctl(call: VfioCall, at: number): number {
    return this.#kernel.ioctlStruct(this.#containerFd, call, core.bytes(), at);
  }

  #refused(syscall: string, answer: number, about = syscall): DmaWindowError {
    return refusedByKernel(syscall, answer, { about, iommu: this.kind });
  }
}

/** A plan for the default window is for that of one machine. */
function checkDefault({ start, size, pageShift }: WindowPlan, { defaultWindow }: SpaprInfo): void {
  if (start === defaultWindow.start && size === defaultWindow.size && pageShift === DEFAULT_PAGE_SHIFT) return;
  const shape = `${bytes(size)} at ${hex(start)} in pages of ${bytes(1n << BigInt(pageShift))}`;
  throw new DmaWindowError(
    "ERR_PLAN_MISFIT",
    `the plan is for a default window of ${shape}; this one has ${bytes(defaultWindow.size)} at ${hex(defaultWindow.start)} in pages of 4 KiB`,
    { facts: { planned: { start, size }, defaultWindow } },
  );
}

/**
 * Says with a refusal of CREATE that the default window, which is there again, would do. Firmware does not say beforehand how
 * many TCEs it has left (arch/powerpc/platforms/pseries/iommu.c: query_ddw), so no plan can know.
 */
function offerDefault(
  error: unknown,
  { needed, iovaMode, deviceAddressBits = 64 }: WindowPlan,
  info: SpaprInfo,
): unknown {
  const { start, size } = info.defaultWindow;
  const isRefusal = error instanceof DmaWindowError && error.syscall === CREATE;
  const isReached = core.maskBits(start + size - 1n) <= deviceAddressBits && (iovaMode === "rebased" || start === 0n);
  if (!isRefusal || !isReached || needed > size) return error;
  const { code, message, errno, facts } = error;
  return new DmaWindowError(
    code,
    `${message}. The default window is there, ${bytes(size)} at ${hex(start)} in 4 KiB pages, and would hold the ${bytes(needed)} ` +
      'that are needed: plan with window: "default"',
    {
      ...(errno === undefined ? {} : { errno }),
      syscall: CREATE,
      facts: { ...facts, needed, defaultWindow: { start, size } },
    },
  );
}

function checkStart(plan: WindowPlan, start: bigint): void {
  const bits = core.maskBits(start + plan.size - 1n);
  if (plan.deviceAddressBits !== undefined && bits > plan.deviceAddressBits) {
    throw new DmaWindowError(
      "ERR_WINDOW_ELSEWHERE",
      `the kernel put the window at ${hex(start)}, where its last IOVA needs ${bits} address bits; the device has ` +
        `${plan.deviceAddressBits}, and was to find it at ${hex(plan.start)}: close the windows beside it`,
      { facts: { start, planned: plan.start } },
    );
  }
  if (start === plan.start || (plan.iovaMode === "rebased" && plan.window === undefined)) return;
  throw new DmaWindowError(
    "ERR_WINDOW_ELSEWHERE",
    `the kernel put the window at ${hex(start)}; IOVA mode ${plan.iovaMode} needs it at ${hex(plan.start)}: use rebased`,
    { facts: { start, planned: plan.start } },
  );
}

function shapeOf(plan: WindowPlan): string {
  return ` of ${bytes(plan.size)}, pages of ${bytes(1n << BigInt(plan.pageShift))}, ${plan.levels} levels`;
}
