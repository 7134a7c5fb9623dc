import { type DeviceFacts, ROM } from "./facts.ts";
import type { PciMachine } from "./pci-machine.ts";

/** Registers of the standard header (`<linux/pci_regs.h>`). */
export const Config = {
  COMMAND: 0x04,
  STATUS: 0x06,
  CACHE_LINE: 0x0c,
  LATENCY: 0x0d,
  BIST: 0x0f,
  BAR0: 0x10,
  ROM: 0x30,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
  HEADER_BYTES: 0x40,
} as const;

/** Bits of the command register. */
export const Command = { IO: 1, MEMORY: 2, MASTER: 4, INTX_DISABLE: 0x400 } as const;

/** Bits of the status register. */
const Status = { INTERRUPT: 8, CAPABILITIES: 0x10 };

/** Capabilities, and where in one what is. */
export const Capability = { PM: 1, MSI: 5, EXPRESS: 0x10, MSIX: 0x11 } as const;
/** NO_SOFT_RESET: registers stay as they are on the way from D3hot to D0. */
export const Pm = { CONTROL: 4, STATE: 3, NO_SOFT_RESET: 8, BYTES: 8 } as const;
export const Msi = { FLAGS: 2, ENABLE: 1, MULTIPLE_CAPABLE: 0x0e, MULTIPLE: 0x70, BYTES: 14 } as const;
export const Express = { CONTROL: 8, CONTROL2: 0x28, FLR: 0x8000, BYTES: 0x3c } as const;
export const Msix = { FLAGS: 2, ENABLE: 0x8000, MASK_ALL: 0x4000, BYTES: 12 } as const;

/** Of a device that is on PCI Express, and of one that is not. */
const EXPRESS_BYTES = 4096;
const CONVENTIONAL_BYTES = 256;

export interface PlacedCapability {
  readonly id: number;
  readonly at: number;
  readonly bytes: number;
}

/**
 * The configuration space as the device itself has it. Where QEMU's nvme has its capabilities, it has them here:
 *
 *     0x00 header   0x40 MSI-X   0x60 power management   0x80 PCI Express   0xc0 MSI   0x100 extended: empty
 *
 * One that is not on PCI Express has 256 bytes, and MSI at 0x40, as QEMU's edu.
 */
export class ConfigRegisters {
  readonly bytes: Uint8Array;
  readonly capabilities: readonly PlacedCapability[];
  readonly #view: DataView;
  readonly #writable: Uint8Array;

  constructor(facts: DeviceFacts, machine: PciMachine, baseOf: (bar: number) => number, isBehindBridge: boolean) {
    this.bytes = new Uint8Array(facts.express ? EXPRESS_BYTES : CONVENTIONAL_BYTES);
    this.#view = new DataView(this.bytes.buffer);
    this.#writable = new Uint8Array(this.bytes.length);
    this.capabilities = capabilitiesOf(facts);
    this.#header(facts, machine);
    this.#bars(facts, machine, baseOf);
    this.#chain();
    this.#fill(facts, isBehindBridge);
  }

  /** Where a capability is, or 0. */
  find(id: number): number {
    return this.capabilities.find((one) => one.id === id)?.at ?? 0;
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  setU16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** A write of the bus: bits that the device does not let be written stay. */
  write(at: number, value: number): void {
    const mask = this.#writable[at] as number;
    this.bytes[at] = ((this.bytes[at] as number) & ~mask) | (value & mask);
  }

  /** Where nobody answers a bus reads ones, and takes nothing. */
  remove(): void {
    this.bytes.fill(0xff);
    this.#writable.fill(0);
  }

  get command(): number {
    return this.u16(Config.COMMAND);
  }

  set interruptStatus(raised: boolean) {
    const status = this.u16(Config.STATUS) & ~Status.INTERRUPT;
    this.setU16(Config.STATUS, status | (raised ? Status.INTERRUPT : 0));
  }

  #header(facts: DeviceFacts, machine: PciMachine): void {
    this.setU16(0, facts.vendor);
    this.setU16(2, facts.device);
    this.setU16(Config.COMMAND, machine.command);
    this.setU16(Config.STATUS, this.capabilities.length > 0 ? Status.CAPABILITIES : 0);
    this.#view.setUint32(8, ((facts.class << 8) | facts.revision) >>> 0, true);
    this.setU16(0x2c, facts.subsystemVendor);
    this.setU16(0x2e, facts.subsystemDevice);
    this.bytes[Config.INTERRUPT_LINE] = facts.intx ? machine.interruptLine : 0;
    this.bytes[Config.INTERRUPT_PIN] = facts.intx ? 1 : 0;
    // I/O, memory, bus master, parity, SERR, INTx disable.
    this.#allow(Config.COMMAND, 0x547);
    this.#allow(Config.CACHE_LINE, 0xff);
    this.#allow(Config.INTERRUPT_LINE, 0xff);
  }

  /** As firmware left them: address, and what kind each is. */
  #bars(facts: DeviceFacts, machine: PciMachine, baseOf: (bar: number) => number): void {
    for (const { index, ports, is64Bit, prefetchable } of facts.bars) {
      const at = Config.BAR0 + 4 * index;
      const base = BigInt(baseOf(index));
      const kind = ports ? 1 : (is64Bit && machine.says64Bit ? 4 : 0) | (prefetchable ? 8 : 0);
      this.#view.setUint32(at, Number(base & 0xffff_ffffn) | kind, true);
      if (is64Bit) this.#view.setUint32(at + 4, Number(base >> 32n), true);
    }
    if (facts.rom !== undefined) this.#view.setUint32(Config.ROM, baseOf(ROM), true);
  }

  #chain(): void {
    this.bytes[Config.CAPABILITIES] = this.capabilities[0]?.at ?? 0;
    for (const [place, { id, at }] of this.capabilities.entries()) {
      this.bytes[at] = id;
      this.bytes[at + 1] = this.capabilities[place + 1]?.at ?? 0;
    }
  }

  #fill(facts: DeviceFacts, isBehindBridge: boolean): void {
    for (const { id, at } of this.capabilities) {
      if (id === Capability.PM) {
        this.setU16(at + 2, 3); // the third version, and none of D1, D2, PME
        this.setU16(at + Pm.CONTROL, facts.pmReset ? 0 : Pm.NO_SOFT_RESET);
        this.#allow(at + Pm.CONTROL, Pm.STATE);
      } else if (id === Capability.MSI) {
        this.setU16(at + Msi.FLAGS, 0x80 | (Math.log2(facts.msi) << 1)); // 64-bit addresses
        this.#allow(at + Msi.FLAGS, Msi.ENABLE | Msi.MULTIPLE);
      } else if (id === Capability.EXPRESS) {
        this.setU16(at + 2, isBehindBridge ? 0x02 : 0x92); // an endpoint; on the root bus one that is part of it
        this.#view.setUint32(at + 4, 0x8000 | (facts.flr ? 0x1000_0000 : 0), true);
        this.#allow(at + Express.CONTROL, 0x7fff);
        this.#allow(at + Express.CONTROL2, 0xffff);
      } else if (id === Capability.MSIX && facts.msix !== undefined) {
        const { vectors, bar, table, pending } = facts.msix;
        this.setU16(at + Msix.FLAGS, vectors - 1);
        this.#view.setUint32(at + 4, (table | bar) >>> 0, true);
        this.#view.setUint32(at + 8, (pending | bar) >>> 0, true);
      }
    }
  }

  #allow(at: number, bits: number): void {
    this.#writable[at] = bits & 0xff;
    if (bits > 0xff) this.#writable[at + 1] = bits >> 8;
  }
}

/** In the order of their chain. */
function capabilitiesOf({ express, msi, msix }: DeviceFacts): readonly PlacedCapability[] {
  const found: PlacedCapability[] = [];
  if (msix !== undefined) found.push({ id: Capability.MSIX, at: 0x40, bytes: Msix.BYTES });
  if (express) {
    found.push({ id: Capability.EXPRESS, at: 0x80, bytes: Express.BYTES });
    found.push({ id: Capability.PM, at: 0x60, bytes: Pm.BYTES });
  }
  if (msi > 0) found.push({ id: Capability.MSI, at: express || msix !== undefined ? 0xc0 : 0x40, bytes: Msi.BYTES });
  return found;
}
