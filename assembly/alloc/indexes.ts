/**
 * Indexes of pools: consecutive ones, from the top of all indexes downwards, in ranges of powers of two that are used again. Their
 * states hold nothing but the generation that comes next, so every heap refuses their handles, and a pool goes on where
 * the one before it at the same indexes ended.
 */
import { fresh, INDEXES, SHIFT, setState, stateOf } from "./descriptors";
import { globals, INDEX_LISTS } from "./memory";

function shiftFor(count: u32): u32 {
  return 32 - clz<u32>(count - 1);
}

/** The first of `count` indexes, at least 1; 0: there are not so many. */
export function takeIndexes(count: u32): u32 {
  const shift = shiftFor(count);
  const head = INDEX_LISTS + (shift << 2);
  const first = load<u32>(head);
  if (first != 0) {
    store<u32>(head, load<u32>(first << SHIFT, 16));
    return first;
  }
  if (count > INDEXES || (<u32>1) << shift > fresh()) return 0;
  globals().takenIndexes += 1 << shift;
  return INDEXES - globals().takenIndexes;
}

export function giveIndexes(first: u32, count: u32): void {
  const head = INDEX_LISTS + (shiftFor(count) << 2);
  store<u32>(first << SHIFT, load<u32>(head), 16);
  store<u32>(head, first);
}

/** The handle that comes next at an index. */
export function firstHandle(index: u32): i32 {
  return stateOf(index << SHIFT) | index;
}

/** Keeps the generation of the handle that would come next at its index. */
export function keepHandle(at: u32, generation: u32): void {
  setState(at, generation);
}
