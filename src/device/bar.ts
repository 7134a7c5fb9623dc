import { Closable } from "../closable.ts";
import { markClass } from "../copies.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError, errnoName } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { hex, bytes as size } from "../hex.ts";
import { inspectable, whereClosed } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import type { Registers } from "../syscalls.ts";
import { boolean, object } from "../validate.ts";
import { NO_SUCH_WIDTH } from "./call-registers.ts";
import type { Whereabouts } from "./file.ts";

export interface BarOptions {
  /** Of the device's registers. PCI devices are little-endian, which is the default, but for a few (QEMU's edu on POWER). */
  readonly endian?: "little" | "big";
}

export interface BarBytesOptions {
  /** Also of a BAR that does not say to be like memory (it is not prefetchable). Default: false. */
  readonly force?: boolean;
}

const BYTES_KEYS = keysOf<BarBytesOptions>({ force: true });

/** What a device does for a BAR of its own, and knows of it. */
export interface BarKeeper {
  readonly where: Whereabouts;
  /** It says to be like memory. A system call. */
  isPrefetchable(): boolean;
  /** What the device's own registers say to an access that it did not answer: a sentence. */
  diagnose(): string;
  /** The BAR is not used any more. Gives what the unmapping met with. */
  release(bar: Bar): DmaWindowError | undefined;
}

const U64_MAX = 0xffff_ffff_ffff_ffffn;

/**
 * The registers of a device: a BAR. Made by `device.bar(n)`. It belongs to the thread that its device does.
 *
 * Each call is exactly one access of its width to the device, in the order of the program, never left out and never made twice.
 * A write comes after all that the program wrote to memory before it, a read before all that it reads behind. Values are in the
 * machine's order, whichever the device's is. 64-bit registers of a device that takes them in halves only have
 * {@link read64LoHi} and {@link write64LoHi}.
 *
 * Offsets are bytes from the BAR's beginning and multiples of the width. All throw RangeError `ERR_OUT_OF_RANGE` for another one,
 * or a value of more bits; `ERR_CLOSED`; `ERR_DEVICE_OFF` where the device does not answer: its memory is off, it sleeps in D3, or it
 * has gone, and the message says which (a device that has gone may also read as all ones: see `device.gone`). A write is posted: that the
 * device got it, only a read tells.
 *
 * Cost: about 40 ns and no garbage beside the device's own time, with bigints 60 ns; where the BAR cannot be mapped (ports,
 * {@link isMapped}) a system call. Reading a register of real hardware takes about a microsecond.
 */
export class Bar extends Closable {
  /** 0 to 5; 6 is the ROM. */
  readonly index: number;
  /** Bytes: exact, as a BAR has at most 2^52. */
  readonly length: number;
  /** Whether accesses go to mapped memory; else each is a pread or pwrite, at most 32 bits wide. */
  readonly isMapped: boolean;
  readonly #registers: Registers;
  readonly #keeper: BarKeeper;
  #open = true;

  /** @internal Made by a device. */
  constructor(index: number, registers: Registers, isMapped: boolean, keeper: BarKeeper) {
    super();
    this.index = index;
    this.length = registers.length;
    this.isMapped = isMapped;
    this.#registers = registers;
    this.#keeper = keeper;
  }

  /** It is unmapped: by {@link close}, or as its device closed. */
  get closed(): boolean {
    return !this.#open;
  }

  /** A register of 8 bits. @throws as {@link Bar} says. */
  read8(offset: number): number {
    this.#check(offset, 1);
    const value = this.#registers.read8(offset);
    if (value < 0) throw this.#off("read", offset, value);
    return value;
  }

  /** A register of 16 bits. @throws as {@link Bar} says. */
  read16(offset: number): number {
    this.#check(offset, 2);
    const value = this.#registers.read16(offset);
    if (value < 0) throw this.#off("read", offset, value);
    return value;
  }

  /** A register of 32 bits. @throws as {@link Bar} says. */
  read32(offset: number): number {
    this.#check(offset, 4);
    const value = this.#registers.read32(offset);
    if (value < 0) throw this.#off("read", offset, value);
    return value;
  }

  /**
   * A register of 64 bits, in one access.
   *
   * @throws as {@link Bar} says; `ERR_NO_WIDTH` where the BAR is not mapped: nothing makes one access of it there.
   */
  read64(offset: number): bigint {
    this.#check(offset, 8);
    const value = this.#registers.read64(offset);
    if (value < 0n) throw this.#off("read", offset, Number(value));
    return value;
  }

  /** Two accesses of 32 bits, the low half first. A counter may carry from one half to the other in between. */
  read64LoHi(offset: number): bigint {
    this.#check(offset, 8);
    const low = this.read32(offset);
    return BigInt(low) | (BigInt(this.read32(offset + 4)) << 32n);
  }

  /** A register of 8 bits: `value` from 0 to 0xff. @throws as {@link Bar} says. */
  write8(offset: number, value: number): void {
    this.#check(offset, 1);
    if (!isBelow(value, 0xff)) throw wrongValue(value, 0xff);
    const answer = this.#registers.write8(offset, value);
    if (answer !== 0) throw this.#off("write", offset, answer);
  }

  /** A register of 16 bits: `value` from 0 to 0xffff. @throws as {@link Bar} says. */
  write16(offset: number, value: number): void {
    this.#check(offset, 2);
    if (!isBelow(value, 0xffff)) throw wrongValue(value, 0xffff);
    const answer = this.#registers.write16(offset, value);
    if (answer !== 0) throw this.#off("write", offset, answer);
  }

  /** A register of 32 bits: `value` from 0 to 0xffffffff; of a signed result `value >>> 0`. @throws as {@link Bar} says. */
  write32(offset: number, value: number): void {
    this.#check(offset, 4);
    if (!isBelow(value, 0xffff_ffff)) throw wrongValue(value, 0xffff_ffff);
    const answer = this.#registers.write32(offset, value);
    if (answer !== 0) throw this.#off("write", offset, answer);
  }

  /** A register of 64 bits, in one access: `value` from 0n to 2n ** 64n - 1n. @throws as {@link read64}. */
  write64(offset: number, value: bigint): void {
    this.#check(offset, 8);
    checkBigint(value);
    const answer = this.#registers.write64(offset, value);
    if (answer !== 0) throw this.#off("write", offset, answer);
  }

  /** Two accesses of 32 bits, the low half first. */
  write64LoHi(offset: number, value: bigint): void {
    this.#check(offset, 8);
    checkBigint(value);
    this.write32(offset, Number(value & 0xffff_ffffn));
    this.write32(offset + 4, Number(value >> 32n));
  }

  /**
   * The BAR's bytes, without a copy, for one that is like memory: a frame buffer, a controller's memory buffer. It has length 0
   * once the BAR is closed. For registers it is no good: engines read them in pieces, twice, or not at all.
   *
   * **Touching it while the device does not answer** (reset from outside, unplugged) ends the process.
   *
   * @throws `ERR_NOT_MEMORY` for a BAR that does not say to be like memory, unless it is forced; where it is not mapped; and where
   * the kernel interface, or the engine, has no bytes to show. `ERR_KERNEL`, as what the BAR says stands in configuration space.
   */
  bytes(options: BarBytesOptions = {}): Uint8Array {
    known("options", object("options", options), BYTES_KEYS);
    const isForced = options.force !== undefined && boolean("force", options.force);
    this.#checkOpen();
    if (!this.isMapped) throw this.#notMemory("it cannot be mapped: use read8 to read32");
    if (!isForced && !this.#keeper.isPrefetchable()) {
      throw this.#notMemory(
        "it is not prefetchable, so reading it may do something: use read8 to read64, or force: true",
      );
    }
    const found = this.#registers.bytes();
    if (found === undefined)
      throw this.#notMemory("this kernel interface, or engine, shows no bytes of it: use read8 to read64");
    return found;
  }

  /**
   * Unmaps it; `device.bar(n)` maps it anew. Once more does nothing. The device closes its BARs itself.
   *
   * @throws `ERR_KERNEL`, `ERR_INTERFACE` where it may still be mapped (`residue`): closing the device tries it again.
   */
  close(): void {
    if (!this.#open) return;
    exclusively("bar.close", () => {
      const problem = this.end();
      if (problem !== undefined) throw problem;
    });
  }

  /** @internal The same in the middle of an operation; gives what it met with. */
  end(): DmaWindowError | undefined {
    if (!this.#open) return undefined;
    this.#open = false;
    return this.#keeper.release(this);
  }

  #check(offset: number, width: number): void {
    if (
      typeof offset === "number" &&
      offset % width === 0 &&
      offset >= 0 &&
      offset <= this.length - width &&
      this.#open
    )
      return;
    this.#refuse(offset, width);
  }

  /** Apart, so that the check stays small enough to be compiled into its callers. */
  #refuse(offset: unknown, width: number): never {
    this.#checkOpen();
    if (typeof offset !== "number") throw argumentTypeError("offset", "a number", offset);
    const last = this.length - width;
    const within = `of bar ${this.index}, which has ${size(this.length)}`;
    throw argumentRangeError(
      "offset",
      `${width === 1 ? "an integer" : `a multiple of ${width}`} from 0 to ${last} ${within}`,
      offset,
    );
  }

  #checkOpen(): void {
    if (this.#open) return;
    const { address } = this.#keeper.where;
    throw new DmaWindowError(
      "ERR_CLOSED",
      `bar ${this.index} of device ${address} is closed: container.device("${address}").bar(${this.index}) opens it anew`,
    );
  }

  #off(what: "read" | "write", offset: number, answer: number): DmaWindowError {
    const { address, group } = this.#keeper.where;
    const facts = { address, group, bar: this.index, offset };
    if (answer === NO_SUCH_WIDTH) {
      const words = `bar ${this.index} of device ${address} is not mapped, and nothing makes one access of 64 bits there`;
      return new DmaWindowError("ERR_NO_WIDTH", `${words}: use ${what}64LoHi`, { facts });
    }
    return new DmaWindowError(
      "ERR_DEVICE_OFF",
      `bar ${this.index} of device ${address} did not answer a ${what} at ${hex(offset)} (${errnoName(answer)}): ${this.#keeper.diagnose()}`,
      { errno: answer, facts },
    );
  }

  #notMemory(why: string): DmaWindowError {
    const { address, group } = this.#keeper.where;
    return new DmaWindowError("ERR_NOT_MEMORY", `bar ${this.index} of device ${address} shows no bytes: ${why}`, {
      facts: { address, group, bar: this.index },
    });
  }
}

function isBelow(value: number, most: number): boolean {
  return typeof value === "number" && value >= 0 && value <= most && value % 1 === 0;
}

function wrongValue(value: unknown, most: number): TypeError | RangeError {
  if (typeof value !== "number") return argumentTypeError("value", "a number (bigints are for write64)", value);
  return argumentRangeError(
    "value",
    `an integer from 0 to ${hex(most)} (value >>> 0 makes one of a signed result)`,
    value,
  );
}

function checkBigint(value: bigint): void {
  if (typeof value !== "bigint") throw argumentTypeError("value", "a bigint, such as 1n", value);
  if (value < 0n || value > U64_MAX) throw argumentRangeError("value", "from 0 to 2^64 - 1", value);
}

markClass(Bar, "Bar");
inspectable(Bar, "Bar", (bar) => ({
  state: whereClosed(bar),
  index: bar.index,
  length: bar.length,
  isMapped: bar.isMapped,
}));
