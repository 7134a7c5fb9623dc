/**
 * Lists of calls that the core has written, carried out by the kernel: one crossing into the core to check and write, one
 * into the kernel, one into the core to record.
 *
 *     columns --core: prepare--> calls --kernel: ioctlBatch--> results --core: settle--> tables
 *                                   ^                            |
 *                                   +------ undo, where one failed
 */
import { core, NO_ADDRESS, NOT_CALLED, Status } from "../core.ts";
import { DmaWindowError, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import { BATCH_ENTRY_BYTES, type Syscalls, VfioCall, vfioCallName } from "../syscalls.ts";
import { refusal } from "./refusals.ts";

/** The window, as far as its calls need it. */
export interface Target {
  readonly kernel: Syscalls;
  readonly containerFd: number;
  /** Handles of the core. */
  readonly window: number;
  readonly container: number;
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
}

/** The request columns: one row for each request. Valid until the next call of the core. */
export interface RequestColumns {
  readonly vas: BigUint64Array;
  /** All ones lets the core choose. */
  readonly iovas: BigUint64Array;
  readonly lengths: BigUint64Array;
  /** Maps only: 1 the device may read, 2 it may write, 3 both. */
  readonly permissions: Uint32Array;
}

/** Columns of `count` rows to fill in. @throws `ERR_OUT_OF_MEMORY`. */
export function requestColumns(count: number): RequestColumns {
  if (core.reserveRequests(count) === 0) {
    throw outOfMemory(`${count} requests`);
  }
  return {
    vas: core.u64(core.vaColumn(), count),
    iovas: core.u64(core.iovaColumn(), count),
    lengths: core.u64(core.lengthColumn(), count),
    permissions: core.u32(core.permissionColumn(), count),
  };
}

function outOfMemory(what: string): DmaWindowError {
  return new DmaWindowError("ERR_OUT_OF_MEMORY", `no room for ${what} in the core's memory`);
}

/**
 * Maps the first `count` rows of the request columns: all of them, or none. `owner` is one of the core's Owner.
 *
 * @throws the core's refusals, before the kernel is asked; `ERR_KERNEL` and `ERR_PINNED_PARTLY` when the kernel said no.
 * What was done by then is undone; `residue` says what could not be.
 */
export function performMaps(target: Target, count: number, owner: number): void {
  endIdle(target);
  const status = core.prepareMaps(target.window, count, owner);
  if (status !== Status.OK) throw refused(status, "map", target, count);
  const failed = perform(target, 0, () => {
    core.collectMaps();
    core.settleMaps(target.window);
  });
  if (core.collectMaps() === 1) {
    core.settleMaps(target.window);
    return;
  }
  const failure = failureOf(failed);
  core.prepareUndo();
  const settleUndo = (): void => {
    core.collectUndo();
    core.settleMaps(target.window);
  };
  let at = perform(target, 0, settleUndo);
  while (at < core.callCount()) at = perform(target, core.afterFailure(at), settleUndo);
  settleUndo();
  const left: string[] = [];
  for (let i = 0; i < count; i++) {
    if (core.leftMapped(i) === 1) left.push(`${describe(i)} is still mapped`);
    else if (core.leftRegistered(i) === 1) left.push(describeMemory(i));
  }
  throw withResidue(failure, left);
}

/**
 * Unmaps the first `count` rows, each a range that is mapped and at one offset from its memory.
 *
 * Gives an error, `ERR_STILL_REGISTERED`, where everything is unmapped but a registration could not be ended: its memory
 * stays locked until a later call, or the end of the container, ends it.
 *
 * @throws the core's refusals, before the kernel is asked and with nothing changed; `ERR_KERNEL` when the kernel did not
 * unmap: what was unmapped by then stays so, and `residue` says what is still mapped.
 */
export function performUnmaps(target: Target, count: number, owner: number): DmaWindowError | undefined {
  const status = core.prepareUnmaps(target.window, count, owner);
  if (status !== Status.OK) throw refused(status, "unmap", target, count);
  const unended: number[] = [];
  const settle = (): void => {
    core.settleUnmaps(target.window);
  };
  let at = perform(target, 0, settle);
  // No call depends on an UNREGISTER, so one that fails stops nothing. After an UNMAP that fails, nothing more goes out.
  while (at < core.callCount() && core.callAt(at) === VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY) {
    unended.push(at);
    at = perform(target, at + 1, settle);
  }
  const failed = at < core.callCount() ? failureOf(at) : undefined;
  const leftover = stillRegistered(unended);
  const left = [...(leftover?.residue?.left ?? [])];
  for (let k = at; k < core.callCount(); k++) {
    if (core.callAt(k) === VfioCall.IOMMU_UNMAP_DMA) left.push(`${describe(core.requestAt(k))} is still mapped`);
  }
  settle();
  if (failed !== undefined) throw withResidue(failed, left);
  return leftover;
}

/**
 * Tries again to end registrations that an earlier failure left behind. What stays is not used by later maps; the error
 * names it.
 */
export function endIdle(target: Pick<Target, "kernel" | "containerFd" | "container">): DmaWindowError | undefined {
  if (core.containerHasIdle(target.container) === 0) return undefined;
  if (core.prepareIdle(target.container) !== Status.OK) return outOfMemory("ending registrations");
  const unended: number[] = [];
  const settle = (): void => {
    core.settleIdle(target.container);
  };
  for (let at = perform(target, 0, settle); at < core.callCount(); at = perform(target, at + 1, settle))
    unended.push(at);
  const leftover = stillRegistered(unended);
  settle();
  return leftover;
}

/** The error for calls of the list, UNREGISTER all, that failed; undefined when there are none. */
function stillRegistered(calls: readonly number[]): DmaWindowError | undefined {
  const [first] = calls;
  if (first === undefined) return undefined;
  const { message, ...more } = refusedByKernel("VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", core.resultAt(first));
  const error = new DmaWindowError("ERR_STILL_REGISTERED", message, more);
  return withResidue(error, calls.map(describeRegistration)) as DmaWindowError;
}

/**
 * Makes the prepared calls from `first` on. Gives the index of the one that failed; the count of all when none did. Should
 * the interface itself throw, what was made by then is recorded by `settle`; nobody can be asked to take it back.
 */
function perform(target: Pick<Target, "kernel" | "containerFd">, first: number, settle: () => void): number {
  const left = core.callCount() - first;
  if (left <= 0) return core.callCount();
  const table = core.callTable() + first * BATCH_ENTRY_BYTES;
  try {
    return first + target.kernel.ioctlBatch(target.containerFd, core.bytes(), table, left);
  } catch (error) {
    settle();
    throw error;
  }
}

function refused(status: number, what: "map" | "unmap", target: Target, total: number): DmaWindowError {
  const index = core.refusedRequest();
  const { vas, iovas, lengths } = rows(index + 1);
  return refusal(status, {
    what,
    index,
    total,
    va: vas[index] ?? 0n,
    iova: iovas[index] ?? NO_ADDRESS,
    length: lengths[index] ?? 0n,
    window: target.window,
    start: target.start,
    size: target.size,
    pageShift: target.pageShift,
    cpuPageSize: target.kernel.pageSize,
  });
}

/** The first rows of the columns, as they are now. */
export function rows(count: number): RequestColumns {
  return requestColumns(count); // no more rows than there are: nothing is lost
}

function describeMemory(request: number): string {
  const { vas, lengths } = rows(request + 1);
  return locked(vas[request] ?? NO_ADDRESS, lengths[request] ?? 0n);
}

function locked(va: bigint, length: bigint): string {
  return `${bytes(length)} of memory at ${hex(va)} are still registered (locked)`;
}

function describe(request: number): string {
  const { iovas, lengths } = rows(request + 1);
  return `${bytes(lengths[request] ?? 0n)} at IOVA ${hex(iovas[request] ?? NO_ADDRESS)}`;
}

/** The registration that UNREGISTER number `call` of the list was for: not always that of a whole request, nor of one. */
function describeRegistration(call: number): string {
  const [va = 0n, length = 0n] = core.u64(core.structAt(call) + 8, 2); // struct vfio_iommu_spapr_register_memory
  return locked(va, length);
}

/** What the kernel said to a call, while the list is still there. */
function failureOf(index: number): DmaWindowError {
  const call = core.callAt(index);
  const result = core.resultAt(index);
  const syscall = vfioCallName(call);
  const about = `${syscall} for ${describe(core.requestAt(index))}`;
  if (result === NOT_CALLED) {
    return new DmaWindowError("ERR_INTERFACE", `the kernel interface neither made ${about} nor said why`, { syscall });
  }
  if (result > 0 && call === VfioCall.IOMMU_SPAPR_REGISTER_MEMORY) {
    return new DmaWindowError(
      "ERR_PINNED_PARTLY",
      `${about}: only the first ${result} pages could be locked, and none are now`,
      { syscall, facts: { pages: result } },
    );
  }
  return refusedByKernel(syscall, result, { about });
}
