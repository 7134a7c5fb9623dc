/**
 * Runs on both sides of every border of the radix table, and addresses at and around them.
 *
 *     a border             ...| left side |B| right side |...        B: a multiple of 4 KiB, 2 MiB, 1 GiB or 512 GiB
 *     nothing                 .............
 *     the page at it          ...........##
 *     the whole 2 MiB         #############
 *     the page farthest       ##...........      the 2 MiB are split, and the page at the border is absent
 *     every other page        ......##...##
 *
 * One side is the mirror image of the other; each kind of left side meets each kind of right side.
 */
import { NO_ADDRESS } from "../../src/core.ts";
import { translateOf } from "../reference/translate.ts";
import type { Run } from "../reference/window.ts";
import type { Rows } from "./batches.ts";
import { edgeValues, PAGE_SHIFTS } from "./check-cases.ts";
import { Random } from "./random.ts";

const TWO_64 = 1n << 64n;
const SLOT = 1n << 21n;
const GIB = 1n << 30n;

/** Where borders lie that a root of eight entries reaches, and one of all that a u64 has. */
const LOW = [1n << 39n, 1n << 41n];
const HIGH = [1n << 47n, 1n << 53n, 1n << 59n, 1n << 63n];

/** One border of each kind behind `base`, which is the one of 512 GiB: rounded up to whole pages, far from each other. */
function bordersAt(base: bigint, page: bigint): bigint[] {
  const up = (address: bigint): bigint => ((address + page - 1n) / page) * page;
  return [base, base + 33n * GIB, up(base + 65n * GIB + 3n * SLOT), up(base + 97n * GIB + 5n * 4096n)];
}

/** The borders of three reaches, each with those before it: a root of one entry, of eight, and of all. */
function reaches(page: bigint): bigint[][] {
  // Pages of 1 GiB on both sides of both need more room than there is between 2^31 and 2^32.
  const first = page < GIB ? [0n, 1n << 31n, 1n << 32n] : [0n, 1n << 33n, 1n << 34n];
  const low = [...first, ...LOW.flatMap((base) => bordersAt(base, page))];
  return [first, low, [...low, ...HIGH.flatMap((base) => bordersAt(base, page)), TWO_64]];
}

/** What lies on one side of a border: offsets from it and lengths. */
type Side = readonly (readonly [distance: bigint, length: bigint])[];

function sides(page: bigint): Side[] {
  if (page >= SLOT) return [[], [[0n, page]], [[page, page]]];
  const others: Side = [
    [0n, page],
    [2n * page, page],
  ];
  return [[], [[0n, page]], [[0n, SLOT]], [[SLOT - page, page]], others];
}

/** Memory on both sides of each border, in order; the combination moves on by one from border to border. */
function memoryAt(borders: readonly bigint[], page: bigint, turn: number): Omit<Run, "iova">[] {
  const kinds = sides(page);
  return borders.flatMap((border, index) => {
    const combination = (turn + index) % kinds.length ** 2;
    const left = border === 0n ? [] : (kinds[combination % kinds.length] as Side);
    const right = border === TWO_64 ? [] : (kinds[Math.floor(combination / kinds.length)] as Side);
    return [
      ...left.map(([distance, length]) => ({ va: border - distance - length, length })).reverse(),
      ...right.map(([distance, length]) => ({ va: border + distance, length })),
    ];
  });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Around each border at distances of every power of two that a level of the table knows; and the edge values. */
function addresses(page: bigint): bigint[] {
  const shifts = [0, 3, 6, ...range(9, 18), ...range(20, 33), 35, 36, 38, 39, 40, 41, 47];
  const near = shifts.flatMap((shift) =>
    [1n, -1n].flatMap((sign) => [-1n, 0n, 1n].map((by) => (sign << BigInt(shift)) + by)),
  );
  const borders = (reaches(page)[2] as bigint[]).flatMap((border) => near.map((by) => border + by));
  return [...new Set([...borders, ...edgeValues].map((each) => BigInt.asUintN(64, each)))];
}

/** The same in an order in which hits and misses, and near and far ones, come one after the other. */
function shuffled(values: readonly bigint[], seed: number): bigint[] {
  const random = new Random(seed);
  const deck = [...values];
  for (let left = deck.length; left > 1; left--) {
    const at = random.below(left);
    [deck[at], deck[left - 1]] = [deck[left - 1] as bigint, deck[at] as bigint];
  }
  return deck;
}

export interface TranslateRows extends Rows {
  readonly runs: readonly Run[];
}

/** Tables of one page size, each with more in it than any before, as far as they reach. */
export interface Tables {
  readonly pageShift: number;
  readonly borders: readonly bigint[];
  readonly tables: readonly TranslateRows[];
}

/** Gives each piece of memory an IOVA. */
export type Place = (memory: readonly Omit<Run, "iova">[], pageShift: number) => Run[];

function tablesOf(pageShift: number, place: Place): Tables {
  const page = 1n << BigInt(pageShift);
  const inOrder = addresses(page);
  const orders = [inOrder, shuffled(inOrder, pageShift)].map((each) => BigUint64Array.from(each));
  const tables = reaches(page).flatMap((borders) =>
    Array.from({ length: sides(page).length ** 2 }, (_, turn): TranslateRows => {
      const runs = place(memoryAt(borders, page, turn), pageShift);
      const vas = orders[turn % 2] as BigUint64Array;
      return { runs, inputs: [vas], expected: vas.map((va) => translateOf(runs, va)) };
    }),
  );
  return { pageShift, borders: reaches(page)[2] as bigint[], tables };
}

/** Works out the tables of all page sizes, once. */
export function translateCases(place: Place): () => readonly Tables[] {
  let all: readonly Tables[] | undefined;
  return () => {
    all ??= PAGE_SHIFTS.map((pageShift) => tablesOf(pageShift, place));
    return all;
  };
}

/** A window of 2^22 TCEs for each page size: at both ends of the space, across the sign bit, where POWER has its second. */
export function windowFor(pageShift: number): { start: bigint; size: bigint } {
  const size = 1n << BigInt(pageShift + 22);
  const starts = [0n, 1n << 59n, TWO_64 - size, (1n << 63n) - size / 2n, 1n << 53n];
  return { start: starts[PAGE_SHIFTS.indexOf(pageShift)] as bigint, size };
}

/** IOVAs of a window, from both of its ends in turn; every third piece behind a page that stays free. */
export const inWindow: Place = (memory, pageShift) => {
  const { start, size } = windowFor(pageShift);
  let [low, high] = [start, start + size];
  return memory.map(({ va, length }, index) => {
    if (index % 3 === 2) low += 1n << BigInt(pageShift);
    if (index % 2 === 0) {
      low += length;
      return { va, length, iova: low - length };
    }
    high -= length;
    return { va, length, iova: high };
  });
};

/** IOVAs as memsegs state them: not known, at the edges of u64, up to its very end, or the address itself. */
export const stated: Place = (memory, pageShift) => {
  const page = 1n << BigInt(pageShift);
  return memory.map(({ va, length }, index) => {
    const iovas = [NO_ADDRESS, va, TWO_64 - length, 0n, (1n << 63n) - page, (1n << 32n) - page];
    return { va, length, iova: iovas[index % iovas.length] as bigint };
  });
};
