import { argumentRangeError } from "../errors.ts";
import { BATCH_ENTRY_BYTES, type LockedMemory, type VfioCall } from "../syscalls.ts";
import { Container } from "./container.ts";
import { Descriptors, type OpenFile } from "./descriptors.ts";
import { EBADF, EBUSY, ENOENT } from "./errno.ts";
import { leaksOf, type ModelSnapshot, type ModelState, snapshotOf } from "./eyes/snapshot.ts";
import { type ClearedListener, Watchers } from "./eyes/watch.ts";
import { Group } from "./group.ts";
import { groupIoctl } from "./group-calls.ts";
import type { DeviceReach, ModelKernel } from "./index.ts";
import { AddressSpace } from "./memory/address-space.ts";
import { HugepagePool } from "./memory/hugepage-pool.ts";
import { LockedAccount } from "./memory/locked.ts";
import { SimulatedMemory } from "./memory/simulated.ts";
import { type MemorySource, recordedMemory } from "./memory/source.ts";
import type { ModelSettings } from "./options.ts";
import { bytesOf, PAGE_BYTES, pageOf } from "./pages.ts";
import type { Process } from "./process.ts";
import { SpaprDriver } from "./spapr/driver.ts";
import type { Platform } from "./spapr/platform.ts";
import { powernv } from "./spapr/powernv.ts";
import { pseries } from "./spapr/pseries.ts";
import { Registrations } from "./spapr/registrations.ts";
import { Access } from "./spapr/tces.ts";
import { type Struct, StructReader } from "./structs.ts";

/** The system calls: finds what a descriptor leads to, and hands the call on. */
export class Kernel implements ModelKernel {
  readonly name = "model";
  readonly pageSize: number;
  readonly #process: Process;
  readonly #platform: Platform;
  readonly #memory: MemorySource;
  readonly #groups: ReadonlyMap<string, Group>;
  readonly #containers = new Set<Container>();
  readonly #descriptors = new Descriptors();
  readonly #watchers = new Watchers();
  readonly #reader = new StructReader();
  #opened = 0;

  constructor({ platform, pageSize, groups, info, lockedMemory, hugepages, memory }: ModelSettings) {
    const space = new AddressSpace();
    this.pageSize = pageSize;
    this.#process = {
      space,
      registrations: new Registrations(),
      locked: new LockedAccount(lockedMemory, pageSize),
      pageUnit: pageSize / PAGE_BYTES,
    };
    this.#platform = platform === "powernv" ? powernv(info, pageSize) : pseries(info);
    this.#memory =
      memory === "simulated"
        ? new SimulatedMemory(space, pageSize, new HugepagePool(hugepages))
        : recordedMemory(memory, space, pageSize);
    const sorted = [...groups].sort((a, b) => a - b);
    this.#groups = new Map(sorted.map((number) => [`/dev/vfio/${number}`, new Group(number)]));
  }

  open(path: string): number {
    if (path === "/dev/vfio/vfio") return this.#openContainer();
    const group = this.#groups.get(path);
    if (group === undefined) return ENOENT;
    if (group.open) return EBUSY;
    group.open = true;
    return this.#descriptors.add(group);
  }

  close(fd: number): number {
    const file = this.#descriptors.remove(fd);
    if (typeof file === "number") return file;
    this.#watchers.call = "close";
    if (file instanceof Container) {
      file.fd = undefined;
    } else {
      file.open = false;
      file.container?.detach(file);
    }
    this.#forgetContainers();
    return 0;
  }

  ioctl(fd: number, call: VfioCall, argument: number): number {
    return this.#dispatch(this.#descriptors.get(fd), call, argument, undefined);
  }

  ioctlStruct(fd: number, call: VfioCall, memory: Uint8Array, offset: number): number {
    const struct = this.#reader.at(memory, offset);
    // A call that takes a number gets the address instead: no IOMMU type has that number.
    return this.#dispatch(this.#descriptors.get(fd), call, Number.NaN, struct);
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
    return this.#memory.mmap(address, length, protection, flags, hugePageShift);
  }

  munmap(address: bigint, length: bigint): number {
    return this.#memory.munmap(address, length);
  }

  view(address: bigint, length: bigint): Uint8Array {
    return this.#memory.view(address, length);
  }

  unview(view: Uint8Array): void {
    this.#memory.unview(view);
  }

  physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    return this.#memory.physicalAddresses(va, pages, pageSize);
  }

  lockedMemory(): LockedMemory {
    return this.#process.locked.report();
  }

  snapshot(): ModelSnapshot {
    return snapshotOf(this.#state);
  }

  leaks(): string[] {
    return leaksOf(this.#state);
  }

  watch(listener: ClearedListener): () => void {
    return this.#watchers.add(listener);
  }

  tceAt(group: number, iova: bigint): DeviceReach | undefined {
    const found = this.#groups.get(`/dev/vfio/${group}`);
    if (found === undefined) throw argumentRangeError("group", "a group of this model", group);
    if (iova < 0n || iova >= 1n << 64n) throw argumentRangeError("iova", "0..2^64-1", iova);
    const window = found.container?.driver?.windows.slots.containing(pageOf(iova));
    const tce = window?.tces.get(window.indexOf(pageOf(iova)));
    if (window === undefined || tce === undefined) return undefined;
    return {
      va: bytesOf(tce.page) + (iova & (bytesOf(window.unit) - 1n)),
      read: (tce.access & Access.READ) !== 0,
      write: (tce.access & Access.WRITE) !== 0,
    };
  }

  get #state(): ModelState {
    const groups = [...this.#groups.values()];
    return { process: this.#process, groups, containers: this.#containers, descriptors: this.#descriptors };
  }

  #openContainer(): number {
    const makeDriver = () => new SpaprDriver(this.#process, this.#platform, this.#watchers);
    const container = new Container(this.#opened++, this.#platform.extensions, makeDriver);
    this.#containers.add(container);
    container.fd = this.#descriptors.add(container);
    return container.fd;
  }

  #dispatch(file: OpenFile | undefined, call: number, argument: number, struct: Struct | undefined): number {
    if (file === undefined) return EBADF;
    this.#watchers.call = call;
    if (file instanceof Container) return file.ioctl(call, argument, struct);
    const result = groupIoctl(file, call, struct, this.#descriptors);
    this.#forgetContainers();
    return result;
  }

  /** A container goes when neither a descriptor nor a group holds it. */
  #forgetContainers(): void {
    for (const container of this.#containers) if (container.isGone) this.#containers.delete(container);
  }
}
