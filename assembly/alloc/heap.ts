/** A heap: buffers of any size, each with an owner, a generation, and addresses that its descriptor knows. */
import { arenaGive, arenaTake } from "./arena";
import {
  block,
  GENERATION,
  GENERATION_ONE,
  GRANULE_SHIFT,
  Handle,
  INDEX_MASK,
  INDEXES,
  LIVE,
  MAGAZINE,
  MAGAZINE_SHIFT,
  OWNER,
  OWNERS_END,
  release,
  setState,
  stateOf,
} from "./descriptors";
import { HEAP_BYTES, record, SIZED_MAX } from "./heap-record";
import { contest, Key, Magazine, obtain, putAway } from "./magazines";
import { globals, OWNERS } from "./memory";
import { reserveRun, runAt } from "./runs";
import * as status from "./status";
import { classOf } from "./tlsf";

/** Alignments up to 64 GiB: more granules than that, and a search could not count them. */
const ALIGN_MAX: u32 = 36;
/** Granules of 4 GiB: a size that the largest `bytes` has, and 0 too. */
const SIZES_END: u32 = 1 << 26;

/** A heap without memory. The negative of a status: there is no room for it. */
export function heapOpen(): i32 {
  let owner: u32 = 1;
  while (load<u8>(OWNERS + owner) != 0) if (++owner == OWNERS_END) return -status.OUT_OF_MEMORY;
  const heap = arenaTake(HEAP_BYTES);
  if (heap == 0) return -status.OUT_OF_MEMORY;
  if (!reserveRun(heap)) {
    arenaGive(heap);
    return -status.OUT_OF_MEMORY;
  }
  store<u8>(OWNERS + owner, 1);
  record(heap).tag = LIVE | owner;
  return heap;
}

/** All its descriptors go back. What was live is not live any more, and no handle of it is one again before generations wrap. */
export function heapClose(heap: u32): void {
  // A program that wrote to columns may have made a circle of links: that is gone along once.
  let left: u32 = INDEXES;
  for (let i: u32 = 0; i < record(heap).runCount; i++) {
    let at = runAt(heap, i).first;
    while (at != 0 && left-- != 0) {
      const next = block(at).next;
      const state = stateOf(at);
      if ((state & LIVE) != 0) setState(at, state + GENERATION_ONE);
      release(at);
      at = next;
    }
  }
  store<u8>(OWNERS + (record(heap).tag & OWNER), 0);
  arenaGive(record(heap).runs);
  arenaGive(heap);
}

/** A handle of at least `bytes`, which begin at a multiple of 64; the negative of a status. */
export function heapAlloc(heap: u32, bytes: u32): i32 {
  const size = ((bytes - 1) >> GRANULE_SHIFT) + 1;
  if (size > SIZED_MAX) return heapAllocAligned(heap, bytes, GRANULE_SHIFT, 0);
  const number = classOf(size - 1) + 1;
  const count = Magazine.count(heap, number);
  if (count == 0) return obtain(heap, number, size, GRANULE_SHIFT, 0);
  return Magazine.pop(heap, number, count);
}

/**
 * The same at a multiple of 2^align, and within one block of 2^boundary; `boundary` 0: wherever. What a magazine has as its key was
 * looked at when it became that, so it is not looked at again.
 */
export function heapAllocAligned(heap: u32, bytes: u32, align: u32, boundary: u32): i32 {
  const size = ((bytes - 1) >> GRANULE_SHIFT) + 1;
  const key = Key.of(size, align, boundary);
  const number = Key.magazine(key);
  const own = Magazine.key(heap, number) == key;
  if (own) {
    const count = Magazine.count(heap, number);
    if (count != 0) return Magazine.pop(heap, number, count);
  }
  if (bytes == 0) return -status.ZERO_LENGTH;
  if (size >= SIZES_END || align > ALIGN_MAX || (boundary - 1 < 31 && bytes > (<u32>1) << boundary)) {
    return -status.TOO_LARGE;
  }
  // Granules neither cross boundaries of 64 bytes or less nor end in the middle of them, and no block crosses 2^64.
  const crossing: u32 = boundary > GRANULE_SHIFT && boundary < 64 ? boundary : 0;
  const start = max<u32>(align, GRANULE_SHIFT);
  if (size <= SIZED_MAX && start == GRANULE_SHIFT && crossing == 0) return heapAlloc(heap, bytes);
  return obtain(heap, own ? number : contest(heap, number, key), size, start, crossing);
}

/** OK, or why a handle is refused; then nothing happened. */
export function heapFree(heap: u32, handle: i32): i32 {
  const at = Handle.at(handle);
  const state = stateOf(at);
  if ((state & ~MAGAZINE) != ((handle & ~INDEX_MASK) | record(heap).tag)) return refusal(heap, handle);
  const next = Handle.after(handle);
  setState(at, (next & GENERATION) | (state & (MAGAZINE | OWNER)));
  const number = (state & MAGAZINE) >> MAGAZINE_SHIFT;
  const count = Magazine.count(heap, number);
  if (count < Magazine.limit(heap, number)) Magazine.push(heap, number, count, next);
  else putAway(heap, number, count, next);
  return status.OK;
}

/** What heapFree would say. */
export function heapCheckHandle(heap: u32, handle: i32): i32 {
  const state = stateOf(Handle.at(handle));
  return (state & ~MAGAZINE) == ((handle & ~INDEX_MASK) | record(heap).tag) ? status.OK : refusal(heap, handle);
}

function refusal(heap: u32, handle: i32): i32 {
  const index = <u32>handle & INDEX_MASK;
  if (handle <= 0 || index == 0) return status.UNKNOWN_HANDLE;
  if (index >= INDEXES - globals().takenIndexes) return status.FOREIGN_HANDLE;
  if (index > globals().usedDescriptors) return status.UNKNOWN_HANDLE;
  const state = stateOf(Handle.at(handle));
  const owner = state & OWNER;
  if (owner != 0 && owner != (record(heap).tag & OWNER)) return status.FOREIGN_HANDLE;
  return (state & LIVE) == 0 ? status.NOT_LIVE : status.STALE_HANDLE;
}

/** The next live handle behind another by index, from 0 on; 0: there are no more. */
export function heapNextLive(heap: u32, handle: i32): i32 {
  const last = min<u32>(globals().usedDescriptors, INDEX_MASK);
  for (let index = (<u32>handle & INDEX_MASK) + 1; index <= last; index++) {
    const at = Handle.at(index);
    if ((stateOf(at) & (LIVE | OWNER)) == record(heap).tag) return Handle.of(at);
  }
  return 0;
}
