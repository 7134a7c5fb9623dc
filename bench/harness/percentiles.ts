/** How long single operations take, and how long the slowest of very many. */

/** So many of 100 operations were faster; the last is the longest of all. */
export const SHARES = [50, 99, 99.9, 99.99, 100] as const;

/** Nanoseconds of each of {@link SHARES}, of one run. */
export type Percentiles = readonly number[];

/** Longer ones are counted with the longest. */
const LONGEST = 1 << 20;

/** Nanoseconds that operations took: how often each. */
export class Histogram {
  readonly counts = new Uint32Array(LONGEST);
  /** In [0] the longest. */
  readonly longest = new Float64Array(1);

  clear(): void {
    this.counts.fill(0);
    this.longest[0] = 0;
  }

  percentiles(): Percentiles {
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    const found: number[] = [];
    let seen = 0;
    for (let took = 0; took < LONGEST && found.length < SHARES.length - 1; took++) {
      seen += this.counts[took] as number;
      while (found.length < SHARES.length - 1 && seen >= Math.round(((SHARES[found.length] as number) / 100) * total))
        found.push(took);
    }
    return [...found, this.longest[0] as number];
  }
}

let loops = 0;

/**
 * A run of `count` operations that reads the clock before and behind each. `operation` is a statement, `before` one that chooses what
 * it works on; both are made of the words of the scope and `i`. Compiled for it alone, as in loop.ts.
 */
export function latencyOf(
  operation: string,
  before: string,
  scope: Readonly<Record<string, unknown>>,
): (count: number) => Percentiles {
  loops++;
  const histogram = new Histogram();
  const source = `"use strict";
    return function latency${loops}(count) {
      for (let i = 0; i < count; i++) {
        ${before}
        const begun = performance.now();
        ${operation}
        const took = Math.round((performance.now() - begun) * 1e6);
        counts[took < ${LONGEST - 1} ? took : ${LONGEST - 1}]++;
        if (took > longest[0]) longest[0] = took;
      }
    };`;
  const words = { ...scope, counts: histogram.counts, longest: histogram.longest };
  const loop = new Function(...Object.keys(words), source)(...Object.values(words)) as (count: number) => void;
  return (count) => {
    histogram.clear();
    loop(count);
    return histogram.percentiles();
  };
}
