/**
 * The maps of a list of requests: all are made, or none. Each is a REGISTER and a MAP, on type1 a MAP alone, without an IOMMU no call.
 * Where one fails, a second list takes back what the first has done, or may have: calls.ts says how doubts are settled.
 */
import { channels } from "../channels.ts";
import { core, NO_ADDRESS, NOT_CALLED, Owner, Status } from "../core.ts";
import { ERRNO } from "../errno.ts";
import { withResidue } from "../errors.ts";
import { VfioCall } from "../syscalls.ts";
import {
  acceptAbsent,
  begin,
  beginUndo,
  firstUndone,
  isInDoubt,
  perform,
  rowOf,
  setResult,
  thrown,
  wasNotThere,
} from "./calls.ts";
import { rows } from "./columns.ts";
import { type Among, aboutRequest, describeMemory, failureOf, refused, SILENCE, stillMapped } from "./failures.ts";
import { began, tellMaps } from "./messages.ts";
import { isPlaceable, physicalIova } from "./physical.ts";
import type { Target } from "./target.ts";
import { endIdle } from "./unmaps.ts";

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
  if (!areMade || thrown() !== undefined) takeBack(target, count, among ?? { first: 0, count });
  core.settleMaps(target.window);
  if (target.sites !== undefined && owner === Owner.PROGRAM) target.sites.noteMaps(target.window, count);
  if (channels.map.hasSubscribers) tellMaps(target, count, owner, since);
}

/** Undoes a batch of which not all was made, or in which the interface threw. Always throws. */
function takeBack(target: Target, count: number, among: Among): never {
  const failed = firstUndone(0);
  const failure = failureOf(failed, target, among, thrown());
  const doubt = failed < core.callCount() && core.resultAt(failed) === NOT_CALLED ? core.requestAt(failed) : count;
  if (doubt < count) assumeMade(failed);
  core.collectMaps();
  core.prepareUndo();
  beginUndo();
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
    const why = unsure.has(i) ? (thrown() ?? SILENCE) : undefined;
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
  const unmaps = core.callAt(call) === VfioCall.IOMMU_UNMAP_DMA;
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
