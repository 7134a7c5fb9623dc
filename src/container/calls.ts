/**
 * Lists of calls that the core has written, carried out by the kernel: one crossing into the core to check and write, one
 * into the kernel, one into the core to record.
 *
 *     columns --core: prepare--> calls --kernel: ioctlBatch--> results --core: settle--> tables
 *                                   ^                            |
 *                                   +------ undo, where one failed
 *
 * A kernel interface that throws is a call that failed, with one difference: nobody knows whether the kernel had done it.
 * Each result is NOT_CALLED until it is written, so what was answered by then is known. The first call without an answer is in
 * doubt, and so are all behind it: an interface may make the whole list, on a copy of the memory say, and lose every answer. The
 * kernel settles that, because these can be asked twice:
 *
 *     UNMAP        once more: what was unmapped already is unmapped
 *     UNREGISTER   once more: ENOENT says that it was done
 *     MAP          taken back by an UNMAP, be it there or not
 *     REGISTER     taken back by an UNREGISTER; ENOENT says that it was not there
 *
 * Where the interface throws again, the tables keep what the kernel may have (doubts.ts), and the residue says so.
 */
import { channels } from "../channels.ts";
import { core, NO_ADDRESS, NOT_CALLED, Owner, Status } from "../core.ts";
import { ERRNO } from "../errno.ts";
import { asOurs, DmaWindowError, withResidue } from "../errors.ts";
import { bytes } from "../hex.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../syscalls.ts";
import { outOfMemory, rows } from "./columns.ts";
import {
  type Among,
  aboutRequest,
  describe,
  describeMemory,
  factsOf,
  failureOf,
  registrationOf,
  stillMapped,
  stillRegistered,
} from "./failures.ts";
import { began, tellMaps, tellUnmaps } from "./messages.ts";
import { isPlaceable, physicalIova } from "./physical.ts";
import { refusal } from "./refusals.ts";
import type { ContainerTarget, Target } from "./target.ts";

const { IOMMU_SPAPR_UNREGISTER_MEMORY, IOMMU_UNMAP_DMA } = VfioCall;

/** Where the result of a call is in its entry. */
const RESULT = 8;

/** What the interface threw first, since the calls of the moment began; there is one operation at a time (exclusive.ts). */
let threw: unknown;
/** Why a call is in doubt that an interface passed over. */
const silence = "the kernel interface did not say";
/** The first call of the list whose answer was lost: it and those behind it may have been made before they are asked for again. */
let lostFrom = Number.POSITIVE_INFINITY;

/**
 * Maps the first `count` rows of the request columns: all of them, or none. `owner` is one of the core's Owner. `among` says
 * which of the program's requests they are, where they are not all.
 *
 * @throws the core's refusals, before the kernel is asked; `ERR_KERNEL` and `ERR_PINNED_PARTLY` when the kernel said no;
 * `ERR_INTERFACE` when its interface threw. What was done by then is undone; `residue` says what could not be.
 */
export function performMaps(target: Target, count: number, owner: number, among?: Among): void {
  const since = began();
  const idle = endIdle(target);
  if (idle?.code === "ERR_INTERFACE") throw idle;
  if (target.kind === "noiommu") placePhysically(target, count, among ?? { first: 0, count });
  const status = core.prepareMaps(target.window, count, owner);
  if (status !== Status.OK) throw refused(status, "map", target, among ?? { first: 0, count });
  if (target.kind === "noiommu") tell(target, count);
  begin();
  perform(target, 0);
  const areMade = core.collectMaps() === 1;
  if (!areMade || threw !== undefined) takeBack(target, count, among ?? { first: 0, count });
  core.settleMaps(target.window);
  if (target.sites !== undefined && owner === Owner.PROGRAM) target.sites.noteMaps(target.window, count);
  if (channels.map.hasSubscribers) tellMaps(target, count, owner, since);
}

/** Undoes a batch of which not all was made, or in which the interface threw. Always throws. */
function takeBack(target: Target, count: number, among: Among): never {
  const failed = firstUndone(0);
  const failure = failureOf(failed, target, among, threw);
  const doubt = failed < core.callCount() && core.resultAt(failed) === NOT_CALLED ? core.requestAt(failed) : count;
  if (doubt < count) assumeMade(failed);
  core.collectMaps();
  core.prepareUndo();
  lostFrom = Number.POSITIVE_INFINITY;
  let at = perform(target, 0);
  while (at < core.callCount()) at = perform(target, wasNeverMade(at, doubt) ? at + 1 : core.afterFailure(at));
  const unsure = new Set<number>();
  for (let k = 0; k < core.callCount(); k++) {
    const request = core.requestAt(k);
    if (request >= doubt) acceptAbsent(target, k);
    if (request >= doubt || isInDoubt(k)) unsure.add(request);
  }
  core.collectUndo(target.window);
  core.settleMaps(target.window);
  const left: string[] = [];
  for (let i = 0; i < count; i++) {
    const why = unsure.has(i) ? (threw ?? silence) : undefined;
    if (core.leftMapped(i) === 1) {
      if (why !== undefined) doubtMap(target, i);
      left.push(stillMapped(i, why));
    } else if (core.leftRegistered(i) === 1) {
      if (why !== undefined) target.doubts.registrations.add(rowOf(i).va);
      left.push(describeMemory(i, why));
    }
  }
  throw withResidue(failure, left);
}

/** Calls that nobody answered may have been made: they are to be taken back like those that were. */
function assumeMade(from: number): void {
  for (let k = from; k < core.callCount(); k++) if (core.resultAt(k) === NOT_CALLED) setResult(k, 0);
}

/**
 * Whether the kernel answered to a call that takes back what is in doubt, from request `first` on, that nothing is there: EPERM
 * to an UNMAP where nothing was registered ever (drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl), ENOENT to an UNREGISTER.
 */
function wasNeverMade(call: number, first: number): boolean {
  if (core.requestAt(call) < first) return false;
  const unmaps = core.callAt(call) === IOMMU_UNMAP_DMA;
  if (unmaps ? core.resultAt(call) !== -ERRNO.EPERM : !wasNotThere(call)) return false;
  setResult(call, 0);
  return true;
}

/** Request `i`, which the tables keep, may not be mapped, nor its memory be registered. */
function doubtMap({ kind, doubts }: Target, i: number): void {
  const { va, iova, length } = rowOf(i);
  doubts.maps.set(iova, length);
  if (kind === "spapr") doubts.registrations.add(va);
}

/** From here on the program knows where the memory of the rows is, and may say so to a device. */
function tell({ told }: Target, count: number): void {
  for (let i = 0; i < count; i++) {
    const { va, length } = rowOf(i);
    told.add(va, length);
  }
}

/** Fills in, or checks, the IOVAs of the first `count` rows: what the core will refuse for its shape is left to the core. */
function placePhysically(target: Target, count: number, among: Among): void {
  const { vas, iovas, lengths } = rows(count); // asking for physical addresses takes none of the core's memory
  for (let i = 0; i < count; i++) {
    const [va = 0n, length = 0n, iova = NO_ADDRESS] = [vas[i], lengths[i], iovas[i]];
    if (!isPlaceable(va, length, target)) continue;
    try {
      iovas[i] = physicalIova(target.kernel, va, length, iova);
    } catch (error) {
      throw aboutRequest(error, i, among);
    }
  }
}

/**
 * Unmaps the first `count` rows, each a range that is mapped and at one offset from its memory.
 *
 * Gives an error where everything is unmapped all the same: `ERR_STILL_REGISTERED` where a registration could not be
 * ended (its memory stays locked until a later call, or the end of the container, ends it); `ERR_UNMAP_SIZE` where the
 * kernel had another length there; `ERR_INTERFACE` where the interface threw, and it was done for all that.
 *
 * @throws the core's refusals, before the kernel is asked and with nothing changed; `ERR_KERNEL` when the kernel did not
 * unmap, `ERR_INTERFACE` when its interface threw: what was unmapped by then stays so, and `residue` says what is still mapped,
 * or may be. `ERR_UNMAP_SIZE` when type1 v1 says that it unmapped less than was asked: the tables then keep it as mapped.
 */
export function performUnmaps(target: Target, count: number, owner: number, among?: Among): DmaWindowError | undefined {
  const since = began();
  const leftover = unmapRows(target, count, owner, among);
  if (channels.unmap.hasSubscribers) tellUnmaps(target, count, owner, since);
  return leftover;
}

function unmapRows(target: Target, count: number, owner: number, among?: Among): DmaWindowError | undefined {
  const status = core.prepareUnmaps(target.window, count, owner);
  if (status !== Status.OK) throw refused(status, "unmap", target, among ?? { first: 0, count });
  begin();
  const unended: number[] = [];
  let at = perform(target, 0);
  // No call depends on an UNREGISTER, so one that fails stops nothing. After an UNMAP that fails, nothing more goes out.
  for (; at < core.callCount(); at = perform(target, at + 1)) {
    if (core.callAt(at) === IOMMU_UNMAP_DMA && !wasNeverMapped(target, at)) break;
    if (core.callAt(at) !== IOMMU_UNMAP_DMA && !isEnded(target, at)) unended.push(at);
  }
  settleDoubts(target, at);
  const isDone = at === core.callCount() && unended.length === 0 && threw === undefined;
  const leftover = stillRegistered(unended, target, threw);
  let failed = at < core.callCount() ? failureOf(at, target, among ?? { first: 0, count }, threw) : undefined;
  const left = isDone ? [] : [...(leftover?.residue?.left ?? []), ...stillMappedFrom(target, at)];
  const unmapped = core.settleUnmaps(target.window);
  if (isDone && unmapped === count && core.wrongUnmap(0) === core.callCount()) return undefined;
  const wrong = wrongSizes(target, among ?? { first: 0, count });
  left.push(...wrong.left);
  if (failed === undefined && wrong.left.length === 0 && unmapped < count) {
    // The interface said that all was done, and did not write so.
    at = firstUndone(0);
    lostFrom = Math.min(lostFrom, at);
    failed = failureOf(at, target, among ?? { first: 0, count }, threw);
    left.push(...stillMappedFrom(target, at));
  }
  if (failed !== undefined) throw withResidue(failed, left);
  if (wrong.left.length > 0) throw withResidue(wrong.error, left);
  return leftover ?? wrong.error ?? (threw === undefined ? undefined : asOurs(threw));
}

/** The sentences for UNMAPs from call `from` on, the one that failed; those whose answers were lost are in doubt from here on. */
function stillMappedFrom(target: Target, from: number): string[] {
  const left: string[] = [];
  for (let k = from; k < core.callCount(); k++) {
    const isOpen = isInDoubt(k);
    if (core.callAt(k) !== IOMMU_UNMAP_DMA) {
      if (isOpen) target.doubts.registrations.add(registrationOf(k).va);
      continue;
    }
    const { iova, length } = rowOf(core.requestAt(k));
    if (isOpen) target.doubts.maps.set(iova, length);
    left.push(stillMapped(core.requestAt(k), isOpen ? (threw ?? silence) : undefined));
  }
  return left;
}

/**
 * What of performUnmaps' answer no later call puts right: registrations that stay are tried again, and named, by endIdle;
 * an UNMAP of a wrong size, and what the interface threw, are said here or never.
 */
export function lasting(leftover: DmaWindowError | undefined): DmaWindowError | undefined {
  return leftover?.code === "ERR_STILL_REGISTERED" ? undefined : leftover;
}

/**
 * After the tables have been settled: the error for UNMAPs that were answered with success, and by the kernel's own account
 * took away another length than was asked for. `left` names what the tables therefore keep.
 */
function wrongSizes(
  target: Target,
  among: Among,
): { readonly error: DmaWindowError | undefined; readonly left: readonly string[] } {
  const left: string[] = [];
  let error: DmaWindowError | undefined;
  for (let k = core.wrongUnmap(0); k < core.callCount(); k = core.wrongUnmap(k + 1)) {
    const request = core.requestAt(k);
    const facts = factsOf(request, among);
    const unmapped = core.unmappedLength(core.structAt(k));
    error ??= new DmaWindowError(
      "ERR_UNMAP_SIZE",
      `the kernel was asked to unmap ${describe(request)}, and says that it unmapped ${bytes(unmapped)}: somebody else maps and unmaps in this container`,
      { syscall: "VFIO_IOMMU_UNMAP_DMA", facts: { ...facts, unmapped } },
    );
    if (core.windowReverse(target.window, facts.iova) !== NO_ADDRESS)
      left.push(`${describe(request)} may still be mapped`);
  }
  return { error, left };
}

/**
 * Tries again to end registrations that an earlier failure left behind. What stays is not used by later maps; the error
 * names it: `ERR_STILL_REGISTERED`, or `ERR_INTERFACE` where the interface threw, also where that left nothing.
 */
export function endIdle(target: ContainerTarget): DmaWindowError | undefined {
  if (core.containerHasIdle(target.container) === 0) return undefined;
  if (core.prepareIdle(target.container) !== Status.OK) return outOfMemory("ending registrations");
  begin();
  const unended: number[] = [];
  for (let at = perform(target, 0); at < core.callCount(); at = perform(target, at + 1))
    if (!isEnded(target, at)) unended.push(at);
  // The interface may say that all was done, and not have written so.
  for (let k = 0; k < core.callCount(); k++)
    if (core.resultAt(k) === NOT_CALLED && !unended.includes(k) && !isEnded(target, k)) unended.push(k);
  settleDoubts(target, core.callCount());
  const leftover = stillRegistered(unended, target, threw);
  core.settleIdle(target.container);
  if (threw === undefined) return leftover;
  return withResidue(asOurs(threw), leftover?.residue?.left ?? []) as DmaWindowError;
}

/** Whether the UNREGISTER that failed was for one that was in doubt, and has gone. Where it threw, it is in doubt from here on. */
function isEnded({ doubts }: ContainerTarget, call: number): boolean {
  const { va } = registrationOf(call);
  if (core.resultAt(call) === NOT_CALLED) doubts.registrations.add(va);
  if (!doubts.registrations.has(va) || !wasNotThere(call)) return false;
  doubts.registrations.delete(va);
  setResult(call, 0);
  return true;
}

function begin(): void {
  threw = undefined;
  lostFrom = Number.POSITIVE_INFINITY;
}

/**
 * Makes the prepared calls from `first` on. Gives the index of the one that failed; the count of all when none did. Where the
 * interface throws, that is kept in `threw`, and goes on behind a call that the kernel could be asked for once more.
 */
function perform(target: ContainerTarget, first: number): number {
  const total = core.callCount();
  let at = first;
  while (at < total) {
    const from = at;
    const entry = core.callTable() + at * BATCH_ENTRY_BYTES;
    let isAnswered = true;
    try {
      at += target.kernel.ioctlBatch(target.containerFd, core.bytes(), entry, total - at);
    } catch (error) {
      threw ??= error;
      at = firstUndone(at);
      isAnswered = false;
    }
    // What was lost and is answered now: it may have been made before.
    for (let k = Math.max(from, lostFrom); k < at; k++) acceptAbsent(target, k);
    if (at === total) return total;
    if (core.resultAt(at) === NOT_CALLED) lostFrom = Math.min(lostFrom, at);
    if (!isAnswered) repeat(target, at);
    if (!wasMadeBefore(target, at)) return at;
    at++;
  }
  return total;
}

/** Whether nobody knows if a call was made. */
function isInDoubt(call: number): boolean {
  return call >= lostFrom && core.resultAt(call) === NOT_CALLED;
}

/** Whether a call whose answer was lost is done, by the answer to asking once more. */
function wasMadeBefore(target: ContainerTarget, call: number): boolean {
  if (call < lostFrom) return false;
  if (wasNotThere(call)) setResult(call, 0);
  acceptAbsent(target, call);
  return core.resultAt(call) === 0;
}

/** The first call from `from` on that was not answered with 0: the count of all when there is none. */
function firstUndone(from: number): number {
  let at = from;
  while (at < core.callCount() && core.resultAt(at) === 0) at++;
  return at;
}

/** Asks for a call without an answer once more, where that does no harm. */
function repeat(target: ContainerTarget, call: number): void {
  if (core.resultAt(call) !== NOT_CALLED) return;
  const unmaps = core.callAt(call) === IOMMU_UNMAP_DMA;
  if (!unmaps && core.callAt(call) !== IOMMU_SPAPR_UNREGISTER_MEMORY) return;
  if (unmaps) writeUnmap(call); // the kernel may have written into it
  const entry = core.callTable() + call * BATCH_ENTRY_BYTES;
  try {
    target.kernel.ioctlBatch(target.containerFd, core.bytes(), entry, 1);
  } catch {
    // What it threw first is told.
  }
}

/** Whether the kernel answered to an UNREGISTER that it has no such registration. */
function wasNotThere(call: number): boolean {
  const unregisters = core.callAt(call) === IOMMU_SPAPR_UNREGISTER_MEMORY;
  return unregisters && core.resultAt(call) === -ERRNO.ENOENT;
}

/**
 * Whether an UNMAP that failed was for what may never have been mapped, and the kernel says that nothing was registered ever:
 * see wasNeverMade.
 */
function wasNeverMapped({ kind, doubts }: Target, call: number): boolean {
  const { iova, length } = rowOf(core.requestAt(call));
  if (kind !== "spapr" || core.resultAt(call) !== -ERRNO.EPERM) return false;
  if (doubts.mapsWithin(iova, length) !== length) return false;
  setResult(call, 0);
  return true;
}

/** The first `end` calls are answered: what was in doubt of those that were made has gone for sure. */
function settleDoubts(target: ContainerTarget, end: number): void {
  const { maps, registrations } = target.doubts;
  for (let k = 0; maps.size + registrations.size > 0 && k < end; k++) {
    if (core.resultAt(k) !== 0) continue;
    if (core.callAt(k) === IOMMU_SPAPR_UNREGISTER_MEMORY) registrations.delete(registrationOf(k).va);
    if (core.callAt(k) !== IOMMU_UNMAP_DMA) continue;
    const { iova, length } = rowOf(core.requestAt(k));
    acceptAbsent(target, k, target.doubts.settleMaps(iova, length));
  }
}

/**
 * On type1 an UNMAP that was answered with 0 says how much it unmapped: where that is less by no more than `absent`, what may not
 * have been there (all of it, unless it is known better), all is as it was asked for.
 */
function acceptAbsent(target: ContainerTarget, call: number, absent?: bigint): void {
  if (target.kind !== "type1" || core.callAt(call) !== IOMMU_UNMAP_DMA || core.resultAt(call) !== 0) return;
  const { length } = rowOf(core.requestAt(call));
  const unmapped = core.unmappedLength(core.structAt(call));
  if (unmapped < length && unmapped + (absent ?? length) >= length) writeUnmap(call);
}

/** Writes an UNMAP as it was prepared. */
function writeUnmap(call: number): void {
  const { iova, length } = rowOf(core.requestAt(call));
  core.writeUnmap(core.structAt(call), iova, length);
}

function setResult(call: number, result: number): void {
  core.u32(core.callTable() + call * BATCH_ENTRY_BYTES + RESULT, 1)[0] = result;
}

function rowOf(request: number): { readonly va: bigint; readonly iova: bigint; readonly length: bigint } {
  return factsOf(request, { first: 0, count: 0 });
}

function refused(status: number, what: "map" | "unmap", target: Target, among: Among): DmaWindowError {
  const request = core.refusedRequest();
  return refusal(status, {
    what,
    ...factsOf(request, among),
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
