/**
 * A list of ioctls for one crossing: what the shim goes through, and the structs that the calls take.
 *
 *     entries    16 bytes each    | call : 4 | offset of its struct : 4 | result : 4 | request : 4 |
 *     structs    40 bytes each    struct k belongs to entry k
 *
 * `call` is the ioctl's distance from VFIO_BASE. `result` is NOT_CALLED until the call was made. `request` is ours: the
 * number of the request that the call is made for.
 */
import { acquire, regrow, release } from "./arena";
import { lastOf, overlaps } from "./range";
import { registerLength, registerVa, STRUCT_BYTES, writeMap, writeRegister, writeUnmap } from "./structs";

export const MAP: u32 = 13;
export const UNMAP: u32 = 14;
export const REGISTER: u32 = 17;
export const UNREGISTER: u32 = 18;

/** No kernel answers that: errnos are small, and REGISTER's positive answers are numbers of pages, below 2^31 - 1. */
export const NOT_CALLED: i32 = i32.MAX_VALUE;

const ENTRY_SHIFT: u32 = 4;

let entries: u32 = 0;
let structs: u32 = 0;
let capacity: u32 = 0;
let length: u32 = 0;

export function clearCalls(): void {
  length = 0;
}

export function callCount(): u32 {
  return length;
}

export function callTable(): u32 {
  return entries;
}

function entry(index: u32): u32 {
  return entries + (index << ENTRY_SHIFT);
}

export function callAt(index: u32): u32 {
  return load<u32>(entry(index));
}

export function structAt(index: u32): u32 {
  return load<u32>(entry(index), 4);
}

export function resultAt(index: u32): i32 {
  return load<i32>(entry(index), 8);
}

export function requestAt(index: u32): u32 {
  return load<u32>(entry(index), 12);
}

/** Whether the memory that call `index`, a REGISTER or UNREGISTER, is about has an address in [va, last]. */
export function registerOverlaps(index: u32, va: u64, last: u64): bool {
  const at = structAt(index);
  const start = registerVa(at);
  return overlaps(va, last, start, lastOf(start, registerLength(at)));
}

function grow(): bool {
  const wanted: u32 = capacity == 0 ? 64 : capacity << 1;
  const newEntries = acquire((<u64>wanted) << ENTRY_SHIFT);
  if (newEntries == 0) return false;
  const newStructs = regrow(structs, capacity, wanted, STRUCT_BYTES);
  if (newStructs == 0) {
    release(newEntries, (<u64>wanted) << ENTRY_SHIFT);
    return false;
  }
  memory.copy(newEntries, entries, capacity << ENTRY_SHIFT);
  release(entries, (<u64>capacity) << ENTRY_SHIFT);
  entries = newEntries;
  structs = newStructs;
  capacity = wanted;
  for (let i: u32 = 0; i < length; i++) store<u32>(entry(i), structs + i * STRUCT_BYTES, 4);
  return true;
}

/** Appends a call and gives the place of its struct; 0 when there is no memory. */
function append(call: u32, request: u32): u32 {
  if (length == capacity && !grow()) return 0;
  const at = structs + length * STRUCT_BYTES;
  const line = entry(length++);
  store<u32>(line, call);
  store<u32>(line, at, 4);
  store<i32>(line, NOT_CALLED, 8);
  store<u32>(line, request, 12);
  return at;
}

/** REGISTER or UNREGISTER, which take the same struct. */
function appendRegistration(call: u32, request: u32, va: u64, bytes: u64): bool {
  const at = append(call, request);
  if (at != 0) writeRegister(at, va, bytes);
  return at != 0;
}

export function appendRegister(request: u32, va: u64, bytes: u64): bool {
  return appendRegistration(REGISTER, request, va, bytes);
}

export function appendUnregister(request: u32, va: u64, bytes: u64): bool {
  return appendRegistration(UNREGISTER, request, va, bytes);
}

export function appendMap(request: u32, permission: u32, va: u64, iova: u64, bytes: u64): bool {
  const at = append(MAP, request);
  if (at != 0) writeMap(at, permission, va, iova, bytes);
  return at != 0;
}

export function appendUnmap(request: u32, iova: u64, bytes: u64): bool {
  const at = append(UNMAP, request);
  if (at != 0) writeUnmap(at, iova, bytes);
  return at != 0;
}
