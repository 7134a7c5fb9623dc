/** A batch of requests held against a window, in numbers that have no end: the twin of the batch check. */
import { NO_ADDRESS } from "../../src/core.ts";
import { contains } from "./range.ts";

export interface WindowShape {
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
}

/** The index of the TCE at `iova`, if [iova, iova + length) exists, is not empty and lies in the window; all ones if not. */
export type Check = (window: WindowShape, iova: bigint, length: bigint) => bigint;

export const tceIndexOf: Check = ({ start, size, pageShift }, iova, length) =>
  contains(start, start + size - 1n, iova, length) ? (iova - start) / (1n << BigInt(pageShift)) : NO_ADDRESS;

/** What a u64 keeps of a number. */
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Whether the highest bit of a u64 is set. */
const signed = (value: bigint): boolean => u64(value) >> 63n === 1n;

/** A check with another idea of what lies in the window, and the right index for what does. */
const by =
  (inside: (window: WindowShape, iova: bigint, length: bigint) => boolean): Check =>
  (window, iova, length) =>
    inside(window, iova, length) ? u64(iova - window.start) >> BigInt(window.pageShift) : NO_ADDRESS;

/** Asks the sign bits of three differences. It is the fastest of all, and forgets `size - 1 - offset`. */
export const signBitsOfThree = by(({ start, size }, iova, length) => {
  const offset = u64(iova - start);
  return length !== 0n && !signed(offset | u64(size - offset - length) | length);
});

/** What a u64 is as a signed number. */
const i64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/**
 * Ways to check a request that look right, and are wrong at an edge. Each is worth being written once more by the next
 * person who makes the check faster.
 */
export const temptingChecks: Readonly<Record<string, Check>> = {
  "sign bits of (offset | size - offset - length | length)": signBitsOfThree,
  "compares signed numbers, and forgets the sign of the offset": by(({ start, size }, iova, length) => {
    const beyond = i64(length - 1n);
    return beyond >= 0n && beyond <= i64(size - 1n - (iova - start));
  }),
  "compares signed numbers, and forgets the sign of length - 1": by(({ start, size }, iova, length) => {
    const offset = i64(iova - start);
    return offset >= 0n && i64(length - 1n) <= i64(size - 1n - offset);
  }),
  "forms the end, which wraps at 2^64": by(
    ({ start, size }, iova, length) => length !== 0n && iova >= start && u64(iova + length - 1n) <= start + size - 1n,
  ),
  "compares signed numbers without a bias": by(({ start, size }, iova, length) => {
    const [offset, room] = [BigInt.asIntN(64, iova - start), BigInt.asIntN(64, size - length)];
    return length !== 0n && offset >= 0n && BigInt.asIntN(64, length) >= 0n && offset <= room;
  }),
  "takes a request that ends one byte behind the window": by(({ start, size }, iova, length) => {
    const offset = u64(iova - start);
    return length !== 0n && offset < size && length - 1n <= size - offset;
  }),
  "takes a request of no bytes": by(({ start, size }, iova, length) => {
    const offset = u64(iova - start);
    return offset < size && length <= size - offset;
  }),
  "takes a request of no bytes at the window's end": by(({ start, size }, iova, length) => {
    const offset = u64(iova - start);
    return offset <= size && length <= size - offset;
  }),
  "compares the upper halves only, where they differ": by(({ start, size }, iova, length) => {
    const [offset, last] = [u64(iova - start), u64(iova - start + length - 1n)];
    return length !== 0n && offset < size && last >> 32n <= (size - 1n) >> 32n && last >= offset;
  }),
  "calculates in floating point": by(
    ({ start, size }, iova, length) =>
      length !== 0n && iova >= start && Number(iova) + Number(length) <= Number(start) + Number(size),
  ),
  "keeps 32 bits of the index": (window, iova, length) => {
    const index = tceIndexOf(window, iova, length);
    return index === NO_ADDRESS ? index : BigInt.asUintN(32, index);
  },
};
