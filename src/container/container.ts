import { Closable, disposeWith, disposing, isItself } from "../closable.ts";
import { markClass } from "../copies.ts";
import { core } from "../core.ts";
import {
  argumentTypeError,
  DmaWindowError,
  type DmaWindowErrorOptions,
  imitationError,
  withoutResidue,
  withResidue,
} from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import type { IommuInfo } from "../iommu.ts";
import { MemsegTable } from "../memory/table.ts";
import type { WindowPlan } from "../plan/index.ts";
import { isSameKernel, type Syscalls } from "../syscalls.ts";
import { Attachment } from "./attachment.ts";
import type { Backend } from "./backend/backend.ts";
import { endIdle } from "./calls.ts";
import { checkPlan } from "./check-plan.ts";
import { Doubts } from "./doubts.ts";
import { hugepageFacts } from "./hugepages.ts";
import { nodeFacts } from "./nodes.ts";
import type { ContainerTarget } from "./target.ts";
import { Window } from "./window.ts";

/** What a container holds: its own fd, and those of its groups. */
export interface ContainerFiles {
  readonly containerFd: number;
  readonly groupFds: readonly number[];
  /** The groups' numbers. */
  readonly groups: readonly number[];
}

/**
 * A VFIO container: groups of devices that share an IOMMU's windows, whichever IOMMU it is. Made by `openContainer`. It belongs to the process
 * that made it: after a fork the kernel refuses the child.
 */
export class Container extends Closable {
  readonly #kernel: Syscalls;
  readonly #files: ContainerFiles;
  readonly #backend: Backend;
  readonly #handle: number;
  readonly #target: ContainerTarget;
  readonly #windows = new Set<Window>();
  readonly #attachments = new Map<MemsegTable, Attachment>();
  #open = true;

  /** @internal Made by openContainer. */
  constructor(kernel: Syscalls, files: ContainerFiles, backend: Backend) {
    super();
    this.#kernel = kernel;
    this.#files = files;
    this.#backend = backend;
    this.#handle = core.containerOpen(core.log2Floor(BigInt(kernel.pageSize)), backend.iommu);
    if (this.#handle <= 0)
      throw new DmaWindowError("ERR_OUT_OF_MEMORY", "no room for a container in the core's memory");
    const { containerFd } = files;
    this.#target = { kernel, containerFd, container: this.#handle, kind: backend.kind, doubts: new Doubts() };
  }

  get closed(): boolean {
    return !this.#open;
  }

  /** Which IOMMU the container has: `spapr` (POWER), `type1` (x86, Arm), `noiommu` (none). Known without asking the kernel. */
  get kind(): IommuInfo["kind"] {
    return this.#backend.kind;
  }

  /** The windows that are open. */
  get windows(): readonly Window[] {
    return [...this.#windows];
  }

  /**
   * Asks the kernel what its IOMMU can do: the facts that `planWindow` needs. `kind` says which IOMMU's they are. With them
   * come the machine's pools of hugepages, and its NUMA nodes where there are several, where the kernel's `files` name them.
   *
   * @throws `ERR_KERNEL`, `ERR_CLOSED`; on type1 `ERR_MALFORMED_INFO` for an answer that makes no sense.
   */
  info(): IommuInfo {
    this.#checkOpen();
    return exclusively("container.info", () => {
      const hugepages = hugepageFacts(this.#kernel);
      const nodes = nodeFacts(this.#kernel, this.#files.groups);
      return {
        ...this.#backend.info(),
        ...(hugepages === undefined ? {} : { hugepages }),
        ...(nodes === undefined ? {} : { nodes }),
      };
    });
  }

  /**
   * Makes the window that was planned.
   *
   * - sPAPR: by CREATE. The default window is removed first, as long as it is there: it is small, in the way at IOVA 0, and
   *   nothing of ours is in it. When making fails it is put back, or `residue` says that it is not.
   * - type1: a part of the allowed IOVAs. `rebased`: where it was planned, or, with other windows in the way, the lowest place
   *   that is allowed and free; it may be smaller there than planned, but holds what is needed. What of it the IOMMU does not
   *   allow is never mapped.
   * - no IOMMU: the physical addresses up to the plan's end.
   *
   * @throws `ERR_PLAN_MISFIT` for a plan that is not for this IOMMU; `ERR_NO_WINDOW_SLOT` when there is no room for another
   * window; `ERR_WINDOW_OVERLAPS` when `va` or `pa` leaves it no other place than one that is taken; `ERR_KERNEL`,
   * `ERR_WINDOW_ELSEWHERE` (sPAPR) when the kernel does not make it, or makes it where `va` or `pa` cannot use it;
   * `ERR_MALFORMED_INFO` (type1); `ERR_OUT_OF_MEMORY`.
   */
  createWindow(planned: WindowPlan): Window {
    this.#checkOpen();
    return exclusively("container.createWindow", () => this.#createWindow(checkPlan(planned, this.kind)));
  }

  #createWindow(plan: WindowPlan): Window {
    const made = this.#backend.makeWindow(plan, [...this.#windows]);
    try {
      const window = new Window(
        { ...plan, size: made.size },
        made,
        this.#target,
        (closing) => this.#closeWindow(closing),
        (closing) => this.#endHeaps(closing),
      );
      this.#windows.add(window);
      return window;
    } catch (error) {
      throw withResidue(error, made.unmake());
    }
  }

  /**
   * Maps a memory as a whole, and from then on what is added to it, and unmaps what is removed from it before it goes.
   * Address space for its lists is set aside in the window, so all that they will ever hold fits.
   *
   * @param window needed only when the container has several.
   * @throws `ERR_OTHER_KERNEL` for memory that has another kernel than the container; one in front of the same is the same.
   * @throws `ERR_PHYSICAL_UNKNOWN` in IOVA mode `pa` for memory that states no physical address.
   * @throws `ERR_NO_HOLE`, `ERR_OUTSIDE_WINDOW` when a list does not fit; what `window.map` throws, with the list and the memseg
   * in its facts (`list`, `segment`). Nothing stays mapped.
   */
  attach(memory: MemsegTable, window: Window = this.#onlyWindow()): void {
    this.#checkOpen();
    checkMemory(memory);
    this.#checkKernel(memory);
    if (!(window instanceof Window)) throw argumentTypeError("window", "a Window of this container", window);
    if (!isItself(window)) throw imitationError("window", "a Window");
    if (this.#attachments.has(memory))
      throw new DmaWindowError("ERR_ATTACHED", "the memory is attached to this container");
    if (!this.#windows.has(window)) throw new DmaWindowError("ERR_CLOSED", "the window is not open in this container");
    exclusively("container.attach", () => {
      const attachment = new Attachment(memory, window);
      attachment.begin();
      this.#attachments.set(memory, attachment);
    });
  }

  /**
   * Unmaps a memory and forgets it. Not attached: nothing happens. @throws what `window.unmap` throws; before that `ERR_HELD` for
   * memory of a heap that is open on the window (facts: heap, live).
   */
  detach(memory: MemsegTable): void {
    this.#checkOpen();
    checkMemory(memory);
    exclusively("container.detach", () => {
      const attachment = this.#attachments.get(memory);
      if (attachment) memory.holds.check("the memory", attachment.window);
      const leftover = attachment?.end();
      this.#attachments.delete(memory);
      if (leftover) throw leftover;
    });
  }

  /**
   * Unmaps and removes everything in order, and closes the fds. Devices must be idle. Once more does nothing. `using` closes heaps
   * over its windows first, whatever is live in them.
   *
   * @throws `ERR_HELD` where a heap is open (facts: heap, live): nothing is changed. `ERR_CLOSE` when something on the way failed; the fds are closed all the same, with which the kernel ends
   * what was left. `residue` says what it had to end. The first of what failed is its `cause`, and gives its `syscall`, `errno`
   * and `facts`.
   */
  close(): void {
    if (this.#open) exclusively("container.close", () => this.#close());
  }

  /** @internal */
  override [disposing](): void {
    disposeWith(() => this.#endHeaps(), this);
  }

  #endHeaps(window?: Window): void {
    for (const [memory, attachment] of this.#attachments) {
      if (window === undefined || attachment.window === window) memory.holds.end(attachment.window);
    }
  }

  #close(): void {
    for (const [memory, { window }] of this.#attachments)
      memory.holds.check("the memory in the container's window", window);
    const errors: unknown[] = [];
    for (const window of this.#windows) attempt(errors, () => window.shut());
    for (const attachment of this.#attachments.values()) attachment.forget();
    this.#attachments.clear();
    for (const window of this.#windows) window.forget();
    this.#windows.clear();
    const idle = endIdle(this.#target);
    if (idle?.code === "ERR_INTERFACE") errors.push(idle); // what only stays registered ends with the files
    for (const fd of [...this.#files.groupFds, this.#files.containerFd]) attempt(errors, () => this.#closeFile(fd));
    core.containerClose(this.#handle);
    this.#open = false;
    if (errors.length === 0) return;
    const left = errors.flatMap(sentencesOf);
    const met = errors.length === 1 ? "an error" : `${errors.length} errors`;
    throw new DmaWindowError("ERR_CLOSE", `closing the container met with ${met}: ${errors.join("; ")}`, {
      ...kernelSaid(errors[0]),
      cause: errors[0],
      ...(left.length === 0 ? {} : { residue: { left } }),
    });
  }

  #closeWindow(window: Window): DmaWindowError | undefined {
    const detached = this.#detachAll(window);
    const unmapped = window.unmapAll();
    const [problem] = unmapped.errors;
    if (problem) {
      const { doubts } = window.target;
      const left = [...window.runs()].map(({ iova, length }) => {
        const be = doubts.mapsWithin(iova, length) > 0n ? "may still be" : "is still";
        return `${bytes(length)} at IOVA ${hex(iova)} ${be} mapped`;
      });
      const inUse = `the window at ${hex(window.start)} stays: ${withoutResidue(problem)}`;
      const locked = endIdle(window.target)?.residue?.left ?? [];
      const refusal = new DmaWindowError("ERR_WINDOW_IN_USE", inUse, { cause: problem, ...kernelSaid(problem) });
      throw withResidue(refusal, [...left, ...locked]);
    }
    const leftover = endIdle(window.target) ?? unmapped.leftover ?? detached;
    let threw: DmaWindowError | undefined;
    try {
      threw = this.#backend.removeWindow(window.start);
    } catch (error) {
      const isSure = error instanceof DmaWindowError && error.code === "ERR_KERNEL";
      const stays = `the window at ${hex(window.start)} ${isSure ? "stays" : "may still be there"}, with nothing in it`;
      throw withResidue(error, [stays, ...(leftover?.residue?.left ?? [])]);
    }
    core.windowClose(window.target.window);
    this.#windows.delete(window);
    return leftover ?? threw;
  }

  /**
   * All memories of the window, or, where one cannot be unmapped, none. What only stays registered is named later; gives what
   * else there is to say.
   */
  #detachAll(window: Window): DmaWindowError | undefined {
    const here = [...this.#attachments].filter(([, attachment]) => attachment.window === window);
    for (const [memory] of here) memory.holds.check("the memory in the window", window);
    const unmapped: Attachment[] = [];
    let leftover: DmaWindowError | undefined;
    try {
      for (const [, attachment] of here) {
        leftover = attachment.unmapAll() ?? leftover;
        unmapped.push(attachment);
      }
    } catch (error) {
      throw withResidue(
        error,
        unmapped.reverse().flatMap((attachment) => attachment.mapAll()),
      );
    }
    for (const [memory, attachment] of here) {
      attachment.letGo();
      this.#attachments.delete(memory);
    }
    return leftover;
  }

  /** Whatever else Linux answers, the descriptor is closed (fs/open.c: close); an interface that throws may not have asked. */
  #closeFile(fd: number): void {
    let answer: number;
    try {
      answer = this.#kernel.close(fd);
    } catch (error) {
      throw withResidue(error, [`descriptor ${fd} may still be open`]);
    }
    if (answer < 0) throw refusedByKernel("close", answer, { files: this.#kernel.files, facts: { fd } });
  }

  /** Its pages are in the address space of the process that the container's kernel knows, or they are nowhere. */
  #checkKernel(memory: MemsegTable): void {
    if (isSameKernel(memory.kernel ?? this.#kernel, this.#kernel)) return;
    throw new DmaWindowError(
      "ERR_OTHER_KERNEL",
      "the memory was made with another kernel than the container: its addresses mean other memory there, or none. " +
        "Give both the same kernel, or one in front of it",
    );
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

function checkMemory(memory: MemsegTable): void {
  if (!(memory instanceof MemsegTable)) throw argumentTypeError("memory", "a MemsegTable", memory);
  if (!isItself(memory)) throw imitationError("memory", "a MemsegTable");
}

/** What an error has of the call that failed, for one that is made of it. */
function kernelSaid(error: unknown): Pick<DmaWindowErrorOptions, "errno" | "syscall" | "facts"> {
  if (!(error instanceof DmaWindowError)) return {};
  const { errno, syscall, facts } = error;
  return {
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(facts === undefined ? {} : { facts }),
  };
}

/** What an error says is left behind; the error itself where it says nothing of that. An interface that threw then left nothing. */
function sentencesOf(error: unknown): readonly string[] {
  if (!(error instanceof DmaWindowError)) return [String(error)];
  return error.residue?.left ?? (error.code === "ERR_INTERFACE" ? [] : [String(error)]);
}

function attempt(errors: unknown[], action: () => void): void {
  try {
    action();
  } catch (error) {
    errors.push(error);
  }
}

markClass(Container, "Container");
