/**
 * Whether a number is a power of two from 1 on, exactly. The logarithm of a double does not say: that of 2^50 + 1 is 50.
 */
export function isPowerOfTwo(value: bigint | number): boolean {
  if (typeof value === "bigint") return value > 0n && (value & (value - 1n)) === 0n;
  if (!Number.isSafeInteger(value) || value <= 0) return false;
  const low = value >>> 0;
  const high = (value - low) / 2 ** 32; // both exact, and below 2^32
  return high === 0 ? (low & (low - 1)) === 0 : low === 0 && (high & (high - 1)) === 0;
}
