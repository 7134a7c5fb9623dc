/** Ranges in numbers that have no end: the twin of `assembly/range.ts`. */
import { TWO_64 } from "./bits.ts";

/** Whether `length` bytes from `start` exist in a space of 2^64. */
export function isRange(start: bigint, length: bigint): boolean {
  return length > 0n && start + length <= TWO_64;
}

/** Whether [start, start + length) exists and lies inside [outerStart, outerLast]. */
export function contains(outerStart: bigint, outerLast: bigint, start: bigint, length: bigint): boolean {
  return isRange(start, length) && start >= outerStart && start + length <= outerLast + 1n;
}

/** Whether [startA, lastA] and [startB, lastB], neither empty, have an address in common. */
export function overlap(startA: bigint, lastA: bigint, startB: bigint, lastB: bigint): boolean {
  const first = startA > startB ? startA : startB;
  const last = lastA < lastB ? lastA : lastB;
  return first <= last;
}

/**
 * Ways to test "inside the window" that look right, and pass any number of random tests, and are wrong at an edge. The
 * tests ask for the edge values that give each of them away.
 */
export const temptingContains: Readonly<Record<string, typeof contains>> = {
  "forms the end, which wraps": (outerStart, outerLast, start, length) =>
    length > 0n && start >= outerStart && BigInt.asUintN(64, start + length - 1n) <= outerLast,
  "forms the exclusive end, which is 0 at 2^64": (outerStart, outerLast, start, length) =>
    length > 0n && start >= outerStart && start + length <= BigInt.asUintN(64, outerLast + 1n),
  "sign bits of (offset | size - offset - length | length)": (outerStart, outerLast, start, length) => {
    const offset = BigInt.asIntN(64, start - outerStart);
    const room = BigInt.asIntN(64, outerLast - start + 1n - length);
    return length !== 0n && offset >= 0n && room >= 0n && BigInt.asIntN(64, length) >= 0n;
  },
  "compares as signed numbers": (outerStart, outerLast, start, length) =>
    length > 0n &&
    BigInt.asIntN(64, start) >= BigInt.asIntN(64, outerStart) &&
    BigInt.asIntN(64, start + length - 1n) <= BigInt.asIntN(64, outerLast),
  "tests the first byte only, as the kernel does": (outerStart, outerLast, start, length) =>
    length > 0n && start >= outerStart && start <= outerLast,
  "calculates in floating point": (outerStart, outerLast, start, length) =>
    length > 0n && start >= outerStart && Number(start) + Number(length) <= Number(outerLast) + 1,
};
