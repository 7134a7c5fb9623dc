/** What is said of a row of timings. */

/** The value in the middle; between the two middle ones where their number is even. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * The smallest value: what the machine can do when nobody else wants it. On a busy machine medians of one run wander by a
 * third, minimums by a few percent, so ratios are made of these. NaN of nothing.
 */
export function minimum(values: readonly number[]): number {
  let smallest = Number.NaN;
  for (const value of values) if (!(value >= smallest)) smallest = value;
  return smallest;
}
