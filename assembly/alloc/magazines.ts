/**
 * Magazines: blocks that were freed and are kept as they are for the next one who asks for the same. So nearly all pairs of
 * alloc and free touch a count, a handle and one word of state.
 *
 * Numbers 1 to 320 have blocks of one size each, up to 64 KiB: the least sizes of the classes of free blocks, which from 8 KiB on are
 * not all sizes. So a block there is up to a 64th larger than what was asked for, and there are blocks enough of each size that the
 * next one finds what the last one left. What lies there is lost to everybody who wants another size, so magazines above 2 KiB
 * hold no more than a part of what is free, and hardly anything in a heap that is nearly full.
 *
 * The other 64 are for larger sizes, alignments and boundaries: what is asked for is a key, whose hash names one of them, and the first key
 * that comes has it. Another one is served from the free lists, and its blocks name magazine 0, which never takes any; a key that
 * comes again and again takes the magazine over.
 *
 * A magazine takes blocks that name it while it has fewer than its limit. That of a size is 0 before the first comes back, and is looked
 * at anew whenever it is reached. That of a key is 0 for ever after a takeover, for then also blocks name it that were made for the former
 * key, and each has to be looked at.
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
  setState,
  show,
  stateOf,
} from "./descriptors";
import { Place, padIn, search } from "./fit";
import { ALL_MAGAZINES, CONTESTS, HANDLES, KEYS, LIMIT, MAGAZINES, ROOM, record, SIZED, SMALL } from "./heap-record";
import { vaOf } from "./runs";
import { EXHAUSTED } from "./status";
import { sizeOfClass } from "./tlsf";

/** Blocks that are carved at once, at most. */
const BATCH: u32 = 16;
/** What is free, shifted so, is what a magazine of one size may hold. */
const SHARE: u32 = 9;
const TIGHT_SHARE: u32 = 11;
/** Granules that a magazine with a key may hold. */
const KEYED_GRANULES: u32 = 4096;
/** Blocks that a magazine may have, whatever their size. */
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

  @inline
  static limit(heap: u32, number: u32): u32 {
    return load<u16>(Magazine.at(heap, number), LIMIT);
  }

  @inline
  static key(heap: u32, number: u32): u64 {
    return load<u64>(Magazine.at(heap, number), KEYS);
  }

  /** The last handle of one that has `count`, at least 1; live. */
  @inline
  static pop(heap: u32, number: u32, count: u32): i32 {
    const magazine = Magazine.at(heap, number);
    const handle = load<i32>(magazine + (count << 2), HANDLES - 4);
    store<u32>(magazine, count - 1, MAGAZINES);
    setState(Handle.at(handle), (handle & GENERATION) | (number << MAGAZINE_SHIFT) | record(heap).tag);
    return handle;
  }

  @inline
  static push(heap: u32, number: u32, count: u32, handle: i32): void {
    const magazine = Magazine.at(heap, number);
    store<i32>(magazine + (count << 2), handle, HANDLES);
    store<u32>(magazine, count + 1, MAGAZINES);
  }
}

/** What is asked of a magazine with a key: | boundary : 8 | align : 8 | granules : 32 |. */
export class Key {
  @inline
  static of(size: u32, align: u32, boundary: u32): u64 {
    return <u64>size | ((<u64>(align | (boundary << (BOUNDARY_SHIFT - ALIGN_SHIFT)))) << ALIGN_SHIFT);
  }

  /** The magazine of a key: hashed by multiplying, of which the highest six bits count. */
  @inline
  static magazine(key: u64): u32 {
    const mixed = <u32>key ^ ((<u32>(key >> ALIGN_SHIFT)) << 15);
    return SIZED + 1 + ((mixed * 0x9e3779b1) >> 26);
  }
}

/** The first `count` blocks of a magazine, which are those that lay there longest, become free. */
function spill(heap: u32, number: u32, count: u32): void {
  const magazine = Magazine.at(heap, number);
  const handles = magazine + HANDLES;
  const left = load<u32>(magazine, MAGAZINES) - count;
  for (let i: u32 = 0; i < count; i++) give(heap, Handle.at(load<i32>(handles + (i << 2))));
  memory.copy(handles, handles + (count << 2), left << 2);
  store<u32>(magazine, left, MAGAZINES);
}

/** All that the magazines hold becomes free. Those of one size are asked anew how much they may hold. */
export function heapFlush(heap: u32): void {
  for (let number: u32 = 1; number <= ALL_MAGAZINES; number++) {
    spill(heap, number, Magazine.count(heap, number));
    if (number <= SIZED) store<u16>(Magazine.at(heap, number), 0, LIMIT);
  }
}

/**
 * Something is asked of a magazine that has another key: the number of the magazine if it is its own from now on, else 0. It is
 * when there was no other, or that one has nothing there, or this was asked for often enough.
 */
export function contest(heap: u32, number: u32, key: u64): u32 {
  const magazine = Magazine.at(heap, number);
  const contests = <u32>load<u16>(magazine, CONTESTS) + 1;
  const count = Magazine.count(heap, number);
  if (count != 0 && contests < CONTEST_MAX) {
    store<u16>(magazine, <u16>contests, CONTESTS);
    return 0;
  }
  spill(heap, number, count);
  const limit = Magazine.key(heap, number) == 0 ? min<u32>(ROOM, max<u32>(LEAST, KEYED_GRANULES / <u32>key)) : 0;
  store<u32>(magazine, limit, LIMIT);
  store<u64>(magazine, key, KEYS);
  return number;
}

/** Whether a magazine that was taken over, and has `count` blocks, takes this one too. */
function fitsKey(heap: u32, number: u32, count: u32, at: u32): bool {
  const key = Magazine.key(heap, number);
  const size = block(at).size;
  if (size != <u32>key) return false;
  if (count >= LEAST && (count == ROOM || count * size >= KEYED_GRANULES)) return false;
  const iova = block(at).iova;
  const align = (key >> ALIGN_SHIFT) & 63;
  const boundary = <u32>(key >> BOUNDARY_SHIFT);
  return (
    <u64>ctz<u64>(iova) >= align && (boundary == 0 || !Place.crosses(iova, iova + (block(at).bytes - 1), boundary))
  );
}

/**
 * How many blocks a magazine of one size may hold now. All magazines together have a good part of what is free at most, and little
 * of it while the heap is tight: from when less than a 16th is free, or nothing fitted, until an eighth is.
 */
function roomFor(heap: u32, number: u32): u32 {
  if (number <= SMALL) return ROOM;
  const all = record(heap);
  if (all.free >= all.total >> 3) all.tight = 0;
  else if (all.free < all.total >> 4) all.tight = 1;
  const share = <u32>(all.free >> (GRANULE_SHIFT + (all.tight != 0 ? TIGHT_SHARE : SHARE)));
  return min<u32>(ROOM, max<u32>(all.tight != 0 ? 0 : LEAST, share / sizeOfClass(number)));
}

/** Where a block that was freed goes when its magazine does not just take it. */
export function putAway(heap: u32, number: u32, count: u32, handle: i32): void {
  const at = Handle.at(handle);
  if (number - 1 < SIZED) {
    const room = roomFor(heap, number);
    store<u16>(Magazine.at(heap, number), <u16>room, LIMIT);
    if (count >= room) {
      const spilt = count - (room >> 1);
      spill(heap, number, spilt);
      count -= spilt;
    }
    if (room == 0) number = 0;
  } else if (Magazine.limit(heap, number) != 0 || !fitsKey(heap, number, count, at)) {
    number = 0;
  }
  if (number != 0) Magazine.push(heap, number, count, handle);
  else give(heap, at);
}

/**
 * A block from the free lists, live; the negative of EXHAUSTED: there is none, also after the magazines were emptied. It has the size of
 * its magazine, and what was asked for where only that fits. An empty magazine of a small size gets what else the free block has room
 * for, up to a batch.
 */
export function obtain(heap: u32, number: u32, size: u32, align: u32, boundary: u32): i32 {
  let wanted = number - 1 < SIZED ? sizeOfClass(number) : size;
  for (let again = 0; again < 2; again++) {
    const from = search(heap, wanted, align, boundary, again != 0);
    if (from != 0) {
      const batch = number - 1 < SMALL && fresh() > BATCH ? min<u32>(BATCH, block(from).size / wanted) : 1;
      const at = carve(heap, from, padIn(from, wanted, align, boundary), wanted * batch);
      if (at != 0) {
        cut(heap, at, number, wanted, batch);
        setState(at, stateOf(at) | LIVE);
        return Handle.of(at);
      }
    }
    if (again != 0) break;
    heapFlush(heap);
    record(heap).tight = 1;
    if (wanted != size) {
      wanted = size;
      number = 0;
    }
  }
  return -EXHAUSTED;
}

/** Makes blocks of `size` granules out of one of `batch` times as many; all but the first go into the magazine, which is empty. */
function cut(heap: u32, first: u32, number: u32, size: u32, batch: u32): void {
  const bits = (number << MAGAZINE_SHIFT) | (record(heap).tag & OWNER);
  const magazine = Magazine.at(heap, number);
  let iova = block(first).iova;
  let va = vaOf(heap, iova);
  let at = first;
  let left = batch;
  while (true) {
    left--;
    block(at).iova = iova;
    block(at).size = size;
    setState(at, (stateOf(at) & GENERATION) | bits);
    block(at).va = va;
    show(at, iova, va, size);
    if (at != first) store<i32>(magazine + (left << 2), Handle.of(at), HANDLES);
    if (left == 0) break;
    const next = acquire();
    linkAfter(at, next);
    at = next;
    iova += (<u64>size) << GRANULE_SHIFT;
    va += (<u64>size) << GRANULE_SHIFT;
  }
  if (number - 1 >= SIZED) return;
  store<u32>(magazine, batch - 1, MAGAZINES);
  record(heap).taken += batch - 1;
}
