/**
 * Walks over the columns of all memsegs, and over the lists. With SIMD two rows at a time, in pairs; the last rows, and all
 * of them in a build without, go one by one. Which lists count is asked last: nearly always of one memseg.
 */
import { NULL_PAGE } from "./arena";
import { LIST_BYTES, List, listAt, NO_MEMSEG, numberAt, Table } from "./memsegs";
import { lastOf } from "./range";

/** Where the walks leave what they found. */
export class Walk {
  static last: u64 = 0;
  static pageShift: u32 = 0;
}

/** Rows of one step. */
const STEP_ROWS: u32 = ASC_FEATURE_SIMD ? 8 : 1;

function listOf(table: Table, number: u32): List {
  return listAt(table, load<u32>(table.list + (number << 2)));
}

/**
 * The highest last address of the first `rows` memsegs, served or not: a multiple of STEP_ROWS. 0 when there is none.
 *
 * With SIMD none of them is far. Wasm has no maximum of u64, but one of doubles, and doubles from 1.0 on are ordered as their bits are. So to every address
 * the bits of 1.0 are added; with addresses below 2^62 that ends below infinity, and no bit pattern is a NaN.
 */
function highestLast(table: Table, rows: u32): u64 {
  const lengths = table.lengths - table.va;
  const end = table.va + (rows << 3);
  if (!ASC_FEATURE_SIMD) {
    let highest: u64 = 0;
    for (let at = table.va; at != end; at += 8) {
      const last = load<u64>(at) + load<u64>(at + lengths) - 1;
      if (last > highest) highest = last;
    }
    return highest;
  }
  const one = i64x2.splat(reinterpret<u64>(1.0));
  // Of the last address, the - 1 included.
  const bias = i64x2.add(one, v128.not(v128.load64_splat(NULL_PAGE)));
  // Four, because each maximum has to wait for the one before.
  let a = one;
  let b = one;
  let c = one;
  let d = one;
  let at = table.va;
  if (at != end)
    do {
      a = f64x2.pmax(a, i64x2.add(i64x2.add(v128.load(at), v128.load(at + lengths)), bias));
      b = f64x2.pmax(b, i64x2.add(i64x2.add(v128.load(at, 16), v128.load(at + lengths, 16)), bias));
      c = f64x2.pmax(c, i64x2.add(i64x2.add(v128.load(at, 32), v128.load(at + lengths, 32)), bias));
      d = f64x2.pmax(d, i64x2.add(i64x2.add(v128.load(at, 48), v128.load(at + lengths, 48)), bias));
      at += STEP_ROWS << 3;
    } while (at != end);
  const most = i64x2.sub(f64x2.pmax(f64x2.pmax(a, b), f64x2.pmax(c, d)), one);
  return max<u64>(i64x2.extract_lane(most, 0), i64x2.extract_lane(most, 1));
}

/** The highest last address of the memsegs that are served, into Walk.last, and its list's page size. Whether any is. */
export function highestMemseg(table: Table): bool {
  let highest: u64 = 0;
  let found: u32 = 0;
  let number: u32 = 0;
  if (!ASC_FEATURE_SIMD || table.far == 0) {
    const rows = table.used & ~(STEP_ROWS - 1);
    highest = highestLast(table, rows);
    found = numberAt(table, highest);
    // Where the highest of all does not count, the list of each must be looked at, from the first on.
    if (found != NO_MEMSEG && listOf(table, found).isServed) number = rows;
    else highest = 0;
  }
  for (; number != table.used; number++) {
    const last = lastOf(load<u64>(table.va + (number << 3)), load<u64>(table.lengths + (number << 3)));
    if (last > highest && listOf(table, number).isServed) {
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
  const end = table.lists + table.listsUsed * LIST_BYTES;
  for (let at = table.lists; at != end; at += LIST_BYTES) {
    const list = changetype<List>(at);
    // Less 1 no shift is as large as 0 is: "none yet".
    if (list.length != 0 && list.isServed && list.pageShift - 1 < smallest - 1) smallest = list.pageShift;
  }
  return smallest;
}
