import { core } from "../core.ts";
import { argumentTypeError, DmaWindowError, withoutResidue, withResidue } from "../errors.ts";
import { explain, refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import type { SpaprInfo } from "../iommu.ts";
import { MemsegTable } from "../memory/table.ts";
import type { WindowPlan } from "../plan/index.ts";
import { type Syscalls, VfioCall } from "../syscalls.ts";
import { Attachment } from "./attachment.ts";
import { endIdle } from "./calls.ts";
import { checkPlan } from "./check-plan.ts";
import { Window } from "./window.ts";

/** `flags` of vfio_iommu_spapr_tce_info: windows can be created. */
const DDW = 1;

/** The fds that a container holds: its own, and those of its groups. */
export interface ContainerFiles {
  readonly containerFd: number;
  readonly groupFds: readonly number[];
}

/**
 * A VFIO container: groups of devices that share an IOMMU's windows. Made by `openContainer`. It belongs to the process
 * that made it: after a fork the kernel refuses the child.
 */
export class Container {
  readonly #kernel: Syscalls;
  readonly #files: ContainerFiles;
  readonly #handle: number;
  readonly #windows = new Set<Window>();
  readonly #attachments = new Map<MemsegTable, Attachment>();
  /** Nothing in the kernel says so: GET_INFO names the default window even after it was removed. */
  #hasDefaultWindow = true;
  /** Starts of windows that could not be removed again: they take their slots still. */
  readonly #stray: bigint[] = [];
  #open = true;

  /** @internal Made by openContainer. */
  constructor(kernel: Syscalls, files: ContainerFiles) {
    this.#kernel = kernel;
    this.#files = files;
    this.#handle = core.containerOpen(core.log2Floor(BigInt(kernel.pageSize)));
    if (this.#handle <= 0)
      throw new DmaWindowError("ERR_OUT_OF_MEMORY", "no room for a container in the core's memory");
  }

  get closed(): boolean {
    return !this.#open;
  }

  /** The windows that are open. */
  get windows(): readonly Window[] {
    return [...this.#windows];
  }

  /** Asks the kernel what its IOMMU can do: the facts that `planWindow` needs. @throws `ERR_KERNEL`, `ERR_CLOSED`. */
  info(): SpaprInfo {
    this.#checkOpen();
    const at = core.structScratch();
    core.writeInfo(at);
    const answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_GET_INFO, at);
    if (answer !== 0) throw refusedByKernel("VFIO_IOMMU_SPAPR_TCE_GET_INFO", answer);
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
   * Makes the window that was planned. The default window is removed first, as long as it is there: it is small, in the
   * way at IOVA 0, and nothing of ours is in it.
   *
   * @throws `ERR_KERNEL` when the kernel does not make it, `ERR_WINDOW_ELSEWHERE` when it makes it where a plan for `va`
   * or `pa` cannot use it. Either way the default window is put back, or `residue` says that it is not.
   */
  createWindow(plan: WindowPlan): Window {
    this.#checkOpen();
    checkPlan(plan);
    const info = this.info();
    this.#checkRoom(info);
    const removedDefault = this.#removeDefault(info);
    let start: bigint | undefined;
    try {
      start = this.#create(plan);
      this.#checkStart(plan, start);
      const owner = { kernel: this.#kernel, containerFd: this.#files.containerFd, container: this.#handle };
      const window = new Window(plan, start, owner, (closing) => this.#closeWindow(closing));
      this.#windows.add(window);
      return window;
    } catch (error) {
      const left: string[] = [];
      if (start !== undefined) this.#abandon(start, left);
      if (removedDefault) this.#restoreDefault(info, left);
      throw withResidue(error, left);
    }
  }

  /**
   * Maps a memory as a whole, and from then on what is added to it, and unmaps what is removed from it before it goes.
   * Address space for its lists is set aside in the window, so all that they will ever hold fits.
   *
   * @param window needed only when the container has several.
   * @throws `ERR_NO_HOLE`, `ERR_OUTSIDE_WINDOW` when a list does not fit; what `window.map` throws. Nothing stays mapped.
   */
  attach(memory: MemsegTable, window: Window = this.#onlyWindow()): void {
    this.#checkOpen();
    checkMemory(memory);
    if (!(window instanceof Window)) throw argumentTypeError("window", "a Window of this container", window);
    if (this.#attachments.has(memory))
      throw new DmaWindowError("ERR_ATTACHED", "the memory is attached to this container");
    if (!this.#windows.has(window)) throw new DmaWindowError("ERR_CLOSED", "the window is not open in this container");
    const attachment = new Attachment(memory, window);
    attachment.begin();
    this.#attachments.set(memory, attachment);
  }

  /** Unmaps a memory and forgets it. Not attached: nothing happens. @throws what `window.unmap` throws. */
  detach(memory: MemsegTable): void {
    this.#checkOpen();
    checkMemory(memory);
    const attachment = this.#attachments.get(memory);
    if (!attachment) return;
    const leftover = attachment.end();
    this.#attachments.delete(memory);
    if (leftover) throw leftover;
  }

  /**
   * Unmaps and removes everything in order, and closes the fds. Devices must be idle. Once more does nothing.
   *
   * @throws `ERR_CLOSE` when something on the way failed; the fds are closed all the same, with which the kernel ends
   * what was left. `residue` says what it had to end.
   */
  close(): void {
    if (!this.#open) return;
    const errors: unknown[] = [];
    for (const window of this.#windows) attempt(errors, () => window.close());
    for (const attachment of this.#attachments.values()) attachment.forget();
    this.#attachments.clear();
    for (const window of this.#windows) window.forget();
    this.#windows.clear();
    endIdle({ kernel: this.#kernel, containerFd: this.#files.containerFd, container: this.#handle });
    for (const fd of [...this.#files.groupFds, this.#files.containerFd]) attempt(errors, () => this.#closeFile(fd));
    core.containerClose(this.#handle);
    this.#open = false;
    if (errors.length === 0) return;
    throw new DmaWindowError(
      "ERR_CLOSE",
      `closing the container met with ${errors.length} errors: ${errors.join("; ")}`,
      {
        cause: errors[0],
        residue: { left: errors.map(String) },
      },
    );
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #closeWindow(window: Window): DmaWindowError | undefined {
    for (const [memory, attachment] of this.#attachments) {
      if (attachment.window !== window) continue;
      attachment.end(); // what stays registered is tried again, and named, below
      this.#attachments.delete(memory);
    }
    const [problem] = window.unmapAll();
    if (problem) {
      const left = [...window.maps()].map(
        ({ iova, length }) => `${bytes(length)} at IOVA ${hex(iova)} is still mapped`,
      );
      const inUse = `the window at ${hex(window.start)} stays: ${withoutResidue(problem)}`;
      throw withResidue(new DmaWindowError("ERR_WINDOW_IN_USE", inUse, { cause: problem }), left);
    }
    const leftover = endIdle(window.target);
    const answer = this.#remove(window.start);
    if (answer !== 0) throw refusedByKernel("VFIO_IOMMU_SPAPR_TCE_REMOVE", answer);
    core.windowClose(window.target.window);
    this.#windows.delete(window);
    return leftover;
  }

  /**
   * A window too many is refused before the kernel is asked. On an LPAR this is more than a courtesy: beside a window at
   * 1 << 59 every other one makes the firmware refuse the group until the machine is booted again
   * (arch/powerpc/platforms/pseries/iommu.c: spapr_tce_create_table).
   */
  #checkRoom(info: SpaprInfo): void {
    const starts = [...[...this.#windows].map(({ start }) => start), ...this.#stray];
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
    const answer = this.#remove(info.defaultWindow.start);
    if (answer !== 0) throw refusedByKernel("VFIO_IOMMU_SPAPR_TCE_REMOVE", answer);
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
    else left.push(`the default window is not put back (${explain("VFIO_IOMMU_SPAPR_TCE_CREATE", answer)})`);
  }

  /** Removes a window that nobody will use. */
  #abandon(start: bigint, left: string[]): void {
    const answer = this.#remove(start);
    if (answer === 0) return;
    this.#stray.push(start);
    left.push(`the window at ${hex(start)} (${explain("VFIO_IOMMU_SPAPR_TCE_REMOVE", answer)})`);
  }

  #create(plan: WindowPlan): bigint {
    const call = "VFIO_IOMMU_SPAPR_TCE_CREATE";
    const at = core.structScratch();
    core.writeCreate(at, plan.pageShift, plan.size, plan.levels);
    const answer = this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_CREATE, at);
    if (answer !== 0) throw refusedByKernel(call, answer, { about: `${call}${shapeOf(plan)}` });
    return core.createdStart(at);
  }

  #checkStart(plan: WindowPlan, start: bigint): void {
    if (plan.iovaMode === "rebased" || start === plan.start) return;
    throw new DmaWindowError(
      "ERR_WINDOW_ELSEWHERE",
      `the kernel put the window at ${hex(start)}; IOVA mode ${plan.iovaMode} needs it at ${hex(plan.start)}: use rebased`,
      { facts: { start, planned: plan.start } },
    );
  }

  #remove(start: bigint): number {
    const at = core.structScratch();
    core.writeRemove(at, start);
    return this.#ioctl(VfioCall.IOMMU_SPAPR_TCE_REMOVE, at);
  }

  #ioctl(call: VfioCall, at: number): number {
    return this.#kernel.ioctlStruct(this.#files.containerFd, call, core.bytes(), at);
  }

  #closeFile(fd: number): void {
    const answer = this.#kernel.close(fd);
    if (answer < 0) throw refusedByKernel("close", answer);
  }

  #onlyWindow(): Window {
    this.#checkOpen();
    const [window, another] = this.#windows;
    if (window === undefined) throw new DmaWindowError("ERR_NO_WINDOW", "create a window before a memory is attached");
    if (another !== undefined)
      throw new DmaWindowError("ERR_WHICH_WINDOW", "the container has several windows: name one");
    return window;
  }

  #checkOpen(): void {
    if (!this.#open) throw new DmaWindowError("ERR_CLOSED", "the container is closed");
  }
}

function shapeOf(plan: WindowPlan): string {
  return ` of ${bytes(plan.size)}, pages of ${bytes(1n << BigInt(plan.pageShift))}, ${plan.levels} levels`;
}

function checkMemory(memory: MemsegTable): void {
  if (!(memory instanceof MemsegTable)) throw argumentTypeError("memory", "a MemsegTable", memory);
}

function attempt(errors: unknown[], action: () => void): void {
  try {
    action();
  } catch (error) {
    errors.push(error);
  }
}
