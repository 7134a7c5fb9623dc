/**
 * Small integers that stand for the core's objects on the JavaScript side.
 *
 *     bit 31   30          16 15            0
 *     | 0     | generation   | slot          |
 *
 * A slot's generation rises when its object goes, so a handle that outlived its object is recognised instead of
 * reaching the object that came after it. A slot whose generations are used up is retired.
 */
import { regrow } from "./arena";

export const TABLE: u32 = 1;
export const CONTAINER: u32 = 2;
export const WINDOW: u32 = 3;

/** One slot: object u32 at 0, generation u16 at 4, kind u16 at 6 (0: free), next free slot + 1 as u32 at 8. */
const SLOT_SHIFT: u32 = 4;
const SLOTS_MAX: u32 = 1 << 16;
const GENERATION_MAX: u32 = 0x7fff;

let slots: u32 = 0;
let capacity: u32 = 0;
let used: u32 = 0;
let freeSlot: u32 = 0;

function grow(): bool {
  if (capacity == SLOTS_MAX) return false;
  const wanted = capacity == 0 ? 64 : capacity << 1;
  const block = regrow(slots, capacity, wanted, 1 << SLOT_SHIFT);
  if (block == 0) return false;
  slots = block;
  capacity = wanted;
  return true;
}

/** A handle for `object`; 0 when there is no room. Handles are never 0: generations start at 1. */
export function open(kind: u32, object: u32): i32 {
  let index: u32;
  if (freeSlot != 0) {
    index = freeSlot - 1;
    freeSlot = load<u32>(slots + (index << SLOT_SHIFT), 8);
  } else {
    if (used == capacity && !grow()) return 0;
    index = used++;
    store<u16>(slots + (index << SLOT_SHIFT), 1, 4);
  }
  const slot = slots + (index << SLOT_SHIFT);
  store<u32>(slot, object);
  store<u16>(slot, <u16>kind, 6);
  return <i32>(((<u32>load<u16>(slot, 4)) << 16) | index);
}

/** The object behind a handle of this kind; 0 when there is none. */
export function resolve(kind: u32, handle: i32): u32 {
  const index = <u32>handle & 0xffff;
  if (index >= used) return 0;
  const slot = slots + (index << SLOT_SHIFT);
  if (<u32>load<u16>(slot, 6) != kind || <u32>load<u16>(slot, 4) != <u32>handle >> 16) return 0;
  return load<u32>(slot);
}

/** Forgets a handle that resolves. */
export function close(handle: i32): void {
  const index = <u32>handle & 0xffff;
  const slot = slots + (index << SLOT_SHIFT);
  const generation = <u32>load<u16>(slot, 4);
  store<u32>(slot, 0);
  store<u16>(slot, 0, 6);
  if (generation == GENERATION_MAX) return;
  store<u16>(slot, <u16>(generation + 1), 4);
  store<u32>(slot, freeSlot, 8);
  freeSlot = index + 1;
}
