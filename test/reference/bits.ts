/** Powers of two by looking at every one of them: the twin of `assembly/bits.ts`. */

export const TWO_64 = 1n << 64n;

const powers: readonly bigint[] = Array.from({ length: 65 }, (_, exponent) => 2n ** BigInt(exponent));

function power(exponent: number): bigint {
  return 2n ** BigInt(exponent);
}

export function isPowerOfTwo(value: bigint): boolean {
  return powers.includes(value);
}

/** The greatest n with 2^n <= value; of a value that is not 0. */
export function log2Floor(value: bigint): number {
  return powers.findLastIndex((each) => each <= value);
}

/** The smallest n with 2^n >= value. */
export function log2Ceil(value: bigint): number {
  return powers.findIndex((each) => each >= value);
}

/** What a u64 keeps of it: 0 for 2^64. */
export function powerOfTwoAtLeast(value: bigint): bigint {
  return power(log2Ceil(value)) % TWO_64;
}

/** The greatest n up to 64 of which 2^n divides the value. */
export function trailingZeros(value: bigint): number {
  return powers.findLastIndex((each) => value % each === 0n);
}

export function isAligned(value: bigint, shift: number): boolean {
  return value % power(shift) === 0n;
}

/** The next multiple of 2^shift; what a u64 keeps of it. */
export function alignUp(value: bigint, shift: number): bigint {
  const step = power(shift);
  const over = value % step;
  return (over === 0n ? value : value - over + step) % TWO_64;
}
