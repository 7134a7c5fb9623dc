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
import type { AddressRange, IommuInfo } from "../iommu.ts";
import { BATCH_ENTRY_BYTES, type Syscalls, VfioCall, vfioCallName } from "../syscalls.ts";
import { isPlaceable, physicalIova } from "./physical.ts";
import { refusal } from "./refusals.ts";

/** The window, as far as its calls need it. */
export interface Target {
  readonly kernel: Syscalls;
  readonly containerFd: number;
  /** Which IOMMU it is. */
  readonly kind: IommuInfo["kind"];
  /** Handles of the core. */
  readonly window: number;
  readonly container: number;
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
  /** type1: what of the window the IOMMU does not allow, and what it allows in all. */
  readonly forbidden: readonly AddressRange[];
  readonly allowed: readonly AddressRange[];
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

export function outOfMemory(what: string): DmaWindowError {
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
  if (target.kind === "noiommu") placePhysically(target, count);
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
  const failure = failureOf(failed, target);
  core.prepareUndo();
  const settleUndo = (): void => {
    core.collectUndo(target.window);
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

/** Fills in, or checks, the IOVAs of the first `count` rows: what the core will refuse for its shape is left to the core. */
function placePhysically(target: Target, count: number): void {
  const { vas, iovas, lengths } = rows(count); // asking for physical addresses takes none of the core's memory
  for (let i = 0; i < count; i++) {
    const [va = 0n, length = 0n, iova = NO_ADDRESS] = [vas[i], lengths[i], iovas[i]];
    if (isPlaceable(va, length, target)) iovas[i] = physicalIova(target.kernel, va, length, iova);
  }
}

/**
 * Unmaps the first `count` rows, each a range that is mapped and at one offset from its memory.
 *
 * Gives an error where everything is unmapped all the same: `ERR_STILL_REGISTERED` where a registration could not be
 * ended (its memory stays locked until a later call, or the end of the container, ends it); `ERR_UNMAP_SIZE` where the
 * kernel had another length there.
 *
 * @throws the core's refusals, before the kernel is asked and with nothing changed; `ERR_KERNEL` when the kernel did not
 * unmap: what was unmapped by then stays so, and `residue` says what is still mapped. `ERR_UNMAP_SIZE` when type1 v1 says
 * that it unmapped less than was asked: the tables then keep it as mapped.
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
  const failed = at < core.callCount() ? failureOf(at, target) : undefined;
  const leftover = stillRegistered(unended);
  const left = [...(leftover?.residue?.left ?? [])];
  for (let k = at; k < core.callCount(); k++) {
    if (core.callAt(k) === VfioCall.IOMMU_UNMAP_DMA) left.push(`${describe(core.requestAt(k))} is still mapped`);
  }
  settle();
  const wrong = wrongSizes(target);
  left.push(...wrong.left);
  if (failed !== undefined) throw withResidue(failed, left);
  if (wrong.left.length > 0) throw withResidue(wrong.error, left);
  return leftover ?? wrong.error;
}

/**
 * What of performUnmaps' answer no later call puts right: registrations that stay are tried again, and named, by endIdle;
 * an UNMAP of a wrong size is said here or never.
 */
export function lasting(leftover: DmaWindowError | undefined): DmaWindowError | undefined {
  return leftover?.code === "ERR_UNMAP_SIZE" ? leftover : undefined;
}

/**
 * After the tables have been settled: the error for UNMAPs that were answered with success, and by the kernel's own account
 * took away another length than was asked for. `left` names what the tables therefore keep.
 */
function wrongSizes(target: Target): { readonly error: DmaWindowError | undefined; readonly left: readonly string[] } {
  const left: string[] = [];
  let error: DmaWindowError | undefined;
  for (let k = core.wrongUnmap(0); k < core.callCount(); k = core.wrongUnmap(k + 1)) {
    const request = core.requestAt(k);
    const { iovas, lengths } = rows(request + 1);
    const [iova = NO_ADDRESS, length = 0n] = [iovas[request], lengths[request]];
    const unmapped = core.unmappedLength(core.structAt(k));
    error ??= new DmaWindowError(
      "ERR_UNMAP_SIZE",
      `the kernel was asked to unmap ${describe(request)}, and says that it unmapped ${bytes(unmapped)}: somebody else maps and unmaps in this container`,
      { syscall: "VFIO_IOMMU_UNMAP_DMA", facts: { iova, length, unmapped } },
    );
    if (core.windowReverse(target.window, iova) !== NO_ADDRESS) left.push(`${describe(request)} may still be mapped`);
  }
  return { error, left };
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
  const { message, ...more } = refusedByKernel("VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", core.resultAt(first), {
    iommu: "spapr",
  });
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
    container: target.container,
    forbidden: target.forbidden,
    allowed: target.allowed,
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
function failureOf(index: number, target: Target): DmaWindowError {
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
  return refusedByKernel(syscall, result, { about, iommu: target.kind, files: target.kernel.files });
}
