/** What is mapped in a window, run by run, as the core's tables have it. */
import { kernelSaid } from "../closing.ts";
import { core, NO_ADDRESS, Owner } from "../core.ts";
import { DmaWindowError, withoutResidue, withResidue } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import { requestColumns } from "./columns.ts";
import type { Target } from "./target.ts";
import { endIdle, lasting, performUnmaps } from "./unmaps.ts";

/** A run of IOVAs, and the memory behind it. Neighbours that belong together are one run, however they were mapped. */
export interface MappedRun {
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
}

/** How many runs are taken from the core's tables at a time. */
const RUNS = 1024;

/** All runs, by IOVA. They come by the request columns: `take` gives those from an IOVA on, as {@link runsFrom} does. */
export function* runsIn(
  target: Target,
  take = (from: bigint): readonly MappedRun[] => runsFrom(target, from),
): Generator<MappedRun, void, void> {
  let from: bigint | undefined = target.start;
  while (from !== undefined) {
    const runs: readonly MappedRun[] = take(from);
    yield* runs;
    from = runs.length < RUNS ? undefined : after(target, runs.at(-1));
  }
}

/** The runs from an IOVA on, no more than stand in the request columns. */
export function runsFrom({ window }: Target, from: bigint): MappedRun[] {
  const { vas, iovas, lengths } = requestColumns(RUNS);
  const found = core.listMaps(window, from, RUNS); // takes no memory: the columns are still there
  return Array.from({ length: found }, (_, i) => ({
    va: vas[i] as bigint,
    iova: iovas[i] as bigint,
    length: lengths[i] as bigint,
  }));
}

/** Where the next run can begin; undefined at the window's end. */
function after({ start, size }: Target, run: MappedRun | undefined): bigint | undefined {
  if (run === undefined) return undefined;
  const next = run.iova + run.length;
  return next > start + size - 1n ? undefined : next;
}

/** Unmaps all runs, past those that cannot be. `errors` are those that left something mapped, `leftover` is one that did not. */
export function unmapAll(target: Target): {
  readonly errors: readonly DmaWindowError[];
  readonly leftover: DmaWindowError | undefined;
} {
  const errors: DmaWindowError[] = [];
  let leftover: DmaWindowError | undefined;
  let from: bigint | undefined = target.start;
  while (from !== undefined) {
    const runs = runsFrom(target, from); // and they stand in the request columns
    if (runs.length === 0) break;
    try {
      leftover = lasting(performUnmaps(target, runs.length, Owner.WINDOW)) ?? leftover;
      from = after(target, runs.at(-1));
    } catch (error) {
      if (!(error instanceof DmaWindowError)) throw error;
      errors.push(error);
      // What is left begins at the first of these runs that is still there: pass over that one.
      const stuck = runs.find((run) => core.windowReverse(target.window, run.iova) !== NO_ADDRESS);
      from = after(target, stuck ?? runs.at(-1));
    }
  }
  return { errors, leftover };
}

/** `ERR_WINDOW_IN_USE`: something of the window could not be unmapped, for the reason `problem`; the residue names it. */
export function stillInUse(target: Target, problem: DmaWindowError): unknown {
  const left = [...runsIn(target)].map(({ iova, length }) => {
    const be = target.doubts.mapsWithin(iova, length) > 0n ? "may still be" : "is still";
    return `${bytes(length)} at IOVA ${hex(iova)} ${be} mapped`;
  });
  const inUse = `the window at ${hex(target.start)} stays: ${withoutResidue(problem)}`;
  const locked = endIdle(target)?.residue?.left ?? [];
  const refusal = new DmaWindowError("ERR_WINDOW_IN_USE", inUse, { cause: problem, ...kernelSaid(problem) });
  return withResidue(refusal, [...left, ...locked]);
}
