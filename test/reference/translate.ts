/** Addresses looked up in runs that lie in order: the twin of the batch translations. */
import { NO_ADDRESS } from "../../src/core.ts";
import type { Run } from "./window.ts";

/** The IOVA of `va` by runs in order of their addresses, none of which meet; all ones where there is none. */
export type Translate = (runs: readonly Run[], va: bigint) => bigint;

export const translateOf: Translate = (runs, va) => {
  // The last run that begins at `va` or before it is at `low`, when there is one.
  let [low, behind] = [0, runs.length];
  while (behind - low > 1) {
    const middle = (low + behind) >> 1;
    if ((runs[middle] as Run).va <= va) low = middle;
    else behind = middle;
  }
  const run = runs[low];
  if (run === undefined || run.iova === NO_ADDRESS || va < run.va || va >= run.va + run.length) return NO_ADDRESS;
  return run.iova + (va - run.va);
};

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

const within = (run: Run, va: bigint): boolean => va >= run.va && va < run.va + run.length;

/** A translation with another idea of which run holds an address, or of the sum. */
const by =
  (
    holds: (run: Run, va: bigint) => boolean,
    sum: (iova: bigint, offset: bigint) => bigint = (iova, offset) => u64(iova + offset),
  ): Translate =>
  (runs, va) => {
    const run = runs.find((each) => holds(each, va));
    return run === undefined || run.iova === NO_ADDRESS ? NO_ADDRESS : sum(run.iova, va - run.va);
  };

const LOW = 0xffff_ffffn;

const SLOT_SHIFT = 21n;
const ROOT_SHIFT = 39n;

/** Ways to look an address up that are right nearly everywhere. */
export const temptingTranslations: Readonly<Record<string, Translate>> = {
  "takes the byte behind a run": by((run, va) => va >= run.va && va <= run.va + run.length),
  "misses the last byte of a run": by((run, va) => va >= run.va && va < run.va + run.length - 1n),
  "forms the end of a run, which wraps at 2^64": by((run, va) => va >= run.va && va < u64(run.va + run.length)),
  "compares signed addresses": by((run, va) => {
    const offset = BigInt.asIntN(64, va) - BigInt.asIntN(64, run.va);
    return offset >= 0n && BigInt.asIntN(64, va) < BigInt.asIntN(64, u64(run.va + run.length));
  }),
  "compares in floating point": by(
    (run, va) => Number(va) >= Number(run.va) && Number(va) < Number(run.va) + Number(run.length),
  ),
  "takes all of a 2 MiB slot for mapped when a page of it is": by(
    (run, va) =>
      va >> SLOT_SHIFT >= run.va >> SLOT_SHIFT && va >> SLOT_SHIFT <= (run.va + run.length - 1n) >> SLOT_SHIFT,
  ),
  "goes round in the root's table behind its extent": (runs, va) => {
    const last = runs.reduce((most, run) => (run.va > most ? run.va : most), 0n);
    const extent = (last >> ROOT_SHIFT).toString(2).length;
    return translateOf(runs, BigInt.asUintN(extent + Number(ROOT_SHIFT), va));
  },
  "forgets the offset in the page": (runs, va) => {
    const iova = translateOf(runs, va);
    return iova === NO_ADDRESS ? iova : iova - (va % 4096n);
  },
  "loses the carry into the upper half": by(within, (iova, offset) => (iova & ~LOW) | ((iova + offset) & LOW)),
};
