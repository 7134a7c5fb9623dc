/**
 * A kernel in front of a kernel: every call passes through one place, where it can be looked at, written down, or answered
 * without asking. A batch passes entry by entry, as the seam says that it is made.
 */
import {
  BATCH_ENTRY_BYTES,
  type LockedMemory,
  type MachineFiles,
  type Syscalls,
  type VfioCall,
  vfioCallName,
} from "./syscalls.ts";
import { isBytes } from "./typed-arrays.ts";

/** A call on its way. `ioctl` only for those of VFIO; `at` says where in `memory` its struct is. */
export interface Passing {
  /** `open`, `close`, `mmap`, `munmap`, `mbind`, a device's members of `Syscalls`, or as in `<linux/vfio.h>`. */
  readonly name: string;
  readonly fd?: number;
  readonly path?: string;
  /** The number of an ioctl, as its distance from `VFIO_BASE`. */
  readonly call?: number;
  readonly argument?: number;
  readonly memory?: Uint8Array;
  readonly at?: number;
  readonly va?: bigint;
  readonly length?: bigint;
  readonly protection?: number;
  /** Bits of `MapFlag`. */
  readonly flags?: number;
  readonly hugePageShift?: number;
  /** The NUMA node of an mbind. */
  readonly node?: number;
}

export abstract class Through implements Syscalls {
  readonly inner: Syscalls;
  /** Where the result of the batch's entry goes that is being made: before anybody is told of it, who may throw. */
  #result: { readonly view: DataView; readonly at: number } | undefined;
  readonly name: string;
  readonly pageSize: number;

  constructor(inner: Syscalls) {
    this.inner = inner;
    this.name = inner.name;
    this.pageSize = inner.pageSize;
  }

  get files(): MachineFiles | undefined {
    return this.inner.files;
  }

  /** Gives the call's answer: `make` asks the kernel behind. */
  protected abstract pass<R extends number | bigint>(call: Passing, make: () => R): R;

  open(path: string): number {
    return this.pass({ name: "open", path }, () => this.inner.open(path));
  }

  close(fd: number): number {
    return this.pass({ name: "close", fd }, () => this.inner.close(fd));
  }

  ioctl(fd: number, call: VfioCall, argument: number): number {
    return this.pass({ name: vfioCallName(call), fd, call, argument }, () => this.inner.ioctl(fd, call, argument));
  }

  ioctlStruct(fd: number, call: VfioCall, memory: Uint8Array, offset: number): number {
    const place = this.#result;
    this.#result = undefined;
    return this.pass({ name: vfioCallName(call), fd, call, memory, at: offset }, () => {
      const result = this.inner.ioctlStruct(fd, call, memory, offset);
      place?.view.setInt32(place.at, result, true);
      return result;
    });
  }

  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    // A table that cannot be is the kernel's own to refuse.
    if (!holdsBatch(memory, table, count)) return this.inner.ioctlBatch(fd, memory, table, count);
    for (let done = 0; done < count; done++) {
      if (this.passEntry(fd, memory, table + done * BATCH_ENTRY_BYTES) !== 0) return done;
    }
    return count;
  }

  /** Makes the call of one entry of a batch; gives its result. */
  protected passEntry(fd: number, memory: Uint8Array, entry: number): number {
    const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    const call = view.getUint32(entry, true) as VfioCall;
    this.#result = { view, at: entry + 8 };
    try {
      const result = this.ioctlStruct(fd, call, memory, view.getUint32(entry + 4, true));
      view.setInt32(entry + 8, result, true);
      return result;
    } finally {
      this.#result = undefined;
    }
  }

  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint {
    return this.pass({ name: "mmap", va: address, length, protection, flags, hugePageShift }, () =>
      this.inner.mmap(address, length, protection, flags, hugePageShift),
    );
  }

  munmap(address: bigint, length: bigint): number {
    return this.pass({ name: "munmap", va: address, length }, () => this.inner.munmap(address, length));
  }

  /** As the kernel behind: where that has none, this has none. */
  get bindNode(): Syscalls["bindNode"] {
    const { inner } = this;
    if (inner.bindNode === undefined) return undefined;
    return (va, length, node) =>
      this.pass({ name: "mbind", va, length, node }, () => inner.bindNode?.(va, length, node) ?? 0);
  }

  view(address: bigint, length: bigint): Uint8Array {
    return this.inner.view(address, length);
  }

  unview(view: Uint8Array): unknown {
    return this.inner.unview(view);
  }

  get populate(): Syscalls["populate"] {
    const { inner } = this;
    return inner.populate && ((address, length) => inner.populate?.(address, length) ?? 0);
  }

  get read(): Syscalls["read"] {
    const { inner } = this;
    return inner.read && ((address, into) => inner.read?.(address, into));
  }

  get write(): Syscalls["write"] {
    const { inner } = this;
    return inner.write && ((address, from) => inner.write?.(address, from));
  }

  // What a device needs, as the kernel behind has it. Accesses to registers that are mapped do not pass: they are no calls. Nor is there
  // an `ioctlLater`: who has none blocks, and its calls pass as all others do, in their order.

  get pread(): Syscalls["pread"] {
    const pread = this.#optional("pread");
    return pread && ((fd, into, offset) => this.pass({ name: "pread", fd }, () => pread(fd, into, offset)));
  }

  get pwrite(): Syscalls["pwrite"] {
    const pwrite = this.#optional("pwrite");
    return pwrite && ((fd, from, offset) => this.pass({ name: "pwrite", fd }, () => pwrite(fd, from, offset)));
  }

  get registers(): Syscalls["registers"] {
    const registers = this.#optional("registers");
    if (registers === undefined) return undefined;
    return (fd, offset, length) => this.#passObject({ name: "registers", fd }, () => registers(fd, offset, length));
  }

  get eventfd(): Syscalls["eventfd"] {
    const eventfd = this.#optional("eventfd");
    return eventfd && (() => this.pass({ name: "eventfd" }, eventfd));
  }

  get takeEvents(): Syscalls["takeEvents"] {
    const takeEvents = this.#optional("takeEvents");
    return takeEvents && ((fd) => this.pass({ name: "takeEvents", fd }, () => takeEvents(fd)));
  }

  get listen(): Syscalls["listen"] {
    const listen = this.#optional("listen");
    return listen && ((fd, listener) => this.#passObject({ name: "listen", fd }, () => listen(fd, listener)));
  }

  /** A member of the kernel behind that it may be without, to be called by itself. */
  #optional<K extends "pread" | "pwrite" | "registers" | "eventfd" | "takeEvents" | "listen">(name: K): Syscalls[K] {
    const { inner } = this;
    return inner[name]?.bind(inner) as Syscalls[K];
  }

  /** An object passes as the answer 0. */
  #passObject<T extends object>(call: Passing, make: () => T | number): T | number {
    let made: T | undefined;
    const answer = this.pass(call, () => {
      const given = make();
      if (typeof given === "number") return given;
      made = given;
      return 0;
    });
    return answer === 0 && made !== undefined ? made : answer;
  }

  lockedMemory(): LockedMemory {
    return this.inner.lockedMemory();
  }

  physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    return this.inner.physicalAddresses(va, pages, pageSize);
  }
}

/** Whether the memory holds `count` whole entries at a place where a table may be. */
export function holdsBatch(memory: Uint8Array, table: number, count: number): boolean {
  return (
    isBytes(memory) &&
    Number.isInteger(count) &&
    Number.isInteger(table) &&
    count >= 0 &&
    table >= 0 &&
    table % 8 === 0 &&
    table + count * BATCH_ENTRY_BYTES <= memory.byteLength
  );
}
