/**
 * Ranges of addresses as [start, last], both inside, so that the whole u64 space and its very end can be said. The end
 * `start + length` of a range that touches 2^64 does not exist in a u64; nothing here ever forms it.
 *
 *     0          start        last                2^64 - 1
 *     |-----------|#############|---------------------|
 *                 <-- length -->
 */

/** Whether `length` bytes from `start` exist: not empty, and not past 2^64. */
export function isRange(start: u64, length: u64): bool {
  // length - 1 cannot wrap behind the first test; the sum is at most 2^64 - 1 exactly when there is room.
  return length != 0 && length - 1 <= ~start;
}

/** The last address of a range that exists. */
export function lastOf(start: u64, length: u64): u64 {
  return start + (length - 1);
}

/** Whether [start, start + length) exists and lies inside [outerStart, outerLast]. */
export function contains(outerStart: u64, outerLast: u64, start: u64, length: u64): bool {
  // start <= outerLast comes first, so the subtraction cannot wrap; length - 1 wraps for 0 only, to a value that no
  // difference of two addresses exceeds unless it is the whole space, which isRange's test of 0 excludes.
  return length != 0 && start >= outerStart && start <= outerLast && length - 1 <= outerLast - start;
}

export function overlaps(startA: u64, lastA: u64, startB: u64, lastB: u64): bool {
  return startA <= lastB && startB <= lastA;
}

/** The address that lies as far behind `to` as `address` lies behind `from`: modulo 2^64, which inside one range each changes nothing. */
export function rebase(address: u64, from: u64, to: u64): u64 {
  return to + (address - from);
}
