/**
 * The unmaps of a list of requests, and the ends of registrations that nothing is mapped of any more. What was done stays done: an
 * UNMAP that fails ends the list, an UNREGISTER that fails leaves memory locked, and a later call tries it again.
 */
import { channels } from "../channels.ts";
import { core, NO_ADDRESS, NOT_CALLED, Owner, Status } from "../core.ts";
import { ERRNO } from "../errno.ts";
import { asOurs, DmaWindowError, withResidue } from "../errors.ts";
import { bytes } from "../hex.ts";
import { VfioCall } from "../syscalls.ts";
import {
  begin,
  firstUndone,
  isInDoubt,
  loseFrom,
  perform,
  rowOf,
  setResult,
  settleDoubts,
  thrown,
  wasNotThere,
  writeUnmap,
} from "./calls.ts";
import { outOfMemory } from "./columns.ts";
import {
  type Among,
  describe,
  factsOf,
  failureOf,
  refused,
  registrationOf,
  SILENCE,
  stillMapped,
  stillRegistered,
} from "./failures.ts";
import { began, tellUnmaps } from "./messages.ts";
import type { ContainerTarget, Target } from "./target.ts";

const { IOMMU_UNMAP_DMA } = VfioCall;

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
  if (target.sites !== undefined && owner === Owner.PROGRAM) target.sites.noteUnmaps(target.window, count);
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
    if (wentWithGroups(target, at)) continue;
    if (core.callAt(at) === IOMMU_UNMAP_DMA && !wasNeverMapped(target, at)) break;
    if (core.callAt(at) !== IOMMU_UNMAP_DMA && !isEnded(target, at)) unended.push(at);
  }
  settleDoubts(target, at);
  acceptGone(target);
  const isDone = at === core.callCount() && unended.length === 0 && thrown() === undefined;
  const leftover = stillRegistered(unended, target, thrown());
  let failed = at < core.callCount() ? failureOf(at, target, among ?? { first: 0, count }, thrown()) : undefined;
  const left = isDone ? [] : [...(leftover?.residue?.left ?? []), ...stillMappedFrom(target, at)];
  const unmapped = core.settleUnmaps(target.window);
  if (isDone && unmapped === count && core.wrongUnmap(0) === core.callCount()) return undefined;
  const wrong = wrongSizes(target, among ?? { first: 0, count });
  left.push(...wrong.left);
  if (failed === undefined && wrong.left.length === 0 && unmapped < count) {
    // The interface said that all was done, and did not write so.
    at = firstUndone(0);
    loseFrom(at);
    failed = failureOf(at, target, among ?? { first: 0, count }, thrown());
    left.push(...stillMappedFrom(target, at));
  }
  if (failed !== undefined) throw withResidue(failed, left);
  if (wrong.left.length > 0) throw withResidue(wrong.error, left);
  return leftover ?? wrong.error ?? (thrown() === undefined ? undefined : asOurs(thrown()));
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
    left.push(stillMapped(core.requestAt(k), isOpen ? (thrown() ?? SILENCE) : undefined));
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
  const leftover = stillRegistered(unended, target, thrown());
  core.settleIdle(target.container);
  if (thrown() === undefined) return leftover;
  return withResidue(asOurs(thrown()), leftover?.residue?.left ?? []) as DmaWindowError;
}

/** Whether the UNREGISTER that failed was for one that was in doubt, and has gone. Where it threw, it is in doubt from here on. */
function isEnded(target: ContainerTarget, call: number): boolean {
  if (wentWithGroups(target, call)) return true;
  const { doubts } = target;
  const { va } = registrationOf(call);
  if (core.resultAt(call) === NOT_CALLED) doubts.registrations.add(va);
  if (!doubts.registrations.has(va) || !wasNotThere(call)) return false;
  doubts.registrations.delete(va);
  setResult(call, 0);
  return true;
}

/**
 * Whether an UNMAP or UNREGISTER failed because the container's last group has left, as it does with its last device: the kernel
 * unmaps all then, and gives up the IOMMU. From there on it knows no such call (EINVAL). Until then, while somebody else's unbind is
 * in the middle of that, the IOMMU's driver answers to a call what it finds: an UNREGISTER has ENOENT. Which errno it is therefore
 * says nothing, and the group's status all: it is given once the group has left.
 * (drivers/vfio/container.c: vfio_group_detach_container, vfio_fops_unl_ioctl; group.c: vfio_device_remove_group)
 */
function wentWithGroups(target: ContainerTarget, call: number): boolean {
  if (core.resultAt(call) >= 0 || !target.haveGroupsGone()) return false;
  setResult(call, 0);
  return true;
}

/** Likewise on type1, where an UNMAP that finds nothing any more is answered with 0, and says that it unmapped nothing. */
function acceptGone(target: Target): void {
  for (let k = core.wrongUnmap(0); k < core.callCount(); k = core.wrongUnmap(k + 1)) {
    if (!target.haveGroupsGone()) return;
    writeUnmap(k);
  }
}

/**
 * Whether an UNMAP that failed was for what may never have been mapped, and the kernel says that nothing was registered ever:
 * see wasNeverMade in maps.ts.
 */
function wasNeverMapped({ kind, doubts }: Target, call: number): boolean {
  const { iova, length } = rowOf(core.requestAt(call));
  if (kind !== "spapr" || core.resultAt(call) !== -ERRNO.EPERM) return false;
  if (doubts.mapsWithin(iova, length) !== length) return false;
  setResult(call, 0);
  return true;
}
