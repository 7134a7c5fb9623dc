import type { DmaResult, ModelDevice } from "../dma/device.ts";
import { nextTurn } from "../turn.ts";
import { Capability, Command, ConfigRegisters, Msi, Msix, Pm } from "./config-registers.ts";
import { type BarFacts, type DeviceFacts, factsFrom, ROM } from "./facts.ts";
import { MsixTable } from "./msix-table.ts";
import type { BusAddresses, PciMachine } from "./pci-machine.ts";
import type { Bus, ModelPciDevice, Plugged, Width } from "./plug.ts";

/** Who hears the interrupts of a device: the kernel. */
export interface InterruptSink {
  message(vector: number): void;
  /** The line is raised. */
  line(): void;
}

/** D3hot. */
export const D3HOT = 3;

/** Of a PCI address what tells buses apart: `0000:01`. */
export function busOf(address: string): string {
  return address.slice(0, 7);
}

/** Devices on bus 0 of a domain are on the root bus, with no bridge above them. */
export function isBehindBridge(address: string): boolean {
  return !busOf(address).endsWith(":00");
}

/** A device as hardware: its configuration registers, its BARs, what it sends, and behind them what somebody plugged in. */
export class PciFunction {
  readonly address: string;
  readonly facts: DeviceFacts;
  readonly machine: PciMachine;
  readonly config: ConfigRegisters;
  readonly msix: MsixTable | undefined;
  /** Bus addresses of the BARs and the ROM, by index. */
  readonly bases: ReadonlyMap<number, number>;
  /** What the device does to the machine. */
  readonly bus: Bus;
  readonly #plugged: Plugged;
  /** Where its capabilities are, or 0. */
  readonly #pm: number;
  readonly #msi: number;
  readonly #msix: number;
  readonly #isSwapped: boolean;
  /** It is in its slot. */
  isPresent = true;
  /** The interrupt line. */
  isRaised = false;
  sink: InterruptSink | undefined;
  /** Counts resets: work that a device put off until later is dropped by one. */
  #era = 0;

  constructor(
    device: ModelPciDevice,
    address: string,
    machine: PciMachine,
    addresses: BusAddresses,
    dmaOf: () => ModelDevice,
  ) {
    const facts = factsFrom("facts", device.facts);
    this.facts = facts;
    this.address = address;
    this.machine = machine;
    const { bars, rom } = facts;
    const bases = new Map(bars.map(({ index, bytes, is64Bit }) => [index, addresses.take(bytes, is64Bit)]));
    if (rom !== undefined) bases.set(ROM, addresses.take(rom.bytes, false));
    this.bases = bases;
    this.config = new ConfigRegisters(facts, machine, (bar) => this.bases.get(bar) ?? 0, isBehindBridge(address));
    this.#pm = this.config.find(Capability.PM);
    this.#msi = this.config.find(Capability.MSI);
    this.#msix = this.config.find(Capability.MSIX);
    this.msix = facts.msix === undefined ? undefined : new MsixTable(facts.msix.vectors);
    this.#isSwapped = facts.bigEndian === "on POWER" ? machine.isPower : facts.bigEndian;
    this.bus = this.#busFor(dmaOf);
    this.#plugged = device.plug(this.bus);
  }

  /** Bars that are there. */
  bar(index: number): BarFacts | undefined {
    return this.facts.bars.find((bar) => bar.index === index);
  }

  /** What decides its answers, as far as the device says. */
  get state(): unknown {
    return this.#plugged.state?.();
  }

  get powerState(): number {
    return this.#pm === 0 ? 0 : (this.config.bytes[this.#pm + Pm.CONTROL] as number) & Pm.STATE;
  }

  set powerState(state: number) {
    if (this.#pm === 0) return;
    const at = this.#pm + Pm.CONTROL;
    this.config.bytes[at] = ((this.config.bytes[at] as number) & ~Pm.STATE) | state;
  }

  /** Whether accesses to its memory are answered. (`__vfio_pci_memory_enabled`) */
  get isAnswering(): boolean {
    return this.isPresent && this.powerState < D3HOT && (this.config.command & Command.MEMORY) !== 0;
  }

  /** Ports are not memory: nobody but the bus asks whether they are on. */
  get hasPortsOn(): boolean {
    return this.isPresent && (this.config.command & Command.IO) !== 0;
  }

  get isBusMaster(): boolean {
    return this.isPresent && this.powerState < D3HOT && (this.config.command & Command.MASTER) !== 0;
  }

  get isMsixOn(): boolean {
    return (this.#msixFlags & Msix.ENABLE) !== 0;
  }

  /** The kernel switches MSI-X, or MSI with so many vectors, on or off. */
  setMsix(on: boolean): void {
    const at = this.#msix;
    if (at !== 0) this.config.setU16(at + Msix.FLAGS, (this.#msixFlags & ~Msix.ENABLE) | (on ? Msix.ENABLE : 0));
  }

  setMsi(on: boolean, vectors = 1): void {
    const at = this.#msi;
    if (at === 0) return;
    const flags = this.config.u16(at + Msi.FLAGS) & ~(Msi.ENABLE | Msi.MULTIPLE);
    this.config.setU16(at + Msi.FLAGS, on ? flags | Msi.ENABLE | (Math.ceil(Math.log2(vectors)) << 4) : flags);
  }

  get #msixFlags(): number {
    return this.#msix === 0 ? 0 : this.config.u16(this.#msix + Msix.FLAGS);
  }

  /**
   * A reset, however it came: registers as after power-on. The configuration space is the kernel's to put back, and it puts back what
   * was there, but for the power state. (`drivers/pci/pci.c: pci_reset_function`)
   */
  reset(): void {
    this.#era++;
    this.powerState = 0;
    this.#setLine(false);
    this.msix?.reset();
    this.#plugged.reset();
  }

  /** It is pulled out: nothing that it had under way comes to an end, and nobody answers on the bus. */
  remove(): void {
    this.#era++;
    this.#setLine(false);
    this.isPresent = false;
    this.config.remove();
  }

  /** One access to a BAR, within it, at a multiple of its width. */
  read(bar: BarFacts, offset: number, width: 1 | 2 | 4): number;
  read(bar: BarFacts, offset: number, width: Width): number | bigint;
  read(bar: BarFacts, offset: number, width: Width): number | bigint {
    const own = this.#ownBytes(bar, offset);
    if (own !== undefined) return load(own.bytes, own.at, width);
    const value = this.#plugged.read(bar.index, offset, width);
    return this.#isSwapped ? swapped(value, width) : sized(value, width);
  }

  write(bar: BarFacts, offset: number, width: Width, value: number | bigint): void {
    const own = this.#ownBytes(bar, offset);
    if (own === undefined) {
      this.#plugged.write(bar.index, offset, width, this.#isSwapped ? swapped(value, width) : sized(value, width));
    } else if (own.bytes !== this.msix?.pending) {
      store(own.bytes, own.at, width, value);
      if (own.bytes === this.msix?.entries) this.#wroteTable(own.at);
    }
  }

  /** What is not the plugged device's to answer: the table of MSI-X, its pending bits, and BARs that are memory. */
  #ownBytes(bar: BarFacts, offset: number): { readonly bytes: Uint8Array; readonly at: number } | undefined {
    const { msix } = this.facts;
    if (msix !== undefined && this.msix !== undefined && bar.index === msix.bar) {
      const { entries, pending } = this.msix;
      if (isWithin(offset, msix.table, entries.length)) return { bytes: entries, at: offset - msix.table };
      if (isWithin(offset, msix.pending, pending.length)) return { bytes: pending, at: offset - msix.pending };
    }
    return bar.memory === undefined ? undefined : { bytes: bar.memory, at: offset };
  }

  /** A vector that is unmasked sends what was pending. */
  #wroteTable(at: number): void {
    this.flush(Math.floor(at / 16));
  }

  /** Sends what is pending of a vector, if it may go. */
  flush(vector: number): void {
    const table = this.msix;
    if (table === undefined || !this.isMsixOn || table.isMasked(vector)) return;
    if ((this.#msixFlags & Msix.MASK_ALL) === 0 && table.takePending(vector)) this.#send(vector);
  }

  #send(vector: number): void {
    if (this.msix?.isKernels(vector)) this.sink?.message(vector);
  }

  #raise(vector: number): void {
    const table = this.msix;
    if (!this.isPresent || !Number.isInteger(vector) || vector < 0) return;
    if (table !== undefined && this.isMsixOn) {
      if (vector >= table.vectors) return;
      table.setPending(vector);
      this.flush(vector);
      return;
    }
    const flags = this.#msi === 0 ? 0 : this.config.u16(this.#msi + Msi.FLAGS);
    if ((flags & Msi.ENABLE) === 0) return;
    // A device with fewer messages than it wanted sends them modulo what it got.
    this.sink?.message(vector % (1 << ((flags & Msi.MULTIPLE) >> 4)));
  }

  #setLine(raised: boolean): void {
    this.isRaised = raised;
    this.config.interruptStatus = raised;
    if (raised) this.sink?.line();
  }

  #busFor(dmaOf: () => ModelDevice): Bus {
    const stopped = (iova: bigint): DmaResult => ({ bytes: 0, fault: { iova, why: "bus mastering is off" } });
    return {
      read: (iova, into) => (this.isBusMaster ? dmaOf().read(iova, into) : stopped(iova)),
      write: (iova, from) => (this.isBusMaster ? dmaOf().write(iova, from) : stopped(iova)),
      raise: (vector) => this.#raise(vector),
      line: (raised) => {
        if (this.isPresent) this.#setLine(raised);
      },
      later: (work) => {
        const era = this.#era;
        nextTurn(() => {
          if (this.#era === era) work();
        });
      },
    };
  }
}

function isWithin(offset: number, start: number, bytes: number): boolean {
  return offset >= start && offset < start + bytes;
}

function load(bytes: Uint8Array, at: number, width: Width): number | bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (width === 8) return view.getBigUint64(at, true);
  if (width === 4) return view.getUint32(at, true);
  return width === 2 ? view.getUint16(at, true) : view.getUint8(at);
}

function store(bytes: Uint8Array, at: number, width: Width, value: number | bigint): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (width === 8) view.setBigUint64(at, BigInt(value), true);
  else if (width === 4) view.setUint32(at, Number(value), true);
  else if (width === 2) view.setUint16(at, Number(value), true);
  else view.setUint8(at, Number(value));
}

/** A value as the bus carries it: so many bytes, whatever a device said. */
function sized(value: number | bigint, width: Width): number | bigint {
  if (width === 8) return BigInt.asUintN(64, BigInt(value));
  const number = typeof value === "bigint" ? Number(BigInt.asUintN(32, value)) : value >>> 0;
  return width === 4 ? number : number & (width === 2 ? 0xffff : 0xff);
}

const scratch = new DataView(new ArrayBuffer(8));

/** The bytes of a value the other way round. */
function swapped(value: number | bigint, width: Width): number | bigint {
  const whole = sized(value, width);
  if (width === 1) return whole;
  if (width === 8) {
    scratch.setBigUint64(0, whole as bigint, true);
    return scratch.getBigUint64(0, false);
  }
  if (width === 2) {
    scratch.setUint16(0, whole as number, true);
    return scratch.getUint16(0, false);
  }
  scratch.setUint32(0, whole as number, true);
  return scratch.getUint32(0, false);
}
