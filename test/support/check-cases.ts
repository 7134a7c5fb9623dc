/** Windows at the edges of u64, and for each the requests at their edges and at the window's. */
import { tceIndexOf, type WindowShape } from "../reference/check.ts";
import type { Rows } from "./batches.ts";

const TWO_64 = 1n << 64n;
const TWO_63 = 1n << 63n;

/** The page sizes of TCEs: 4 KiB, 64 KiB, 2 MiB, 16 MiB, 1 GiB. */
export const PAGE_SHIFTS: readonly number[] = [12, 16, 21, 24, 30];

/** Where 64-bit arithmetic goes wrong: the word sizes, the last integer of a double, POWER's second window, the sign bit. */
export const powers: readonly bigint[] = [31n, 32n, 53n, 59n, 63n].map((shift) => 1n << shift);

/** 0, 1, each power and its neighbours, and the last of all. */
export const edgeValues: readonly bigint[] = [
  ...[0n, 1n],
  ...powers.flatMap((power) => [power - 1n, power, power + 1n]),
  TWO_64 - 1n,
];

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Each value once, as u64. */
function distinct(values: readonly bigint[]): bigint[] {
  return [...new Set(values.map(u64))];
}

/** The values and their neighbours. */
function around(...values: readonly bigint[]): bigint[] {
  return values.flatMap((value) => [value - 1n, value, value + 1n]);
}

/** The windows that can be, of one page size, which begin and have sizes at edge values rounded to whole pages. */
export function windowsOf(pageShift: number): WindowShape[] {
  const page = 1n << BigInt(pageShift);
  const whole = distinct(edgeValues.flatMap((value) => [value - (value % page), value - (value % page) + page]));
  return whole.flatMap((start) => {
    const sizes = distinct([...whole, 3n * page, TWO_64 - start]);
    return sizes
      .filter((size) => size > 0n && size <= TWO_63 && size / page <= 1n << 36n && start + size <= TWO_64)
      .map((size) => ({ start, size, pageShift }));
  });
}

/** Requests for a window: every IOVA worth asking for with every length. */
function requests({ start, size, pageShift }: WindowShape): [iova: bigint, length: bigint][] {
  const page = 1n << BigInt(pageShift);
  const end = start + size;
  const iovas = distinct([
    ...edgeValues,
    ...around(start, start + page, end - page, end),
    ...powers.flatMap((power) => around(start + power)),
  ]);
  const lengths = distinct([...edgeValues, ...around(page, size, size - page, TWO_64 - start), TWO_63 - page]);
  return iovas.flatMap((iova) =>
    distinct([...lengths, ...around(end - iova, TWO_64 - iova)]).map((length): [bigint, bigint] => [iova, length]),
  );
}

export interface WindowRows extends Rows {
  readonly window: WindowShape;
}

/** The requests for a window as columns, with the twin's answers. */
function rowsOf(window: WindowShape): WindowRows {
  const asked = requests(window);
  const [iovas, lengths] = [0, 1].map((column) => BigUint64Array.from(asked, (row) => row[column] as bigint));
  const expected = BigUint64Array.from(asked, ([iova, length]) => tceIndexOf(window, iova, length));
  return { window, inputs: [iovas as BigUint64Array, lengths as BigUint64Array], expected };
}

let all: readonly WindowRows[] | undefined;

/** All of them; worked out once for all builds. */
export function checkCases(): readonly WindowRows[] {
  all ??= PAGE_SHIFTS.flatMap(windowsOf).map(rowsOf);
  return all;
}
