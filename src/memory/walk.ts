/**
 * Look-ups in the core's tables from JavaScript: for one address, reading them through a view costs less than a crossing, and
 * numbers in and out leave no garbage. The tables are drawn in assembly/radix.ts:
 *
 *     63            39 38        30 29        21 20        12 11         0
 *     | root index    | 1 GiB      | 2 MiB      | 4 KiB      | in page    |      an address
 *     |     20 bits: high    |    32 bits: low               |                   its page's number, as two integers
 *
 *     map      | root : 4 | entries of the root : 4 |
 *     entry    | 1: a value, multiple of 4096; 2: the table of its pages; 0: absent | ... |      8 bytes, low word first
 *
 * The null page at 0 is a table in which all is absent, so nothing asks whether a table exists. Nothing is written here, and
 * no step leaves the memory: what lies outside a typed array reads as undefined, and tables are the core's own.
 */
import { core } from "../core.ts";
import { inexact, inexactAnswer, isExact, isU64 } from "./exact.ts";

const SPLIT = 2;
const HIGH_WORD = 2 ** 32;
const PAGE = 4096;
/** What an address is multiplied by for its page's number, and for the upper 20 bits of that: exponents, nothing else. */
const PER_PAGE = 1 / PAGE;
const PER_HIGH = PER_PAGE / HIGH_WORD;

/** The core's memory in words of 32 bits: empty once it has grown, and then taken anew. */
let memory = new Uint32Array(0);

/** Takes the view anew. Apart, because it is seldom, and everything here shall be compiled into the caller's loop. */
function renewed(): Uint32Array {
  memory = new Uint32Array(core.memory.buffer);
  return memory;
}

/** A u64 that is a multiple of 4096, at a word's index, without its low 12 bits, which are flags: exact. */
function pagesAt(words: Uint32Array, at: number): number {
  return (words[at + 1] as number) * HIGH_WORD + (((words[at] as number) & ~0xfff) >>> 0);
}

/**
 * Where the entry of an address's 2 MiB slot lies, as a word's index; `map` is one too. `low` are the low 32 bits of the
 * number of its page.
 */
function slotEntry(words: Uint32Array, map: number, va: number, low: number): number {
  const index = ((va * PER_HIGH) << 5) | (low >>> 27); // 25 bits
  const root = index < (words[map + 1] as number) ? ((words[map] as number) >>> 2) + (index << 1) : 0;
  const giga = ((words[root] as number) >>> 2) + ((low >>> 17) & 0x3fe);
  return ((words[giga] as number) >>> 2) + ((low >>> 8) & 0x3fe);
}

/** Where the entry of a page lies, below a slot that is split. */
function pageEntry(words: Uint32Array, slot: number, low: number): number {
  return (((words[slot] as number) >>> 12) << 10) + ((low << 1) & 0x3fe);
}

/** What is wrong with an address, as an error that is thrown. */
function refuse(va: unknown): never {
  throw inexact("va", va);
}

/** The answer for a byte that is no page's first. What is above 2^53 - 1 is seen: rounding keeps order. */
function within(va: number, page: number, offset: number): number {
  const iova = page + offset;
  if (iova > Number.MAX_SAFE_INTEGER) throw inexactAnswer(va, BigInt(page) + BigInt(offset));
  return iova;
}

/** How many pages lie in a row from the one on that {@link pageAt} found last, as far as its entry says. */
let inRow = 0;

/** As {@link pageAt} has just found. */
export function pagesInRow(): number {
  return inRow;
}

/** The number of the page of IOVAs that belongs to a page of memory, by its number, which is below 2^52; -1 where there is none. */
export function pageAt(map: number, page: number): number {
  const words = memory.length === 0 ? renewed() : memory;
  const low = page | 0;
  const slot = slotEntry(words, map >>> 2, page * PAGE, low); // 52 bits and 12 zeros: exact
  const split = ((words[slot] as number) & SPLIT) !== 0;
  const entry = split ? pageEntry(words, slot, low) : slot;
  if ((words[entry] as number) === 0) return -1;
  const within = low & 511;
  inRow = split ? 1 : 512 - within;
  return pagesAt(words, entry) * PER_PAGE + (split ? 0 : within);
}

/** The IOVA of an address by the map of a window (`core.windowTables`), or of a table (`core.tableTables`); -1 where there is none. */
export function translateByMap(map: number, va: number): number {
  if (!isExact(va) || !isU64(va)) refuse(va);
  const words = memory.length === 0 ? renewed() : memory;
  // `| 0` takes the low 32 bits of the whole part. Page numbers have 52, so none is beyond what it can take.
  const low = (va * PER_PAGE) | 0;
  const slot = slotEntry(words, map >>> 2, va, low);
  const split = ((words[slot] as number) & SPLIT) !== 0;
  const entry = split ? pageEntry(words, slot, low) : slot;
  if ((words[entry] as number) === 0) return -1;
  const page = pagesAt(words, entry) + (split ? 0 : (low & 511) << 12);
  const start = Math.floor(va * PER_PAGE) * PAGE;
  return start === va ? page : within(va, page, va - start);
}

/**
 * The first page of `length` bytes from `va` on that the map of a window with such pages has; `undefined` where it has none. Whole pages
 * of 4 KiB are exact as numbers, and so are their sums up to 2^64. About 8 ns for each page of the window.
 */
export function firstMapped(
  map: number,
  pageShift: number,
  va: bigint,
  length: bigint,
): { readonly va: bigint; readonly iova: bigint } | undefined {
  const page = 2 ** pageShift;
  const end = Number(va + length);
  for (let at = Number((va >> BigInt(pageShift)) << BigInt(pageShift)); at < end; at += page) {
    const iova = translateByMap(map, at);
    if (iova >= 0) return { va: BigInt(at), iova: BigInt(iova) };
  }
  return undefined;
}
