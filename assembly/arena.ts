/**
 * The core's memory: blocks of power-of-two sizes, bumped off the end of the wasm memory once and then kept in one free
 * list per size. Nothing is split or merged, so there is no fragmentation to reason about, and a structure that grows by
 * doubling leaves its old block to the next one of that size.
 *
 *     0        4096            4096 + static data            top              size of the memory
 *     | zeros  | static data   | blocks .................... | not used yet   |
 *
 * The first page is nobody's and stays zero for ever. So the null pointer is a valid table in which every entry is
 * absent, and all of whose children are that same table: look-ups in radix.ts run through it without a branch.
 *
 * Every block is handed out zeroed. Blocks of a page (4 KiB) or more are aligned to a page, so that pointers to them have
 * 12 bits to spare.
 */

const MIN_SHIFT: u32 = 6;
const PAGE_SHIFT: u32 = 12;
export const PAGE: u32 = 1 << PAGE_SHIFT;
const WASM_PAGE_SHIFT: u32 = 16;
const WASM_PAGES_MAX: u32 = 65536;

/**
 * The null page, which is zero for ever. A vector of zeros read from here costs five bytes of code, as a constant eighteen,
 * and the release build is bound to 16 KiB.
 */
export const NULL_PAGE: u32 = 0;

/** Heads of the free lists, by the block's shift. A free block's first word is the next one's address. */
const freeLists = memory.data(32 * sizeof<u32>(), 8);

let top: u64 = 0;
let bytesInUse: u64 = 0;

/** Bytes in blocks that are handed out, rounded up to their sizes: for tests that nothing leaks. */
export function inUse(): u64 {
  return bytesInUse;
}

function shiftFor(bytes: u64): u32 {
  if (bytes <= (<u64>1) << MIN_SHIFT) return MIN_SHIFT;
  return 64 - <u32>clz<u64>(bytes - 1);
}

/** Makes [0, end) exist. Grows by half as much again, at most 16 MiB at a time beyond the need. */
function ensure(end: u64): bool {
  const have = <u32>memory.size();
  const need64 = (end + ((1 << WASM_PAGE_SHIFT) - 1)) >> WASM_PAGE_SHIFT;
  if (need64 > WASM_PAGES_MAX) return false;
  const need = <u32>need64;
  if (need <= have) return true;
  const generous = min<u32>(WASM_PAGES_MAX, max<u32>(need, have + min<u32>(have >> 1, 256)));
  return memory.grow(generous - have) >= 0 || memory.grow(need - have) >= 0;
}

function bump(shift: u32): u32 {
  if (top == 0) top = (<u64>__heap_base + (PAGE - 1)) & ~(<u64>PAGE - 1);
  const block = top;
  // top is at most 2^32 and the block at most 2^32: the sum is far from wrapping a u64.
  const end = block + ((<u64>1) << shift);
  if (!ensure(end)) return 0;
  top = end;
  return <u32>block;
}

/** Cuts a fresh page into blocks of one small size and puts them into their free list. */
function refill(shift: u32): bool {
  const page = bump(PAGE_SHIFT);
  if (page == 0) return false;
  const head = freeLists + (shift << 2);
  for (let block = page + PAGE - (1 << shift); block >= page; block -= 1 << shift) {
    store<u32>(block, load<u32>(head));
    store<u32>(head, block);
  }
  return true;
}

/** A zeroed block of at least `bytes`; 0 when the memory cannot grow. */
export function acquire(bytes: u64): u32 {
  if (bytes > (<u64>1) << 31) return 0;
  const shift = shiftFor(bytes);
  const head = freeLists + (shift << 2);
  if (shift < PAGE_SHIFT && load<u32>(head) == 0 && !refill(shift)) return 0;
  let block = load<u32>(head);
  if (block != 0) {
    store<u32>(head, load<u32>(block));
    memory.fill(block, 0, (<usize>1) << shift);
  } else {
    block = bump(shift); // grown memory is zero already, and stays untouched until somebody writes to it
    if (block == 0) return 0;
  }
  bytesInUse += (<u64>1) << shift;
  return block;
}

/** Gives a block back; `bytes` as it was acquired with. The null block is nobody's and stays so. */
export function release(block: u32, bytes: u64): void {
  if (block == 0) return;
  const shift = shiftFor(bytes);
  const head = freeLists + (shift << 2);
  store<u32>(block, load<u32>(head));
  store<u32>(head, block);
  bytesInUse -= (<u64>1) << shift;
}

/** The tables and the bitmaps' chunks are pages: a block of 4 KiB, aligned to it. */
export function acquirePage(): u32 {
  return acquire(PAGE);
}

export function releasePage(page: u32): void {
  release(page, PAGE);
}

/**
 * A block for `wanted` rows of `rowBytes` with the content of the old one, which has fewer and is given back. 0, and nothing
 * happened, when there is no room. The old one may be the null block, of no rows.
 */
export function regrow(block: u32, rows: u32, wanted: u32, rowBytes: u32): u32 {
  const bytes = <u64>rows * rowBytes;
  const larger = acquire(<u64>wanted * rowBytes);
  if (larger == 0) return 0;
  memory.copy(larger, block, <usize>bytes);
  release(block, bytes);
  return larger;
}
