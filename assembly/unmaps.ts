/** Unmaps: not live any more when the kernel is asked, and live again where it did not unmap. See requests.ts. */
import * as calls from "./calls";
import { iova, iovaLast, length, setState, state, va, vaLast, writeRow } from "./columns";
import { get, NONE, next, runLast } from "./radix";
import {
  Container,
  cutsMap,
  NO_REGISTRATION,
  NOIOMMU,
  nextIdle,
  registrationAt,
  registrationLast,
  registrationLength,
  registrationMapped,
  registrationVa,
  removeMaps,
  removeRegistration,
  SPAPR,
} from "./registrations";
import { Batch, checkShape, countRequest, hasUnmapped } from "./requests";
import * as status from "./status";
import { registerVa } from "./structs";
import { allLive, claim, forgetMap, prepareMap, vaAt, Window } from "./window";

/** The state of a request that the kernel has carried out. */
const UNMAPPED: u32 = 1;

export function checkUnmap(window: Window, i: u32, owner: u32): i32 {
  const shape = checkShape(window, i, owner);
  if (shape != status.OK) return shape;
  if (!allLive(window, iova(i), iovaLast(i))) return status.NOT_LIVE;
  if (vaAt(window, iova(i)) != va(i)) return status.VA_MISMATCH;
  const offset = iova(i) - window.start;
  const offsetLast = iovaLast(i) - window.start;
  if (runLast(window.toVa, offset, offsetLast) != offsetLast) return status.VA_MISMATCH;
  const container = window.container;
  return hasMaps(container) && cutsMap(container, iova(i), iovaLast(i)) ? status.CUTS_MAP : status.OK;
}

/** Whether what the container keeps are the kernel's maps. */
function hasMaps(container: Container): bool {
  return container.iommu != SPAPR && container.iommu != NOIOMMU;
}

function appendUnregister(container: Container, request: u32, number: u32): bool {
  return calls.appendUnregister(request, registrationVa(container, number), registrationLength(container, number));
}

/** Writes UNREGISTER for each registration under request `i` of which nothing is mapped any more. */
function writeUnregisters(container: Container, i: u32): bool {
  let at = va(i);
  while (true) {
    const number = registrationAt(container, at);
    if (registrationMapped(container, number) == 0 && !appendUnregister(container, i, number)) return false;
    const reached = registrationLast(container, number);
    if (reached >= vaLast(i)) return true;
    at = reached + 1;
  }
}

/** Marks request `i` as not live, and writes its calls: UNMAP, then UNREGISTER of what nothing is mapped of any more. */
export function unclaimAndWrite(window: Window, i: u32): bool {
  const container = window.container;
  const asked = container.iommu != NOIOMMU;
  if (!prepareMap(window, i)) return false;
  if (asked && !calls.appendUnmap(i, iova(i), length(i))) return false;
  countRequest(container, i, false);
  if (container.iommu == SPAPR && !writeUnregisters(container, i)) {
    countRequest(container, i, true);
    return false;
  }
  claim(window, i, false);
  setState(i, asked ? 0 : UNMAPPED);
  return true;
}

export function putBack(window: Window, i: u32): void {
  countRequest(window.container, i, true);
  claim(window, i, true);
}

/** Makes the tables say what the kernel has after the calls. How many of the requests are unmapped. */
export function settleUnmaps(window: Window): u32 {
  const container = window.container;
  const total = calls.callCount();
  for (let k: u32 = 0; k < total; k++) {
    if (calls.callAt(k) == calls.UNMAP && hasUnmapped(container, k)) setState(calls.requestAt(k), UNMAPPED);
  }
  // All that stays is put back before anything is given back: the two may share a chunk of the bitmap.
  for (let i: u32 = 0; i < Batch.count; i++) {
    if ((state(i) & UNMAPPED) == 0) putBack(window, i);
  }
  let unmapped: u32 = 0;
  for (let i: u32 = 0; i < Batch.count; i++) {
    if ((state(i) & UNMAPPED) == 0) continue;
    forgetMap(window, i);
    if (hasMaps(container)) removeMaps(container, iova(i), iovaLast(i));
    unmapped++;
  }
  forgetUnregistered(container);
  return unmapped;
}

/** Forgets the registrations whose UNREGISTER was answered with 0. */
export function forgetUnregistered(container: Container): void {
  const total = calls.callCount();
  for (let k: u32 = 0; k < total; k++) {
    if (calls.callAt(k) != calls.UNREGISTER || calls.resultAt(k) != 0) continue;
    removeRegistration(container, registrationAt(container, registerVa(calls.structAt(k))));
  }
}

/** Writes UNREGISTER for every registration of which nothing is mapped: what earlier failures left behind. */
export function prepareIdle(container: Container): bool {
  calls.clearCalls();
  for (let number = nextIdle(container, 0); number != NO_REGISTRATION; number = nextIdle(container, number + 1)) {
    // Each is a request of its own: one that fails must not hold back the next.
    if (!appendUnregister(container, calls.callCount(), number)) return false;
  }
  return true;
}

/**
 * Fills the columns with what is mapped in the window from `from` on, at most `limit` runs: va, iova and length are
 * contiguous in each. Returns how many. Needs room for `limit` requests.
 */
export function listMaps(window: Window, from: u64, limit: u32): u32 {
  const offsetLast = window.last - window.start;
  let at = from - window.start;
  let rows: u32 = 0;
  while (rows < limit) {
    at = next(window.toVa, at, offsetLast);
    if (at == NONE) break;
    const reached = runLast(window.toVa, at, offsetLast);
    writeRow(rows, get(window.toVa, at), window.start + at, reached - at + 1);
    rows++;
    if (reached >= offsetLast) break;
    at = reached + 1;
  }
  return rows;
}
