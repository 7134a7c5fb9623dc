import { callSite } from "../call-site.ts";
import { failed } from "../channels.ts";
import { Closable, disposing } from "../closable.ts";
import { attempt, closingError, disposeWith } from "../closing.ts";
import { markClass } from "../copies.ts";
import { core } from "../core.ts";
import type { Device } from "../device/device.ts";
import { DmaWindowError, withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { hex } from "../hex.ts";
import { inspectable, readableDeep, whereClosed } from "../inspect.ts";
import { CONTAINER, type IommuInfo } from "../iommu.ts";
import { endWatched, type Leak, watchEnd } from "../leaks.ts";
import { LongWork, type LongWorkOptions } from "../long-work.ts";
import { addReach, removeReach } from "../memory/reach.ts";
import type { MemsegTable } from "../memory/table.ts";
import { pciAddress } from "../pci/address.ts";
import type { WindowPlan } from "../plan/index.ts";
import type { Syscalls } from "../syscalls.ts";
import { count } from "../validate.ts";
import { attachLater } from "./attach-later.ts";
import { Attachment } from "./attachment.ts";
import type { Backend } from "./backend/backend.ts";
import { checkPlan } from "./check-plan.ts";
import { checkKernel, checkMemory, checkWindow } from "./checks.ts";
import { Devices } from "./devices.ts";
import { Doubts } from "./doubts.ts";
import { closeFile } from "./group.ts";
import { type Groups, warnOfGone } from "./groups.ts";
import { hugepageFacts } from "./hugepages.ts";
import { type ContainerSites, leaksOf } from "./leaks.ts";
import { stillInUse, unmapAll } from "./mapped.ts";
import { nodeFacts } from "./nodes.ts";
import { ContainerReach } from "./reach.ts";
import type { ContainerTarget } from "./target.ts";
import { Told } from "./told.ts";
import { unmapEach } from "./unmap-each.ts";
import { endIdle } from "./unmaps.ts";
import { Window } from "./window.ts";

/** What a container holds: its own fd, and its groups. */
export interface ContainerFiles {
  readonly containerFd: number;
  readonly groups: Groups;
  /** Addresses of the devices that it was opened for. */
  readonly devices: readonly string[];
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
  readonly #devices: Devices;
  readonly #reach: ContainerReach;
  /** What its devices met with, when `using` stopped them before all else. */
  readonly #stopping: unknown[] = [];
  readonly #sites: ContainerSites | undefined;
  #open = true;

  /** @internal Made by openContainer. `sites`: where things are made, if that is to be known. */
  constructor(kernel: Syscalls, files: ContainerFiles, backend: Backend, sites?: ContainerSites) {
    super();
    this.#sites = sites;
    this.#kernel = kernel;
    this.#files = files;
    this.#backend = backend;
    this.#devices = new Devices(kernel, files.groups, backend.kind, files.devices);
    this.#handle = core.containerOpen(core.log2Floor(BigInt(kernel.pageSize)), backend.iommu);
    if (this.#handle <= 0)
      throw new DmaWindowError("ERR_OUT_OF_MEMORY", "no room for a container in the core's memory");
    const { containerFd } = files;
    const told = new Told();
    this.#target = {
      kernel,
      containerFd,
      container: this.#handle,
      kind: backend.kind,
      doubts: new Doubts(),
      haveGroupsGone: () => files.groups.areGone,
      told,
      sites,
    };
    this.#reach = new ContainerReach({ kind: backend.kind, windows: this.#windows, devices: this.#devices, told });
    addReach(kernel, this.#reach);
    if (sites !== undefined) watchEnd(this, `the container of group ${this.groups.join(", ")}`);
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
   * Puts one more group into the container, in use as it is: what is mapped is mapped for its devices from then on. Its windows must suit
   * the group: on type1 it may allow fewer IOVAs than those before it; on PowerNV its IOMMU must take the container's tables.
   *
   * @throws RangeError `ERR_OUT_OF_RANGE` for a group that is in already; `ERR_ONE_GROUP` on an LPAR; `ERR_GROUP_MISFIT` (facts: lost, a
   * range of IOVAs) where a window would lose a part; `ERR_GROUP_NOT_VIABLE`; `ERR_KERNEL`. The container is as it was.
   */
  addGroup(group: number): void {
    this.#checkOpen();
    count("group", group);
    exclusively("container.addGroup", () => this.#files.groups.add(group, this.#backend, this.windows));
  }

  /**
   * Takes a group out, with its devices closed: they reach nothing of the container any more. What is mapped stays for the others; on
   * PowerNV nothing may be mapped, as the kernel would clear it for all.
   *
   * @throws RangeError `ERR_OUT_OF_RANGE` for a group that is not in; `ERR_DEVICE_OPEN` (facts: devices); `ERR_LAST_GROUP`, as all maps
   * would go with it; `ERR_STILL_MAPPED` (PowerNV; facts: mapped, in bytes); `ERR_BUSY` while a device of it is being opened; `ERR_KERNEL`.
   */
  removeGroup(group: number): void {
    this.#checkOpen();
    count("group", group);
    this.#devices.checkIdle("container.removeGroup", group);
    this.#devices.checkClosed(group);
    const mapped = this.windows.reduce((sum, window) => sum + window.liveBytes, 0n);
    exclusively("container.removeGroup", () => this.#files.groups.remove(group, this.kind, mapped));
  }

  /** The numbers of its groups. */
  get groups(): readonly number[] {
    return this.#files.groups.numbers;
  }

  /** The devices that are open. */
  get devices(): readonly Device[] {
    return this.#devices.open;
  }

  /**
   * The device with a PCI address such as `"0000:01:00.0"`: opened on the first call, the same object while it is open. It cannot
   * reach memory yet: `busMaster` is off. The address may be left out where the container has one device.
   *
   * Usually 0.1 s, and up to 5 s for a device that the kernel resets with its bus; this thread waits ({@link openDevice} does not).
   *
   * @throws `ERR_KERNEL` (ENODEV: the message says what the group has; EBUSY: it is open elsewhere); `ERR_NOT_IN_CONTAINER` (facts: group);
   * `ERR_WHICH_DEVICE`, `ERR_NO_DEVICE` without an address; `ERR_NO_DEVICE_CALLS` where the kernel interface has no devices;
   * `ERR_NOT_PCI`; RangeError `ERR_OUT_OF_RANGE` for what is no address.
   */
  device(address?: string): Device {
    this.#checkOpen();
    const which = address === undefined ? this.#devices.only() : pciAddress("address", address);
    const open = this.#devices.find(which);
    if (open !== undefined) return open;
    const device = exclusively("container.device", () => this.#devices.device(which));
    this.#sites?.note(device);
    return device;
  }

  /**
   * The same without holding up the event loop, where the kernel interface can open on another thread. Several calls for one address
   * give one device. The container cannot be closed meanwhile (`ERR_BUSY`).
   */
  async openDevice(address?: string): Promise<Device> {
    this.#checkOpen();
    const which = address === undefined ? this.#devices.only() : pciAddress("address", address);
    const site = this.#sites && callSite();
    try {
      const device = await exclusively("container.openDevice", () => this.#devices.later(which)); // as far as its first call
      this.#sites?.note(device, site);
      return device;
    } catch (error) {
      throw failed("container.openDevice", error);
    }
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
      const nodes = nodeFacts(this.#kernel, this.#files.groups.numbers);
      return readableDeep({
        ...this.#backend.info(),
        [CONTAINER]: this.#handle,
        ...(hugepages === undefined ? {} : { hugepages }),
        ...(nodes === undefined ? {} : { nodes }),
      });
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
      const window = new Window({ ...plan, size: made.size }, made, this.#target, {
        attached: (asking) => this.#attachedTo(asking).map(([, attachment]) => attachment),
        endHeaps: (closing) => this.#endHeaps(closing),
        remove: (closing) => this.#closeWindow(closing),
      });
      this.#windows.add(window);
      this.#sites?.note(window);
      return window;
    } catch (error) {
      throw withResidue(error, made.unmake());
    }
  }

  /**
   * Maps a memory as a whole, and from then on what is added to it, and unmaps what is removed from it before it goes.
   * Address space for its lists is set aside in the window, so all that they will ever hold fits. A list that was attached to the
   * same window before is found at the same IOVAs again, unless something else was put there meanwhile, or the lists do not fit
   * so any more: `window.iovaOf` says where it is. A window that is made anew remembers nothing.
   *
   * @param window needed only when the container has several.
   * @throws `ERR_NO_WINDOW`, `ERR_WHICH_WINDOW` without `window`, `ERR_ATTACHED` for memory that is attached to this container already.
   * @throws `ERR_OTHER_KERNEL` for memory that has another kernel than the container; one in front of the same is the same.
   * @throws `ERR_PHYSICAL_UNKNOWN` in IOVA mode `pa` for memory that states no physical address.
   * @throws `ERR_NO_HOLE`, `ERR_OUTSIDE_WINDOW` when a list does not fit; what `window.map` throws, with the list and the memseg
   * in its facts (`list`, `segment`). Nothing stays mapped.
   */
  attach(memory: MemsegTable, window: Window = this.#onlyWindow()): void {
    this.#checkAttach(memory, window);
    exclusively("container.attach", () => {
      const attachment = new Attachment(memory, window);
      attachment.begin();
      this.#attachments.set(memory, attachment);
      this.#sites?.note(memory);
    });
  }

  /**
   * {@link attach} without holding up the event loop: memory is mapped in steps of some 256 MiB, and the loop runs between two. Meanwhile the
   * memory is attached to all appearances: what is allocated is mapped at once, what is freed is unmapped, and a `detach` or `close` ends it.
   * Where it fails, or is aborted, all is unmapped again, in steps too.
   *
   * @throws as a rejection what {@link attach} throws; `ERR_ABORTED` (facts: operation, done, total); `ERR_NOT_ATTACHED` where it was
   * detached meanwhile. Nothing stays mapped, or `residue` says what.
   */
  async attachAsync(
    memory: MemsegTable,
    window: Window = this.#onlyWindow(),
    options: LongWorkOptions = {},
  ): Promise<void> {
    this.#checkAttach(memory, window);
    const work = new LongWork("container.attachAsync", memory.bytes, options);
    const attachment = new Attachment(memory, window);
    exclusively("container.attachAsync", () => {
      attachment.prepare();
      this.#attachments.set(memory, attachment);
    });
    this.#sites?.note(memory);
    await attachLater(attachment, work, () => this.#attachments.delete(memory));
  }

  #checkAttach(memory: MemsegTable, window: Window): void {
    this.#checkOpen();
    checkMemory(memory);
    checkKernel(memory, this.#kernel);
    checkWindow(window);
    if (this.#attachments.has(memory))
      throw new DmaWindowError("ERR_ATTACHED", "the memory is attached to this container");
    if (!this.#windows.has(window)) throw new DmaWindowError("ERR_CLOSED", "the window is not open in this container");
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
   * Stops and closes its devices, unmaps and removes everything in order, and closes the fds. Once more does nothing. `using` stops the
   * devices first, and then closes heaps over its windows, whatever is live in them.
   *
   * Where its groups have gone (their devices were unbound or unplugged) the kernel has unmapped all already: that is no error, here or
   * where memory is unmapped one by one, and the process warning `DMA_WINDOW_GROUPS_GONE` says so.
   *
   * @throws `ERR_HELD` where a heap is open (facts: heap, live), `ERR_BUSY` while a device is being opened or reset on another thread:
   * nothing is changed. `ERR_CLOSE` when something on the way failed; the fds are closed all the same, with which the kernel ends
   * what was left. `residue` says what it had to end. The first of what failed is its `cause`, and gives its `syscall`, `errno`
   * and `facts`.
   */
  close(): void {
    if (this.#open) endWatched(this, () => exclusively("container.close", () => this.#close()));
  }

  /**
   * What is open in it: devices, windows, attached memories, and with the option `callSites` the program's own maps, each with the call
   * that made it. With that option `close` warns of all that it has to end (`DMA_WINDOW_LEAKS`), and so does a process that ends without it.
   */
  leaks(): readonly Leak[] {
    const { windows, devices } = this;
    return leaksOf({ windows, devices, memories: this.#attachments.keys() }, this.#sites);
  }

  /** @internal */
  override [disposing](): void {
    disposeWith(() => {
      if (this.#open) exclusively("container.close", () => this.#stop());
      this.#endHeaps();
    }, this);
  }

  /** Nothing that its devices reach goes before this. */
  #stop(): void {
    this.#devices.checkIdle("container.close");
    this.#stopping.push(...this.#devices.end());
  }

  #endHeaps(window?: Window): void {
    for (const [memory, attachment] of this.#attachments) {
      if (window === undefined || attachment.window === window) memory.holds.end(attachment.window);
    }
  }

  #close(): void {
    for (const [memory, { window }] of this.#attachments)
      memory.holds.check("the memory in the container's window", window);
    this.#stop();
    const errors = this.#stopping;
    const unmapping: unknown[] = [];
    for (const window of this.#windows) attempt(unmapping, () => window.shut());
    for (const attachment of this.#attachments.values()) attachment.forget();
    this.#attachments.clear();
    for (const window of this.#windows) window.forget();
    this.#windows.clear();
    const { groups, containerFd } = this.#files;
    // What else fails then fails for that: a window is not to be removed from an IOMMU that is not there.
    if (unmapping.length > 0 && !groups.areGone) errors.push(...unmapping);
    if (groups.wereGone) warnOfGone(groups.numbers);
    const idle = endIdle(this.#target);
    if (idle?.code === "ERR_INTERFACE") errors.push(idle); // what only stays registered ends with the files
    for (const fd of [...groups.fds, containerFd]) attempt(errors, () => closeFile(this.#kernel, fd));
    core.containerClose(this.#handle);
    this.#open = false;
    if (this.#devices.loose.length === 0) removeReach(this.#kernel, this.#reach);
    const problem = closingError("the container", errors);
    if (problem !== undefined) throw problem;
  }

  #closeWindow(window: Window): DmaWindowError | undefined {
    const detached = this.#detachAll(window);
    const unmapped = unmapAll(window.target);
    const [problem] = unmapped.errors;
    if (problem) throw stillInUse(window.target, problem);
    const leftover = endIdle(window.target) ?? unmapped.leftover ?? detached;
    let threw: DmaWindowError | undefined;
    try {
      threw = this.#backend.removeWindow(window.start);
    } catch (error) {
      const isSure = error instanceof DmaWindowError && error.code === "ERR_KERNEL";
      // A window goes with the IOMMU, and that with the last group.
      if (!isSure || !this.#files.groups.areGone) {
        const stays = `the window at ${hex(window.start)} ${isSure ? "stays" : "may still be there"}, with nothing in it`;
        throw withResidue(error, [stays, ...(leftover?.residue?.left ?? [])]);
      }
    }
    core.windowClose(window.target.window);
    this.#sites?.noteEnd(window.target.window);
    this.#windows.delete(window);
    return leftover ?? threw;
  }

  /**
   * All memories of the window, or, where one cannot be unmapped, none. What only stays registered is named later; gives what
   * else there is to say.
   */
  #detachAll(window: Window): DmaWindowError | undefined {
    const here = this.#attachedTo(window);
    for (const [memory] of here) memory.holds.check("the memory in the window", window);
    const leftover = unmapEach(here.map(([, attachment]) => attachment));
    for (const [memory, attachment] of here) {
      attachment.letGo();
      this.#attachments.delete(memory);
    }
    return leftover;
  }

  #attachedTo(window: Window): [MemsegTable, Attachment][] {
    return [...this.#attachments].filter(([, attachment]) => attachment.window === window);
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

markClass(Container, "Container");
inspectable(Container, "Container", (container) => ({
  state: whereClosed(container),
  kind: container.kind,
  groups: container.groups,
  devices: container.devices.map(({ address }) => address),
  windows: container.windows,
}));
