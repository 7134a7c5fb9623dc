/**
 * A driver for QEMU's "edu" device (QEMU: docs/specs/edu.rst): a buffer of 4 KiB inside it, and a DMA engine that moves bytes
 * between that and memory.
 *
 *     BAR 0   0x00  u32  0x010000ed: what it is
 *             0x80  u64  source        an IOVA, or 0x40000 + offset for the device's buffer
 *             0x88  u64  destination   likewise
 *             0x90  u64  bytes
 *             0x98  u64  command       1 start, 2 from the device to memory; bit 0 is set until it is done
 *
 * The device does what it was told about 100 ms after it was told, all of it at once. Of what the IOMMU stopped it says
 * nothing: a read gives whatever QEMU makes of it, a write is gone.
 */
import { readSync, writeSync } from "node:fs";
import type { Syscalls } from "../../../src/syscalls.ts";

/**
 * The most that one transfer moves, in bytes. The buffer has 4096, but QEMU before 9.1 takes a transfer of all of them for
 * one that runs past its end (hw/misc/edu.c: edu_check_range), and stops the machine.
 */
export const EDU_BUFFER = 4088;

const BUFFER_AT = 0x40000n;
const IDENTITY = 0x010000ed;
const Register = { IDENTITY: 0x00, SOURCE: 0x80, DESTINATION: 0x88, COUNT: 0x90, COMMAND: 0x98 } as const;
const Command = { START: 1n, TO_MEMORY: 2n } as const;

/** vfio-pci has a device's regions in one file: region n begins at n << 40 (`include/linux/vfio_pci_core.h`). */
const REGION = 2 ** 40;
const CONFIGURATION = 7 * REGION;
const PCI_COMMAND = 4;
const MEMORY_AND_BUS_MASTER = 0b110;

/** Far more than any transfer takes on a machine that is emulated on a busy host. */
const PATIENCE_MS = 20_000;

const clock = new Int32Array(new SharedArrayBuffer(4));

/** Gives the processor away: to the host's other guest, and to the thread in which QEMU does the DMA. */
export function sleep(milliseconds: number): void {
  Atomics.wait(clock, 0, 0, milliseconds);
}

export class Edu {
  readonly #fd: number;
  readonly #kernel: Pick<Syscalls, "close">;
  readonly #bytes = Buffer.alloc(8);
  /** A big-endian machine's registers are big-endian, also under a little-endian kernel. */
  readonly #swapped: boolean;
  /** Transfers that were started. */
  transfers = 0;

  /** `fd` from GROUP_GET_DEVICE_FD; closed with the device. */
  constructor(fd: number, kernel: Pick<Syscalls, "close">) {
    this.#fd = fd;
    this.#kernel = kernel;
    this.#configure();
    const bytes = this.#read(Register.IDENTITY, 4);
    this.#swapped = bytes.readUInt32LE(0) !== IDENTITY;
    if (this.#swapped && bytes.readUInt32BE(0) !== IDENTITY)
      throw new Error(`this is no edu device: it calls itself 0x${bytes.toString("hex", 0, 4)}`);
  }

  /** The device reads memory at an IOVA into its buffer. Waits for the end. */
  load(iova: bigint, length: number): void {
    this.start(iova, BUFFER_AT, length, Command.START);
    this.wait();
  }

  /** The device writes its buffer to memory at an IOVA. Waits for the end. */
  store(iova: bigint, length: number): void {
    this.start(BUFFER_AT, iova, length, Command.START | Command.TO_MEMORY);
    this.wait();
  }

  /** Begins what `load` does. */
  startLoad(iova: bigint, length: number): void {
    this.start(iova, BUFFER_AT, length, Command.START);
  }

  /** Begins what `store` does. */
  startStore(iova: bigint, length: number): void {
    this.start(BUFFER_AT, iova, length, Command.START | Command.TO_MEMORY);
  }

  /** Whether a transfer is on its way. */
  get busy(): boolean {
    const bytes = this.#read(Register.COMMAND, 4);
    // The low half: on a big-endian register file it is what a 4-byte read at this offset gives, too.
    return ((this.#swapped ? bytes.readUInt32BE(0) : bytes.readUInt32LE(0)) & 1) === 1;
  }

  /** Until the transfer that was started is done. */
  wait(): void {
    const began = Date.now();
    while (this.busy) {
      if (Date.now() - began > PATIENCE_MS) throw new Error("the device does not end its transfer");
      sleep(2);
    }
  }

  close(): void {
    this.#kernel.close(this.#fd);
  }

  start(source: bigint, destination: bigint, length: number, command: bigint): void {
    if (length < 1 || length > EDU_BUFFER)
      throw new Error(`one transfer moves 1 to ${EDU_BUFFER} bytes, not ${length}`);
    this.#write(Register.SOURCE, source);
    this.#write(Register.DESTINATION, destination);
    this.#write(Register.COUNT, BigInt(length));
    this.#write(Register.COMMAND, command);
    this.transfers++;
  }

  /** Its registers can be reached, and it may do DMA. The configuration space is little-endian everywhere. */
  #configure(): void {
    const command = Buffer.alloc(2);
    readSync(this.#fd, command, 0, 2, CONFIGURATION + PCI_COMMAND);
    command.writeUInt16LE(command.readUInt16LE(0) | MEMORY_AND_BUS_MASTER);
    writeSync(this.#fd, command, 0, 2, CONFIGURATION + PCI_COMMAND);
  }

  #read(register: number, length: number): Buffer {
    const got = readSync(this.#fd, this.#bytes, 0, length, register);
    if (got !== length) throw new Error(`register 0x${register.toString(16)}: ${got} of ${length} bytes`);
    return this.#bytes;
  }

  /** All 8 bytes in one access: the device takes each access for the whole register. */
  #write(register: number, value: bigint): void {
    if (this.#swapped) this.#bytes.writeBigUInt64BE(value);
    else this.#bytes.writeBigUInt64LE(value);
    const put = writeSync(this.#fd, this.#bytes, 0, 8, register);
    if (put !== 8) throw new Error(`register 0x${register.toString(16)}: ${put} of 8 bytes`);
  }
}
