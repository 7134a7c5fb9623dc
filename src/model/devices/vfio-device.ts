import { hexOfBytes } from "../../hex.ts";
import { VfioCall } from "../../syscalls.ts";
import { EAGAIN, EFAULT, EINVAL, ENOTTY } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import type { Eventfd } from "../eventfd.ts";
import type { Caller, OpenFile } from "../open-file.ts";
import type { Struct } from "../structs.ts";
import { Command, Config } from "./config-registers.ts";
import { deviceInfo, irqInfo, regionInfo } from "./device-info.ts";
import { deviceFeature } from "./feature.ts";
import { type BusDevice, hotReset, hotResetInfo } from "./hot-reset.ts";
import { Interrupts, type IrqMode } from "./interrupts.ts";
import { irqRequestFrom } from "./irq-set.ts";
import { D3HOT, isBehindBridge, type PciFunction } from "./pci-function.ts";
import type { PciMachine } from "./pci-machine.ts";
import { Region, readBar, readRom, regionOf, writeBar } from "./regions.ts";
import { type ConfigEffects, VirtualConfig } from "./virtual-config.ts";

/** The number of VFIO_DEVICE_IOEVENTFD, which is not on the seam. */
const IOEVENTFD = 0x110;

/** A group of an IOMMU as its devices know it. */
export type DeviceGroup = OpenFile & {
  readonly number: number;
  /** No IOMMU stands between its device and memory. */
  readonly noIommu: boolean;
  /** A program has its DMA: it is in a container. */
  readonly isOwned: boolean;
  /** The addresses of those in it that drivers of the kernel have: while there is one the group is not viable. */
  readonly kernelDrivers: Set<string>;
  /** vfio-pci has taken the device. */
  gained(device: VfioDevice): void;
  /** The device has been unbound, and is not the group's any more. */
  lost(device: VfioDevice): void;
};

/** What is there only while a device is open. */
interface Session {
  readonly config: VirtualConfig;
  readonly interrupts: Interrupts;
}

/**
 * A device that is bound to vfio-pci: what the driver keeps of it, and answers.
 *
 * Rules: `drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_enable, vfio_pci_core_disable, vfio_pci_core_ioctl`.
 */
export class VfioDevice implements BusDevice, ConfigEffects {
  readonly hardware: PciFunction;
  readonly group: DeviceGroup;
  readonly #bus: () => readonly VfioDevice[];
  #opens = 0;
  #session: Session | undefined;
  /** Somebody unbinds it, and waits: they are told when it went. */
  #leaving: (() => void)[] = [];
  isBound = false;

  /** Somebody brought it. */
  readonly isPlugged: boolean;

  /** `bus` gives all devices on its bus, and itself. */
  constructor(hardware: PciFunction, group: DeviceGroup, isPlugged: boolean, bus: () => readonly VfioDevice[]) {
    this.isPlugged = isPlugged;
    this.hardware = hardware;
    this.group = group;
    this.#bus = bus;
  }

  get address(): string {
    return this.hardware.address;
  }

  get machine(): PciMachine {
    return this.hardware.machine;
  }

  get isOpen(): boolean {
    return this.#opens > 0;
  }

  /** Which of its interrupts are on. */
  get mode(): IrqMode {
    return this.#session?.interrupts.mode ?? "none";
  }

  get isLeaving(): boolean {
    return this.#leaving.length > 0;
  }

  /** It can be reset alone: by itself, or with its bus where that has a bridge that works. (`reset_works`) */
  get canReset(): boolean {
    const { facts, address, machine } = this.hardware;
    return (
      facts.flr ||
      facts.pmReset ||
      (isBehindBridge(address) && machine.busReset === "works" && this.#bus().length === 1)
    );
  }

  /** The ways in which it can be reset, as sysfs names them. */
  get resetMethods(): readonly string[] {
    const { facts, address, machine } = this.hardware;
    // sysfs says what could be tried, and not whether it would work.
    const bus = isBehindBridge(address) && machine.busReset !== "unknown" && this.#bus().length === 1;
    return [...(facts.flr ? ["flr"] : []), ...(facts.pmReset ? ["pm"] : []), ...(bus ? ["bus"] : [])];
  }

  /** GET_DEVICE_FD: the first one enables it. */
  opened(): void {
    this.#opens++;
    if (this.#opens > 1) return;
    this.hardware.powerState = 0;
    if (this.canReset) {
      this.#clear(Command.MASTER);
      this.hardware.reset();
    }
    this.#session = {
      config: new VirtualConfig(this.hardware.config, this.hardware.facts, this),
      interrupts: new Interrupts(this.hardware),
    };
  }

  /**
   * The last descriptor and the last map have gone: interrupts off, and a reset. Without one the command register was seen to stay as
   * it is, bus master and all.
   */
  released(): void {
    this.#opens--;
    if (this.#opens > 0) return;
    this.hardware.powerState = 0;
    this.#session?.interrupts.end();
    this.#session = undefined;
    if (this.canReset) {
      this.hardware.config.setU16(Config.COMMAND, this.machine.command);
      this.hardware.reset();
    }
    if (this.isLeaving) this.#leave();
  }

  /** `call` as the seam counts calls of a device. `struct` is undefined when the caller's pointer leads nowhere. */
  ioctl(call: number, struct: Struct | undefined, caller: Caller): number {
    if (call === VfioCall.DEVICE_RESET) return this.#reset();
    if (call === IOEVENTFD) throw new ModelUnknown("VFIO_DEVICE_IOEVENTFD");
    const answer = this.#withStruct(call);
    if (answer === undefined) return ENOTTY;
    return struct === undefined ? EFAULT : answer(struct, caller);
  }

  #withStruct(call: number): ((struct: Struct, caller: Caller) => number) | undefined {
    const { hardware } = this;
    const { interrupts } = this.#open;
    switch (call) {
      case VfioCall.DEVICE_GET_INFO:
        return (struct) => deviceInfo(struct, this.canReset);
      case VfioCall.DEVICE_GET_REGION_INFO:
        return (struct) => regionInfo(struct, hardware);
      case VfioCall.DEVICE_GET_IRQ_INFO:
        return (struct) => irqInfo(struct, hardware, interrupts);
      case VfioCall.DEVICE_SET_IRQS:
        return (struct, caller) => {
          const request = irqRequestFrom(struct, (index) => interrupts.countOf(index));
          return typeof request === "number" ? request : interrupts.set(request, caller);
        };
      case VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO:
        return (struct) => hotResetInfo(struct, this, this.#bus());
      case VfioCall.DEVICE_PCI_HOT_RESET:
        return (struct, caller) => hotReset(struct, this, this.#bus(), caller);
      case VfioCall.DEVICE_FEATURE:
        return (struct) => deviceFeature(struct, this.machine);
      default:
        return undefined;
    }
  }

  /** `vfio_pci_rw`. */
  read(into: Uint8Array, offset: bigint): number {
    if (into.length === 0) return 0;
    const { index, at } = regionOf(offset);
    if (index <= Region.LAST_BAR) return readBar(this.hardware, index, into, at);
    if (index === Region.ROM) return readRom(this.hardware, into, at);
    return index === Region.CONFIG ? this.#open.config.read(into, at) : EINVAL;
  }

  write(from: Uint8Array, offset: bigint): number {
    if (from.length === 0) return 0;
    const { index, at } = regionOf(offset);
    if (index <= Region.LAST_BAR) return writeBar(this.hardware, index, from, at);
    return index === Region.CONFIG ? this.#open.config.write(from, at) : EINVAL;
  }

  /**
   * DEVICE_RESET: what the configuration space says survives, and the interrupts that are set up. Its argument is not looked at. Whoever
   * unbinds the device has its lock until it is closed. (`drivers/pci/pci.c: pci_try_reset_function`)
   */
  #reset(): number {
    if (!this.canReset) return EINVAL;
    if (this.isLeaving) return EAGAIN;
    this.wasReset();
    return 0;
  }

  wasReset(): void {
    this.hardware.reset();
    this.#session?.interrupts.restore();
  }

  /** An error that the device reports. (`vfio_pci_core_aer_err_detected`) */
  fail(): void {
    this.#session?.interrupts.error?.signal();
  }

  /** Somebody wants it back. (`vfio_pci_core_request`) */
  ask(): void {
    this.#session?.interrupts.request?.signal();
  }

  /** Unbinds it as soon as it is closed, and asks for that. */
  unbind(gone: () => void): void {
    if (!this.isBound) {
      gone();
      return;
    }
    this.#leaving.push(gone);
    if (this.isOpen) this.ask();
    else this.#leave();
  }

  /** vfio-pci takes it. */
  bind(): void {
    if (this.isBound || !this.hardware.isPresent) return;
    this.isBound = true;
    this.group.gained(this);
  }

  #leave(): void {
    const told = this.#leaving;
    this.#leaving = [];
    this.isBound = false;
    this.group.lost(this);
    for (const gone of told) gone();
  }

  get isMsiOn(): boolean {
    return this.mode === "msi";
  }

  commandChanged(): void {
    // Whether memory is on, and bus mastering, is read from the register each time.
  }

  disableIntx(disabled: boolean): void {
    this.#session?.interrupts.disableLine(disabled);
  }

  resetFunction(): void {
    this.wasReset();
  }

  /** D1 and D2 no device here has; D3hot not every machine. */
  setPowerState(state: number): void {
    const wakes = state === 0 && this.hardware.powerState === D3HOT;
    if (state === 0 || (state === D3HOT && this.machine.hasD3)) this.hardware.powerState = state;
    if (wakes && this.hardware.facts.pmReset) this.wasReset();
  }

  /** What decides its answers. */
  state(nameOf: (eventfd: Eventfd) => string): unknown {
    const { hardware } = this;
    return {
      address: this.address,
      facts: {
        ...hardware.facts,
        bars: hardware.facts.bars.map(({ memory: _, ...bar }) => bar),
        rom: hardware.facts.rom === undefined ? null : hexOfBytes(hardware.facts.rom.images),
      },
      bound: this.isBound,
      leaving: this.isLeaving,
      present: hardware.isPresent,
      raised: hardware.isRaised,
      config: hexOfBytes(hardware.config.bytes),
      copy: this.#session === undefined ? null : hexOfBytes(this.#session.config.copy),
      table: hardware.msix === undefined ? null : hexOfBytes(hardware.msix.entries),
      pending: hardware.msix === undefined ? null : hexOfBytes(hardware.msix.pending),
      interrupts: this.#session?.interrupts.state(nameOf) ?? null,
      device: hardware.state ?? null,
    };
  }

  get #open(): Session {
    if (this.#session === undefined) throw new Error("a device that is not open was asked");
    return this.#session;
  }

  #clear(bits: number): void {
    const { config } = this.hardware;
    config.setU16(Config.COMMAND, config.command & ~bits);
  }
}
