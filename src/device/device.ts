import { channels, type DeviceMessage, failed, tellDevice } from "../channels.ts";
import { Closable } from "../closable.ts";
import { attempt, closingError } from "../closing.ts";
import { markClass } from "../copies.ts";
import { ERRNO } from "../errno.ts";
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { inspectable, whereClosed } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import { type Syscalls, VfioCall } from "../syscalls.ts";
import { boolean, object, oneOf } from "../validate.ts";
import { warn } from "../warn.ts";
import type { Bar, BarOptions } from "./bar.ts";
import { Bars } from "./bars.ts";
import { ConfigSpace } from "./config.ts";
import { type DeviceInfo, tellInfo } from "./facts.ts";
import type { DeviceFile } from "./file.ts";
import { type HeldGroup, hotResetReason, performHotReset } from "./hot-reset.ts";
import { Interrupts } from "./interrupts.ts";
import { ioctlLater } from "./later.ts";
import { type NoticeName, Notices } from "./notices.ts";
import { POWER_STATES, PowerControl, type PowerState } from "./power.ts";
import { CONFIG_REGION, checkBarIndex, type DeviceRegion } from "./regions.ts";

/** What a container does for a device of its own. */
export interface DeviceKeeper {
  /** The container's groups. */
  groups(): readonly HeldGroup[];
  /** The device is closed; `isStopped`: as far as anybody knows it writes to memory no more. */
  forget(device: Device, isStopped: boolean): void;
}

const BAR_KEYS = keysOf<BarOptions>({ endian: true });

/**
 * A device, open: its registers, its configuration space, its interrupts, and its reset. Made by `container.device(address)`.
 *
 * It cannot reach memory before `busMaster` is on, and then what is mapped in the container's windows. All methods throw `ERR_CLOSED`
 * once it is closed, and `ERR_BUSY` in the middle of another operation. It belongs to the thread that opened it: when that ends,
 * terminated or not, its device is stopped and closed (on Linux, by the shim: bus mastering off, BARs unmapped, descriptors closed).
 *
 *     const device = container.device("0000:01:00.0");
 *     const registers = device.bar(0);
 *     const vector = device.irqs.msix(1).vector(0);
 *     device.busMaster = true;
 *     registers.write32(0x14, 1);
 *     for await (const events of vector) break;
 *     device.close();
 */
export class Device extends Closable {
  /** `0000:01:00.0` */
  readonly address: string;
  /** Its IOMMU group. */
  readonly group: number;
  /** The kernel that it is a device of. */
  readonly kernel: Syscalls;
  /** The node of its memory and processors; `undefined` where the machine does not say. */
  readonly numaNode: number | undefined;
  /** What the kernel says of it. */
  readonly info: DeviceInfo;
  /** Its configuration space. */
  readonly config: ConfigSpace;
  /** Its interrupts: none is on at first. */
  readonly irqs: Interrupts;
  readonly #file: DeviceFile;
  readonly #keeper: DeviceKeeper;
  readonly #bars: Bars;
  readonly #power: PowerControl;
  readonly #notices: Readonly<Record<NoticeName, Notices>>;
  #resets = 0;
  #wasGone = false;

  /** @internal Made by a container. */
  constructor(file: DeviceFile, info: DeviceInfo, numaNode: number | undefined, keeper: DeviceKeeper) {
    super();
    const { address, group } = file.where;
    this.address = address;
    this.group = group;
    this.kernel = file.kernel;
    this.numaNode = numaNode;
    this.info = info;
    this.#file = file;
    this.#keeper = keeper;
    this.#bars = new Bars(
      file,
      info.regions,
      () => this.#power,
      () => this.config,
    );
    this.config = new ConfigSpace(file, info.regions[CONFIG_REGION] as DeviceRegion, () => this.#bars.mapped());
    this.#power = new PowerControl(file.where, this.config);
    this.irqs = new Interrupts(file, info.irqs);
    this.#notices = {
      request: new Notices("request", file, info.irqs.request),
      error: new Notices("error", file, info.irqs.error),
    };
  }

  /** It was closed, by itself or with its container: `container.device(address)` opens it anew while that is open. */
  get closed(): boolean {
    return !this.#file.isOpen;
  }

  /** What the kernel shows of it, by number: BARs 0 to 5, the ROM, the configuration space, and what its driver adds. */
  get regions(): readonly DeviceRegion[] {
    return this.info.regions;
  }

  /** It was unplugged, or hangs: it reads as if nobody were there. Asks it; of a closed device, what it was when it closed. */
  get gone(): boolean {
    return this.#file.isOpen ? this.#power.isGone : this.#wasGone;
  }

  /**
   * Whether it may reach memory, and send interrupt messages (MSI, MSI-X). Off until it is asked for: without it nothing arrives, and
   * there is no error. Switch it on once the device knows where its memory is, and before it is told to begin. A reset leaves it as it
   * is, and closing switches it off. Each look is a system call.
   *
   * @throws `ERR_WRITE_IGNORED` where it does not become what was asked; `ERR_KERNEL`.
   */
  get busMaster(): boolean {
    this.#file.check();
    return this.#power.busMaster;
  }

  set busMaster(on: boolean) {
    this.#file.check();
    boolean("busMaster", on);
    exclusively("device.busMaster", () => this.#power.setBusMaster(on));
  }

  /**
   * Whether its BARs answer. On when it is opened.
   *
   * @throws `ERR_MAPPED` where it is to be switched off while a BAR is mapped: close that first. `ERR_WRITE_IGNORED`, `ERR_KERNEL`.
   */
  get memory(): boolean {
    this.#file.check();
    return this.#power.memory;
  }

  set memory(on: boolean) {
    this.#file.check();
    boolean("memory", on);
    exclusively("device.memory", () => this.#power.setMemory(on));
  }

  /**
   * `D0`: awake. What sleeps in `D3hot` answers nothing but its configuration space, and may have forgotten its registers when it is
   * back. A device without power management is in D0 always.
   *
   * @throws `ERR_MAPPED` where it is to leave D0 while a BAR is mapped; `ERR_WRITE_IGNORED` where the kernel keeps it in D0 (PowerNV);
   * `ERR_NO_POWER_MANAGEMENT`; `ERR_KERNEL`.
   */
  get powerState(): PowerState {
    this.#file.check();
    return this.#power.state;
  }

  set powerState(state: PowerState) {
    this.#file.check();
    oneOf("powerState", state, POWER_STATES);
    exclusively("device.powerState", () => this.#power.setState(state));
  }

  /**
   * The registers of BAR `index` (0 to 5, or 6 for the ROM): mapped on the first call, the same object while it is open. A BAR that
   * cannot be mapped, as ports, is read and written by system calls: `bar.isMapped` says so.
   *
   * @throws `ERR_NO_BAR` (facts: has); `ERR_DEVICE_OFF` while its memory is off or it sleeps; `ERR_KERNEL`; RangeError
   * `ERR_OUT_OF_RANGE`.
   */
  bar(index: number, options: BarOptions = {}): Bar {
    this.#file.check();
    known("options", object("options", options), BAR_KEYS);
    const endian = options.endian === undefined ? "little" : oneOf("endian", options.endian, ["little", "big"]);
    return (
      this.#bars.find(checkBarIndex(index), endian) ?? exclusively("device.bar", () => this.#bars.open(index, endian))
    );
  }

  /** Whether {@link reset} can be: the device, or the slot that it has alone, knows a reset. */
  get canReset(): boolean {
    return this.info.canReset;
  }

  /**
   * Resets the device alone (FLR, or what the kernel has for it). Its registers are then as after power-on, with nothing under way. What
   * survives: its configuration space, so also that bus mastering, memory and interrupts are on, and the BARs that are mapped.
   * A driver has to start it anew.
   *
   * Takes about 0.1 s, in which this thread waits: {@link resetAsync} does not.
   *
   * @throws `ERR_NO_RESET` for a device that cannot; `ERR_KERNEL`.
   */
  reset(): void {
    this.#checkReset();
    exclusively("device.reset", () => {
      this.#checkDone(this.#file.kernel.ioctl(this.#file.fd, VfioCall.DEVICE_RESET, 0));
      this.#tell({ event: "reset", reset: "device" });
    });
  }

  #tell(message: Omit<DeviceMessage, "address" | "group">): void {
    if (!channels.device.hasSubscribers) return;
    const { address, group } = this;
    tellDevice({ ...message, address, group });
  }

  /**
   * {@link reset} on another thread, where the kernel interface has `ioctlLater`; where not this thread waits. The device cannot be closed
   * meanwhile (`ERR_BUSY`). Whoever touches a register before it is done may wait for it, or meet with `ERR_DEVICE_OFF`.
   *
   * @throws as {@link reset}, as a rejection.
   */
  async resetAsync(): Promise<void> {
    this.#checkReset();
    const { kernel, fd } = this.#file;
    const done = exclusively("device.resetAsync", () => {
      this.#resets++;
      return ioctlLater(kernel, fd, VfioCall.DEVICE_RESET); // as far as its first call
    });
    try {
      this.#checkDone(await done);
      this.#tell({ event: "reset", reset: "device" });
    } catch (error) {
      throw failed("device.resetAsync", error);
    } finally {
      this.#resets--;
    }
  }

  /**
   * Resets the slot or bus that the device is on, with **all devices on it**, which all have to be in groups of this container. For those
   * without a reset of their own. Takes 1 to 5 s, in which this thread waits. What survives is as with {@link reset}.
   *
   * @throws `ERR_NO_HOT_RESET` with the reason; `ERR_KERNEL`.
   */
  hotReset(): void {
    this.#file.check();
    exclusively("device.hotReset", () => {
      performHotReset(this.#file, this.#keeper.groups());
      this.#tell({ event: "reset", reset: "bus" });
    });
  }

  /** Why {@link hotReset} cannot be: a sentence; `undefined` where nothing speaks against it. @throws `ERR_KERNEL`. */
  hotResetReason(): string | undefined {
    this.#file.check();
    return hotResetReason(this.#file, this.#keeper.groups());
  }

  /**
   * Calls `listener` when somebody wants the device back (`request`: the kernel waits in an unbind until it is closed, and asks again every
   * 10 s), or when the device or the way to it met with an error that it cannot correct (`error`). Gives the function that ends it.
   * Does not keep the process alive.
   *
   * @throws `ERR_NO_NOTICE` for a device that does not tell; `ERR_KERNEL`.
   */
  on(event: "request" | "error", listener: (count: number) => void): () => void {
    this.#file.check();
    oneOf("event", event, ["request", "error"]);
    if (typeof listener !== "function") throw argumentTypeError("listener", "a function", listener);
    return exclusively("device.on", () => this.#notices[event].on(listener));
  }

  /**
   * Stops it and gives it back: interrupts off, bus mastering off, reset, BARs unmapped, the descriptor closed. Once more does nothing.
   * What fails is passed over, and told in the end. A device that has gone is closed all the same, with the process warning
   * `DMA_WINDOW_DEVICE_GONE`.
   *
   * @throws `ERR_CLOSE` (`cause`: the first of what failed; `residue`): the descriptor is closed for all that. `ERR_BUSY` while
   * {@link resetAsync} is under way, with nothing changed.
   */
  close(): void {
    if (this.closed) return;
    this.checkIdle();
    exclusively("device.close", () => {
      const problem = closingError(`device ${this.address}`, this.end());
      if (problem !== undefined) throw problem;
    });
  }

  /** @internal Whether it may write to memory: it is bus master, or nobody knows. */
  get mayWrite(): boolean {
    try {
      return !this.#power.isGone && this.#power.busMaster;
    } catch {
      return true;
    }
  }

  /** @internal @throws `ERR_BUSY` while a reset is under way. */
  checkIdle(): void {
    if (this.#resets === 0) return;
    throw new DmaWindowError(
      "ERR_BUSY",
      `device ${this.address} is being reset: await device.resetAsync() before it is closed`,
      { facts: { operation: "device.close", within: "device.resetAsync" } },
    );
  }

  /** @internal The same as close in the middle of an operation; gives what it met with. */
  end(): readonly unknown[] {
    if (this.closed) return [];
    const stopping: unknown[] = [];
    const told = (problem: DmaWindowError | undefined) => {
      if (problem !== undefined) throw problem;
    };
    attempt(stopping, () => told(this.irqs.end()));
    for (const notice of Object.values(this.#notices)) attempt(stopping, () => told(notice.end()));
    const before = stopping.length;
    attempt(stopping, () => this.#power.setBusMaster(false));
    const isMute = stopping.length === before;
    const isReset = this.canReset && attempt(stopping, () => this.#resetAtLast(isMute));
    this.#wasGone = this.#power.isGone;
    const errors = this.#wasGone ? [] : stopping;
    const left = this.#bars.end();
    errors.push(...left);
    const isClosed = attempt(errors, () => told(this.#file.end())) && left.length === 0; // then the kernel stops it
    this.#keeper.forget(this, isMute || isReset || isClosed || this.#wasGone);
    this.#tell({ event: "closed", gone: this.#wasGone });
    if (this.#wasGone) {
      warn(
        "DMA_WINDOW_DEVICE_GONE",
        `device ${this.address} had gone when it was closed (unplugged, or hung in a reset): it could not be stopped, and its descriptor is closed`,
      );
    }
    return errors;
  }

  /**
   * Whoever unbinds the device waits for this close, and has its lock meanwhile: the kernel refuses the reset (EAGAIN;
   * `drivers/pci/pci.c: pci_try_reset_function`). One that is no bus master any more reaches nothing, and is disabled as it goes.
   */
  #resetAtLast(isMute: boolean): void {
    const answer = this.#file.kernel.ioctl(this.#file.fd, VfioCall.DEVICE_RESET, 0);
    if (answer !== -ERRNO.EAGAIN || !isMute) this.#checkDone(answer);
  }

  #checkReset(): void {
    this.#file.check();
    if (this.canReset) return;
    const { address, group } = this;
    throw new DmaWindowError(
      "ERR_NO_RESET",
      `device ${address} cannot be reset alone: it has no FLR, and the kernel knows no other way (reset_method in sysfs). ` +
        "device.hotReset() resets its whole bus, where hotResetReason() names nothing against it; else quieten it by its own registers",
      { facts: { address, group } },
    );
  }

  #checkDone(answer: number): void {
    if (answer === 0) return;
    throw this.#file.refused("VFIO_DEVICE_RESET", answer);
  }
}

markClass(Device, "Device");
inspectable(Device, "Device", (device) => ({
  state: whereClosed(device),
  address: device.address,
  group: device.group,
  numaNode: device.numaNode,
  interrupts: device.irqs.mode,
  ...tellInfo(device.info),
}));
