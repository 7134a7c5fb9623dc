/**
 * The real kernel: {@link Syscalls} through the native shim, and through `/proc` where that says enough.
 */

import { markAsUntransferable } from "node:worker_threads";
import { argumentTypeError } from "../errors.ts";
import type { Syscalls } from "../syscalls.ts";
import { machineFiles } from "../system/machine-files.ts";
import { pageSize } from "../system/page-size.ts";
import { physicalAddresses } from "../system/pagemap.ts";
import { object } from "../validate.ts";
import { lockedMemory } from "./locked-memory.ts";
import { shim, shimAvailable, useShim } from "./shim.ts";

export { shimAvailable } from "./shim.ts";

/** What memory comes from. The software kernel can run on real memory with the real kernel's. */
export type MemorySource = Pick<Syscalls, "mmap" | "munmap" | "bindNode" | "view" | "unview" | "physicalAddresses">;

export interface LinuxKernelOptions {
  /**
   * The native shim's file, a path or a file URL, for all kernels of this process: for a bundle that runs where dma-window is
   * not installed. Default: the environment variable `DMA_WINDOW_SHIM`, or what installing the package built.
   */
  readonly shim?: string | { readonly href: string };
}

/**
 * The Linux that this program runs on. Importing this file and calling this function never throw, whatever the machine
 * lacks. The first system call does, with a {@link DmaWindowError} of code `ERR_SHIM_UNAVAILABLE`, when the native shim
 * cannot be loaded; `pageSize` and `lockedMemory()` work without it, and throw `ERR_PROC_UNREADABLE` where `/proc`
 * does not say.
 *
 * Arguments of the wrong kind are a TypeError with code `ERR_INVALID_ARG_TYPE`, values that cannot be a RangeError with
 * code `ERR_OUT_OF_RANGE`, on every call. No call is passed on then.
 *
 * A `shim` that is no path is such a TypeError too, and `ERR_SHIM_LOADED` says that system calls were made through another file.
 *
 * Cost: one crossing for each call, no garbage but the bigint that `mmap` returns.
 */
export function linuxKernel(options: LinuxKernelOptions = {}): Syscalls {
  object("options", options);
  if (options.shim !== undefined) useShim(options.shim);
  return new LinuxKernel();
}

/** The memory of the Linux that this program runs on; `undefined` when the native shim cannot be loaded. */
export function linuxMemory(): MemorySource | undefined {
  return shimAvailable() ? linuxKernel() : undefined;
}

class LinuxKernel implements Syscalls {
  readonly name = "linux";
  readonly files = machineFiles;

  #pageSize = 0;

  /** Buffers that `view` made and `unview` has not ended: nothing else is ever detached. */
  readonly #viewed = new WeakSet<ArrayBufferLike>();

  get pageSize(): number {
    this.#pageSize ||= pageSize();
    return this.#pageSize;
  }

  open(path: string): number {
    return shim().open(path);
  }

  close(fd: number): number {
    return shim().close(fd);
  }

  ioctl(fd: number, call: number, argument: number): number {
    return shim().ioctl(fd, call, argument);
  }

  ioctlStruct(fd: number, call: number, memory: Uint8Array, offset: number): number {
    return shim().ioctlStruct(fd, call, memory, offset);
  }

  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    return shim().ioctlBatch(fd, memory, table, count);
  }

  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint {
    return shim().mmap(address, length, protection, flags, hugePageShift);
  }

  munmap(address: bigint, length: bigint): number {
    return shim().munmap(address, length);
  }

  bindNode(address: bigint, length: bigint, node: number): number {
    return shim().bindNode(address, length, node);
  }

  view(address: bigint, length: bigint): Uint8Array {
    const buffer = shim().view(address, length);
    // A transfer would leave another thread with memory that unview cannot end.
    markAsUntransferable(buffer);
    this.#viewed.add(buffer);
    return new Uint8Array(buffer);
  }

  unview(view: Uint8Array): void {
    const buffer = view instanceof Uint8Array ? view.buffer : undefined;
    if (buffer === undefined || !this.#viewed.has(buffer)) {
      throw argumentTypeError("view", "a view that this kernel made and has not ended", view);
    }
    shim().detach(buffer as ArrayBuffer);
    this.#viewed.delete(buffer);
  }

  lockedMemory(): ReturnType<Syscalls["lockedMemory"]> {
    return lockedMemory();
  }

  physicalAddresses(va: bigint, pages: number, size: number): BigUint64Array {
    return physicalAddresses(va, pages, size);
  }
}
