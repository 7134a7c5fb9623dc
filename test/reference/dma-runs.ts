/** Runs of IOVAs for a range of memory, byte by byte: the twin of `window.runs`. */

export interface Run {
  readonly iova: bigint;
  readonly length: bigint;
}

export interface Wish {
  readonly maxLength?: number;
  readonly boundary?: number;
}

/** `translate` gives a byte's IOVA, or undefined. `undefined` where a byte has none. */
export type Runs = (
  translate: (va: bigint) => bigint | undefined,
  va: bigint,
  length: number,
  wish: Wish,
) => Run[] | undefined;

type Ends = (run: { iova: bigint; length: bigint }, iova: bigint, wish: Wish) => boolean;

const byBytes =
  (ends: Ends): Runs =>
  (translate, va, length, wish) => {
    const runs: { iova: bigint; length: bigint }[] = [];
    for (let i = 0n; i < BigInt(length); i++) {
      const iova = translate(va + i);
      if (iova === undefined) return undefined;
      const last = runs.at(-1);
      if (last === undefined || ends(last, iova, wish)) runs.push({ iova, length: 1n });
      else last.length++;
    }
    return runs;
  };

const isApart: Ends = ({ iova, length }, next) => iova + length !== next;
const isLong: Ends = ({ length }, _, { maxLength }) => maxLength !== undefined && length >= BigInt(maxLength);
const isBorder: Ends = (_, next, { boundary }) => boundary !== undefined && next % BigInt(boundary) === 0n;

export const runsOf = byBytes((...of) => isApart(...of) || isLong(...of) || isBorder(...of));

/** Ways to cut that are right nearly everywhere. */
export const temptingRuns: Readonly<Record<string, Runs>> = {
  "takes neighbours in memory for neighbours": byBytes((...of) => isLong(...of) || isBorder(...of)),
  "makes a run for each page": byBytes((run, next, wish) => runsEnd(run, next, wish) || next % 4096n === 0n),
  "forgets the boundary": byBytes((...of) => isApart(...of) || isLong(...of)),
  "lets a run be one byte too long": byBytes(
    (run, next, wish) =>
      isApart(run, next, wish) || isBorder(run, next, wish) || isLong({ ...run, length: run.length - 1n }, next, wish),
  ),
  "counts the boundary from where the run begins": byBytes(
    (run, next, wish) =>
      isApart(run, next, wish) ||
      isLong(run, next, wish) ||
      (wish.boundary !== undefined && run.length >= BigInt(wish.boundary)),
  ),
};

function runsEnd(run: Run, next: bigint, wish: Wish): boolean {
  return isApart(run, next, wish) || isLong(run, next, wish) || isBorder(run, next, wish);
}
