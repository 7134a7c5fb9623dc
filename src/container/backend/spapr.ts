/**
 * sPAPR TCE v2 (POWER): windows are the kernel's, made by CREATE with tables of their own, up to two at a time. One is
 * there at first; it is small, and in the way at IOVA 0.
 *
 * Where the kernel interface throws in one of the two, nobody knows whether the kernel had done it. REMOVE settles that, for it
 * can be asked again: 0 or EINVAL, no window is there any more (drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_remove_window).
 */

import { core } from "../../core.ts";
import { ERRNO } from "../../errno.ts";
import { asOurs, DmaWindowError, leftBy, withFacts, withResidue } from "../../errors.ts";
import { explain, refusedByKernel } from "../../explain.ts";
import { bytes, hex } from "../../hex.ts";
import type { SpaprInfo } from "../../iommu.ts";
import { DEFAULT_PAGE_SHIFT, defaultTable } from "../../plan/default-window.ts";
import type { WindowPlan } from "../../plan/index.ts";
import { IommuType, type Syscalls, VfioCall } from "../../syscalls.ts";
import { lockedFacts } from "../failures.ts";
import { type Backend, checkApart, type MadeWindow, type OpenWindow } from "./backend.ts";
import { describeCharge, leftCharged, lockedNow } from "./charges.ts";

/** `flags` of vfio_iommu_spapr_tce_info: windows can be created. */
const DDW = 1;

/** What REMOVE answers where there is no window. */
const NO_WINDOW = -ERRNO.EINVAL;

/**
 * What CREATE answers where the firmware, or memory, does not give what was asked for: a default window asks less of both. Other
 * answers (EPERM, EFAULT, ENOSPC) are about the process or the container, and hold for every window.
 */
const TOO_MUCH: readonly number[] = [-ERRNO.ENODEV, -ERRNO.ENOMEM, -ERRNO.EINVAL];

/** Where every window begins that is not like the default one. */
const HIGH_WINDOW = 1n << 59n;

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
  /** Starts of windows of which nobody knows whether they are there: the interface threw, and again where it was asked. */
  readonly #doubts = new Set<bigint>();

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
    this.#settleDoubts(info, others);
    if (plan.window === "default") {
      checkDefault(plan, info);
      checkApart(plan.start, plan.size, others);
      if (this.#hasDefaultWindow) return this.#takeDefault(info);
    }
    this.#checkRoom(info, others);
    let start: bigint | undefined;
    let removedDefault = false;
    let locked: bigint | undefined;
    const unmake = (): string[] => {
      const left: string[] = [];
      if (start !== undefined) this.#abandon(start, left);
      if (removedDefault) this.#restoreDefault(info, left);
      return left;
    };
    try {
      if (this.#hasDefaultWindow && this.#defaultUsedAt === undefined) {
        const threw = this.#removeDefault(info);
        removedDefault = true;
        if (threw !== undefined) throw threw;
      }
      locked = lockedNow(this.#kernel);
      start = this.#create(plan, info, others);
      checkStart(plan, start);
      return { start, size: plan.size, forbidden: [], allowed: [], unmake };
    } catch (error) {
      const charged = start === undefined ? this.#leftCharged(locked, plan.chargeBytes, info) : 0n;
      const left = charged > 0n ? [describeCharge(charged, `a window${shapeOf(plan)}`)] : [];
      left.push(...unmake());
      const isFree = this.#hasDefaultWindow && this.#defaultUsedAt === undefined;
      const offered = isFree ? offerDefault(error, plan, info) : error;
      throw withResidue(charged > 0n ? withFacts(offered, { chargedBytes: charged }) : offered, left);
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
  removeWindow(start: bigint): DmaWindowError | undefined {
    if (start === this.#defaultUsedAt) {
      this.#defaultUsedAt = undefined;
      return undefined;
    }
    const answer = this.#remove(start);
    if (typeof answer !== "number") return answer;
    if (answer !== 0) throw this.#refused(REMOVE, answer, { start });
    return undefined;
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

  /** Gives what the interface threw, where the window has gone for all that. */
  #removeDefault({ defaultWindow }: SpaprInfo): DmaWindowError | undefined {
    try {
      const threw = this.removeWindow(defaultWindow.start);
      this.#hasDefaultWindow = false;
      return threw;
    } catch (error) {
      throw withResidue(error, this.#doubts.has(defaultWindow.start) ? ["the default window may be gone"] : []);
    }
  }

  /** Windows that nobody uses and that may be there are removed before another one is made. @throws as removeWindow. */
  #settleDoubts({ defaultWindow }: SpaprInfo, others: readonly OpenWindow[]): void {
    for (const start of [...this.#doubts]) {
      const isUsed = others.some((one) => one.start === start);
      const isDefault = this.#hasDefaultWindow && start === defaultWindow.start;
      if (!isUsed && !isDefault) this.removeWindow(start);
    }
  }

  /** What a CREATE without a window left counted as locked; 0n where a window may be there, which counts. */
  #leftCharged(before: bigint | undefined, charge: bigint | undefined, info: SpaprInfo): bigint {
    const after = before === undefined || this.#doubts.size > 0 ? undefined : lockedNow(this.#kernel);
    if (before === undefined || after === undefined) return 0n;
    const inUse = this.#defaultUsedAt === undefined ? undefined : defaultTable(info).chargeBytes;
    return leftCharged(after - before, charge, inUse);
  }

  /** Only into its own slot: beside a window that could not be removed it would be another window, or the LPAR's last. */
  #restoreDefault(info: SpaprInfo, left: string[]): void {
    const { start, size } = info.defaultWindow;
    if (this.#stray.length > 0 || this.#doubts.size > 0) {
      left.push("the default window is not put back");
      return;
    }
    let why = "";
    for (let attempts = 0; attempts < 2; attempts++) {
      const locked = lockedNow(this.#kernel);
      const at = core.structScratch();
      core.writeCreate(at, DEFAULT_PAGE_SHIFT, size, 1);
      try {
        const answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_CREATE, at);
        if (answer === 0) this.#hasDefaultWindow = true;
        else {
          left.push(`the default window is not put back (${explain(CREATE, answer, this.kind, this.#kernel)})`);
          const charged = this.#leftCharged(locked, undefined, info);
          if (charged > 0n) left.push(describeCharge(charged, "a default window"));
        }
        return;
      } catch (error) {
        [why = ""] = leftBy(() => {
          throw error;
        });
        this.#discard(start);
      }
    }
    this.#hasDefaultWindow = this.#doubts.has(start);
    left.push(`the default window ${this.#hasDefaultWindow ? "may not be" : "is not"} put back (${why})`);
  }

  /** Removes a window that nobody will use. */
  #abandon(start: bigint, left: string[]): void {
    const more = leftBy(
      () => {
        const answer = this.#remove(start);
        if (typeof answer !== "number" || answer === 0) return;
        this.#stray.push(start);
        left.push(`the window at ${hex(start)} (${explain(REMOVE, answer, this.kind, this.#kernel)})`);
      },
      `the window at ${hex(start)} may still be there`,
    );
    left.push(...more);
  }

  /** Removes a window that may be there, or not. Gives a sentence where that remains so. */
  #discard(start: bigint): readonly string[] {
    this.#doubts.add(start);
    return leftBy(() => this.removeWindow(start), `the window at ${hex(start)} may be there`);
  }

  /** @throws with no new window, or with a residue that says where one may be. */
  #create(plan: WindowPlan, { defaultWindow, platform }: SpaprInfo, others: readonly OpenWindow[]): bigint {
    const at = core.structScratch();
    core.writeCreate(at, plan.pageShift, plan.size, plan.levels);
    let answer: number;
    try {
      answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_CREATE, at);
    } catch (error) {
      const taken = [...others.map(({ start }) => start), ...this.#stray];
      // Wherever it may have been made: where the kernel says, or else at one of the two places that there are.
      const places = new Set([core.createdStart(at), plan.start, defaultWindow.start, HIGH_WINDOW]);
      const left = [...places].filter((start) => !taken.includes(start)).flatMap((start) => this.#discard(start));
      throw withResidue(error, left);
    }
    if (answer === 0) return core.createdStart(at);
    const { pageShift, size, levels, chargeBytes } = plan;
    const locked = lockedFacts(this.#kernel, answer, typeof chargeBytes === "bigint" ? chargeBytes : undefined);
    const facts = { size, pageSize: 1n << BigInt(pageShift), levels, platform, ...locked.facts };
    throw this.#refused(CREATE, answer, facts, `${CREATE}${shapeOf(plan)}${locked.words}`);
  }

  /**
   * Asks for a window's removal. Gives the kernel's answer, or what the interface threw where the window has gone for all that.
   *
   * @throws what it threw, where nobody knows: the start is in doubt from then on.
   */
  #remove(start: bigint): number | DmaWindowError {
    let threw: unknown;
    let answer: number;
    try {
      answer = this.#askRemove(start);
    } catch (error) {
      threw = error;
      const wasInDoubt = this.#doubts.has(start);
      this.#doubts.add(start);
      try {
        answer = this.#askRemove(start);
      } catch {
        throw error; // the first one: the other says no more
      }
      if (answer !== 0 && answer !== NO_WINDOW && !wasInDoubt) this.#doubts.delete(start); // it is there
    }
    const isGone = answer === 0 || (answer === NO_WINDOW && this.#doubts.has(start));
    if (!isGone) return answer;
    this.#doubts.delete(start);
    return threw === undefined ? 0 : asOurs(threw);
  }

  #askRemove(start: bigint): number {
    const at = core.structScratch();
    core.writeRemove(at, start);
    return this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_REMOVE, at);
  }

  #ioctl(call: VfioCall, at: number): number {
    return this.#kernel.ioctlStruct(this.#containerFd, call, core.bytes(), at);
  }

  #refused(
    syscall: string,
    answer: number,
    facts?: Readonly<Record<string, unknown>>,
    about = syscall,
  ): DmaWindowError {
    const { files } = this.#kernel;
    return refusedByKernel(syscall, answer, {
      about,
      iommu: this.kind,
      files,
      ...(facts === undefined ? {} : { facts }),
    });
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
  const isRefusal = error instanceof DmaWindowError && error.syscall === CREATE && TOO_MUCH.includes(error.errno ?? 0);
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
