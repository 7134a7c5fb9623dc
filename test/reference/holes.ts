/** Holes in an array of "is it free?", by trying every place: the twin of `assembly/occupancy.ts`. */

/** The lowest index, a multiple of `align`, from which `length` are free; -1 when there is none. */
export function firstFit(free: readonly boolean[], length: number, align: number): number {
  for (let at = 0; length > 0 && at + length <= free.length; at += align) {
    let run = 0;
    while (run < length && free[at + run]) run++;
    if (run === length) return at;
  }
  return -1;
}

/** The length of the longest run that is free. */
export function largestHole(free: readonly boolean[]): number {
  let longest = 0;
  let run = 0;
  for (const each of free) {
    run = each ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}
