/** Answers that depend on the kernel's version. */
import { type Change, hasChange, type LinuxVersion } from "../../src/linux-version.ts";

/** Whether a kernel has said it, or only its source. */
export type How = "observed" | "read";

/**
 * What a row says that kernels answer: one text, or by their version.
 *
 *     "EINVAL"
 *     before("6.18", "EINVAL", "EOVERFLOW")
 *     before(WHOLE_UNMAP, orCrash("0"), read("1"))
 *     before("6.2", "EINVAL", before("6.12", "EBADF", "EBADFD"))       a chain: from the oldest to the newest
 */
export type Expected = string | Told | Drift;

/** One of a row's answers, with what the text alone does not say. */
export interface Told {
  readonly answer: string;
  /** Who says so, where that is not who says the row's other answers. */
  readonly how?: How;
  /** The kernel may also crash, as chance will have it, there or soon after, or stand still. */
  readonly orCrash?: true;
}

export interface Drift {
  readonly change: Change;
  readonly older: Expected;
  readonly newer: Expected;
}

/**
 * `older` up to a release, and from it on `newer`. With several releases: the first is the one that brought the change, and the
 * others are those of older series that it was carried back to.
 */
export function before(change: string | Change, older: Expected, newer: Expected): Drift {
  return { change: typeof change === "string" ? [change] : change, older, newer };
}

/** An answer that is only read in the source, in a row whose others were observed. */
export const read = (answer: string): Told => ({ answer, how: "read" });

/**
 * An answer beside which the kernel may also crash. PowerNV takes what lies behind a table for TCEs, looks up the page that each
 * of them names, and writes its own in their place (`arch/powerpc/kernel/iommu.c: iommu_tce_xchg_no_kill`): the end of another
 * task's stack, for one.
 */
export const orCrash = (told: string | Told): Told => ({
  ...(typeof told === "string" ? { answer: told } : told),
  orCrash: true,
});

/** What a kernel of this version is to answer. */
export function toldTo(expected: Expected, version: LinuxVersion): Told {
  if (typeof expected === "string") return { answer: expected };
  if (!isDrift(expected)) return expected;
  return toldTo(hasChange(version, expected.change) ? expected.newer : expected.older, version);
}

/** An answer, and the change that it came with; the oldest one came with none. */
export interface Telling extends Told {
  readonly since?: Change;
}

/** All of them, the oldest first. */
export function tellings(expected: Expected, since?: Change): Telling[] {
  if (typeof expected === "string") return [{ answer: expected, ...(since && { since }) }];
  if (!isDrift(expected)) return [{ ...expected, ...(since && { since }) }];
  return [...tellings(expected.older, since), ...tellings(expected.newer, expected.change)];
}

function isDrift(expected: Told | Drift): expected is Drift {
  return "change" in expected;
}
