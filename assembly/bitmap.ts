/**
 * One bit for each of up to 2^36 things (TCEs of a window, pages of a list), in chunks that exist only where a bit is
 * set and another is not.
 *
 *     directory     | set bits in chunk 0 : 32 | chunk 0 : 32 |  ...one u64 entry for each 32768 bits
 *                            |
 *     chunk         | 4096 bytes of bits; bit n of the map is bit n & 63 of its u64 |
 *
 * No chunk (the null page): all clear. The chunk FULL, shared by all: all set. A search passes over either at once.
 *
 * `prepareBits` takes all the memory that `changeBits` of the same range needs: this cannot fail, and can undo itself. `trimBits` gives back what is not needed any more.
 */
import { acquire, acquirePage, PAGE, release, releasePage } from "./arena";

const CHUNK_SHIFT: u32 = 15;
const CHUNK_BITS: u64 = 1 << CHUNK_SHIFT;
const CHUNK_MASK: u64 = CHUNK_BITS - 1;

/** The most bits of one map: its directory is then 16 MiB. */
export const BITS_MAX: u64 = 1 << 36;

/** A chunk in which every bit is set; never written to after it was made. */
let full: u32 = 0;

@unmanaged
export class Bitmap {
  bits: u64;
  directory: u32;
}

function directoryBytes(bits: u64): u64 {
  return ((bits + CHUNK_MASK) >> CHUNK_SHIFT) << 3;
}

/** An empty map of `bits` (1 to BITS_MAX). False when there is no memory. */
export function initBitmap(map: Bitmap, bits: u64): bool {
  if (full == 0) {
    full = acquirePage();
    if (full == 0) return false;
    memory.fill(full, 0xff, PAGE);
  }
  map.directory = acquire(directoryBytes(bits));
  if (map.directory == 0) return false;
  map.bits = bits;
  return true;
}

/** Gives back what an initialised map has taken; nothing of one that is all zeros. */
export function dropBitmap(map: Bitmap): void {
  const bytes = directoryBytes(map.bits);
  for (let offset: u64 = 0; offset < bytes; offset += 8) {
    const chunk = load<u32>(map.directory + <u32>offset);
    if (chunk != full) releasePage(chunk);
  }
  release(map.directory, bytes);
}

function entryAt(map: Bitmap, bit: u64): u32 {
  return map.directory + ((<u32>(bit >> CHUNK_SHIFT)) << 3);
}

function wordAt(chunk: u32, bit: u64): u32 {
  return chunk + ((<u32>((bit & CHUNK_MASK) >> 6)) << 3);
}

/** The bits from..to (both inside, in one word) as a mask. */
function wordMask(from: u64, to: u64): u64 {
  return (u64.MAX_VALUE << (from & 63)) & (u64.MAX_VALUE >> (63 - (to & 63)));
}

/** Takes the memory that changing [first, last] will need. False when there is not enough. */
export function prepareBits(map: Bitmap, first: u64, last: u64): bool {
  return prepareChunk(map, first, first, last) && prepareChunk(map, last, first, last);
}

/** Only the two outermost chunks of a range can be changed in part: the one that holds `bit` gets bits of its own. */
function prepareChunk(map: Bitmap, bit: u64, first: u64, last: u64): bool {
  const start = bit & ~CHUNK_MASK;
  if (first <= start && last >= (start | CHUNK_MASK)) return true;
  const at = entryAt(map, bit);
  const chunk = load<u32>(at);
  if (chunk != 0 && chunk != full) return true;
  const own = acquirePage();
  if (own == 0) return false;
  if (chunk == full) memory.copy(own, full, PAGE);
  store<u32>(at, own);
  return true;
}

/** Sets or clears [first, last], prepared. */
export function changeBits(map: Bitmap, first: u64, last: u64, value: bool): void {
  for (let bit = first; bit <= last; ) {
    const chunkLast = bit | CHUNK_MASK;
    const at = entryAt(map, bit);
    if ((bit & CHUNK_MASK) == 0 && last >= chunkLast) {
      const chunk = load<u32>(at);
      if (chunk != full) releasePage(chunk);
      store<u64>(at, value ? (CHUNK_BITS << 32) | <u64>full : 0);
    } else {
      changeInChunk(at, bit, min<u64>(last, chunkLast), value);
    }
    bit = chunkLast + 1;
  }
}

function changeInChunk(at: u32, first: u64, last: u64, value: bool): void {
  const chunk = load<u32>(at);
  let total = load<u64>(at) >> 32;
  for (let bit = first; bit <= last; bit = (bit | 63) + 1) {
    const mask = wordMask(bit, min<u64>(last, bit | 63));
    const address = wordAt(chunk, bit);
    const before = load<u64>(address);
    const after = value ? before | mask : before & ~mask;
    store<u64>(address, after);
    total = total + popcnt<u64>(after) - popcnt<u64>(before);
  }
  store<u64>(at, (total << 32) | <u64>chunk);
}

/** Gives back the chunks at the two ends of [first, last] if they are all clear. Those between have none of their own. */
export function trimBits(map: Bitmap, first: u64, last: u64): void {
  trimChunk(map, first);
  trimChunk(map, last);
}

function trimChunk(map: Bitmap, bit: u64): void {
  const at = entryAt(map, bit);
  const entry = load<u64>(at);
  if (entry >> 32 != 0) return;
  releasePage(<u32>entry);
  store<u64>(at, 0);
}

/** Bits of four vectors: one step of a search. */
const STEP_BITS: u64 = 512;

/** The first bit in [from, end) that is set (or clear, as `value` says); `end` when there is none. `end` <= bits. */
function nextBit(map: Bitmap, from: u64, end: u64, value: bool): u64 {
  const nothing: u64 = value ? 0 : CHUNK_BITS;
  // What is looked for is 1 in a word after this.
  const flip: u64 = value ? 0 : u64.MAX_VALUE;
  for (let bit = from; bit < end; ) {
    const entry = load<u64>(entryAt(map, bit));
    const chunkEnd = (bit | CHUNK_MASK) + 1;
    if (entry >> 32 == nothing) {
      bit = chunkEnd;
      continue;
    }
    // Bits of the chunk behind `end` may be looked at, and are not found: they lie behind `end`.
    const stop = min<u64>(end, chunkEnd);
    let at = wordAt(<u32>entry, bit);
    let wanted = (load<u64>(at) ^ flip) & (u64.MAX_VALUE << (bit & 63));
    while (wanted == 0) {
      bit = (bit | 63) + 1;
      at += 8;
      if (ASC_FEATURE_SIMD) {
        if ((bit & (STEP_BITS - 1)) == 0) {
          const flips = i64x2.splat(flip);
          while (bit < stop) {
            const first = v128.or(v128.xor(v128.load(at), flips), v128.xor(v128.load(at, 16), flips));
            const second = v128.or(v128.xor(v128.load(at, 32), flips), v128.xor(v128.load(at, 48), flips));
            if (v128.any_true(v128.or(first, second))) break;
            bit += STEP_BITS;
            at += <u32>(STEP_BITS >> 3);
          }
        }
      }
      if (bit >= stop) break;
      wanted = load<u64>(at) ^ flip;
    }
    if (wanted != 0) return min<u64>((bit & ~63) + ctz<u64>(wanted), end);
  }
  return end;
}

export function nextSet(map: Bitmap, from: u64, end: u64): u64 {
  return nextBit(map, from, end, true);
}

export function nextClear(map: Bitmap, from: u64, end: u64): u64 {
  return nextBit(map, from, end, false);
}

/** How many bits are set. Looks at the directory only. */
export function countBits(map: Bitmap): u64 {
  let total: u64 = 0;
  const bytes = directoryBytes(map.bits);
  for (let offset: u64 = 0; offset < bytes; offset += 8) total += load<u64>(map.directory + <u32>offset) >> 32;
  return total;
}
