import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { hex } from "../hex.ts";
import { inspectable } from "../inspect.ts";
import { isBytes } from "../typed-arrays.ts";
import { count } from "../validate.ts";
import { Capability, capabilitiesOf, type PciCapability } from "./capabilities.ts";
import type { DeviceFile } from "./file.ts";
import type { DeviceRegion } from "./regions.ts";

/** Bits of the command register. */
export const Command = { PORTS: 1, MEMORY: 2, BUS_MASTER: 4, NO_INTX: 0x400 } as const;

const COMMAND = 4;
const STATUS = 6;

/** Of power management: from the capability's beginning to its control register, and the bits of the state in that. */
export const PowerRegister = { OFFSET: 4, STATE: 3 } as const;

type Width = 1 | 2 | 4;

/**
 * A device's configuration space, through the kernel. It shows most registers as they are, some as it keeps them itself (BARs, the
 * MSI and MSI-X enable bits), and **ignores writes to others without an error**: so every write gives what the register reads
 * afterwards, and {@link set16} and its like refuse where that is not what was written. (drivers/vfio/pci/vfio_pci_config.c)
 *
 * Each access is a system call, about a microsecond and more; it is no place for a hot path.
 *
 * All throw `ERR_CLOSED`; RangeError `ERR_OUT_OF_RANGE` for an offset that is no multiple of the width, or past the end, and
 * for a value that is none of so many bits; `ERR_KERNEL`.
 */
export class ConfigSpace {
  /** Bytes: 256, or 4096 of PCI Express. */
  readonly length: number;
  readonly #file: DeviceFile;
  readonly #region: DeviceRegion;
  readonly #mapped: () => readonly string[];

  /** @internal `mapped` names the BARs that are mapped. */
  constructor(file: DeviceFile, region: DeviceRegion, mapped: () => readonly string[]) {
    this.#file = file;
    this.#region = region;
    this.#mapped = mapped;
    this.length = Number(region.bytes);
  }

  /** One register; `offset` in bytes from the beginning. As the kernel shows it: see {@link ConfigSpace}. */
  read8(offset: number): number {
    return this.#read(offset, 1);
  }

  /** As {@link read8}. */
  read16(offset: number): number {
    return this.#read(offset, 2);
  }

  /** As {@link read8}. */
  read32(offset: number): number {
    return this.#read(offset, 4);
  }

  /** Many bytes in one call: as many as `into` has, at any offset. */
  read(into: Uint8Array, offset: number): void {
    this.#file.check();
    if (!isBytes(into)) throw argumentTypeError("into", "a Uint8Array", into);
    const last = this.length - into.length;
    if (count("offset", offset) > last) throw argumentRangeError("offset", `from 0 to ${last}`, offset);
    if (into.length > 0) this.#file.read(into, this.#at(offset), { offset }, `config space at ${hex(offset)}`);
  }

  /**
   * Writes, and gives what the register reads then: another value where the kernel or the device kept bits of it.
   *
   * @throws `ERR_MAPPED` for what would switch off memory, or take the device out of D0, while a BAR is mapped: nothing there would
   * answer, and touching `bar.bytes()` would end the process.
   */
  write8(offset: number, value: number): number {
    return this.#write(offset, 1, value);
  }

  /** As {@link write8}. */
  write16(offset: number, value: number): number {
    return this.#write(offset, 2, value);
  }

  /** As {@link write8}. */
  write32(offset: number, value: number): number {
    return this.#write(offset, 4, value);
  }

  /**
   * Changes the bits of `mask` to those of `value` and no others, and makes sure of it.
   *
   * @throws `ERR_WRITE_IGNORED` (facts: offset, wanted, got) where they read otherwise afterwards: the kernel keeps them, or the
   * device does. And what {@link write8} throws.
   */
  set8(offset: number, mask: number, value: number): void {
    this.#set(offset, 1, mask, value);
  }

  /** As {@link set8}. */
  set16(offset: number, mask: number, value: number): void {
    this.#set(offset, 2, mask, value);
  }

  /** As {@link set8}. */
  set32(offset: number, mask: number, value: number): void {
    this.#set(offset, 4, mask, value);
  }

  /** The command register. */
  get command(): number {
    return this.#read(COMMAND, 2);
  }

  /** The status register. */
  get status(): number {
    return this.#read(STATUS, 2);
  }

  /**
   * The capabilities, in the device's own order, those of the extended list last. A list that leads back into itself, or to where
   * none can be, ends there. Reads the whole space.
   */
  capabilities(): PciCapability[] {
    const all = new Uint8Array(this.length);
    this.read(all, 0);
    return capabilitiesOf(all);
  }

  /** The first capability with a number; `undefined` where the device has none. Reads the whole space. */
  find(id: number, extended = false): PciCapability | undefined {
    count("id", id);
    return this.capabilities().find((one) => one.id === id && one.extended === extended);
  }

  #read(offset: number, width: Width): number {
    this.#file.check();
    this.#check(offset, width);
    const bytes = new Uint8Array(width);
    this.#file.read(bytes, this.#at(offset), { offset }, `config space at ${hex(offset)}`);
    return numberIn(bytes);
  }

  #write(offset: number, width: Width, value: number): number {
    this.#file.check();
    this.#check(offset, width);
    checkValue("value", value, width);
    return exclusively("config.write", () => this.#put(offset, width, value));
  }

  #set(offset: number, width: Width, mask: number, value: number): void {
    this.#file.check();
    this.#check(offset, width);
    checkValue("mask", mask, width);
    checkValue("value", value, width);
    exclusively("config.set", () => this.change(offset, width, mask, value));
  }

  /** @internal In the middle of an operation. */
  change(offset: number, width: Width, mask: number, value: number): void {
    const wanted = (value & mask) >>> 0;
    const now = this.#read(offset, width);
    const got = (this.#put(offset, width, ((now & ~mask) | wanted) >>> 0) & mask) >>> 0;
    if (got === wanted) return;
    throw new DmaWindowError(
      "ERR_WRITE_IGNORED",
      `${hex(wanted)} was written to the bits ${hex(mask)} of config space at ${hex(offset)} of device ` +
        `${this.#file.where.address}, and they read ${hex(got)}: the kernel keeps that register, or the device does not have it`,
      { facts: { ...this.#file.where, offset, mask, wanted, got } },
    );
  }

  #put(offset: number, width: Width, value: number): number {
    this.#guard(offset, width, value);
    const bytes = new Uint8Array(width);
    for (let i = 0; i < width; i++) bytes[i] = value >>> (8 * i);
    this.#file.write(bytes, this.#at(offset), { offset, value }, `config space at ${hex(offset)}`);
    return this.#read(offset, width);
  }

  /** A BAR that is mapped answers only while memory is on and the device in D0: else the access is a SIGBUS. */
  #guard(offset: number, width: Width, value: number): void {
    const mapped = this.#mapped();
    if (mapped.length === 0) return;
    const byte = (at: number) =>
      at >= offset && at < offset + width ? (value >>> (8 * (at - offset))) & 0xff : undefined;
    const command = byte(COMMAND);
    if (command !== undefined && (command & Command.MEMORY) === 0)
      throw this.#isMapped(mapped, "switch its memory off");
    // Only a write behind the header can reach it, and the list is read for such a one alone.
    if (offset < 0x40) return;
    const power = this.find(Capability.POWER);
    const state = power && byte(power.offset + PowerRegister.OFFSET);
    if (state !== undefined && (state & PowerRegister.STATE) !== 0) throw this.#isMapped(mapped, "take it out of D0");
  }

  #isMapped(mapped: readonly string[], what: string): DmaWindowError {
    return new DmaWindowError(
      "ERR_MAPPED",
      `device ${this.#file.where.address} has ${mapped.join(", ")} mapped: to ${what} would leave its registers without an answer, and ` +
        "who touches its bar.bytes() ends the process. Close the bar first (bar.close())",
      { facts: { ...this.#file.where, mapped } },
    );
  }

  #at(offset: number): bigint {
    return this.#region.offset + BigInt(offset); // a region's offset is a multiple of 2^40, and this is below 2^12
  }

  #check(offset: number, width: Width): void {
    if (count("offset", offset) % width === 0 && offset + width <= this.length) return;
    const last = this.length - width;
    throw argumentRangeError(
      "offset",
      width === 1 ? `from 0 to ${last}` : `a multiple of ${width} up to ${last}`,
      offset,
    );
  }
}

function numberIn(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

function checkValue(name: string, value: number, width: Width): void {
  const most = 2 ** (8 * width) - 1;
  if (count(name, value) > most) throw argumentRangeError(name, `from 0 to ${hex(most)}`, value);
}

inspectable(ConfigSpace, "ConfigSpace", ({ length }) => ({ length }));
