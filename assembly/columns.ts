/**
 * The requests of one batch, in columns: one row for each.
 *
 *     request       0       1      ...
 *     va          [ u64   | u64  | ... ]
 *     iova        [ u64   | u64  | ... ]      of a map: all ones leaves it to the core
 *     length      [ u64   | u64  | ... ]
 *     permission  [ u32   | u32  | ... ]      of a map
 *     and the core's own: registration, state
 */
import { acquire, release } from "./arena";
import { lastOf } from "./range";

let vas: u32 = 0;
let iovas: u32 = 0;
let lengths: u32 = 0;
let permissions: u32 = 0;
/** The registration that a map request makes; NO_REGISTRATION when its memory is registered already. */
let registrations: u32 = 0;
let states: u32 = 0;
let capacity: u32 = 0;

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

/** More than any batch: their columns, calls and structs take 2 GiB. What is larger is refused before memory is taken. */
const REQUESTS_MAX: u32 = 1 << 24;

/** Room for `wanted` requests. What is in the columns is lost. */
export function reserveRequests(wanted: u32): bool {
  if (wanted <= capacity) return true;
  if (wanted > REQUESTS_MAX) return false;
  let rows: u32 = max<u32>(capacity, 64);
  while (rows < wanted) rows <<= 1;
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

export function va(i: u32): u64 {
  return load<u64>(vas + (i << 3));
}

export function iova(i: u32): u64 {
  return load<u64>(iovas + (i << 3));
}

export function length(i: u32): u64 {
  return load<u64>(lengths + (i << 3));
}

export function vaLast(i: u32): u64 {
  return lastOf(va(i), length(i));
}

export function iovaLast(i: u32): u64 {
  return lastOf(iova(i), length(i));
}

export function permission(i: u32): u32 {
  return load<u32>(permissions + (i << 2));
}

export function registration(i: u32): u32 {
  return load<u32>(registrations + (i << 2));
}

export function state(i: u32): u32 {
  return load<u32>(states + (i << 2));
}

export function setState(i: u32, value: u32): void {
  store<u32>(states + (i << 2), value);
}

export function setIova(i: u32, value: u64): void {
  store<u64>(iovas + (i << 3), value);
}

export function setRegistration(i: u32, number: u32): void {
  store<u32>(registrations + (i << 2), number);
}

/** Fills in the row of a range that is mapped. */
export function writeRow(i: u32, vaValue: u64, iovaValue: u64, lengthValue: u64): void {
  store<u64>(vas + (i << 3), vaValue);
  store<u64>(iovas + (i << 3), iovaValue);
  store<u64>(lengths + (i << 3), lengthValue);
}
