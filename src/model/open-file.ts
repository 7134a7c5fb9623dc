import { EINVAL } from "./errno.ts";
import type { MemoryOwner } from "./memory-owner.ts";
import type { Struct } from "./structs.ts";

/** A process as its open files know it: whoever makes a call on one of them. */
export interface Caller extends MemoryOwner {
  readonly descriptors: FileTable;
}

/** The open files of a process, by descriptor. */
export interface FileTable {
  /** The descriptor that leads to the file from now on. */
  add(file: OpenFile): number;
  get(fd: number): OpenFile | undefined;
}

/** What descriptors lead to: after a fork those of several processes may lead to one. (`struct file`) */
export abstract class OpenFile {
  /** Descriptors that lead here, and files that need this one to stay: a device keeps its group open. */
  #holders = 0;

  /** Where it was opened; for a device its name. */
  abstract readonly path: string;

  get isGroup(): boolean {
    return false;
  }

  /**
   * `argument` is what the call was given when that was a number. `struct` is undefined when the caller's pointer leads
   * nowhere.
   */
  abstract ioctl(call: number, argument: number, struct: Struct | undefined, caller: Caller): number;

  /** pread(2) and pwrite(2): how many bytes, or a negative errno. Files of VFIO are not read, but a device's. */
  pread(_into: Uint8Array, _offset: bigint): number {
    return EINVAL;
  }

  pwrite(_from: Uint8Array, _offset: bigint): number {
    return EINVAL;
  }

  /** The last holder has released it. */
  protected abstract released(): void;

  get isOpen(): boolean {
    return this.#holders > 0;
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.released();
  }
}
