/**
 * Addresses and sizes as numbers: exact, or refused.
 *
 * A number is a double, with 53 significant bits. Two kinds of u64 fit into it:
 *
 *     63                    53 52                     12 11         0
 *     | any                                             | all zero  |     whole pages of 4 KiB: 52 bits at most
 *     | all zero              | any                                 |     up to 2^53 - 1
 *
 * So the first byte of a page is exact wherever it lies, and pages are what a device is given. A number of neither kind is
 * refused. What cannot be seen is that a bigint was rounded on its way: `Number(2n ** 60n + 1n)` is 2^60, a page like any
 * other. Whoever turns an address into a number takes the first byte of its page.
 */
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import { address } from "../validate.ts";

const TOP = 2 ** 64;

/** Whether a number is whole pages of 4 KiB; of -4096, 2^64 and infinities too, see {@link isU64}. */
export function isPages(value: number): boolean {
  // Where the sum is 2^64 or more, doubles are 4096 apart: it keeps whole pages and nothing smaller.
  return value + TOP - TOP === value;
}

/**
 * Whether a number is a whole page or a small enough integer; of -4096 and 2^64 too, see {@link isU64}. NaN and fractions are
 * no whole number of anything. Asks first whether it is a page, because almost every number here is one.
 */
export function isExact(value: number): boolean {
  return isPages(value) || Number.isSafeInteger(value);
}

/** Whether a number that is exact is a u64. */
export function isU64(value: number): boolean {
  return value >= 0 && value < TOP;
}

/** The refusal of what is no number, or not exact, or no u64; nothing to say of anything else. */
export function inexact(name: string, value: unknown): Error | undefined {
  if (typeof value !== "number") return argumentTypeError(name, "a bigint or a number", value);
  if (isExact(value) && isU64(value)) return undefined;
  const exact =
    "an integer from 0 to 2^53 - 1 or a multiple of 4096 below 2^64 (no other number is exact), or a bigint";
  return argumentRangeError(name, exact, value);
}

/** A u64 of either kind as a bigint. @throws as {@link inexact} says, and for a bigint that is no u64. */
export function exactly(name: string, value: unknown): bigint {
  if (typeof value === "bigint") return address(name, value);
  const wrong = inexact(name, value);
  if (wrong) throw wrong;
  return BigInt(value as number);
}

/** The error for an answer that is no page and above 2^53 - 1. `va` is exact, and so is the IOVA of its page. */
export function inexactAnswer(va: number, iova: bigint): DmaWindowError {
  return new DmaWindowError(
    "ERR_NOT_EXACT",
    `the IOVA of ${hex(BigInt(va))} is ${hex(iova)}, which is not exact as a number: ask for the first byte of its page, or with a bigint`,
    { facts: { va: BigInt(va), iova } },
  );
}
