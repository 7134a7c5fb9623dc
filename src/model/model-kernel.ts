import type { MachineFiles, Syscalls } from "../syscalls.ts";
import type { PluggedDevice } from "./devices/plugged-device.ts";
import type { ModelDevice } from "./dma/device.ts";
import type { ModelCounters } from "./inspect/counters.ts";
import type { LiveIova } from "./inspect/live.ts";
import type { ModelSnapshot } from "./inspect/snapshot.ts";
import type { IovaListener } from "./inspect/watch.ts";
import type { LockedMemoryLimits } from "./memory/locked.ts";
import type { MemorySource } from "./memory/source.ts";

/** Where a device's access ends up. */
export interface DeviceReach {
  /** The address of the very byte in the process that mapped it: also after a munmap there, when it is not that byte's any more. */
  readonly va: bigint;
  /** Whether the device may read it, and write it. */
  readonly read: boolean;
  readonly write: boolean;
}

/** What a program on a machine that is there begins with. */
export interface SpawnOptions {
  /** As of {@link ModelOptions}. */
  readonly memory?: "simulated" | MemorySource;
  /** The limits; by default those of the process that spawns. */
  readonly lockedMemory?: LockedMemoryLimits;
}

/**
 * A software kernel as one of its processes sees it: the system calls, and beside them what no program has.
 *
 * - {@link device} moves data as a device does; {@link tceAt} and {@link live} say where it would go.
 * - {@link snapshot}, {@link hash}, {@link counters} and {@link leaks} say what is there; {@link watch} what goes away.
 * - {@link limitLockedMemory}, {@link protect}, {@link makeUnpinnable} and {@link makeDeviceMemory} change the circumstances; {@link fork},
 *   {@link spawn} and {@link exit} the processes.
 *
 * After {@link exit} the system calls, `fork`, `limitLockedMemory`, `protect`, `makeUnpinnable` and `makeDeviceMemory` throw {@link ModelProcessEnded}. All
 * else goes on: it looks at the machine.
 */
export interface ModelKernel extends Syscalls {
  readonly name: "model";
  readonly files: MachineFiles;
  readonly pread: NonNullable<Syscalls["pread"]>;
  readonly pwrite: NonNullable<Syscalls["pwrite"]>;
  readonly registers: NonNullable<Syscalls["registers"]>;
  readonly eventfd: NonNullable<Syscalls["eventfd"]>;
  readonly takeEvents: NonNullable<Syscalls["takeEvents"]>;
  readonly listen: NonNullable<Syscalls["listen"]>;

  /**
   * The device of a group. It moves data through the IOMMU as it is at that moment, a page at a time, into and out of the very
   * memory that was mapped: what `view` shows, or what it would show had the process not unmapped it.
   *
   *     kernel.device(26).write(iova, Uint8Array.of(1, 2, 3)); // { bytes: 3 }
   *     kernel.device(26).read(iova, buffer); // { bytes: 0, fault: { iova, why: "not mapped" } }
   *
   * @throws RangeError ERR_OUT_OF_RANGE for a group that the model does not have.
   */
  device(group: number): ModelDevice;

  /**
   * What a device of `group` reaches at `iova`; `undefined` when the IOMMU stops it.
   *
   * @throws RangeError ERR_OUT_OF_RANGE for a group that the model does not have, or an IOVA outside 64 bits.
   */
  tceAt(group: number, iova: bigint): DeviceReach | undefined;

  /**
   * All that a device of `group` reaches, by IOVA, neighbours as one. Empty without an IOMMU, where nothing is mapped and
   * everything reached. Cost: in proportion to live TCEs or maps.
   *
   * @throws RangeError ERR_OUT_OF_RANGE for a group that the model does not have.
   */
  live(group: number): LiveIova[];

  /** Everything there is, as plain data. Cost: in proportion to descriptors, windows, registrations and maps. */
  snapshot(): ModelSnapshot;

  /**
   * A name for all that decides what the machine will answer from now on: of every process its descriptors, mmapped
   * memory, registrations and locked memory; of every container its windows, and what each live IOVA leads to; the pool. The
   * same state has the same hash however it came about; what differs in anything named has another. The bytes of memory are
   * not in it, nor physical addresses, counters, or the numbers that snapshots give containers and processes.
   *
   * A SHA-256 in hex, of a text that grows with the state, where there is `node:crypto`; elsewhere, as in a browser, that text
   * itself. So compare it with what the same engine said, and keep no copy of it for another.
   *
   * For "this changed nothing": compare before and after. Cost: in proportion to all of that, live TCEs included.
   */
  hash(): string;

  /** How often which call was made on this machine, and what came of it. Cost: one small object. */
  counters(): ModelCounters;

  /**
   * One sentence for each thing that is still held: empty once everything was closed and nothing was left behind. Descriptors,
   * zombies and charges are this process's.
   */
  leaks(): string[];

  /**
   * Calls `listener` for every stretch of IOVA that was live and is not any more (`"cleared"`), and on sPAPR for every live one
   * that a MAP made lead elsewhere (`"replaced"`): at the end of the call that does it, with its name, its process and its
   * container. A listener may make calls of the kernel itself; this library is in the middle of an operation then, and refuses
   * most of its own (`ERR_BUSY`). What a listener throws changes nothing: it becomes an uncaught exception of the process.
   * A MAP that fails halfway tells of what it took along. A stretch is as long as it was live without a gap, and was changed by
   * that call. Returns the way to stop. Without listeners it costs nothing.
   *
   *     const lost: IovaEvent[] = [];
   *     const stop = kernel.watch((event) => lost.push(event));
   */
  watch(listener: IovaListener): () => void;

  /**
   * Changes RLIMIT_MEMLOCK (setrlimit) or takes CAP_IPC_LOCK away, of this process and of children from now on. What is locked
   * already stays so, also above the limit.
   *
   * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE
   */
  limitLockedMemory(limits: Partial<LockedMemoryLimits>): void;

  /**
   * Makes whole mmapped pages such as the kernel does not pin, until their munmap: `memfd_secret` is like that. A REGISTER that begins before them answers how many pages it could pin, one that begins in them
   * EFAULT; a MAP of type1 answers EFAULT. What is pinned already stays pinned.
   *
   * @param va bytes, a multiple of the page that is mapped there, as `length` is
   * @throws RangeError ERR_OUT_OF_RANGE where not all of it is mmapped, or a page would be cut.
   */
  makeUnpinnable(va: bigint, length: bigint | number): void;

  /**
   * Lets whole mmapped pages be used otherwise from now on, as mprotect does. What is pinned already stays pinned, and devices go on as they were let.
   *
   * @param va bytes, a multiple of the page that is mapped there, as `length` is
   * @param protection bits of `Protection`
   * @throws RangeError ERR_OUT_OF_RANGE where not all of it is mmapped, or a page would be cut.
   */
  protect(va: bigint, length: bigint | number, protection: number): void;

  /**
   * Makes whole mmapped pages a device's own memory that is mapped into the process, until their munmap: a BAR, for transfers from
   * device to device. REGISTER answers as for {@link makeUnpinnable}; a MAP of type1 answers 0, and nothing is locked for it. What
   * the process and devices read and write there is memory all the same.
   *
   * @param va bytes, a multiple of the page that is mapped there, as `length` is
   * @throws RangeError ERR_OUT_OF_RANGE where not all of it is mmapped, or a page would be cut.
   */
  makeDeviceMemory(va: bigint, length: bigint | number): void;

  /**
   * A device by its address, from outside: errors, the wish to have it back, its end.
   *
   * @throws RangeError ERR_OUT_OF_RANGE for an address that no device of the model has.
   */
  plugged(address: string): PluggedDevice;

  /**
   * A child of this process: the same open files, a copy of the memory, and nothing registered or locked. A container of sPAPR
   * that was used belongs to the parent still. Looking at memory through the child shows the child's.
   *
   * @throws {@link ModelUnknown} where the memory is real.
   */
  fork(): ModelKernel;

  /**
   * Another program on the same machine. It inherits nothing but the limits; its memory is simulated, unless `memory` says where it
   * comes from.
   */
  spawn(options?: SpawnOptions): ModelKernel;

  /**
   * Gives another process of this machine a descriptor of the file that `fd` leads to, as SCM_RIGHTS does: its number there, or EBADF.
   *
   * @throws TypeError ERR_INVALID_ARG_TYPE for what is no process of this machine.
   */
  send(fd: number, to: ModelKernel): number;

  /**
   * Ends the process, as `kill -9` does: its files are closed and its memory goes, and with it what only the end of a process
   * gives back. The pages of zombies stay pinned even then: Linux has lost them.
   */
  exit(): void;
}
