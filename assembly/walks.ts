/**
 * Walks over the columns of all memsegs, and over the lists. With SIMD two rows at a time, in pairs; the last rows, and all
 * of them in a build without, go one by one.
 */
import { NULL_PAGE } from "./arena";
import { isServed, List, listAt, NO_MEMSEG, numberAt, Table } from "./memsegs";
import { lastOf } from "./range";

/** Where the walks leave what they found. */
export class Walk {
  static last: u64 = 0;
  static pageShift: u32 = 0;
}

/** Rows of one step with vectors. */
const STEP_ROWS: u32 = 4;

function listOf(table: Table, number: u32): List {
  return listAt(table, load<u32>(table.list + (number << 2)));
}

/** The highest last address of the first `rows` memsegs, served or not: a multiple of STEP_ROWS. 0 when there is none. */
function highestLast(table: Table, rows: u32): u64 {
  const lengths = table.lengths - table.va;
  const end = table.va + (rows << 3);
  // Vectors compare signed numbers only. Adding 2^63 puts unsigned ones into their order, and goes with the - 1.
  const bias = i64x2.shr_u(v128.not(v128.load64_splat(NULL_PAGE)), 1);
  let even = v128.not(bias);
  let odd = even;
  for (let at = table.va; at != end; at += STEP_ROWS << 3) {
    const first = i64x2.add(i64x2.add(v128.load(at), v128.load(at + lengths)), bias);
    even = v128.bitselect(first, even, i64x2.gt_s(first, even));
    const second = i64x2.add(i64x2.add(v128.load(at, 16), v128.load(at + lengths, 16)), bias);
    odd = v128.bitselect(second, odd, i64x2.gt_s(second, odd));
  }
  even = v128.bitselect(odd, even, i64x2.gt_s(odd, even));
  return <u64>max<i64>(i64x2.extract_lane(even, 0), i64x2.extract_lane(even, 1)) ^ (1 << 63);
}

/** The highest last address of the memsegs that are served, into Walk.last, and its list's page size. Whether any is. */
export function highestMemseg(table: Table): bool {
  let highest: u64 = 0;
  let found: u32 = 0;
  let number: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const rows = table.used & ~(STEP_ROWS - 1);
    highest = highestLast(table, rows);
    found = numberAt(table, highest);
    // Where the highest of all does not count, the list of each must be looked at, from the first on.
    if (found != NO_MEMSEG && isServed(listOf(table, found))) number = rows;
    else highest = 0;
  }
  for (; number != table.used; number++) {
    const last = lastOf(load<u64>(table.va + (number << 3)), load<u64>(table.lengths + (number << 3)));
    if (last > highest && isServed(listOf(table, number))) {
      highest = last;
      found = number;
    }
  }
  if (highest == 0) return false;
  Walk.last = highest;
  Walk.pageShift = listOf(table, found).pageShift;
  return true;
}

/** The smallest page size of the lists that are served, as a shift; 0 when there are none. */
export function smallestPageShift(table: Table): u32 {
  let smallest: u32 = 0;
  for (let i: u32 = 0; i < table.listsUsed; i++) {
    const list = listAt(table, i);
    if (list.length == 0 || !isServed(list)) continue;
    if (smallest == 0 || list.pageShift < smallest) smallest = list.pageShift;
  }
  return smallest;
}
