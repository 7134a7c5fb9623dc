/**
 * Registers that cannot be mapped, each access a pread or pwrite: I/O ports, the ROM, and BARs whose page the kernel does not show.
 * Accesses of 64 bits are none of these: the kernel makes two of them, or one, as its version likes (drivers/vfio/pci/vfio_pci_rdwr.c:
 * vfio_pci_core_do_io_rw has 8 bytes since 6.11), and a port has 32 at most.
 */
import { ERRNO } from "../errno.ts";
import type { Registers } from "../syscalls.ts";
import type { DeviceFile } from "./file.ts";

type Width = 1 | 2 | 4;

/** What a width that there is not answers. */
export const NO_SUCH_WIDTH = -ERRNO.EOPNOTSUPP;

export class CallRegisters implements Registers {
  readonly length: number;
  readonly #file: DeviceFile;
  readonly #at: bigint;
  /** One for each width, so that an access has no garbage but its offset. */
  readonly #bytes = { 1: new Uint8Array(1), 2: new Uint8Array(2), 4: new Uint8Array(4) } as const;

  constructor(file: DeviceFile, at: bigint, length: number) {
    this.#file = file;
    this.#at = at;
    this.length = length;
  }

  read8(offset: number): number {
    return this.#read(offset, 1);
  }

  read16(offset: number): number {
    return this.#read(offset, 2);
  }

  read32(offset: number): number {
    return this.#read(offset, 4);
  }

  read64(): bigint {
    return BigInt(NO_SUCH_WIDTH);
  }

  write8(offset: number, value: number): number {
    return this.#write(offset, 1, value);
  }

  write16(offset: number, value: number): number {
    return this.#write(offset, 2, value);
  }

  write32(offset: number, value: number): number {
    return this.#write(offset, 4, value);
  }

  write64(): number {
    return NO_SUCH_WIDTH;
  }

  bytes(): undefined {
    // there is no memory behind them
  }

  unmap(): number {
    return 0;
  }

  #read(offset: number, width: Width): number {
    const bytes = this.#bytes[width];
    const answer = this.#file.kernel.pread(this.#file.fd, bytes, this.#at + BigInt(offset));
    if (answer !== width) return answer < 0 ? answer : -ERRNO.EIO;
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + (bytes[i] as number);
    return value;
  }

  #write(offset: number, width: Width, value: number): number {
    const bytes = this.#bytes[width];
    for (let i = 0; i < width; i++) bytes[i] = value >>> (8 * i);
    const answer = this.#file.kernel.pwrite(this.#file.fd, bytes, this.#at + BigInt(offset));
    if (answer !== width) return answer < 0 ? answer : -ERRNO.EIO;
    return 0;
  }
}
