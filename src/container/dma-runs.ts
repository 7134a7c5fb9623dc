/**
 * Where a range of memory lies for a device: the runs of IOVAs that a scatter-gather list is made of.
 *
 *     memory    | page | page | page | page | page |      the range, from any byte to any byte
 *                  |      |       \      \      |
 *     IOVAs     [ run ........ ] [ run ......... ]        neighbours are one run, and pieces of it where a device
 *     pieces    [     |     |  ] [   |     |     ]        takes no longer ones, or none across a boundary
 *
 * All is counted in pages of 4 KiB and bytes within one, as numbers: a page's number has 52 bits, so both are exact, and no bigint is
 * made for a run.
 */
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import { readable } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import { checkApart, checkColumn } from "../memory/arrays.ts";
import { inexact, isExact, isU64 } from "../memory/exact.ts";
import { pageAt, pagesInRow } from "../memory/walk.ts";
import { isPowerOfTwo } from "../power-of-two.ts";
import { object } from "../validate.ts";

/** What a device wants of the entries of its scatter-gather lists. */
export interface RunOptions {
  /** The most bytes of one run: from 1 to 2^52. Default: none; of `runsInto` with a Uint32Array 2^32 - 4096. */
  readonly maxLength?: bigint | number;
  /** A power of two up to 2^52: no run lies on both sides of a multiple of it. Default: none. */
  readonly boundary?: bigint | number;
}

/** IOVAs in a row, and the memory behind them, which is in a row too. */
export interface DmaRun {
  readonly iova: bigint;
  /** Bytes. */
  readonly length: bigint;
}

const KEYS = keysOf<RunOptions>({ maxLength: true, boundary: true });
const PAGE = 4096;
/** A page's number is two words of an IOVA: 20 bits and the 12 within it, and 32. */
const LOW_PAGES = 2 ** 20;
const LONGEST = 2 ** 52;
/** Whole pages, and no more than 32 bits say. */
const LONGEST_32 = 2 ** 32 - PAGE;

/** Where runs are put. */
let iovaWords: Uint32Array = new Uint32Array(0);
let lengthWords = iovaWords;
/** Words of a length: 2 of 64 bits, 1 of 32; 0: they are counted and not put anywhere. */
let lengthStep = 0;
let room = 0;
let found = 0;
/** What a device wants. `boundary` 0: none. */
let maxLength = LONGEST;
let boundary = 0;

/** The runs as objects. @throws as `window.runs`. */
export function runsOf(map: number, va: unknown, length: unknown, options: RunOptions): DmaRun[] {
  readOptions(options, LONGEST);
  const first = pageOf(va);
  const within = offsetOf(va);
  const many = lengthFrom(length, va, first, within);
  const [most, border] = [maxLength, boundary];
  target(undefined, undefined);
  walk(map, first, within, many);
  const [iovas, lengths] = [new BigUint64Array(found), new BigUint64Array(found)];
  maxLength = most;
  boundary = border;
  target(iovas, lengths);
  walk(map, first, within, many);
  return Array.from(iovas, (iova, i) => readable({ iova, length: lengths[i] as bigint }));
}

/** The runs into arrays; how many there are. @throws as `window.runsInto`. */
export function runsInto(
  map: number,
  va: unknown,
  length: unknown,
  iovas: BigUint64Array,
  lengths: BigUint64Array | Uint32Array,
  options: RunOptions | undefined,
): number {
  checkColumn("iovas", iovas, BigUint64Array);
  const isNarrow = lengths?.BYTES_PER_ELEMENT === 4;
  if (isNarrow) checkColumn("lengths", lengths, Uint32Array);
  else checkColumn("lengths", lengths, BigUint64Array);
  checkApart("lengths", lengths, iovas, Math.min(iovas.length, lengths.length));
  if (lengths.buffer === iovas.buffer && lengths.byteOffset === iovas.byteOffset)
    throw argumentRangeError("lengths", "an array of its own", lengths);
  if (options === undefined) {
    maxLength = isNarrow ? LONGEST_32 : LONGEST;
    boundary = 0;
  } else readOptions(options, isNarrow ? LONGEST_32 : LONGEST);
  if (isNarrow && maxLength > 2 ** 32 - 1)
    throw argumentRangeError("maxLength", "at most 2^32 - 1 with lengths of 32 bits", maxLength);
  const first = pageOf(va);
  const within = offsetOf(va);
  const many = lengthFrom(length, va, first, within);
  target(iovas, lengths);
  walk(map, first, within, many);
  if (found <= room) return found;
  const facts = { needed: found, room, va: BigInt(va as bigint), length: BigInt(many) };
  throw new DmaWindowError(
    "ERR_TOO_MANY_RUNS",
    `${bytes(many)} of memory at ${hex(facts.va)} are ${found} runs of IOVAs, and the arrays have room for ${room}: make them longer`,
    { facts },
  );
}

/** Words of arrays that were used before: one small object for each array, once. */
const known32 = new WeakMap<object, Uint32Array>();

function wordsOf(array: BigUint64Array | Uint32Array): Uint32Array {
  const words = known32.get(array);
  const count = array.byteLength / 4;
  if (words !== undefined && words.length === count) return words;
  const made = new Uint32Array(array.buffer, array.byteOffset, count);
  known32.set(array, made);
  return made;
}

function target(iovas: BigUint64Array | undefined, lengths: BigUint64Array | Uint32Array | undefined): void {
  found = 0;
  room = 0;
  lengthStep = 0;
  if (iovas === undefined || lengths === undefined) return;
  iovaWords = wordsOf(iovas);
  lengthWords = wordsOf(lengths);
  lengthStep = lengths.BYTES_PER_ELEMENT / 4;
  room = Math.min(iovas.length, lengths.length);
}

/** From byte `offset` of page `page` on, `left` bytes. @throws `ERR_NOT_LIVE`. */
function walk(map: number, page: number, offset: number, left: number): void {
  let runPage = 0;
  let runOffset = 0;
  let run = 0;
  while (left > 0) {
    const at = pageAt(map, page);
    if (at < 0) throw notMapped(page, offset);
    const pages = pagesInRow();
    const here = Math.min(left, pages * PAGE - offset);
    const end = runOffset + run; // up to 2^52 + 4095: exact
    const isNext = run > 0 && runPage + Math.floor(end / PAGE) === at && end % PAGE === offset;
    if (isNext) run += here;
    else {
      emit(runPage, runOffset, run);
      runPage = at;
      runOffset = offset;
      run = here;
    }
    left -= here;
    page += pages;
    offset = 0;
  }
  emit(runPage, runOffset, run);
}

/** A run, in as many pieces as the device wants it. */
function emit(page: number, offset: number, length: number): void {
  while (length > 0) {
    const piece = Math.min(length, maxLength, toBoundary(page, offset));
    if (found < room) put(page, offset, piece);
    found++;
    const end = offset + piece;
    page += Math.floor(end / PAGE);
    offset = end % PAGE;
    length -= piece;
  }
}

/** Bytes from an IOVA to the next multiple of the boundary. */
function toBoundary(page: number, offset: number): number {
  if (boundary === 0) return LONGEST;
  const pages = boundary / PAGE;
  return pages >= 1 ? boundary - (page % pages) * PAGE - offset : boundary - (offset % boundary);
}

function put(page: number, offset: number, length: number): void {
  iovaWords[2 * found] = (page % LOW_PAGES) * PAGE + offset;
  iovaWords[2 * found + 1] = Math.floor(page / LOW_PAGES);
  lengthWords[lengthStep * found] = length % 2 ** 32;
  if (lengthStep === 2) lengthWords[2 * found + 1] = Math.floor(length / 2 ** 32);
}

function notMapped(page: number, offset: number): DmaWindowError {
  const va = (BigInt(page) << 12n) + BigInt(offset);
  return new DmaWindowError(
    "ERR_NOT_LIVE",
    `the memory at ${hex(va)} is not mapped in this window, so the range has no runs: map it first`,
    { facts: { va } },
  );
}

function pageOf(va: unknown): number {
  if (typeof va === "number") {
    if (!isExact(va) || !isU64(va)) throw inexact("va", va);
    return Math.floor(va / PAGE);
  }
  if (typeof va !== "bigint") throw argumentTypeError("va", "a bigint or a number", va);
  if (va < 0n || va >> 64n !== 0n) throw argumentRangeError("va", "from 0 to 2^64 - 1", va);
  return Number(va >> 12n); // 52 bits
}

function offsetOf(va: unknown): number {
  return typeof va === "number" ? va % PAGE : Number((va as bigint) & 0xfffn);
}

function lengthFrom(length: unknown, va: unknown, page: number, offset: number): number {
  const many = numberIn("length", length);
  if (!Number.isInteger(many) || many < 1 || many > LONGEST)
    throw argumentRangeError("length", "from 1 to 2^52", length);
  const end = offset + many;
  const pages = page + Math.floor(end / PAGE);
  if (pages < LONGEST || (pages === LONGEST && end % PAGE === 0)) return many;
  throw argumentRangeError("length", `such that the range from ${hex(va as bigint)} on ends by 2^64`, length);
}

function readOptions(options: RunOptions, most: number): void {
  known("options", object("options", options), KEYS);
  const { maxLength: longest, boundary: border } = options;
  const limit = longest === undefined ? most : numberIn("maxLength", longest);
  if (!Number.isInteger(limit) || limit < 1 || limit > LONGEST)
    throw argumentRangeError("maxLength", "from 1 to 2^52", longest);
  const power = border === undefined ? 0 : numberIn("boundary", border);
  if (border !== undefined && !(power <= LONGEST && isPowerOfTwo(power)))
    throw argumentRangeError("boundary", "a power of two up to 2^52", border);
  maxLength = limit;
  boundary = power;
}

/** What is not exact is more than 2^52, and refused for that. */
function numberIn(name: string, value: unknown): number {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  throw argumentTypeError(name, "a bigint or a number", value);
}
