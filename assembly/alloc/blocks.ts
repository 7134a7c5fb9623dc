/** Blocks leave the free lists and come back. What is split or merged keeps the descriptor of its lower part. */
import { acquire, block, FREE, GRANULE_SHIFT, linkAfter, release, stateOf } from "./descriptors";
import { record, setFree } from "./heap-record";
import { insert, unlink } from "./tlsf";

/**
 * Takes `size` granules, `pad` granules behind the start of a free block that has so many; what is left of it stays free. 0,
 * and nothing happened: there are no descriptors for that.
 */
export function carve(heap: u32, from: u32, pad: u32, size: u32): u32 {
  const rest = block(from).size - pad - size;
  let at = from;
  if (pad != 0) {
    at = acquire();
    if (at == 0) return 0;
  }
  let above: u32 = 0;
  if (rest != 0) {
    above = acquire();
    if (above == 0) {
      if (pad != 0) release(at);
      return 0;
    }
  }
  unlink(heap, from);
  if (pad != 0) {
    block(from).size = pad;
    insert(heap, from);
    block(at).iova = block(from).iova + ((<u64>pad) << GRANULE_SHIFT);
    linkAfter(from, at);
  }
  block(at).size = size;
  const bytes = (<u64>size) << GRANULE_SHIFT;
  if (rest != 0) {
    block(above).iova = block(at).iova + bytes;
    block(above).size = rest;
    linkAfter(at, above);
    insert(heap, above);
  }
  setFree(heap, record(heap).free - bytes);
  record(heap).taken++;
  return at;
}

/** The lower one takes in the one behind it, which is in no list. Sizes end at 2^32 granules. */
function absorb(at: u32, next: u32): void {
  const behind = block(next).next;
  block(at).size += block(next).size;
  block(at).next = behind;
  block(behind).prev = at;
  release(next);
}

function mergeable(at: u32, other: u32): bool {
  return (stateOf(other) & FREE) == FREE && block(other).size <= ~block(at).size;
}

/** A block that was taken becomes free, and one with its free neighbours. */
export function give(heap: u32, taken: u32): void {
  let at = taken;
  setFree(heap, record(heap).free + block(at).bytes);
  record(heap).taken--;
  record(heap).returns++;
  const prev = block(at).prev;
  if (mergeable(at, prev)) {
    unlink(heap, prev);
    absorb(prev, at);
    at = prev;
  }
  const next = block(at).next;
  if (mergeable(at, next)) {
    unlink(heap, next);
    absorb(at, next);
  }
  insert(heap, at);
}
