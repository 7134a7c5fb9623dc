/**
 * Magazines: blocks that were freed and are kept as they are for the next one who asks for the same. So nearly all pairs of
 * alloc and free touch a counter, a handle and one descriptor.
 *
 * The first 32 have blocks of one size each, up to 2 KiB. The other 64 are for larger sizes, alignments and boundaries: what is
 * asked for names one of them by its hash, and the magazine keeps what fits its key. A key that comes again and again to a
 * magazine of another one takes it over.
 */

import { carve, give } from "./blocks";
import {
  acquire,
  block,
  fresh,
  GENERATION,
  GRANULE_SHIFT,
  Handle,
  LIVE,
  linkAfter,
  MAGAZINE_SHIFT,
  OWNER,
} from "./descriptors";
import { Place, padIn, search } from "./fit";
import { ALL_MAGAZINES, CONTESTS, KEYS, MAGAZINE_ROOM, MAGAZINES, PLAIN, record } from "./heap-record";
import { vaOf } from "./runs";
import { EXHAUSTED } from "./status";

/** Blocks that are carved at once, at most. */
const BATCH: u32 = 16;
/** Blocks of a full magazine that go back at once. */
const SPILL: u32 = 32;
/** Granules that a magazine with a key may hold, unless it has fewer than LEAST blocks. */
const KEYED_GRANULES: u32 = 4096;
const LEAST: u32 = 4;
/** Requests for another key after which a magazine is taken over. */
const CONTEST_MAX: u32 = 8;

const ALIGN_SHIFT: u32 = 32;
const BOUNDARY_SHIFT: u32 = 40;

/** What an alloc that is served by a magazine consists of, inlined there by name. A magazine is known by its number. */
export class Magazine {
  /** Where it lies in a heap, less MAGAZINES. */
  @inline
  static at(heap: u32, number: u32): u32 {
    return heap + (number << 8);
  }

  @inline
  static count(heap: u32, number: u32): u32 {
    return load<u32>(Magazine.at(heap, number), MAGAZINES);
  }

  /** The last handle of one that has `count`, at least 1; live. */
  @inline
  static pop(heap: u32, number: u32, count: u32): i32 {
    const magazine = Magazine.at(heap, number);
    const handle = load<i32>(magazine + (count << 2), MAGAZINES);
    store<u32>(magazine, count - 1, MAGAZINES);
    block(Handle.at(handle)).state = (handle & GENERATION) | (number << MAGAZINE_SHIFT) | record(heap).tag;
    return handle;
  }

  @inline
  static push(heap: u32, number: u32, count: u32, handle: i32): void {
    const magazine = Magazine.at(heap, number);
    store<i32>(magazine + (count << 2), handle, MAGAZINES + 4);
    store<u32>(magazine, count + 1, MAGAZINES);
  }
}

/** What is asked of a magazine with a key: | boundary : 8 | align : 8 | size : 32 |. */
export class Key {
  @inline
  static of(size: u32, align: u32, boundary: u32): u64 {
    return <u64>size | ((<u64>align) << ALIGN_SHIFT) | ((<u64>boundary) << BOUNDARY_SHIFT);
  }

  /** The magazine of a key: its two halves hashed by multiplying, of which the highest six bits count. */
  @inline
  static magazine(key: u64): u32 {
    const mixed = <u32>key ^ (<u32>(key >> ALIGN_SHIFT) * 0x85ebca6b);
    return PLAIN + 1 + ((mixed * 0x9e3779b1) >> 26);
  }

  /** Where the key of a magazine lies, less KEYS. */
  @inline
  static at(heap: u32, number: u32): u32 {
    return heap + ((number - (PLAIN + 1)) << 3);
  }

  @inline
  static in(heap: u32, number: u32): u64 {
    return load<u64>(Key.at(heap, number), KEYS);
  }
}

/** The first `count` blocks of a magazine, which are those that lay there longest, become free. */
function spill(heap: u32, number: u32, count: u32): void {
  const magazine = Magazine.at(heap, number) + MAGAZINES;
  const left = load<u32>(magazine) - count;
  for (let i: u32 = 1; i <= count; i++) give(heap, Handle.at(load<i32>(magazine + (i << 2))));
  memory.copy(magazine + 4, magazine + 4 + (count << 2), left << 2);
  store<u32>(magazine, left);
}

/** All that the magazines hold becomes free. */
export function heapFlush(heap: u32): void {
  for (let number: u32 = 1; number <= ALL_MAGAZINES; number++) spill(heap, number, Magazine.count(heap, number));
}

/** What is asked for by a key that the magazine does not have: takes it over when it is empty, or was asked often enough. */
export function contest(heap: u32, number: u32, key: u64): void {
  const at = heap + number - (PLAIN + 1);
  const contests = <u32>load<u8>(at, CONTESTS) + 1;
  const count = Magazine.count(heap, number);
  if (count != 0 && contests < CONTEST_MAX) {
    store<u8>(at, <u8>contests, CONTESTS);
    return;
  }
  spill(heap, number, count);
  store<u8>(at, 0, CONTESTS);
  store<u64>(Key.at(heap, number), key, KEYS);
}

/** Whether a magazine with a key that has `count` blocks takes this one too. */
export function fitsKey(heap: u32, number: u32, count: u32, at: u32): bool {
  const key = Key.in(heap, number);
  const size = block(at).size;
  if (size != <u32>key) return false;
  if (count >= LEAST && (count == MAGAZINE_ROOM || count * size >= KEYED_GRANULES)) return false;
  const iova = block(at).iova;
  const boundary = <u32>(key >> BOUNDARY_SHIFT);
  const mask = ((<u64>1) << ((key >> ALIGN_SHIFT) & 63)) - 1;
  return (iova & mask) == 0 && (boundary == 0 || !Place.crosses(iova, iova + (block(at).bytes - 1), boundary));
}

/** Where a block that was freed goes when its magazine does not just take it. */
export function putAway(heap: u32, number: u32, count: u32, handle: i32): void {
  if (number > PLAIN) {
    give(heap, Handle.at(handle));
    return;
  }
  spill(heap, number, SPILL);
  Magazine.push(heap, number, count - SPILL, handle);
}

/**
 * A block from the free lists, live; the negative of EXHAUSTED: there is none, also after the magazines were emptied. An empty
 * magazine of one size gets what else the free block has room for, up to a batch.
 */
export function obtain(heap: u32, number: u32, size: u32, align: u32, boundary: u32): i32 {
  for (let again = 0; again < 2; again++) {
    const from = search(heap, size, align, boundary, again != 0);
    if (from != 0) {
      const batch = number <= PLAIN && fresh() > BATCH ? min<u32>(BATCH, block(from).size / size) : 1;
      const at = carve(heap, from, padIn(from, size, align, boundary), size * batch);
      if (at != 0) {
        cut(heap, at, number, size, batch);
        block(at).state |= LIVE;
        return Handle.of(at);
      }
    }
    if (again == 0) heapFlush(heap);
  }
  return -EXHAUSTED;
}

/** Makes blocks of `size` granules out of one of `batch` times as many; all but the first go into the magazine, which is empty. */
function cut(heap: u32, first: u32, number: u32, size: u32, batch: u32): void {
  const bits = (number << MAGAZINE_SHIFT) | (record(heap).tag & OWNER);
  const magazine = Magazine.at(heap, number) + MAGAZINES;
  let iova = block(first).iova;
  let va = vaOf(heap, iova);
  let at = first;
  let left = batch;
  while (true) {
    block(at).iova = iova;
    block(at).size = size;
    block(at).state = (block(at).state & GENERATION) | bits;
    block(at).va = va;
    left--;
    if (at != first) store<i32>(magazine + ((left + 1) << 2), Handle.of(at));
    if (left == 0) break;
    const next = acquire();
    linkAfter(at, next);
    at = next;
    iova += (<u64>size) << GRANULE_SHIFT;
    va += (<u64>size) << GRANULE_SHIFT;
  }
  if (batch == 1) return;
  store<u32>(magazine, batch - 1);
  record(heap).taken += batch - 1;
}
