/**
 * Descriptors: what is known of a block, away from the block, where no device reaches it.
 *
 *     +0  iova   u64     exact; alignment and boundaries are those of IOVAs, which the device sees
 *     +8  size   u32     in granules of 64 bytes; 0 at the end of a run
 *     +16 prev   u32     neighbours in space, which are contiguous in IOVAs and in memory; 0: none
 *     +20 next   u32
 *     +24 va     u64     of a block that is live or in a magazine; of a free one two links of its list
 *
 * The state of each lies in a column of its own, because it is all that most calls look at: of 50,000 blocks the states are 200 KB,
 * which the caches of a processor hold, and their descriptors are not.
 *
 *     state      u32     | 0 | generation : 9 | live | magazine : 9, all bits: it is free | owner : 12 |
 *
 * A handle is `index | generation << 22`: an integer above 0 and below 2^31. The generation lies where the state has it, so one
 * load and one comparison say whether a handle is this block's, live, and its heap's own. It advances whenever the block is freed
 * and wraps after 512 times.
 *
 * Descriptor 0 is nobody's: what is written there through links that lead nowhere is never read, and its state stays 0.
 */
import { COLUMNS, DESCRIPTORS_END, globals, STATES } from "./memory";

export const SHIFT: u32 = 5;
export const INDEXES: u32 = DESCRIPTORS_END >> SHIFT;
export const INDEX_MASK: u32 = INDEXES - 1;
export const GENERATION: u32 = 511 << 22;
export const GENERATION_ONE: u32 = 1 << 22;
export const LIVE: u32 = 1 << 21;
export const MAGAZINE_SHIFT: u32 = 12;
export const MAGAZINE: u32 = 511 << MAGAZINE_SHIFT;
/** In place of a magazine, which none is: the block is in a list of those that are free. */
export const FREE: u32 = MAGAZINE;
export const OWNERS_END: u32 = 1 << 12;
export const OWNER: u32 = OWNERS_END - 1;
export const GRANULE_SHIFT: u32 = 6;
const COLUMN_BYTES: u32 = 24;

@unmanaged
export class Block {
  iova: u64;
  size: u32;
  nothing: u32;
  prev: u32;
  next: u32;
  nextFree: u32;
  prevFree: u32;

  @inline
  set va(value: u64) {
    store<u64>(changetype<usize>(this), value, 24);
  }

  @inline
  get bytes(): u64 {
    return (<u64>this.size) << GRANULE_SHIFT;
  }
}

export function block(at: u32): Block {
  return changetype<Block>(at);
}

export function stateOf(at: u32): u32 {
  return load<u32>(at >> (SHIFT - 2), STATES);
}

export function setState(at: u32, state: u32): void {
  store<u32>(at >> (SHIFT - 2), state, STATES);
}

/** Shows programs where a block is: what is written there is the descriptor's. */
export function show(at: u32, iova: u64, va: u64, size: u32): void {
  const row = COLUMNS + (at >> SHIFT) * COLUMN_BYTES;
  store<u64>(row, iova);
  store<u64>(row, va, 8);
  store<u32>(row, size, 16);
}

export class Handle {
  /** The descriptor that a handle names, whatever its generation. */
  @inline
  static at(handle: i32): u32 {
    return (<u32>handle & INDEX_MASK) << SHIFT;
  }

  /** The handle of a descriptor as it is now. */
  @inline
  static of(at: u32): i32 {
    return (stateOf(at) & GENERATION) | (at >> SHIFT);
  }

  /** The next one of the same descriptor. */
  @inline
  static after(handle: i32): i32 {
    return (handle + GENERATION_ONE) & i32.MAX_VALUE;
  }
}

/** Descriptors that were never taken: those lie side by side. */
export function fresh(): u32 {
  return INDEXES - 1 - globals().takenIndexes - globals().usedDescriptors;
}

/** A descriptor of which nothing but its generation is known; 0: there are no more. */
export function acquire(): u32 {
  const all = globals();
  const at = all.freeDescriptors;
  if (at != 0) {
    all.freeDescriptors = block(at).next;
    return at;
  }
  if (fresh() == 0) return 0;
  return ++all.usedDescriptors << SHIFT;
}

export function release(at: u32): void {
  const all = globals();
  setState(at, stateOf(at) & GENERATION);
  block(at).next = all.freeDescriptors;
  all.freeDescriptors = at;
}

/** Puts `at` behind `before` in space. */
export function linkAfter(before: u32, at: u32): void {
  const next = block(before).next;
  block(at).prev = before;
  block(at).next = next;
  block(next).prev = at;
  block(before).next = at;
}
