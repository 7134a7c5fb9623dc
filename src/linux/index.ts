/**
 * The real kernel: {@link Syscalls} through the native shim, and through `/proc` where that says enough.
 */

import { argumentTypeError, DmaWindowError, telling } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import { isSupervision, type Supervision } from "../supervision.ts";
import type { Listening, Registers, Sight, Syscalls } from "../syscalls.ts";
import { machineFiles } from "../system/machine-files.ts";
import { pageSize } from "../system/page-size.ts";
import { physicalAddresses } from "../system/pagemap.ts";
import { isArrayBuffer } from "../typed-arrays.ts";
import { object } from "../validate.ts";
import { listen } from "./events.ts";
import { lockedMemory } from "./locked-memory.ts";
import { Mappings } from "./registers.ts";
import { loadedShim, shim, shimAvailable, useShim } from "./shim.ts";
import { Views } from "./views.ts";

export { type ShimState, shimAvailable, shimState } from "./shim.ts";

/**
 * What `exec` supervises programs by.
 *
 * @throws `ERR_SHIM_UNAVAILABLE`; `ERR_EXEC_UNAVAILABLE` for a prebuilt shim, or one that was built with headers of Linux before 5.9, or
 * for another processor.
 */
export function linuxSupervision(): Supervision {
  const addon: object = shim();
  if (isSupervision(addon)) return addon;
  const why =
    `the shim ${loadedShim()} was built without it: it is the package's and not a checkout's, its headers were of Linux before 5.9, ` +
    "or its processor is none of x64, arm64, ppc64le";
  throw new DmaWindowError("ERR_EXEC_UNAVAILABLE", `no program can be supervised here: ${why}`, { facts: { why } });
}

/** What memory comes from. The software kernel can run on real memory with the real kernel's. */
export type MemorySource = Pick<
  Syscalls,
  "mmap" | "munmap" | "bindNode" | "populate" | "view" | "unview" | "read" | "write" | "physicalAddresses"
>;

export interface LinuxKernelOptions {
  /**
   * The native shim's file, a path or a file URL, for all kernels of this process: for a bundle that runs where dma-window is
   * not installed. Default: the environment variable `DMA_WINDOW_SHIM`, or the package's own: built on this machine, or prebuilt.
   */
  readonly shim?: string | { readonly href: string };
}

const KEYS = keysOf<LinuxKernelOptions>({ shim: true });

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
  known("options", object("options", options), KEYS);
  if (options.shim !== undefined) useShim(options.shim);
  return new LinuxKernel();
}

/**
 * The address of the first byte of a Buffer, a typed array, a DataView or an ArrayBuffer of this program: to map memory that it
 * has, with `MemsegTable.add` or `window.map`, on the real kernel.
 *
 *     const buffer = new ArrayBuffer(2 ** 20 + 4096); // 1 MiB in whole pages lie somewhere within
 *     const va = ((addressOf(buffer) + 4095n) / 4096n) * 4096n;
 *     const iova = window.map({ va, length: 2 ** 20 });
 *
 * **The buffer has to stay alive, and where it is, until the map has ended.** The collector frees the memory of a buffer that
 * nobody refers to, `transfer()` and `postMessage` with a transfer give it away, and a device then reads and writes whatever
 * comes to lie there. A device is given whole pages of the CPU's size: what else lies on the first and the last page, the device
 * reaches too (a small `Buffer` shares its page with others). And memory of the engine's is ordinary memory, in pieces of
 * one page each; `MemsegTable.allocate` gives hugepages.
 *
 * Cost: one crossing, and a bigint.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for what is none of these, has no bytes, is detached, or may move or grow: a resizable
 * buffer, a SharedArrayBuffer. The memory of a WebAssembly module cannot be told from others: it moves when it grows.
 * `ERR_SHIM_UNAVAILABLE`.
 */
export function addressOf(memory: ArrayBufferView | ArrayBuffer): bigint {
  const view = ArrayBuffer.isView(memory) ? memory : undefined;
  const buffer: unknown = view === undefined ? memory : view.buffer;
  const fixed = isArrayBuffer(buffer) && (buffer as { readonly resizable?: boolean }).resizable !== true;
  // Of no bytes there is no address; a detached buffer has none, and so has a view of one.
  if (!fixed || (view ?? buffer).byteLength === 0) {
    const wanted =
      "a Buffer, a typed array, a DataView or an ArrayBuffer, with bytes in it, neither shared nor resizable";
    throw argumentTypeError("memory", wanted, memory);
  }
  return shim().addressOf(buffer) + BigInt(view?.byteOffset ?? 0);
}

/** The memory of the Linux that this program runs on; `undefined` when the native shim cannot be loaded. */
export function linuxMemory(): MemorySource | undefined {
  return shimAvailable() ? linuxKernel() : undefined;
}

/** What the shim throws has a code, and gets the way into JSON that all errors have here: it costs nothing where nothing is thrown. */
class LinuxKernel implements Syscalls {
  readonly name = "linux";
  /** The same for every object of every copy of this package: there is one kernel, and this process. */
  readonly identity = Symbol.for("dma-window.linux");
  readonly files = machineFiles;

  #pageSize = 0;
  readonly #views = new Views(shim);
  readonly #mappings = new Mappings(shim, this.#views);

  get pageSize(): number {
    this.#pageSize ||= pageSize();
    return this.#pageSize;
  }

  open(path: string): number {
    try {
      return shim().open(path);
    } catch (error) {
      throw telling(error);
    }
  }

  close(fd: number): number {
    try {
      return shim().close(fd);
    } catch (error) {
      throw telling(error);
    }
  }

  ioctl(fd: number, call: number, argument: number): number {
    try {
      return shim().ioctl(fd, call, argument);
    } catch (error) {
      throw telling(error);
    }
  }

  ioctlStruct(fd: number, call: number, memory: Uint8Array, offset: number): number {
    try {
      return shim().ioctlStruct(fd, call, memory, offset);
    } catch (error) {
      throw telling(error);
    }
  }

  async ioctlLater(fd: number, call: number, struct: Uint8Array | undefined, argument: number): Promise<number> {
    try {
      return await shim().ioctlLater(fd, call, struct, argument);
    } catch (error) {
      throw telling(error);
    }
  }

  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    try {
      return shim().ioctlBatch(fd, memory, table, count);
    } catch (error) {
      throw telling(error);
    }
  }

  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint {
    try {
      return shim().mmap(address, length, protection, flags, hugePageShift);
    } catch (error) {
      throw telling(error);
    }
  }

  munmap(address: bigint, length: bigint): number {
    try {
      return shim().munmap(address, length);
    } catch (error) {
      throw telling(error);
    }
  }

  bindNode(address: bigint, length: bigint, node: number): number {
    try {
      return shim().bindNode(address, length, node);
    } catch (error) {
      throw telling(error);
    }
  }

  populate(address: bigint, length: bigint): number {
    try {
      return shim().populate(address, length);
    } catch (error) {
      throw telling(error);
    }
  }

  view(address: bigint, length: bigint): Uint8Array {
    try {
      return this.#views.make(address, length);
    } catch (error) {
      throw telling(error);
    }
  }

  unview(view: Uint8Array): Sight | undefined {
    try {
      return this.#views.end(view);
    } catch (error) {
      throw telling(error);
    }
  }

  read(address: bigint, into: Uint8Array): void {
    try {
      shim().read(address, into);
    } catch (error) {
      throw telling(error);
    }
  }

  write(address: bigint, from: Uint8Array): void {
    try {
      shim().write(address, from);
    } catch (error) {
      throw telling(error);
    }
  }

  lockedMemory(): ReturnType<Syscalls["lockedMemory"]> {
    return lockedMemory();
  }

  physicalAddresses(va: bigint, pages: number, size: number): BigUint64Array {
    return physicalAddresses(va, pages, size);
  }

  pread(fd: number, into: Uint8Array, offset: bigint): number {
    try {
      return shim().pread(fd, into, offset);
    } catch (error) {
      throw telling(error);
    }
  }

  pwrite(fd: number, from: Uint8Array, offset: bigint): number {
    try {
      return shim().pwrite(fd, from, offset);
    } catch (error) {
      throw telling(error);
    }
  }

  registers(fd: number, offset: bigint, length: number): Registers | number {
    try {
      return this.#mappings.map(fd, offset, length);
    } catch (error) {
      throw telling(error);
    }
  }

  eventfd(): number {
    try {
      return shim().eventfd();
    } catch (error) {
      throw telling(error);
    }
  }

  takeEvents(fd: number): number {
    try {
      return shim().takeEvents(fd);
    } catch (error) {
      throw telling(error);
    }
  }

  listen(fd: number, listener: (count: number) => void): Listening | number {
    try {
      return listen(shim(), fd, listener);
    } catch (error) {
      throw telling(error);
    }
  }
}

inspectable(LinuxKernel, "LinuxKernel", () => ({ shim: loadedShim() ?? "not loaded yet" }));
