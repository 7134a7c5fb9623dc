import { type Registers, type Syscalls, VfioCall } from "../../src/syscalls.ts";
import type { Answer } from "./row.ts";
import { words } from "./words.ts";

/** The regions of a device on PCI, by index; region n begins at n << 40 of its file (`include/linux/vfio_pci_core.h`). */
export const Region = { BAR0: 0, BAR1: 1, ROM: 6, CONFIG: 7, VGA: 8 } as const;

/** The interrupts of such a device, by index. */
export const Irq = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4 } as const;

/** `flags` of SET_IRQS: what data follow, and what is done. */
export const Flag = { NONE: 1, BOOL: 2, EVENTFD: 4, MASK: 8, UNMASK: 16, TRIGGER: 32 } as const;

/** Calls by their distance from VFIO_BASE, for those that are made by number; the last is none. */
export const Distance = {
  GET_INFO: 7,
  GET_REGION_INFO: 8,
  GET_IRQ_INFO: 9,
  SET_IRQS: 10,
  RESET: 11,
  GET_HOT_RESET_INFO: 12,
  HOT_RESET: 13,
  FEATURE: 17,
  NOBODYS: 99,
} as const;

/** Registers of the configuration space. */
export const Config = { COMMAND: 0x04, REVISION: 0x08, BAR0: 0x10, ROM: 0x30, CAPABILITIES: 0x34 } as const;
export const Command = { MEMORY: 2, BUS_MASTER: 4 } as const;

/** Ids of capabilities, and where in one what is. */
export const Capability = { PM: 0x01, EXPRESS: 0x10, MSIX: 0x11 } as const;
const CONTROL = { [Capability.PM]: 4, [Capability.EXPRESS]: 8, [Capability.MSIX]: 2 } as const;

/** Registers of an NVMe controller, and where QEMU's has its MSI-X table. */
export const Nvme = {
  VERSION: 0x08,
  CONFIGURATION: 0x14,
  ADMIN_QUEUES: 0x24,
  MSIX_TABLE: 0x2000,
  BYTES: 0x4000,
} as const;

/** A descriptor that nobody has opened. */
export const NOT_OPEN = 9999;

/** A moment, and how many of them something may take that another process does. */
const TICK_MS = 20;
const TICKS = 1500;

const BEFORE = 0xee;
const STRUCT_BYTES = 1024;

export interface IrqSet {
  readonly index?: number;
  readonly flags: number;
  readonly start?: number;
  readonly count?: number;
  /** Descriptors, behind the struct's fields. */
  readonly fds?: readonly number[];
  /** Bytes, likewise. */
  readonly bools?: readonly number[];
  /** By default what there is. */
  readonly argsz?: number;
}

/** A device's descriptor as rows use it, with the structs written by hand. What it makes it puts away with itself. */
export class OpenDevice {
  readonly fd: number;
  readonly #kernel: Syscalls;
  readonly #memory = new Uint8Array(STRUCT_BYTES);
  readonly #view = new DataView(this.#memory.buffer);
  readonly #events = new Set<number>();
  readonly #maps: Registers[] = [];
  #isOpen = true;

  constructor(kernel: Syscalls, fd: number) {
    this.#kernel = kernel;
    this.fd = fd;
  }

  // ---- what it says of itself

  /** DEVICE_GET_INFO. */
  info(argsz: number): number {
    this.#begin(argsz);
    return this.#call(VfioCall.DEVICE_GET_INFO);
  }

  /** What it says: `flags 0x3, 9 regions, 5 interrupts`. */
  infoWords(): string {
    return `${words(this.info(24))}, flags ${hex(this.u32(4))}, ${this.u32(8)} regions, ${this.u32(12)} interrupts`;
  }

  /** DEVICE_GET_REGION_INFO; `flags` is what stood in the field before. */
  regionInfo(index: number, argsz = 64, flags = 0): number {
    this.#begin(argsz);
    this.#view.setUint32(4, flags, true);
    this.#view.setUint32(8, index, true);
    this.#view.setUint32(12, 0, true);
    return this.#call(VfioCall.DEVICE_GET_REGION_INFO);
  }

  /** What it says of a region: `flags 0xf, 0x4000 bytes at 0x0, capability 3`. */
  region(index: number): string {
    const answer = this.regionInfo(index);
    if (answer !== 0) return words(answer);
    const [size, offset] = [this.#view.getBigUint64(16, true), this.#view.getBigUint64(24, true)];
    const at = this.u32(12);
    const capability = at === 0 ? "" : `, capability ${this.#view.getUint16(at, true)}`;
    return `flags ${hex(this.u32(4))}, ${words(size)} bytes at ${words(offset)}${capability}`;
  }

  /** DEVICE_GET_IRQ_INFO. */
  irqInfo(index: number, argsz = 16): number {
    this.#begin(argsz);
    this.#view.setUint32(8, index, true);
    return this.#call(VfioCall.DEVICE_GET_IRQ_INFO);
  }

  /** What it says of an interrupt: `65, flags 0x9`. */
  irq(index: number): string {
    const answer = this.irqInfo(index);
    return answer === 0 ? `${this.u32(12)}, flags ${hex(this.u32(4))}` : words(answer);
  }

  /** How many vectors an interrupt has. */
  vectors(index: number): number {
    expect("GET_IRQ_INFO", this.irqInfo(index));
    return this.u32(12);
  }

  /** A field of the struct that was filled last. `not written`: it is as it was before the call. */
  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  written(at: number): Answer {
    return this.u32(at) === BEFORE * 0x01010101 ? "not written" : this.u32(at);
  }

  // ---- its regions

  /** pread(2) of so many bytes: how many came, or the errno. What came is `got`. */
  read(region: number, offset: number, bytes: number): number {
    this.#memory.fill(BEFORE, 0, 64);
    return this.#pread(region, offset, bytes > STRUCT_BYTES ? new Uint8Array(bytes) : this.#memory.subarray(0, bytes));
  }

  /** What the last read gave, as one little-endian number. */
  got(bytes: 1 | 2 | 4 | 8): bigint {
    let value = 0n;
    for (let at = bytes - 1; at >= 0; at--) value = (value << 8n) | BigInt(this.#memory[at] as number);
    return value;
  }

  /** pread, and what it gave: `4, 0x10400`. */
  reads(region: number, offset: number, bytes: 1 | 2 | 4 | 8): string {
    const answer = this.read(region, offset, bytes);
    return answer === bytes ? `${answer}, ${hex(this.got(bytes))}` : words(answer);
  }

  /** pwrite(2): how many bytes were taken, or the errno. */
  write(region: number, offset: number, bytes: number, value: bigint | number): number {
    this.#memory.fill(0, 0, 64);
    this.#view.setBigUint64(0, BigInt(value), true);
    const { pwrite } = this.#kernel;
    if (pwrite === undefined) throw new Error("this kernel has no pwrite");
    return pwrite.call(this.#kernel, this.fd, this.#memory.subarray(0, bytes), placeIn(region, offset));
  }

  /** A register of the configuration space. */
  config(offset: number, bytes: 1 | 2 | 4 = 2): number {
    expect(`pread at ${hex(offset)} of the configuration space`, this.read(Region.CONFIG, offset, bytes) - bytes);
    return Number(this.got(bytes));
  }

  setConfig(offset: number, value: number, bytes: 1 | 2 | 4 = 2): number {
    return this.write(Region.CONFIG, offset, bytes, value);
  }

  /** The command register, or what is written there. */
  command(bits?: number): string {
    if (bits !== undefined) expect("pwrite of the command register", this.setConfig(Config.COMMAND, bits) - 2);
    return `command ${hex(this.config(Config.COMMAND))}`;
  }

  /** Switches bits of the command register on and off. */
  commandWith(on: number, off = 0): string {
    return this.command((this.config(Config.COMMAND) | on) & ~off);
  }

  /** Where a capability is. */
  capability(id: number): number {
    let place = this.config(Config.CAPABILITIES, 1) & 0xfc;
    for (let count = 0; place !== 0 && count < 48; count++) {
      if (this.config(place, 1) === id) return place;
      place = this.config(place + 1, 1) & 0xfc;
    }
    throw new Error(`the device has no capability ${hex(id)}`);
  }

  /** Its capabilities in the order of their chain: `11@40 10@80 01@60`. */
  capabilities(): string {
    const found: string[] = [];
    let place = this.config(Config.CAPABILITIES, 1) & 0xfc;
    for (; place !== 0 && found.length < 48; place = this.config(place + 1, 1) & 0xfc) {
      found.push(`${pair(this.config(place, 1))}@${pair(place)}`);
    }
    return found.join(" ");
  }

  /** The control register of a capability: where it is. */
  controlAt(id: keyof typeof CONTROL): number {
    return this.capability(id) + CONTROL[id];
  }

  /** MSI-X control: `control 0x8040`. */
  msixControl(): string {
    return `control ${hex(this.config(this.controlAt(Capability.MSIX)))}`;
  }

  // ---- its interrupts

  /** DEVICE_SET_IRQS. */
  setIrqs({
    index = Irq.MSIX,
    flags,
    start = 0,
    fds = [],
    bools = [],
    count = fds.length + bools.length,
    argsz,
  }: IrqSet): number {
    const data = 4 * fds.length + bools.length;
    this.#begin(argsz ?? 20 + data);
    for (const [place, value] of [flags, index, start, count].entries())
      this.#view.setUint32(4 + 4 * place, value, true);
    for (const [place, fd] of fds.entries()) this.#view.setInt32(20 + 4 * place, fd, true);
    this.#memory.set(bools, 20 + 4 * fds.length);
    return this.#call(VfioCall.DEVICE_SET_IRQS);
  }

  /** Gives vectors eventfds, from `start` on. */
  listen(fds: readonly number[], start = 0, index: number = Irq.MSIX): number {
    return this.setIrqs({ index, flags: Flag.EVENTFD | Flag.TRIGGER, start, fds });
  }

  /** Fires vectors without the device. */
  fire(start = 0, count = 1, index: number = Irq.MSIX): number {
    return this.setIrqs({ index, flags: Flag.NONE | Flag.TRIGGER, start, count });
  }

  disable(index: number = Irq.MSIX): number {
    return this.setIrqs({ index, flags: Flag.NONE | Flag.TRIGGER });
  }

  /** A new eventfd, or several. */
  event(): number {
    const fd = this.#kernel.eventfd?.() ?? -1;
    if (fd < 0) throw new Error("this kernel has no eventfd");
    this.#events.add(fd);
    return fd;
  }

  events(count: number): number[] {
    return Array.from({ length: count }, () => this.event());
  }

  closeEvent(fd: number): number {
    this.#events.delete(fd);
    return this.#kernel.close(fd);
  }

  /** What eventfds have counted, in their order. */
  heard(...fds: readonly number[]): string {
    return `heard ${fds.map((fd) => words(this.#kernel.takeEvents?.(fd) ?? -1)).join(" ")}`;
  }

  /** Whether an eventfd counts something within some seconds: `heard`, or `not heard`. Takes what it counted. */
  hears(fd: number): string {
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let tick = 0; tick < TICKS; tick++) {
      if ((this.#kernel.takeEvents?.(fd) ?? -1) > 0) return "heard";
      Atomics.wait(clock, 0, 0, TICK_MS);
    }
    return "not heard";
  }

  // ---- its registers

  /** Maps a piece of a region: `mapped`, or the errno. */
  maps(offset: number, length: number, region: number = Region.BAR0): Answer {
    const answer = this.#map(offset, length, region);
    return typeof answer === "number" ? answer : "mapped";
  }

  /** The same, for what is read and written there. */
  mapped(offset: number, length: number): Registers {
    const answer = this.#map(offset, length, Region.BAR0);
    if (typeof answer === "number") throw new Error(`no registers: ${words(answer)}`);
    return answer;
  }

  #map(offset: number, length: number, region: number): Registers | number {
    const { registers } = this.#kernel;
    if (registers === undefined) throw new Error("this kernel maps no registers");
    const answer = registers.call(this.#kernel, this.fd, placeIn(region, offset), length);
    if (typeof answer !== "number") this.#maps.push(answer);
    return answer;
  }

  // ---- the device as a whole

  reset(): number {
    return this.#kernel.ioctl(this.fd, VfioCall.DEVICE_RESET, 0);
  }

  /** DEVICE_GET_PCI_HOT_RESET_INFO: `ENOSPC, count 1`, `0, count 1`. */
  hotResetInfo(argsz: number): string {
    this.#begin(argsz);
    this.#view.setUint32(8, 0, true);
    return `${words(this.#call(VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO))}, count ${this.u32(8)}`;
  }

  /** What GET_PCI_HOT_RESET_INFO said of the n-th device: the number of its group, and its address. */
  hotResetDevice(place = 0): readonly [group: number, address: string] {
    const at = 12 + 8 * place;
    const [segment, bus, devfn] = [
      this.#view.getUint16(at + 4, true),
      this.#memory[at + 6],
      this.#memory[at + 7],
    ] as const;
    return [this.u32(at), pciAddress(segment, bus ?? 0, devfn ?? 0)];
  }

  /** DEVICE_PCI_HOT_RESET. */
  hotReset(fds: readonly number[], argsz = 12 + 4 * fds.length): number {
    this.#begin(argsz);
    this.#view.setUint32(4, 0, true);
    this.#view.setUint32(8, fds.length, true);
    for (const [place, fd] of fds.entries()) this.#view.setInt32(12 + 4 * place, fd, true);
    return this.#call(VfioCall.DEVICE_PCI_HOT_RESET);
  }

  /** DEVICE_FEATURE, asked whether there is such a feature. */
  probes(feature: number): number {
    const PROBE = 1 << 18;
    this.#begin(64);
    this.#view.setUint32(4, feature | PROBE, true);
    return this.#call(VfioCall.DEVICE_FEATURE);
  }

  /** A call that is none of a device's, with a struct of zeros. */
  foreign(call: VfioCall, argsz: number): number {
    this.#begin(argsz);
    this.#memory.fill(0, 4, 64);
    return this.#call(call);
  }

  /** Closes the descriptor; what is mapped stays. */
  close(): number {
    this.#isOpen = false;
    return this.#kernel.close(this.fd);
  }

  unmapAll(): number {
    return this.#maps.splice(0).reduce((worst, map) => map.unmap() || worst, 0);
  }

  /** Puts all of it away. */
  leave(): void {
    this.unmapAll();
    if (this.#isOpen) this.close();
    for (const fd of this.#events) this.#kernel.close(fd);
    this.#events.clear();
  }

  #begin(argsz: number): void {
    this.#memory.fill(BEFORE);
    this.#view.setUint32(0, argsz, true);
  }

  #call(call: VfioCall): number {
    return this.#kernel.ioctlStruct(this.fd, call, this.#memory, 0);
  }

  #pread(region: number, offset: number, into: Uint8Array): number {
    const { pread } = this.#kernel;
    if (pread === undefined) throw new Error("this kernel has no pread");
    return pread.call(this.#kernel, this.fd, into, placeIn(region, offset));
  }
}

/** Where in the device's file a place in a region is. */
export function placeIn(region: number, offset: number): bigint {
  return (BigInt(region) << 40n) + BigInt(offset);
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** `0000:01:00.0`. */
function pciAddress(segment: number, bus: number, devfn: number): string {
  return `${segment.toString(16).padStart(4, "0")}:${pair(bus)}:${pair(devfn >> 3)}.${devfn & 7}`;
}

function pair(value: number): string {
  return value.toString(16).padStart(2, "0");
}

/** What a row takes for granted. */
function expect(what: string, result: number): void {
  if (result !== 0) throw new Error(`${what}: ${words(result)}`);
}
