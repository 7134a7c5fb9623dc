import { argumentRangeError, argumentTypeError } from "../errors.ts";
import { inspectable, readable, readableDeep, readableEach, type Told } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import {
  BATCH_ENTRY_BYTES,
  type Listening,
  type LockedMemory,
  type MachineFiles,
  type Registers,
  type Syscalls,
  type VfioCall,
} from "../syscalls.ts";
import { address, count, object } from "../validate.ts";
import {
  checkCall,
  checkCopy,
  checkExtent,
  checkFd,
  checkMap,
  checkPath,
  checkPlace,
  checkRegisters,
  checkTransfer,
  integer,
} from "./arguments.ts";
import { Device } from "./device.ts";
import { type PluggedDevice, pluggedDevice } from "./devices/plugged-device.ts";
import { asModelDevice, deviceOf, type ModelDevice } from "./dma/device.ts";
import { EBADF, ENODEV } from "./errno.ts";
import { ModelProcessEnded } from "./errors.ts";
import { Eventfd, EventListening, eventfdAt } from "./eventfd.ts";
import type { Group } from "./group.ts";
import type { Counting, ModelCounters, OtherCall } from "./inspect/counters.ts";
import { hashOf } from "./inspect/hash.ts";
import { leaksOf } from "./inspect/leaks.ts";
import { joined, type LiveIova } from "./inspect/live.ts";
import type { ModelSnapshot } from "./inspect/snapshot.ts";
import { snapshotOf } from "./inspect/take-snapshot.ts";
import type { IovaListener, Watchers } from "./inspect/watch.ts";
import { Machine } from "./machine.ts";
import { checkLimits, type LockedMemoryLimits } from "./memory/locked.ts";
import type { MemorySource } from "./memory/source.ts";
import { protectionBits, wholePages } from "./memory/whole-pages.ts";
import type { DeviceReach, ModelKernel, SpawnOptions } from "./model-kernel.ts";
import type { ModelSettings } from "./options.ts";
import { bytesOf, pageOf } from "./pages.ts";
import { Process } from "./process.ts";
import { withProcess } from "./process-files.ts";
import { type Struct, StructReader } from "./structs.ts";

/** A machine with one process. */
export function boot(settings: ModelSettings): ModelKernel {
  const machine = new Machine(settings);
  return new Kernel(machine, new Process(machine, settings.memory, settings.lockedMemory));
}

const SPAWN_KEYS = keysOf<SpawnOptions>({ memory: true, lockedMemory: true });

let told: (kernel: Kernel) => Told;

/** The system calls of one process: finds what a descriptor leads to, and hands the call on. */
class Kernel implements ModelKernel {
  readonly name = "model";
  readonly pageSize: number;
  readonly files: MachineFiles;
  /** There is one of these for each process. */
  readonly identity: object = Object.freeze({});
  readonly space: unknown;
  readonly #machine: Machine;
  readonly #process: Process;
  readonly #reader = new StructReader();

  static {
    told = (kernel) => ({
      state: kernel.#process.ended ? "ended" : undefined,
      platform: kernel.#machine.fixed.iommu.platform,
      groups: kernel.#machine.groups.map(({ number }) => number),
      pageSize: kernel.pageSize,
    });
  }

  constructor(machine: Machine, process: Process) {
    this.pageSize = machine.pageSize;
    this.files = withProcess(machine, process, (work) => this.#during("unbind", work));
    this.space = process.borrowedFrom ?? this.identity;
    this.#machine = machine;
    this.#process = process;
  }

  open(path: string): number {
    const caller = this.#caller;
    checkPath(path);
    const file = this.#machine.open(path, caller);
    const result = typeof file === "number" ? file : caller.descriptors.add(file);
    this.#counting.other("open", result < 0);
    return result;
  }

  close(fd: number): number {
    const caller = this.#caller;
    checkFd(fd);
    return this.#during("close", () => {
      const result = caller.descriptors.close(fd);
      this.#counting.other("close", result < 0);
      return result;
    });
  }

  ioctl(fd: number, call: VfioCall, argument: number): number {
    checkCall(fd, call, argument);
    return this.#dispatch(fd, call, argument, undefined);
  }

  ioctlStruct(fd: number, call: VfioCall, memory: Uint8Array, offset: number): number {
    checkCall(fd, call, 0);
    checkPlace(memory, "offset", offset);
    const struct = this.#reader.at(memory, offset);
    // A call that takes a number gets the address instead: no IOMMU type has that number.
    return this.#dispatch(fd, call, Number.NaN, struct);
  }

  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    checkFd(fd);
    checkPlace(memory, "table", table);
    integer("count", count, 2 ** 32 - 1);
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
    const { memory } = this.#caller;
    checkExtent(address, length);
    checkMap(protection, flags, hugePageShift);
    const result = memory.mmap(address, length, protection, flags, hugePageShift);
    this.#counting.other("mmap", result < 0n);
    return result;
  }

  munmap(address: bigint, length: bigint): number {
    const { memory } = this.#caller;
    checkExtent(address, length);
    const result = memory.munmap(address, length);
    this.#counting.other("munmap", result < 0);
    return result;
  }

  /** Absent on real memory whose source has none. */
  get bindNode(): Syscalls["bindNode"] {
    if (this.#process.memory.bindNode === undefined) return undefined;
    return (address, length, node) => {
      const { memory } = this.#caller;
      checkExtent(address, length);
      integer("node", node, 1023);
      const result = memory.bindNode?.(address, length, node) ?? 0;
      this.#counting.other("mbind", result < 0);
      return result;
    };
  }

  view(address: bigint, length: bigint): Uint8Array {
    const { memory } = this.#caller;
    checkExtent(address, length);
    return this.#counted("view", () => memory.view(address, length));
  }

  unview(view: Uint8Array): unknown {
    const { memory } = this.#caller;
    return this.#counted("unview", () => memory.unview(view));
  }

  populate(address: bigint, length: bigint): number {
    const { memory } = this.#caller;
    checkExtent(address, length);
    return memory.populate?.(address, length) ?? 0;
  }

  read(address: bigint, into: Uint8Array): void {
    const { memory } = this.#caller;
    checkCopy(address, "into", into);
    if (memory.read) memory.read(address, into);
    else this.#throughView(memory, address, into.byteLength, (view) => into.set(view));
  }

  write(address: bigint, from: Uint8Array): void {
    const { memory } = this.#caller;
    checkCopy(address, "from", from);
    if (memory.write) memory.write(address, from);
    else this.#throughView(memory, address, from.byteLength, (view) => view.set(from));
  }

  /** For a source of real memory that does not copy. */
  #throughView(memory: MemorySource, address: bigint, length: number, use: (view: Uint8Array) => void): void {
    if (length === 0) return;
    const view = memory.view(address, BigInt(length));
    try {
      use(view);
    } finally {
      memory.unview(view);
    }
  }

  physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    const { memory } = this.#caller;
    address("va", va);
    count("pages", pages);
    count("pageSize", pageSize);
    return this.#counted("physicalAddresses", () => memory.physicalAddresses(va, pages, pageSize));
  }

  lockedMemory(): LockedMemory {
    const { locked } = this.#caller;
    return this.#counted("lockedMemory", () => locked.report());
  }

  pread(fd: number, into: Uint8Array, offset: bigint): number {
    checkTransfer(fd, "into", into, offset);
    const file = this.#caller.descriptors.get(fd);
    return this.#answered("pread", () => file?.pread(into, offset) ?? EBADF);
  }

  pwrite(fd: number, from: Uint8Array, offset: bigint): number {
    checkTransfer(fd, "from", from, offset);
    const file = this.#caller.descriptors.get(fd);
    return this.#answered("pwrite", () => file?.pwrite(from, offset) ?? EBADF);
  }

  registers(fd: number, offset: bigint, length: number): Registers | number {
    checkRegisters(fd, offset, length);
    const caller = this.#caller;
    const file = caller.descriptors.get(fd);
    return this.#answered("registers", () => {
      if (file === undefined) return EBADF;
      return file instanceof Device
        ? file.map(offset, length, this.pageSize, caller, (work) => this.#during("munmap", work))
        : ENODEV;
    });
  }

  eventfd(): number {
    const { descriptors } = this.#caller;
    return this.#answered("eventfd", () => descriptors.add(new Eventfd()));
  }

  takeEvents(fd: number): number {
    checkFd(fd);
    const caller = this.#caller;
    return this.#answered("takeEvents", () => {
      const eventfd = eventfdAt(fd, caller);
      return typeof eventfd === "number" ? eventfd : eventfd.take();
    });
  }

  listen(fd: number, listener: (count: number) => void): Listening | number {
    checkFd(fd);
    if (typeof listener !== "function") throw argumentTypeError("listener", "a function", listener);
    const caller = this.#caller;
    return this.#answered("listen", () => {
      const eventfd = eventfdAt(fd, caller);
      return typeof eventfd === "number" ? eventfd : new EventListening(eventfd, listener, caller.listening);
    });
  }

  plugged(address: string): PluggedDevice {
    const device = this.#machine.devices.get(address);
    if (device === undefined) {
      const known = [...this.#machine.devices.keys()].join(", ");
      throw argumentRangeError("address", `the address of a device of this model: ${known}`, address);
    }
    return pluggedDevice(device, (work) => this.#during("unbind", work));
  }

  fork(): ModelKernel {
    return new Kernel(this.#machine, this.#caller.fork());
  }

  spawn(options: SpawnOptions = {}): ModelKernel {
    known("options", object("options", options), SPAWN_KEYS);
    const { memory = "simulated", lockedMemory = this.#process.locked.limits } = options;
    if (memory !== "simulated" && typeof memory?.mmap !== "function") {
      throw argumentTypeError("memory", '"simulated" or an object with mmap, munmap, view and unview', memory);
    }
    return new Kernel(this.#machine, new Process(this.#machine, memory, checkLimits("lockedMemory", lockedMemory)));
  }

  send(fd: number, to: ModelKernel): number {
    checkFd(fd);
    if (!(to instanceof Kernel) || to.#machine !== this.#machine) {
      throw argumentTypeError("to", "a process of this machine", to);
    }
    const file = this.#caller.descriptors.get(fd);
    return file === undefined ? EBADF : to.#caller.descriptors.add(file);
  }

  exit(): void {
    this.#during("exit", () => this.#process.exit());
  }

  snapshot(): ModelSnapshot {
    return readableDeep(snapshotOf(this.#machine, this.#process));
  }

  leaks(): string[] {
    return leaksOf(this.snapshot());
  }

  hash(): string {
    return hashOf(this.#machine);
  }

  counters(): ModelCounters {
    return this.#counting.report();
  }

  device(group: number): ModelDevice {
    const found = this.#group(group);
    const [first] = found.devices;
    if (!first?.isPlugged) return deviceOf(found);
    const { address, bus } = first.hardware;
    return asModelDevice({
      name: address,
      read: (iova, into) => bus.read(iova, into),
      write: (iova, from) => bus.write(iova, from),
    });
  }

  live(group: number): LiveIova[] {
    const driver = this.#group(group).container?.driver;
    if (driver === undefined) return [];
    return readableEach(joined([...driver.live()].filter(({ iovaPage }) => driver.reach(iovaPage) !== undefined)));
  }

  limitLockedMemory(limits: Partial<LockedMemoryLimits>): void {
    const { locked } = this.#caller;
    const {
      limit = locked.limits.limit,
      privileged = locked.limits.privileged,
      ...rest
    } = object("limits", limits) as LockedMemoryLimits;
    locked.limits = checkLimits("limits", { limit, privileged, ...rest });
  }

  makeUnpinnable(va: bigint, length: bigint | number): void {
    this.#makeUnpinnable(va, length, false);
  }

  makeDeviceMemory(va: bigint, length: bigint | number): void {
    this.#makeUnpinnable(va, length, true);
  }

  protect(va: bigint, length: bigint | number, protection: number): void {
    const { space } = this.#caller;
    const { start, end } = wholePages(space, va, length);
    space.protect(start, end, protectionBits(protection));
  }

  #makeUnpinnable(va: bigint, length: bigint | number, ofDevice: boolean): void {
    const { space } = this.#caller;
    const { start, end } = wholePages(space, va, length);
    space.makeUnpinnable(start, end, ofDevice);
  }

  watch(listener: IovaListener): () => void {
    if (typeof listener !== "function") throw argumentTypeError("listener", "a function", listener);
    return this.#machine.watchers.add(listener);
  }

  tceAt(group: number, iova: bigint): DeviceReach | undefined {
    const found = this.#group(group);
    address("iova", iova);
    const reached = found.container?.driver?.reach(pageOf(iova));
    if (reached === undefined) return undefined;
    const { page, read, write } = reached;
    return readable({ va: bytesOf(page) + (iova & 0xfffn), read, write });
  }

  get #counting(): Counting {
    return this.#machine.counting;
  }

  /** Whoever watches hears at the end what became of IOVAs meanwhile. */
  #during<T>(call: Watchers["call"], work: () => T): T {
    const { watchers } = this.#machine;
    watchers.call = call;
    watchers.caller = this.#process;
    try {
      return work();
    } finally {
      watchers.flush();
    }
  }

  /** A call that says by a negative number that it failed. */
  #answered<T>(name: OtherCall, call: () => T | number): T | number {
    const result = call();
    this.#counting.other(name, typeof result === "number" && result < 0);
    return result;
  }

  #counted<T>(name: OtherCall, call: () => T): T {
    let failed = true;
    try {
      const result = call();
      failed = false;
      return result;
    } finally {
      this.#counting.other(name, failed);
    }
  }

  #group(number: number): Group {
    const found = this.#machine.groups.find((group) => group.number === number);
    if (found === undefined) throw argumentRangeError("group", "a group of this model", number);
    return found;
  }

  /** @throws ModelProcessEnded */
  get #caller(): Process {
    if (this.#process.ended) throw new ModelProcessEnded();
    return this.#process;
  }

  #dispatch(fd: number, call: number, argument: number, struct: Struct | undefined): number {
    const process = this.#caller;
    const file = process.descriptors.get(fd);
    const { watchers, counting } = this.#machine;
    watchers.call = call;
    watchers.caller = process;
    // A number of the kernel's own, whoever is asked: what it means is for the file to say.
    const number = call >= 0x100 && call < 0x200 ? call - 0x100 : call;
    try {
      const result = file === undefined ? EBADF : file.ioctl(number, argument, struct, process);
      counting.ioctl(call, result);
      return result;
    } finally {
      watchers.flush();
    }
  }
}

inspectable(Kernel, "ModelKernel", (kernel) => told(kernel));
