/**
 * Many ranges at once against one window: is [iova, iova + length) not empty, not past 2^64, and inside, and where?
 *
 * Four differences, modulo 2^64, and the range is inside exactly when none of them has its sign bit:
 *
 *     window                start                                          last        size <= 2^63 (window.ts: SIZE_MAX)
 *                           |---------------------------------------------|
 *     offset                |---------->|                                              iova - start
 *     left                              |-------------------------------->|            size - 1 - offset
 *     beyond                            |------------>|                                length - 1
 *     left - beyond                                   |------------------>|
 *
 * The window does not wrap and has at most 2^63 bytes, so of an IOVA outside of it one of `offset` and `left` is negative:
 * offset < 2^63 and left >= 0 together mean offset < size. A length of 0, or above 2^63, makes `beyond` negative. When these
 * three are not negative they are below 2^63, and the sign of the fourth is that of the true difference. Without `left`
 * this is faster by one step and wrong: left - beyond may wrap to a positive number.
 *
 * The sign as a mask, all ones or none, makes the answer of what is outside all ones without a branch. A row is written only
 * after it was read, so the answers may take the place of the IOVAs or of the lengths.
 */
import { NULL_PAGE } from "./arena";
import { Window } from "./window";

/** Rows of one step with vectors, two in each. */
const STEP_ROWS: u32 = 4;

class Check {
  /** All ones in the lane of a range that is not inside. `zero` and `ones` are vectors of these. */
  @inline
  static outside(offset: v128, room: v128, lengths: v128, zero: v128, ones: v128): v128 {
    const left = i64x2.sub(room, offset);
    const beyond = i64x2.add(lengths, ones);
    const signs = v128.or(v128.or(offset, left), v128.or(beyond, i64x2.sub(left, beyond)));
    // A comparison, because V8 has no single instruction for an arithmetic shift of 64 bits.
    return i64x2.lt_s(signs, zero);
  }
}

/** Writes the TCE index of each of `count` ranges, or all ones. How many are inside. */
export function checkMany(window: Window, iovas: u32, lengths: u32, indexes: u32, count: u32): u32 {
  const start = window.start;
  const room = window.last - start;
  const shift = window.pageShift;
  const end = iovas + (count << 3);
  let inside = count;
  if (ASC_FEATURE_SIMD) {
    const zero = v128.load64_splat(NULL_PAGE);
    const ones = v128.not(zero);
    const starts = i64x2.splat(start);
    const rooms = i64x2.splat(room);
    const vectorEnd = iovas + ((count & ~(STEP_ROWS - 1)) << 3);
    let outsides = zero;
    while (iovas != vectorEnd) {
      const offset = i64x2.sub(v128.load(iovas), starts);
      const outside = Check.outside(offset, rooms, v128.load(lengths), zero, ones);
      v128.store(indexes, v128.or(i64x2.shr_u(offset, shift), outside));
      const offset2 = i64x2.sub(v128.load(iovas, 16), starts);
      const outside2 = Check.outside(offset2, rooms, v128.load(lengths, 16), zero, ones);
      v128.store(indexes, v128.or(i64x2.shr_u(offset2, shift), outside2), 16);
      outsides = i64x2.add(i64x2.add(outsides, outside), outside2);
      iovas += STEP_ROWS << 3;
      lengths += STEP_ROWS << 3;
      indexes += STEP_ROWS << 3;
    }
    // All ones are -1.
    inside += <u32>(i64x2.extract_lane(outsides, 0) + i64x2.extract_lane(outsides, 1));
  }
  while (iovas != end) {
    const offset = load<u64>(iovas) - start;
    const left = room - offset;
    const beyond = load<u64>(lengths) - 1;
    const outside = <u64>(<i64>(offset | left | beyond | (left - beyond)) >> 63);
    store<u64>(indexes, (offset >> shift) | outside);
    inside += <u32>outside;
    iovas += 8;
    lengths += 8;
    indexes += 8;
  }
  return inside;
}
