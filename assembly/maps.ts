/** Maps: recorded first, then made, and forgotten again where the kernel did not make them. See requests.ts. */
import { isAligned } from "./bits";
import * as calls from "./calls";
import {
  iova,
  iovaLast,
  length,
  permission,
  registration,
  setIova,
  setRegistration,
  setState,
  state,
  va,
  vaLast,
} from "./columns";
import { firstFit, NOWHERE } from "./occupancy";
import { NONE, next } from "./radix";
import {
  addRegistration,
  anyRegistered,
  Container,
  checkRegistered,
  NO_REGISTRATION,
  NOIOMMU,
  removeRegistration,
  SPAPR,
} from "./registrations";
import { Batch, checkShape, countRequest, hasUnmapped, keptFrom, keptLast } from "./requests";
import * as status from "./status";
import { anyLive, claim, forgetMap, prepareMap, recordMap, tceIova, Window } from "./window";

/** What the kernel has of a request, as bits of its state. */
const MAPPED: u32 = 1;
const REGISTERED: u32 = 2;

/** Gives a map that leaves its IOVA open (all ones) the lowest ones that are free. */
function place(window: Window, i: u32): i32 {
  const bytes = length(i);
  if (bytes == 0) return status.ZERO_LENGTH;
  if (!isAligned(bytes, window.pageShift)) return status.UNALIGNED_LENGTH;
  const index = firstFit(window.live, window.reserved, bytes >> window.pageShift, 0);
  if (index == NOWHERE) return status.NO_HOLE;
  setIova(i, tceIova(window, index));
  return status.OK;
}

export function checkMap(window: Window, i: u32, owner: u32): i32 {
  if (iova(i) == NONE) {
    const placed = place(window, i);
    if (placed != status.OK) return placed;
  }
  const shape = checkShape(window, i, owner);
  if (shape != status.OK) return shape;
  // 1 to 3; 0 wraps.
  if (permission(i) - 1 > 2) return status.BAD_PERMISSION;
  if (anyLive(window, iova(i), iovaLast(i))) return status.ALREADY_LIVE;
  if (next(window.toIova, va(i), vaLast(i)) != NONE) return status.VA_ALREADY_MAPPED;
  const container = window.container;
  if (container.iommu != SPAPR) return status.OK;
  if (anyRegistered(container, va(i), vaLast(i))) {
    return checkRegistered(container, va(i), vaLast(i));
  }
  // REGISTER takes whole CPU pages, which may be larger than a TCE page.
  if (!isAligned(va(i), container.cpuPageShift)) return status.UNALIGNED_VA;
  if (!isAligned(length(i), container.cpuPageShift)) return status.UNALIGNED_LENGTH;
  return status.OK;
}

/** Writes the calls of request `i`; `number` is what is recorded for it alone. */
function writeCalls(container: Container, i: u32, number: u32): bool {
  if (container.iommu == NOIOMMU) return true;
  const register = container.iommu == SPAPR && number != NO_REGISTRATION;
  if (register && !calls.appendRegister(i, va(i), length(i))) return false;
  return calls.appendMap(i, permission(i), va(i), iova(i), length(i));
}

/** Records request `i`, checked, as mapped, and writes its calls. */
export function recordAndWrite(window: Window, i: u32): bool {
  const container = window.container;
  const from = keptFrom(container, i);
  let number = NO_REGISTRATION;
  if (container.iommu != NOIOMMU && !anyRegistered(container, from, keptLast(container, i))) {
    number = addRegistration(container, from, length(i));
    if (number == NO_REGISTRATION) return false;
  }
  if (!prepareMap(window, i) || !writeCalls(container, i, number)) {
    forgetMap(window, i);
    if (number != NO_REGISTRATION) removeRegistration(container, number);
    return false;
  }
  claim(window, i, true);
  recordMap(window, i);
  countRequest(container, i, true);
  setRegistration(i, number);
  setState(i, container.iommu == NOIOMMU ? MAPPED : 0);
  return true;
}

/** Forgets request `i`, and its registration too if nothing of it is left in the kernel. */
export function takeBack(window: Window, i: u32, withRegistration: bool): void {
  countRequest(window.container, i, false);
  claim(window, i, false);
  forgetMap(window, i);
  if (withRegistration && registration(i) != NO_REGISTRATION) removeRegistration(window.container, registration(i));
}

/** Reads the results of the calls. Whether all were made and answered 0. */
export function collectMaps(): bool {
  const total = calls.callCount();
  for (let k: u32 = 0; k < total; k++) {
    if (calls.resultAt(k) != 0) return false;
    const i = calls.requestAt(k);
    setState(i, state(i) | (calls.callAt(k) == calls.MAP ? MAPPED : REGISTERED));
  }
  return true;
}

/** Writes the calls that take back what was done. There are never more of them than calls were made. */
export function prepareUndo(): void {
  calls.clearCalls();
  for (let i = Batch.count; i > 0; i--) {
    const request = i - 1;
    if ((state(request) & MAPPED) != 0) calls.appendUnmap(request, iova(request), length(request));
    if ((state(request) & REGISTERED) != 0) calls.appendUnregister(request, va(request), length(request));
  }
}

/**
 * Where to go on after call `failed`: the next call that does not depend on it. UNREGISTER of memory that is still mapped
 * must never go out: so not the rest of the same request, and nothing at all where a later request ends a registration
 * that holds memory which this one leaves mapped.
 */
export function afterFailure(failed: u32): u32 {
  const total = calls.callCount();
  const i = calls.requestAt(failed);
  let at = failed + 1;
  while (at < total && calls.requestAt(at) == i) at++;
  if (calls.callAt(failed) != calls.UNMAP) return at;
  for (let k = at; k < total; k++) {
    if (calls.callAt(k) == calls.UNREGISTER && calls.registerOverlaps(k, va(i), vaLast(i))) return total;
  }
  return at;
}

/** Reads the results of the undo. */
export function collectUndo(window: Window): void {
  const total = calls.callCount();
  for (let k: u32 = 0; k < total; k++) {
    const unmap = calls.callAt(k) == calls.UNMAP;
    if (unmap ? !hasUnmapped(window.container, k) : calls.resultAt(k) != 0) continue;
    const i = calls.requestAt(k);
    setState(i, state(i) & ~(unmap ? MAPPED : REGISTERED));
  }
}

/** Makes the tables say what the kernel has. How many of the requests are mapped. */
export function settleMaps(window: Window): u32 {
  let mapped: u32 = 0;
  for (let i: u32 = 0; i < Batch.count; i++) {
    if ((state(i) & MAPPED) != 0) mapped++;
    else takeBack(window, i, (state(i) & REGISTERED) == 0);
  }
  return mapped;
}

/** Whether request `i`, after settleMaps, left its memory registered though it is not mapped. */
export function leftRegistered(i: u32): bool {
  return (state(i) & (MAPPED | REGISTERED)) == REGISTERED;
}

/** Whether request `i` is mapped, after settleMaps. */
export function leftMapped(i: u32): bool {
  return (state(i) & MAPPED) != 0;
}
