/**
 * Maps and unmaps, from request to record. The caller fills columns, one row for each request:
 *
 *     request       0       1      ...
 *     va          [ u64   | u64  | ... ]
 *     iova        [ u64   | u64  | ... ]
 *     length      [ u64   | u64  | ... ]
 *     permission  [ u32   | u32  | ... ]      maps only
 *
 * A map whose iova is all ones is placed: its row then has the IOVA. And then, for maps (unmaps alike):
 *
 *     prepareMaps     checks every request, against the tables and against the requests before it, and writes the calls
 *                     (calls.ts). All requests are recorded as mapped, or none, and the first that is wrong is named.
 *        kernel       goes through the calls and writes their results
 *     collectMaps     reads the results
 *     prepareUndo     where a call failed: writes the calls that take back what was done, latest first
 *        kernel       goes through them
 *     collectUndo     reads the results
 *     settleMaps      makes the tables say what the kernel now has: what is not mapped is forgotten
 *
 * Between prepare and settle the tables say what is about to be, so that a request sees those before it. Nothing else may
 * happen in between. No step after prepare needs memory that it might not get, save prepareUndo, which reuses prepare's.
 */
import { acquire, release } from "./arena";
import { isAligned } from "./bits";
import * as calls from "./calls";
import { firstFit, NOWHERE } from "./occupancy";
import { get, NONE, next, runLast } from "./radix";
import { isRange, lastOf } from "./range";
import {
  addRegistration,
  anyRegistered,
  Container,
  checkRegistered,
  countMapped,
  NO_REGISTRATION,
  nextIdle,
  registrationAt,
  registrationLength,
  registrationMapped,
  registrationVa,
  removeRegistration,
} from "./registrations";
import * as status from "./status";
import {
  allLive,
  allReserved,
  anyLive,
  anyReserved,
  claim,
  forgetMap,
  inWindow,
  prepareMap,
  recordMap,
  tceIova,
  unclaim,
  vaAt,
  Window,
} from "./window";

/** On whose behalf: of the program itself, of an attached memory, or of a window that ends. */
export const OWNER_PROGRAM: u32 = 0;
export const OWNER_MEMORY: u32 = 1;
export const OWNER_WINDOW: u32 = 2;

/** State of a request: bits. */
const MAPPED: u32 = 1;
const REGISTERED: u32 = 2;
/** Of an unmap: the kernel has done it. */
const UNMAPPED: u32 = 1;

let vas: u32 = 0;
let iovas: u32 = 0;
let lengths: u32 = 0;
let permissions: u32 = 0;
/** The registration that a map request makes; NO_REGISTRATION when its memory is registered already. */
let registrations: u32 = 0;
let states: u32 = 0;
let capacity: u32 = 0;
let count: u32 = 0;
let refused: u32 = 0;

export function vaColumn(): u32 {
  return vas;
}

export function iovaColumn(): u32 {
  return iovas;
}

export function lengthColumn(): u32 {
  return lengths;
}

export function permissionColumn(): u32 {
  return permissions;
}

/** The request that the last prepare refused. */
export function refusedRequest(): u32 {
  return refused;
}

/** Room for `wanted` requests. What is in the columns is lost. */
export function reserveRequests(wanted: u32): bool {
  if (wanted <= capacity) return true;
  let rows: u32 = max<u32>(capacity, 64);
  while (rows < wanted) {
    if (rows > 1 << 26) return false;
    rows <<= 1;
  }
  const newVas = acquire((<u64>rows) << 3);
  const newIovas = acquire((<u64>rows) << 3);
  const newLengths = acquire((<u64>rows) << 3);
  const newPermissions = acquire((<u64>rows) << 2);
  const newRegistrations = acquire((<u64>rows) << 2);
  const newStates = acquire((<u64>rows) << 2);
  if (
    newVas == 0 ||
    newIovas == 0 ||
    newLengths == 0 ||
    newPermissions == 0 ||
    newRegistrations == 0 ||
    newStates == 0
  ) {
    releaseColumns(newVas, newIovas, newLengths, newPermissions, newRegistrations, newStates, rows);
    return false;
  }
  releaseColumns(vas, iovas, lengths, permissions, registrations, states, capacity);
  vas = newVas;
  iovas = newIovas;
  lengths = newLengths;
  permissions = newPermissions;
  registrations = newRegistrations;
  states = newStates;
  capacity = rows;
  return true;
}

function releaseColumns(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, rows: u32): void {
  release(a, (<u64>rows) << 3);
  release(b, (<u64>rows) << 3);
  release(c, (<u64>rows) << 3);
  release(d, (<u64>rows) << 2);
  release(e, (<u64>rows) << 2);
  release(f, (<u64>rows) << 2);
}

function va(i: u32): u64 {
  return load<u64>(vas + (i << 3));
}

function iova(i: u32): u64 {
  return load<u64>(iovas + (i << 3));
}

function length(i: u32): u64 {
  return load<u64>(lengths + (i << 3));
}

function vaLast(i: u32): u64 {
  return lastOf(va(i), length(i));
}

function iovaLast(i: u32): u64 {
  return lastOf(iova(i), length(i));
}

function permission(i: u32): u32 {
  return load<u32>(permissions + (i << 2));
}

function registration(i: u32): u32 {
  return load<u32>(registrations + (i << 2));
}

function state(i: u32): u32 {
  return load<u32>(states + (i << 2));
}

function setState(i: u32, value: u32): void {
  store<u32>(states + (i << 2), value);
}

/** What a map and an unmap have to fulfil alike. */
function checkShape(window: Window, i: u32, owner: u32): i32 {
  const bytes = length(i);
  if (bytes == 0) return status.ZERO_LENGTH;
  if (!isRange(va(i), bytes) || !isRange(iova(i), bytes)) return status.WRAPS;
  if (!isAligned(va(i), window.pageShift)) return status.UNALIGNED_VA;
  if (!isAligned(iova(i), window.pageShift)) return status.UNALIGNED_IOVA;
  if (!isAligned(bytes, window.pageShift)) return status.UNALIGNED_LENGTH;
  if (!inWindow(window, iova(i), bytes)) return status.OUTSIDE_WINDOW;
  if (owner == OWNER_PROGRAM && anyReserved(window, iova(i), iovaLast(i))) return status.RESERVED;
  if (owner == OWNER_MEMORY && !allReserved(window, iova(i), iovaLast(i))) return status.NOT_RESERVED;
  return status.OK;
}

/** Gives a map that leaves its IOVA open (all ones) the lowest ones that are free. */
function place(window: Window, i: u32): i32 {
  const bytes = length(i);
  if (bytes == 0) return status.ZERO_LENGTH;
  if (!isAligned(bytes, window.pageShift)) return status.UNALIGNED_LENGTH;
  const index = firstFit(window.live, window.reserved, bytes >> window.pageShift, 0);
  if (index == NOWHERE) return status.NO_HOLE;
  store<u64>(iovas + (i << 3), tceIova(window, index));
  return status.OK;
}

function checkMap(window: Window, i: u32, owner: u32): i32 {
  if (iova(i) == NONE) {
    const placed = place(window, i);
    if (placed != status.OK) return placed;
  }
  const shape = checkShape(window, i, owner);
  if (shape != status.OK) return shape;
  if (permission(i) < 1 || permission(i) > 3) return status.BAD_PERMISSION;
  if (anyLive(window, iova(i), iovaLast(i))) return status.ALREADY_LIVE;
  if (next(window.toIova, va(i), vaLast(i)) != NONE) return status.VA_ALREADY_MAPPED;
  const container = window.container;
  if (anyRegistered(container, va(i), vaLast(i))) {
    return checkRegistered(container, va(i), vaLast(i));
  }
  // REGISTER takes whole CPU pages, which may be larger than a TCE page.
  if (!isAligned(va(i), container.cpuPageShift)) return status.UNALIGNED_VA;
  if (!isAligned(length(i), container.cpuPageShift)) return status.UNALIGNED_LENGTH;
  return status.OK;
}

/** Records request `i`, checked, as mapped, and writes its calls. */
function recordAndWrite(window: Window, i: u32): bool {
  const container = window.container;
  let number = NO_REGISTRATION;
  if (!anyRegistered(container, va(i), vaLast(i))) {
    number = addRegistration(container, va(i), length(i));
    if (number == NO_REGISTRATION) return false;
  }
  const written =
    prepareMap(window, va(i), vaLast(i), iova(i), iovaLast(i)) &&
    (number == NO_REGISTRATION || calls.appendRegister(i, va(i), length(i))) &&
    calls.appendMap(i, permission(i), va(i), iova(i), length(i));
  if (!written) {
    forgetMap(window, va(i), vaLast(i), iova(i), iovaLast(i));
    if (number != NO_REGISTRATION) removeRegistration(container, number);
    return false;
  }
  claim(window, iova(i), iovaLast(i));
  recordMap(window, va(i), vaLast(i), iova(i), iovaLast(i));
  countMapped(container, va(i), vaLast(i), true);
  store<u32>(registrations + (i << 2), number);
  setState(i, 0);
  return true;
}

/** Forgets request `i`, and its registration too if nothing of it is left in the kernel. */
function takeBack(window: Window, i: u32, withRegistration: bool): void {
  countMapped(window.container, va(i), vaLast(i), false);
  unclaim(window, iova(i), iovaLast(i));
  forgetMap(window, va(i), vaLast(i), iova(i), iovaLast(i));
  if (withRegistration && registration(i) != NO_REGISTRATION) removeRegistration(window.container, registration(i));
}

/** Checks and records `total` map requests and writes their calls. Not 0: nothing changed, and refusedRequest() is wrong. */
export function prepareMaps(window: Window, total: u32, owner: u32): i32 {
  calls.clearCalls();
  count = total;
  for (let i: u32 = 0; i < total; i++) {
    let answer = checkMap(window, i, owner);
    if (answer == status.OK && !recordAndWrite(window, i)) answer = status.OUT_OF_MEMORY;
    if (answer != status.OK) {
      for (let j = i; j > 0; j--) takeBack(window, j - 1, true);
      refused = i;
      return answer;
    }
  }
  return status.OK;
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
  for (let i = count; i > 0; i--) {
    const request = i - 1;
    if ((state(request) & MAPPED) != 0) calls.appendUnmap(request, iova(request), length(request));
    if ((state(request) & REGISTERED) != 0) calls.appendUnregister(request, va(request), length(request));
  }
}

/**
 * Where to go on after call `failed`: the next call that does not depend on it. UNREGISTER of memory that is still mapped
 * must never go out.
 */
export function afterFailure(failed: u32): u32 {
  let at = failed + 1;
  while (at < calls.callCount() && calls.requestAt(at) == calls.requestAt(failed)) at++;
  return at;
}

/** Reads the results of the undo. */
export function collectUndo(): void {
  const total = calls.callCount();
  for (let k: u32 = 0; k < total; k++) {
    if (calls.resultAt(k) != 0) continue;
    const i = calls.requestAt(k);
    setState(i, state(i) & ~(calls.callAt(k) == calls.UNMAP ? MAPPED : REGISTERED));
  }
}

/** Makes the tables say what the kernel has. How many of the requests are mapped. */
export function settleMaps(window: Window): u32 {
  let mapped: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
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

function checkUnmap(window: Window, i: u32, owner: u32): i32 {
  const shape = checkShape(window, i, owner);
  if (shape != status.OK) return shape;
  if (!allLive(window, iova(i), iovaLast(i))) return status.NOT_LIVE;
  if (vaAt(window, iova(i)) != va(i)) return status.VA_MISMATCH;
  const offset = iova(i) - window.start;
  const offsetLast = iovaLast(i) - window.start;
  return runLast(window.toVa, offset, offsetLast) == offsetLast ? status.OK : status.VA_MISMATCH;
}

/** Marks request `i` as not live, and writes its calls: UNMAP, then UNREGISTER of what nothing is mapped of any more. */
function unclaimAndWrite(window: Window, i: u32): bool {
  if (!prepareMap(window, va(i), vaLast(i), iova(i), iovaLast(i))) return false;
  if (!calls.appendUnmap(i, iova(i), length(i))) return false;
  const container = window.container;
  countMapped(container, va(i), vaLast(i), false);
  let at = va(i);
  while (true) {
    const number = registrationAt(container, at);
    const start = registrationVa(container, number);
    const bytes = registrationLength(container, number);
    if (registrationMapped(container, number) == 0 && !calls.appendUnregister(i, start, bytes)) {
      countMapped(container, va(i), vaLast(i), true);
      return false;
    }
    const reached = lastOf(start, bytes);
    if (reached >= vaLast(i)) break;
    at = reached + 1;
  }
  unclaim(window, iova(i), iovaLast(i));
  setState(i, 0);
  return true;
}

function putBack(window: Window, i: u32): void {
  countMapped(window.container, va(i), vaLast(i), true);
  claim(window, iova(i), iovaLast(i));
}

/** Checks `total` unmap requests and writes their calls. Not 0: nothing changed, and refusedRequest() is wrong. */
export function prepareUnmaps(window: Window, total: u32, owner: u32): i32 {
  calls.clearCalls();
  count = total;
  for (let i: u32 = 0; i < total; i++) {
    let answer = checkUnmap(window, i, owner);
    if (answer == status.OK && !unclaimAndWrite(window, i)) answer = status.OUT_OF_MEMORY;
    if (answer != status.OK) {
      for (let j = i; j > 0; j--) putBack(window, j - 1);
      refused = i;
      return answer;
    }
  }
  return status.OK;
}

/** Makes the tables say what the kernel has after the calls. How many of the requests are unmapped. */
export function settleUnmaps(window: Window): u32 {
  const container = window.container;
  const total = calls.callCount();
  for (let k: u32 = 0; k < total; k++) {
    if (calls.callAt(k) == calls.UNMAP && calls.resultAt(k) == 0) setState(calls.requestAt(k), UNMAPPED);
  }
  // All that stays is put back before anything is given back: the two may share a chunk of the bitmap.
  for (let i: u32 = 0; i < count; i++) {
    if ((state(i) & UNMAPPED) == 0) putBack(window, i);
  }
  let unmapped: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if ((state(i) & UNMAPPED) == 0) continue;
    forgetMap(window, va(i), vaLast(i), iova(i), iovaLast(i));
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
    const at = load<u64>(calls.structAt(k), 8);
    removeRegistration(container, registrationAt(container, at));
  }
}

/** Writes UNREGISTER for every registration of which nothing is mapped: what earlier failures left behind. */
export function prepareIdle(container: Container): bool {
  calls.clearCalls();
  for (let number = nextIdle(container, 0); number != NO_REGISTRATION; number = nextIdle(container, number + 1)) {
    // Each is a request of its own: one that fails must not hold back the next.
    const request = calls.callCount();
    if (!calls.appendUnregister(request, registrationVa(container, number), registrationLength(container, number))) {
      return false;
    }
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
    store<u64>(vas + (rows << 3), get(window.toVa, at));
    store<u64>(iovas + (rows << 3), window.start + at);
    store<u64>(lengths + (rows << 3), reached - at + 1);
    rows++;
    if (reached >= offsetLast) break;
    at = reached + 1;
  }
  return rows;
}
