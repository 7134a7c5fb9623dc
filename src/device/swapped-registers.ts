/** Registers of a device that is big-endian: the bytes of each access the other way round. */
import type { Registers } from "../syscalls.ts";

export class SwappedRegisters implements Registers {
  readonly length: number;
  readonly #inner: Registers;

  constructor(inner: Registers) {
    this.#inner = inner;
    this.length = inner.length;
  }

  read8(offset: number): number {
    return this.#inner.read8(offset);
  }

  read16(offset: number): number {
    const value = this.#inner.read16(offset);
    return value < 0 ? value : swap16(value);
  }

  read32(offset: number): number {
    const value = this.#inner.read32(offset);
    return value < 0 ? value : swap32(value);
  }

  read64(offset: number): bigint {
    const value = this.#inner.read64(offset);
    return value < 0n ? value : swap64(value);
  }

  write8(offset: number, value: number): number {
    return this.#inner.write8(offset, value);
  }

  write16(offset: number, value: number): number {
    return this.#inner.write16(offset, swap16(value));
  }

  write32(offset: number, value: number): number {
    return this.#inner.write32(offset, swap32(value));
  }

  write64(offset: number, value: bigint): number {
    return this.#inner.write64(offset, swap64(value));
  }

  bytes(): Uint8Array | undefined {
    return this.#inner.bytes();
  }

  unmap(): number {
    return this.#inner.unmap();
  }
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

function swap32(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

function swap64(value: bigint): bigint {
  const [low, high] = [Number(value & 0xffff_ffffn), Number(value >> 32n)];
  return (BigInt(swap32(low)) << 32n) | BigInt(swap32(high));
}
