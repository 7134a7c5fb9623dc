/**
 * Powers of two. Every mask is a u64: `(x + a - 1) & ~(a - 1)` with a 32-bit `a` would drop the high word in silence.
 */

export function isPowerOfTwo(value: u64): bool {
  return popcnt<u64>(value) == 1;
}

/** The exponent of the highest set bit. `value` is not 0. */
export function log2Floor(value: u64): u32 {
  return 63 - <u32>clz<u64>(value);
}

/** The smallest n with 2^n >= value, so 64 for anything above 2^63. `value` is not 0. */
export function log2Ceil(value: u64): u32 {
  return value == 1 ? 0 : 64 - <u32>clz<u64>(value - 1);
}

/** The smallest power of two that is at least `value`; 1 for 0; 0 when it would be 2^64, which a u64 cannot hold. */
export function powerOfTwoAtLeast(value: u64): u64 {
  if (value <= 1) return 1;
  const shift = log2Ceil(value);
  return shift < 64 ? (<u64>1) << shift : 0;
}

/** The number of trailing zero bits; 64 for 0, which is a multiple of every power of two. */
export function trailingZeros(value: u64): u32 {
  return <u32>ctz<u64>(value);
}

/** Whether pages of 2^shift bytes are pages to this core: of 4 KiB to 1 TiB. */
export function isPageShift(shift: u32): bool {
  return shift >= 12 && shift <= 40;
}

/** Whether `value` is a multiple of 2^shift. `shift` is at most 63. */
export function isAligned(value: u64, shift: u32): bool {
  return (value & (((<u64>1) << shift) - 1)) == 0;
}

/** The next multiple of 2^shift; 0 when that is 2^64 (0 itself stays 0: look at the argument). `shift` is at most 63. */
export function alignUp(value: u64, shift: u32): u64 {
  const mask = ((<u64>1) << shift) - 1;
  // Wraps only when value > 2^64 - 2^shift, and then to below 2^shift: the mask leaves 0.
  return (value + mask) & ~mask;
}
