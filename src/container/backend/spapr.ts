/**
 * sPAPR TCE v2 (POWER): windows are the kernel's, made by CREATE with tables of their own, up to two at a time. One is
 * there at first; it is small, and in the way at IOVA 0.
 */
import { core } from "../../core.ts";
import { DmaWindowError, withResidue } from "../../errors.ts";
import { explain, refusedByKernel } from "../../explain.ts";
import { bytes, hex } from "../../hex.ts";
import type { SpaprInfo } from "../../iommu.ts";
import type { WindowPlan } from "../../plan/index.ts";
import { IommuType, type Syscalls, VfioCall } from "../../syscalls.ts";
import type { Backend, MadeWindow, OpenWindow } from "./backend.ts";

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

  /** The default window is removed first, as long as it is there: nothing of ours is in it. */
  makeWindow(plan: WindowPlan, others: readonly OpenWindow[]): MadeWindow {
    const info = this.info();
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
      return { start, forbidden: [], allowed: [], unmake };
    } catch (error) {
      throw withResidue(error, unmake());
    }
  }

  removeWindow(start: bigint): void {
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
    if (!this.#hasDefaultWindow) return false;
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
    core.writeCreate(at, 12, info.defaultWindow.size, 1);
    const answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_CREATE, at);
    if (answer === 0) this.#hasDefaultWindow = true;
    else left.push(`the default window is not put back (${explain(CREATE, answer, this.kind, this.#kernel)})`);
  }

  /** Removes a window that nobody will use. */
  #abandon(start: bigint, left: string[]): void {
    const answer = this.#remove(start);
    if (answer === 0) return;
    this.#stray.push(start);
    left.push(`the window at ${hex(start)} (${explain(REMOVE, answer, this.kind, this.#kernel)})`);
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
    return refusedByKernel(syscall, answer, { about, iommu: this.kind, files: this.#kernel.files });
  }
}

function checkStart(plan: WindowPlan, start: bigint): void {
  if (plan.iovaMode === "rebased" || start === plan.start) return;
  throw new DmaWindowError(
    "ERR_WINDOW_ELSEWHERE",
    `the kernel put the window at ${hex(start)}; IOVA mode ${plan.iovaMode} needs it at ${hex(plan.start)}: use rebased`,
    { facts: { start, planned: plan.start } },
  );
}

function shapeOf(plan: WindowPlan): string {
  return ` of ${bytes(plan.size)}, pages of ${bytes(1n << BigInt(plan.pageShift))}, ${plan.levels} levels`;
}
