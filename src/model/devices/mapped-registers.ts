import { argumentRangeError, argumentTypeError, DmaWindowError } from "../../errors.ts";
import { inspectable } from "../../inspect.ts";
import type { Registers } from "../../syscalls.ts";
import { EIO } from "../errno.ts";
import { ModelProcessEnded } from "../errors.ts";
import type { BarFacts } from "./facts.ts";
import type { PciFunction } from "./pci-function.ts";
import type { Width } from "./plug.ts";

/** A mapping of a process: it keeps the device open until it ends, or the process does. */
export interface HeldMap {
  readonly processEnded: boolean;
  /** Lets go of the device. */
  end(): void;
}

/**
 * A piece of a BAR that a process has mapped. Each access is one access of its width to the device. Behind the BAR's end, where its
 * last page goes on, it reads 0 (seen with pages of 64 KiB), and writes are gone.
 */
export class MappedRegisters implements Registers {
  readonly length: number;
  readonly #device: PciFunction;
  readonly #bar: BarFacts;
  /** Where in the BAR it begins. */
  readonly #start: number;
  readonly #held: HeldMap;
  #ended = false;

  constructor(device: PciFunction, bar: BarFacts, start: number, length: number, held: HeldMap) {
    this.#device = device;
    this.#bar = bar;
    this.#start = start;
    this.length = length;
    this.#held = held;
  }

  read8(offset: number): number {
    return this.#read(offset, 1) as number;
  }

  read16(offset: number): number {
    return this.#read(offset, 2) as number;
  }

  read32(offset: number): number {
    return this.#read(offset, 4) as number;
  }

  read64(offset: number): bigint {
    return BigInt(this.#read(offset, 8));
  }

  write8(offset: number, value: number): number {
    return this.#write(offset, 1, number(value, 0xff));
  }

  write16(offset: number, value: number): number {
    return this.#write(offset, 2, number(value, 0xffff));
  }

  write32(offset: number, value: number): number {
    return this.#write(offset, 4, number(value, 0xffff_ffff));
  }

  write64(offset: number, value: bigint): number {
    if (typeof value !== "bigint") throw argumentTypeError("value", "a bigint", value);
    if (BigInt.asUintN(64, value) !== value) throw argumentRangeError("value", "from 0 to 2^64 - 1", value);
    return this.#write(offset, 8, value);
  }

  /** Of a BAR that is memory, the device's own bytes: they cannot be ended, and whoever keeps them reads on. */
  bytes(): Uint8Array | undefined {
    this.#check(0, 1);
    return this.#bar.memory?.subarray(this.#start, this.#start + this.length);
  }

  unmap(): number {
    if (this.#ended) return 0;
    this.#ended = true;
    this.#held.end();
    return 0;
  }

  #read(offset: number, width: Width): number | bigint {
    this.#check(offset, width);
    if (!this.#device.isAnswering) return EIO;
    const at = this.#start + offset;
    return at < this.#bar.bytes ? this.#device.read(this.#bar, at, width) : 0;
  }

  #write(offset: number, width: Width, value: number | bigint): number {
    this.#check(offset, width);
    if (!this.#device.isAnswering) return EIO;
    const at = this.#start + offset;
    if (at < this.#bar.bytes) this.#device.write(this.#bar, at, width, value);
    return 0;
  }

  #check(offset: number, width: Width): void {
    if (this.#held.processEnded) throw new ModelProcessEnded();
    if (this.#ended) {
      const problem = "these registers are not mapped any more: they were unmapped. Map them again";
      throw new DmaWindowError("ERR_CLOSED", problem);
    }
    if (typeof offset !== "number") throw argumentTypeError("offset", "a number", offset);
    if (Number.isInteger(offset) && offset >= 0 && offset % width === 0 && offset + width <= this.length) return;
    const expected = `a multiple of ${width}, with ${width} bytes behind it within the ${this.length} that are mapped`;
    throw argumentRangeError("offset", expected, offset);
  }
}

function number(value: unknown, last: number): number {
  if (typeof value !== "number") throw argumentTypeError("value", "a number", value);
  if (Number.isInteger(value) && value >= 0 && value <= last) return value;
  throw argumentRangeError("value", `an integer from 0 to ${last}`, value);
}

inspectable(MappedRegisters, "Registers", ({ length }) => ({ length }));
