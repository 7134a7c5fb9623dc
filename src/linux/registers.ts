/**
 * Registers that are mapped, as objects in front of the shim's handles. The shim checks what an access may be, and makes it; an
 * access to a device that does not answer is -EIO there, and no SIGBUS.
 *
 * Their bytes are shown as those of other memory are (views.ts), and may be reached after their end by what was moved or is under
 * way. Then ordinary memory takes the place of the registers: the device is let go at once, and nothing can reach it any more.
 */

import { DmaWindowError, telling } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import type { Registers, Sight } from "../syscalls.ts";
import type { NativeShim } from "./shim.ts";
import type { Views } from "./views.ts";

/** What is needed of the shim. */
type Calls = Pick<
  NativeShim,
  "munmap" | "mapRegisters" | "unmapRegisters" | "addressOfRegisters" | `${"read" | "write"}Register${8 | 16 | 32 | 64}`
>;

/** Ordinary memory where registers were, and what may reach it. */
interface Rest {
  readonly address: bigint;
  readonly length: bigint;
  readonly sight: Sight;
}

export class Mappings {
  readonly #shim: () => Calls;
  readonly #views: Views;
  #rests: Rest[] = [];

  /** `shim` loads it. */
  constructor(shim: () => Calls, views: Views) {
    this.#shim = shim;
    this.#views = views;
  }

  /** As `Syscalls.registers`. */
  map(fd: number, offset: bigint, length: number): Registers | number {
    const shim = this.#shim();
    this.#sweep(shim);
    const handle = shim.mapRegisters(fd, offset, length);
    if (handle < 0) return handle;
    return new LinuxRegisters(shim, handle, length, this.#views, (rest) => this.#rests.push(rest));
  }

  /** What nothing reaches any more is given back. */
  #sweep(shim: Calls): void {
    if (this.#rests.length === 0) return;
    this.#rests = this.#rests.filter(
      ({ address, length, sight }) => sight.seen() || shim.munmap(address, length) !== 0,
    );
  }
}

class LinuxRegisters implements Registers {
  readonly length: number;
  readonly #shim: Calls;
  readonly #views: Views;
  readonly #keep: (rest: Rest) => void;
  /** 0 once they are unmapped: no handle is. */
  #handle: number;
  #bytes: Uint8Array | undefined;

  constructor(shim: Calls, handle: number, length: number, views: Views, keep: (rest: Rest) => void) {
    this.#shim = shim;
    this.#handle = handle;
    this.length = length;
    this.#views = views;
    this.#keep = keep;
  }

  read8(offset: number): number {
    try {
      return this.#shim.readRegister8(this.#handle, offset);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  read16(offset: number): number {
    try {
      return this.#shim.readRegister16(this.#handle, offset);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  read32(offset: number): number {
    try {
      return this.#shim.readRegister32(this.#handle, offset);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  read64(offset: number): bigint {
    try {
      return this.#shim.readRegister64(this.#handle, offset);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  write8(offset: number, value: number): number {
    try {
      return this.#shim.writeRegister8(this.#handle, offset, value);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  write16(offset: number, value: number): number {
    try {
      return this.#shim.writeRegister16(this.#handle, offset, value);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  write32(offset: number, value: number): number {
    try {
      return this.#shim.writeRegister32(this.#handle, offset, value);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  write64(offset: number, value: bigint): number {
    try {
      return this.#shim.writeRegister64(this.#handle, offset, value);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  bytes(): Uint8Array | undefined {
    if (this.#handle === 0) throw ended();
    try {
      this.#bytes ??= this.#views.make(this.#shim.addressOfRegisters(this.#handle), BigInt(this.length));
      return this.#bytes;
    } catch (error) {
      if ((error as { code?: unknown }).code === "ERR_NO_EXTERNAL_BUFFERS") return undefined;
      throw telling(error);
    }
  }

  unmap(): number {
    if (this.#handle === 0) return 0;
    const bytes = this.#bytes;
    this.#bytes = undefined;
    const sight = bytes === undefined ? undefined : this.#views.end(bytes);
    const address = sight === undefined ? 0n : this.#shim.addressOfRegisters(this.#handle);
    const answer = this.#shim.unmapRegisters(this.#handle, sight === undefined ? 0 : 1);
    if (answer !== 0) return answer;
    this.#handle = 0;
    if (sight !== undefined) this.#keep({ address, length: BigInt(this.length), sight });
    return 0;
  }

  #refusal(error: unknown): unknown {
    return this.#handle === 0 ? ended() : telling(error);
  }
}

function ended(): DmaWindowError {
  return new DmaWindowError("ERR_CLOSED", "these registers are not mapped any more: map them again");
}

inspectable(LinuxRegisters, "Registers", ({ length }) => ({ length }));
