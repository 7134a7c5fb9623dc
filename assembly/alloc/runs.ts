/**
 * Runs: what is contiguous in IOVAs and in memory, in one array by IOVA. The blocks of a run are linked from its first to its
 * end, a descriptor of no bytes that is neither free nor live, so whoever merges need not ask where a run ends.
 */
import { arenaGive, arenaTake } from "./arena";
import { block } from "./descriptors";
import { record } from "./heap-record";

const RUN_SHIFT: u32 = 5;
const FIRST_ROOM: u32 = 14;

@unmanaged
export class Run {
  iova: u64;
  size: u64;
  va: u64;
  /** The block at its start: it keeps its descriptor, as what is split or merged keeps the lower one's. */
  first: u32;
  end: u32;
}

export function runAt(heap: u32, index: u32): Run {
  return changetype<Run>(record(heap).runs + (index << RUN_SHIFT));
}

/** How many runs begin at or below an IOVA: the run that holds it, if any does, is the last of them. */
export function runsTo(heap: u32, iova: u64): u32 {
  let low: u32 = 0;
  let high = record(heap).runCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runAt(heap, middle).iova <= iova) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The memory behind an IOVA of the heap. */
export function vaOf(heap: u32, iova: u64): u64 {
  const run = runAt(heap, runsTo(heap, iova) - 1);
  return run.va + (iova - run.iova);
}

/** Makes room for one run more; false: there is none. */
export function reserveRun(heap: u32): bool {
  const all = record(heap);
  if (all.runCount < all.runCapacity) return true;
  const capacity = all.runCapacity == 0 ? FIRST_ROOM : (all.runCapacity << 1) + 2;
  const runs = arenaTake(capacity << RUN_SHIFT);
  if (runs == 0) return false;
  if (all.runCount != 0) {
    memory.copy(runs, all.runs, all.runCount << RUN_SHIFT);
    arenaGive(all.runs);
  }
  all.runs = runs;
  all.runCapacity = capacity;
  return true;
}

function move(heap: u32, from: u32, to: u32): void {
  memory.copy(
    changetype<usize>(runAt(heap, to)),
    changetype<usize>(runAt(heap, from)),
    (record(heap).runCount - from) << RUN_SHIFT,
  );
}

/** Room for a run at `index`, which was reserved. */
export function openRun(heap: u32, index: u32): Run {
  move(heap, index, index + 1);
  record(heap).runCount++;
  return runAt(heap, index);
}

export function closeRun(heap: u32, index: u32): void {
  move(heap, index + 1, index);
  record(heap).runCount--;
}

/** Whether the second begins where the first ends, in IOVAs and in memory. The end of all addresses is nobody's beginning. */
export function meets(iova: u64, va: u64, size: u64, iovaAfter: u64, vaAfter: u64): bool {
  return iova + size == iovaAfter && va + size == vaAfter && iovaAfter != 0 && vaAfter != 0;
}

/** Joins a run with the one behind it, which begins where it ends; the descriptor that was its end is the caller's then. */
export function joinRuns(heap: u32, index: u32): u32 {
  const run = runAt(heap, index);
  const after = runAt(heap, index + 1);
  const end = run.end;
  const last = block(end).prev;
  block(last).next = after.first;
  block(after.first).prev = last;
  run.size += after.size;
  run.end = after.end;
  closeRun(heap, index + 1);
  return end;
}
