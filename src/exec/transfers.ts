import { ERRNO } from "../errno.ts";
import { hex } from "../hex.ts";
import { ModelKernelOops, ModelUnknown } from "../model/index.ts";
import { type Supervision, Transfer } from "../supervision.ts";
import type { ProgramEvent } from "./event.ts";
import type { GivenFile, GivenFiles } from "./given-files.ts";
import type { Program } from "./program.ts";

/** No region of a device here is larger; of one that is, the program asks for the rest anew. */
const BYTES_MAX = 1 << 24;
const VECTOR_ENTRY_BYTES = 16;
/** preadv2 and pwritev2: at the file's own position, which nothing moves. */
const OWN_POSITION = 2n ** 64n - 1n;
const PLACES = 2n ** 63n;

/** Memory of the program's. */
interface Piece {
  readonly address: bigint;
  readonly length: bigint;
}

/** Hears of reads and writes that the model does not know an answer to. */
export interface TransferWitness {
  transferNotModelled(what: string, why: string, thread: number, instruction: bigint): void;
}

/**
 * pread, pwrite and mmap of files that the program was given, made on the model: a device's regions are read and written so. None is
 * mapped: nobody could see an access to registers through memory, so no region says that it can be.
 */
export class Transfers {
  readonly #native: Supervision;
  readonly #files: GivenFiles;
  readonly #witness: TransferWitness;
  #buffer = new Uint8Array(4096);

  constructor(native: Supervision, files: GivenFiles, witness: TransferWitness) {
    this.#native = native;
    this.#files = files;
    this.#witness = witness;
  }

  /** What the call answers. */
  make(event: ProgramEvent, program: Program, file: GivenFile): number {
    // A device maps what it says that it maps, and other files of VFIO nothing. (`vfio_pci_core_mmap`; `mm/mmap.c: do_mmap`)
    if (event.detail === Transfer.MAP) return file.kind === "device" ? -ERRNO.EINVAL : -ERRNO.ENODEV;
    const isVector = event.detail === Transfer.READ_VECTOR || event.detail === Transfer.WRITE_VECTOR;
    const place = event.argument(3);
    const offset = isVector && place === OWN_POSITION ? 0n : place;
    if (offset >= PLACES) return -ERRNO.EINVAL;
    const pieces = isVector ? piecesIn(event.data) : [{ address: event.argument(1), length: event.argument(2) }];
    const isWrite = event.detail === Transfer.WRITE || event.detail === Transfer.WRITE_VECTOR;
    try {
      return this.#move(event.thread, program, this.#files.fdOf(file, program), pieces, offset, isWrite);
    } catch (error) {
      if (!(error instanceof ModelUnknown) && !(error instanceof ModelKernelOops)) throw error;
      const what = `${isWrite ? "write to" : "read of"} ${file.name} at ${hex(offset)}`;
      this.#witness.transferNotModelled(what, error.message, event.thread, event.instruction);
      return -ERRNO.EOPNOTSUPP;
    }
  }

  /** One piece after the other, until one is not moved as a whole. (`fs/read_write.c: do_loop_readv_writev`) */
  #move(
    thread: number,
    program: Program,
    fd: number,
    pieces: readonly Piece[],
    offset: bigint,
    isWrite: boolean,
  ): number {
    let done = 0;
    for (const { address, length } of pieces) {
      const bytes = this.#room(length);
      const at = offset + BigInt(done);
      const moved = isWrite
        ? this.#write(thread, address, bytes, () => program.kernel.pwrite(fd, bytes, at))
        : this.#read(thread, address, bytes, program.kernel.pread(fd, bytes, at));
      if (moved < 0) return done > 0 ? done : moved;
      done += moved;
      if (BigInt(moved) < length) break;
    }
    return done;
  }

  #write(thread: number, address: bigint, bytes: Uint8Array, write: () => number): number {
    return this.#native.execRead(thread, address, bytes) === bytes.length ? write() : -ERRNO.EFAULT;
  }

  /** What was read has been read, also where the program has no memory for it. */
  #read(thread: number, address: bigint, bytes: Uint8Array, read: number): number {
    if (read <= 0) return read;
    return this.#native.execWrite(thread, address, bytes.subarray(0, read)) === read ? read : -ERRNO.EFAULT;
  }

  #room(length: bigint): Uint8Array {
    const bytes = Number(length < BigInt(BYTES_MAX) ? length : BigInt(BYTES_MAX));
    if (bytes > this.#buffer.length) this.#buffer = new Uint8Array(bytes);
    return this.#buffer.subarray(0, bytes);
  }
}

/** `struct iovec`s. */
function piecesIn(vector: Uint8Array): Piece[] {
  const view = new DataView(vector.buffer, vector.byteOffset, vector.byteLength);
  return Array.from({ length: vector.length / VECTOR_ENTRY_BYTES }, (_, index) => ({
    address: view.getBigUint64(index * VECTOR_ENTRY_BYTES, true),
    length: view.getBigUint64(index * VECTOR_ENTRY_BYTES + 8, true),
  }));
}
