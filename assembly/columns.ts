/**
 * The requests of one batch, in columns: one row for each.
 *
 *     request       0       1      ...
 *     va          [ u64   | u64  | ... ]
 *     iova        [ u64   | u64  | ... ]      of a map: all ones leaves it to the core
 *     length      [ u64   | u64  | ... ]
 *     permission  [ u32   | u32  | ... ]      of a map
 *     and the core's own: registration, state
 *
 * One column lies behind the other, in one block.
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

/** More than any batch: their columns, calls and structs take 3 GiB. What is larger is refused before memory is taken. */
const REQUESTS_MAX: u32 = 1 << 24;

/** Of all columns: three of 8 bytes, three of 4. */
const ROW_BYTES: u64 = 36;

/** Room for `wanted` requests. What is in the columns is lost. */
export function reserveRequests(wanted: u32): bool {
  if (wanted <= capacity) return true;
  if (wanted > REQUESTS_MAX) return false;
  let rows: u32 = max<u32>(capacity, 64);
  while (rows < wanted) rows <<= 1;
  const block = acquire(<u64>rows * ROW_BYTES);
  if (block == 0) return false;
  release(vas, <u64>capacity * ROW_BYTES);
  vas = block;
  iovas = vas + (rows << 3);
  lengths = iovas + (rows << 3);
  permissions = lengths + (rows << 3);
  registrations = permissions + (rows << 2);
  states = registrations + (rows << 2);
  capacity = rows;
  return true;
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
