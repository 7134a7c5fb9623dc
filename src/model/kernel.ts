import { argumentRangeError } from "../errors.ts";
import { BATCH_ENTRY_BYTES, type LockedMemory, type VfioCall } from "../syscalls.ts";
import { EBADF } from "./errno.ts";
import { ModelProcessEnded } from "./errors.ts";
import { leaksOf, type ModelSnapshot, snapshotOf } from "./eyes/snapshot.ts";
import type { ClearedListener } from "./eyes/watch.ts";
import type { DeviceReach, ModelKernel } from "./index.ts";
import { Machine } from "./machine.ts";
import type { ModelSettings } from "./options.ts";
import { bytesOf, pageOf } from "./pages.ts";
import { Process } from "./process.ts";
import { type Struct, StructReader } from "./structs.ts";

/** A machine with one process. */
export function boot(settings: ModelSettings): ModelKernel {
  const machine = new Machine(settings);
  return new Kernel(machine, new Process(machine, settings.memory, settings.lockedMemory));
}

/** The system calls of one process: finds what a descriptor leads to, and hands the call on. */
class Kernel implements ModelKernel {
  readonly name = "model";
  readonly pageSize: number;
  readonly #machine: Machine;
  readonly #process: Process;
  readonly #reader = new StructReader();

  constructor(machine: Machine, process: Process) {
    this.pageSize = machine.pageSize;
    this.#machine = machine;
    this.#process = process;
  }

  open(path: string): number {
    const { descriptors } = this.#caller;
    const file = this.#machine.open(path);
    return typeof file === "number" ? file : descriptors.add(file);
  }

  close(fd: number): number {
    const { descriptors } = this.#caller;
    this.#machine.watchers.call = "close";
    return descriptors.close(fd);
  }

  ioctl(fd: number, call: VfioCall, argument: number): number {
    return this.#dispatch(fd, call, argument, undefined);
  }

  ioctlStruct(fd: number, call: VfioCall, memory: Uint8Array, offset: number): number {
    const struct = this.#reader.at(memory, offset);
    // A call that takes a number gets the address instead: no IOMMU type has that number.
    return this.#dispatch(fd, call, Number.NaN, struct);
  }

  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    this.#reader.at(memory, table).need(count * BATCH_ENTRY_BYTES);
    for (let done = 0; done < count; done++) {
      const entry = this.#reader.at(memory, table + done * BATCH_ENTRY_BYTES);
      const result = this.ioctlStruct(fd, entry.u32(0) as VfioCall, memory, entry.u32(4));
      entry.setI32(8, result);
      if (result !== 0) return done;
    }
    return count;
  }

  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint {
    return this.#caller.memory.mmap(address, length, protection, flags, hugePageShift);
  }

  munmap(address: bigint, length: bigint): number {
    return this.#caller.memory.munmap(address, length);
  }

  view(address: bigint, length: bigint): Uint8Array {
    return this.#caller.memory.view(address, length);
  }

  unview(view: Uint8Array): void {
    this.#caller.memory.unview(view);
  }

  physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    return this.#caller.memory.physicalAddresses(va, pages, pageSize);
  }

  lockedMemory(): LockedMemory {
    return this.#caller.locked.report();
  }

  fork(): ModelKernel {
    return new Kernel(this.#machine, this.#caller.fork());
  }

  spawn(): ModelKernel {
    return new Kernel(this.#machine, new Process(this.#machine, "simulated", this.#process.locked.limits));
  }

  exit(): void {
    this.#machine.watchers.call = "exit";
    this.#process.exit();
  }

  snapshot(): ModelSnapshot {
    return snapshotOf(this.#machine, this.#process);
  }

  leaks(): string[] {
    return leaksOf(this.snapshot());
  }

  watch(listener: ClearedListener): () => void {
    return this.#machine.watchers.add(listener);
  }

  tceAt(group: number, iova: bigint): DeviceReach | undefined {
    const found = this.#machine.groups.find(({ number }) => number === group);
    if (found === undefined) throw argumentRangeError("group", "a group of this model", group);
    if (iova < 0n || iova >= 1n << 64n) throw argumentRangeError("iova", "0..2^64-1", iova);
    const reached = found.container?.driver?.reach(pageOf(iova));
    if (reached === undefined) return undefined;
    const { page, read, write } = reached;
    return { va: bytesOf(page) + (iova & 0xfffn), read, write };
  }

  /** @throws ModelProcessEnded */
  get #caller(): Process {
    if (this.#process.ended) throw new ModelProcessEnded();
    return this.#process;
  }

  #dispatch(fd: number, call: number, argument: number, struct: Struct | undefined): number {
    const process = this.#caller;
    const file = process.descriptors.get(fd);
    if (file === undefined) return EBADF;
    this.#machine.watchers.call = call;
    return file.ioctl(call, argument, struct, process);
  }
}
