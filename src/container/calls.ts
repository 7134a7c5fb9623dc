/**
 * Lists of calls that the core has written, carried out by the kernel: one crossing into the core to check and write, one
 * into the kernel, one into the core to record.
 *
 *     columns --core: prepare--> calls --kernel: ioctlBatch--> results --core: settle--> tables
 *                                   ^                            |
 *                                   +------ undo, where one failed
 *
 * maps.ts and unmaps.ts have lists prepared and settled; here they are carried out, and what nobody answered is asked for again.
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
import { core, NOT_CALLED } from "../core.ts";
import { ERRNO } from "../errno.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../syscalls.ts";
import { factsOf, registrationOf } from "./failures.ts";
import type { ContainerTarget } from "./target.ts";

const { IOMMU_SPAPR_UNREGISTER_MEMORY, IOMMU_UNMAP_DMA } = VfioCall;

/** Where the result of a call is in its entry. */
const RESULT = 8;

/** What the interface threw first, since the calls of the moment began; there is one operation at a time (exclusive.ts). */
let threw: unknown;
/** The first call of the list whose answer was lost: it and those behind it may have been made before they are asked for again. */
let lostFrom = Number.POSITIVE_INFINITY;

/** A list has been prepared, and is the first of its operation. */
export function begin(): void {
  threw = undefined;
  beginUndo();
}

/** A list has been prepared that takes back what the one before it did: what was thrown in that one is still what went wrong. */
export function beginUndo(): void {
  lostFrom = Number.POSITIVE_INFINITY;
}

/** What the interface threw first since {@link begin}; undefined where it did not. */
export function thrown(): unknown {
  return threw;
}

/** Call `from` has no answer, though the interface said that all was done: it is in doubt, and so are all behind it. */
export function loseFrom(from: number): void {
  lostFrom = Math.min(lostFrom, from);
}

/**
 * Makes the prepared calls from `first` on. Gives the index of the one that failed; the count of all when none did. Where the
 * interface throws, that is kept in `threw`, and goes on behind a call that the kernel could be asked for once more.
 */
export function perform(target: ContainerTarget, first: number): number {
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
    if (core.resultAt(at) === NOT_CALLED) loseFrom(at);
    if (!isAnswered) repeat(target, at);
    if (!wasMadeBefore(target, at)) return at;
    at++;
  }
  return total;
}

/** Whether nobody knows if a call was made. */
export function isInDoubt(call: number): boolean {
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
export function firstUndone(from: number): number {
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
export function wasNotThere(call: number): boolean {
  const unregisters = core.callAt(call) === IOMMU_SPAPR_UNREGISTER_MEMORY;
  return unregisters && core.resultAt(call) === -ERRNO.ENOENT;
}

/** The first `end` calls are answered: what was in doubt of those that were made has gone for sure. */
export function settleDoubts(target: ContainerTarget, end: number): void {
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
export function acceptAbsent(target: ContainerTarget, call: number, absent?: bigint): void {
  if (target.kind !== "type1" || core.callAt(call) !== IOMMU_UNMAP_DMA || core.resultAt(call) !== 0) return;
  const { length } = rowOf(core.requestAt(call));
  const unmapped = core.unmappedLength(core.structAt(call));
  if (unmapped < length && unmapped + (absent ?? length) >= length) writeUnmap(call);
}

/** Writes an UNMAP as it was prepared. */
export function writeUnmap(call: number): void {
  const { iova, length } = rowOf(core.requestAt(call));
  core.writeUnmap(core.structAt(call), iova, length);
}

export function setResult(call: number, result: number): void {
  core.u32(core.callTable() + call * BATCH_ENTRY_BYTES + RESULT, 1)[0] = result;
}

export function rowOf(request: number): { readonly va: bigint; readonly iova: bigint; readonly length: bigint } {
  return factsOf(request, { first: 0, count: 0 });
}
