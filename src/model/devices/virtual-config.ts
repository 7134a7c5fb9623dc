import { EFAULT } from "../errno.ts";
import { Capability, Command, Config, type ConfigRegisters, Express, Msi, Pm } from "./config-registers.ts";
import type { DeviceFacts } from "./facts.ts";

/** What a write to the configuration space makes the kernel do. */
export interface ConfigEffects {
  /** Memory may have been switched on or off. */
  commandChanged(): void;
  /** The bit by which a program disables the interrupt line: the kernel's own, which the device does not see. */
  disableIntx(disabled: boolean): void;
  resetFunction(): void;
  /** D0 to D3hot, 0 to 3. */
  setPowerState(state: number): void;
  /** MSI is on, by SET_IRQS. */
  readonly isMsiOn: boolean;
}

/** Of the ROM's register the bit that switches it on. */
const ROM_ENABLE = 1;

/** The owner of the standard header's bytes; those of nobody have 0. */
const HEADER = 0xff;

/**
 * The configuration space as a program sees it: some bits are the device's, some the kernel's own, and of each some can be written.
 *
 *     virtual & writable    to the kernel's copy            virtual & not    read from the copy, which stays
 *     real & writable       to the device                   real & not       read from the device, which is not asked to change
 *
 * A write that changes nothing is none the less a write of so many bytes: no error says it.
 *
 * Rules: `drivers/vfio/pci/vfio_pci_config.c: init_pci_cap_basic_perm` and its like, `vfio_default_config_read,
 * vfio_default_config_write, vfio_config_do_rw, vfio_pci_config_rw`.
 */
export class VirtualConfig {
  readonly #device: ConfigRegisters;
  readonly #effects: ConfigEffects;
  /** The kernel's copy. */
  readonly #copy: Uint8Array;
  readonly #virtual: Uint8Array;
  readonly #writable: Uint8Array;
  /** Whose byte it is: a capability's id, {@link HEADER}, or nobody's. */
  readonly #owner: Uint8Array;
  readonly #facts: DeviceFacts;

  /** `vfio_config_init`. */
  constructor(device: ConfigRegisters, facts: DeviceFacts, effects: ConfigEffects) {
    const { length } = device.bytes;
    this.#device = device;
    this.#facts = facts;
    this.#effects = effects;
    this.#copy = device.bytes.slice();
    this.#virtual = new Uint8Array(length);
    this.#writable = new Uint8Array(length);
    this.#owner = new Uint8Array(length);
    this.#owner.fill(HEADER, 0, Config.HEADER_BYTES);
    this.#header();
    for (const { id, at, bytes } of device.capabilities) {
      this.#owner.fill(id, at, at + bytes);
      this.#set(at + 1, 1, 0xff, 0); // where the next one is
      this.#capability(id, at);
    }
    this.#sizeBars();
  }

  get length(): number {
    return this.#copy.length;
  }

  /** The kernel's copy, for the hash. */
  get copy(): Uint8Array {
    return this.#copy;
  }

  /** How many bytes, or EFAULT past the end, also partly. */
  read(into: Uint8Array, offset: number): number {
    if (offset + into.length > this.length) return EFAULT;
    for (let done = 0; done < into.length; done++) into[done] = this.#byte(offset + done);
    return into.length;
  }

  /** Likewise. In pieces of 4, 2 or 1, each at a multiple of its size, as far as they have one owner. */
  write(from: Uint8Array, offset: number): number {
    if (offset + from.length > this.length) return EFAULT;
    for (let done = 0; done < from.length; ) {
      const at = offset + done;
      const bytes = this.#piece(at, from.length - done);
      this.#writePiece(from.subarray(done, done + bytes), at);
      done += bytes;
    }
    return from.length;
  }

  #piece(at: number, left: number): number {
    for (const bytes of [4, 2]) {
      const hasOneOwner = this.#owner[at] === this.#owner[at + bytes - 1];
      if (left >= bytes && at % bytes === 0 && hasOneOwner) return bytes;
    }
    return 1;
  }

  #byte(at: number): number {
    const virtual = this.#virtual[at] as number;
    return ((this.#copy[at] as number) & virtual) | ((this.#device.bytes[at] as number) & ~virtual & 0xff);
  }

  #writePiece(piece: Uint8Array, at: number): void {
    const owner = this.#owner[at] as number;
    const before = this.#pmState();
    for (const [index, value] of piece.entries()) this.#writeByte(at + index, value);
    if (owner === HEADER) this.#wroteHeader(at, piece.length);
    if (owner === Capability.MSI) this.#wroteMsi();
    if (owner === Capability.EXPRESS) this.#wroteExpress();
    if (owner === Capability.PM) this.#wrotePm(piece, at, before);
  }

  #writeByte(at: number, value: number): void {
    const [virtual, writable] = [this.#virtual[at] as number, this.#writable[at] as number];
    const own = virtual & writable;
    this.#copy[at] = ((this.#copy[at] as number) & ~own) | (value & own);
    const real = writable & ~virtual & 0xff;
    if (real !== 0) this.#device.write(at, ((this.#device.bytes[at] as number) & ~real) | (value & real));
  }

  /** `vfio_basic_config_write`. */
  #wroteHeader(at: number, bytes: number): void {
    if (at < Config.COMMAND + 2 && at + bytes > Config.COMMAND) {
      this.#effects.commandChanged();
      const copied = (this.#copy[Config.COMMAND + 1] as number) << 8;
      this.#effects.disableIntx((copied & Command.INTX_DISABLE) !== 0);
    }
    if (at + bytes > Config.BAR0) this.#sizeBars();
  }

  /** `vfio_bar_fixup`: of an address the bits below the size are what the BAR is; one that is not there reads 0. */
  #sizeBars(): void {
    const view = new DataView(this.#copy.buffer);
    const halves = new Map<number, number>();
    for (const { index, bytes, is64Bit } of this.#facts.bars) {
      const at = Config.BAR0 + 4 * index;
      const kind = this.#device.u32(at) & (this.#facts.bars.some((bar) => bar.index === index && bar.ports) ? 3 : 0xf);
      // Of a size above 2^32 the low half has no bit.
      const low = bytes >= 2 ** 32 ? 0 : -bytes;
      halves.set(index, ((view.getUint32(at, true) & low) | kind) >>> 0);
      const high = bytes > 2 ** 32 ? -(bytes / 2 ** 32) : -1;
      if (is64Bit) halves.set(index + 1, (view.getUint32(at + 4, true) & high) >>> 0);
    }
    for (let index = 0; index < 6; index++) view.setUint32(Config.BAR0 + 4 * index, halves.get(index) ?? 0, true);
    const { rom } = this.#facts;
    const base = view.getUint32(Config.ROM, true);
    view.setUint32(Config.ROM, rom === undefined ? 0 : (base & (-rom.bytes | ROM_ENABLE)) >>> 0, true);
  }

  /**
   * It is switched on by SET_IRQS, and has at most as many vectors as it is capable of, which is not to be written; the rest of the byte
   * is the program's own. (`vfio_msi_config_write, vfio_msi_config_read`)
   */
  #wroteMsi(): void {
    const at = this.#device.find(Capability.MSI) + Msi.FLAGS;
    const flags = this.#copy[at] as number;
    const capable = (this.#device.bytes[at] as number) & Msi.MULTIPLE_CAPABLE;
    const vectors = Math.min(flags & Msi.MULTIPLE, capable << 3);
    const enable = this.#effects.isMsiOn ? flags & Msi.ENABLE : 0;
    this.#copy[at] = (flags & ~(Msi.ENABLE | Msi.MULTIPLE | Msi.MULTIPLE_CAPABLE)) | capable | vectors | enable;
  }

  /** `vfio_exp_config_write`: the bit resets the device, and reads 0. */
  #wroteExpress(): void {
    const at = this.#device.find(Capability.EXPRESS) + Express.CONTROL + 1;
    const flr = Express.FLR >> 8;
    if (((this.#copy[at] as number) & flr) === 0) return;
    this.#copy[at] = (this.#copy[at] as number) & ~flr;
    if (this.#facts.flr) this.#effects.resetFunction();
  }

  /** `vfio_pm_config_write`: the kernel changes the state itself. */
  #wrotePm(piece: Uint8Array, at: number, before: number): void {
    const control = this.#device.find(Capability.PM) + Pm.CONTROL;
    if (at !== control) return;
    const state = (piece[0] as number) & Pm.STATE;
    if (state !== before) this.#effects.setPowerState(state);
  }

  #pmState(): number {
    const pm = this.#device.find(Capability.PM);
    return pm === 0 ? 0 : (this.#device.bytes[pm + Pm.CONTROL] as number) & Pm.STATE;
  }

  /** `init_pci_cap_basic_perm`. */
  #header(): void {
    this.#set(0, 4, 0xffff_ffff, 0); // vendor and device: also of one that has gone, whose other bits read as ones
    this.#set(Config.COMMAND, 2, Command.INTX_DISABLE, 0xffff);
    this.#set(Config.STATUS, 2, 0x10, 0);
    for (const at of [Config.CACHE_LINE, Config.LATENCY, Config.BIST]) this.#set(at, 1, 0, 0xff);
    for (let bar = 0; bar < 6; bar++) this.#set(Config.BAR0 + 4 * bar, 4, 0xffff_ffff, 0xffff_ffff);
    this.#set(Config.ROM, 4, 0xffff_ffff, 0xffff_ffff);
    this.#set(Config.CAPABILITIES, 1, 0xff, 0);
    this.#set(Config.INTERRUPT_LINE, 1, 0xff, 0xff);
    this.#set(Config.INTERRUPT_PIN, 1, 0xff, 0);
  }

  /** `init_pci_cap_pm_perm, init_pci_cap_exp_perm, init_pci_cap_msi_perm`. Of MSI-X nothing can be written. */
  #capability(id: number, at: number): void {
    if (id === Capability.PM) {
      this.#set(at + Pm.CONTROL, 4, 0x8100, 0xffff_7efc); // the state is the kernel's to change, PME nobody's
    } else if (id === Capability.EXPRESS) {
      // Its own: FLR, the sizes of payload and read requests. Not to be written: phantom functions, ARI.
      this.#set(at + Express.CONTROL, 2, 0xf0e0, 0xfdff);
      this.#set(at + Express.CONTROL2, 2, 0, 0xffdf);
    } else if (id === Capability.MSI) {
      this.#set(at + Msi.FLAGS, 1, 0xff, 0xff);
      this.#set(at + 4, 4, 0xffff_ffff, 0xffff_ffff);
      this.#set(at + 8, 4, 0xffff_ffff, 0xffff_ffff);
      this.#set(at + 12, 2, 0xffff, 0xffff);
    }
  }

  #set(at: number, bytes: number, virtual: number, writable: number): void {
    for (let index = 0; index < bytes; index++) {
      this.#virtual[at + index] = virtual >>> (8 * index);
      this.#writable[at + index] = writable >>> (8 * index);
    }
  }
}
