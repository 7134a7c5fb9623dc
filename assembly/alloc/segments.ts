/** A heap's memory comes and goes: segments, each contiguous in IOVAs and in memory. */
import { carve, give } from "./blocks";
import { acquire, block, GENERATION, GRANULE_SHIFT, linkAfter, release, setState, stateOf } from "./descriptors";
import { record } from "./heap-record";
import { closeRun, joinRuns, meets, openRun, reserveRun, runAt, runsTo } from "./runs";
import * as status from "./status";
import { CLASSES, classFrom, classOf, firstIn } from "./tlsf";

/** Blocks of 2^32 granules and more have no size. */
const GRANULES_END: u64 = (<u64>1) << 32;

/** Whether two ranges, neither of which is empty or wraps, have an address in common. */
function overlap(start: u64, size: u64, other: u64, otherSize: u64): bool {
  return start - other < otherSize || other - start < size;
}

/**
 * The heap gets memory, all of it free. It becomes one with what it is contiguous with in both ways, unless `apart` has a bit: 1 for
 * what lies below it, 2 for what lies above. No block ever lies on both sides of such a border. OK, or a status, and nothing
 * happened.
 */
export function heapAddSegment(heap: u32, iova: u64, va: u64, size: u64, apart: u32): i32 {
  if (((iova | va | size) & 63) != 0) return status.UNALIGNED;
  if (size == 0) return status.ZERO_LENGTH;
  if (size - 1 > ~iova || size - 1 > ~va) return status.WRAPS;
  if (size >> GRANULE_SHIFT >= GRANULES_END) return status.TOO_LARGE;
  for (let i: u32 = 0; i < record(heap).runCount; i++) {
    const run = runAt(heap, i);
    if (overlap(iova, size, run.iova, run.size) || overlap(va, size, run.va, run.size)) return status.OVERLAPS;
  }
  if (!reserveRun(heap)) return status.OUT_OF_MEMORY;
  const at = acquire();
  const end = acquire();
  if (end == 0) {
    if (at != 0) release(at);
    return status.OUT_OF_MEMORY;
  }
  block(at).iova = iova;
  block(at).size = <u32>(size >> GRANULE_SHIFT);
  block(at).prev = 0;
  block(at).next = 0;
  block(end).size = 0;
  linkAfter(at, end);
  const index = runsTo(heap, iova);
  const run = openRun(heap, index);
  run.iova = iova;
  run.va = va;
  run.size = size;
  run.first = at;
  run.end = end;
  if ((apart & 2) == 0 && index + 1 < record(heap).runCount) joinIfMet(heap, index);
  if ((apart & 1) == 0 && index != 0) joinIfMet(heap, index - 1);
  record(heap).total += size;
  record(heap).taken++;
  give(heap, at);
  return status.OK;
}

function joinIfMet(heap: u32, index: u32): void {
  const run = runAt(heap, index);
  const after = runAt(heap, index + 1);
  if (meets(run.iova, run.va, run.size, after.iova, after.va)) release(joinRuns(heap, index));
}

/** Memory that is wholly free leaves the heap; magazines were flushed before. OK, or a status, and nothing happened. */
export function heapRemove(heap: u32, iova: u64, size: u64): i32 {
  if (((iova | size) & 63) != 0) return status.UNALIGNED;
  if (size == 0) return status.ZERO_LENGTH;
  const granules = size >> GRANULE_SHIFT;
  if (granules >= GRANULES_END) return status.NOT_FREE;
  const from = freeWith(heap, iova, <u32>granules);
  if (from == 0) return status.NOT_FREE;
  // Its own descriptor, while the block is carved and the run split, is all that is needed beside those of carve.
  if (!reserveRun(heap)) return status.OUT_OF_MEMORY;
  const at = carve(heap, from, <u32>((iova - block(from).iova) >> GRANULE_SHIFT), <u32>granules);
  if (at == 0) return status.OUT_OF_MEMORY;
  record(heap).taken--;
  record(heap).total -= size;
  leave(heap, at, size);
  return status.OK;
}

/** The free block that has all of a range; 0: none has. */
function freeWith(heap: u32, iova: u64, granules: u32): u32 {
  for (let at = firstFree(heap, classOf(granules)); at != 0; at = nextFree(heap, at)) {
    const pad = (iova - block(at).iova) >> GRANULE_SHIFT;
    if (pad + granules <= <u64>block(at).size) return at;
  }
  return 0;
}

function firstFree(heap: u32, one: u32): u32 {
  const found = classFrom(heap, one);
  return found == CLASSES ? 0 : firstIn(heap, found);
}

function nextFree(heap: u32, at: u32): u32 {
  const next = block(at).nextFree;
  return next != 0 ? next : firstFree(heap, classOf(block(at).size) + 1);
}

/** The run of a block is what lies below it and what lies above. The descriptor of the block becomes the end of the former. */
function leave(heap: u32, at: u32, size: u64): void {
  const index = runsTo(heap, block(at).iova) - 1;
  const run = runAt(heap, index);
  const before = block(at).prev;
  const behind = block(at).next;
  const below = block(at).iova - run.iova;
  const above = run.size - below - size;
  if (below != 0 && above != 0) {
    const upper = openRun(heap, index + 1);
    upper.iova = run.iova + below + size;
    upper.va = run.va + below + size;
    upper.size = above;
    upper.first = behind;
    upper.end = run.end;
    block(behind).prev = 0;
    run.size = below;
    run.end = at;
    block(at).size = 0;
    block(at).next = 0;
    setState(at, stateOf(at) & GENERATION);
    return;
  }
  block(before).next = behind;
  block(behind).prev = before;
  release(at);
  if (below != 0) {
    run.size = below;
  } else if (above != 0) {
    run.iova += size;
    run.va += size;
    run.size = above;
    run.first = behind;
  } else {
    release(run.end);
    closeRun(heap, index);
  }
}

/**
 * The next free block with at least `bytes`, in no order; 0 for the first, 0: there are no more. Its IOVA and size stand in the
 * columns. Whatever changes the heap in between makes the walk begin anew.
 */
export function heapNextFree(heap: u32, descriptor: u32, bytes: u64): u32 {
  const granules = bytes >> GRANULE_SHIFT;
  if (granules >= GRANULES_END) return 0;
  let at = descriptor == 0 ? firstFree(heap, classOf(max<u32>(<u32>granules, 1))) : nextFree(heap, descriptor << 5);
  while (at != 0 && block(at).bytes < bytes) at = nextFree(heap, at);
  return at >> 5;
}
