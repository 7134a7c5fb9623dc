/**
 * What to do about the kernel's answers. One errno of one call may have several causes, and the machine's own files often say
 * which: `src/explain/` has the table, what is asked about each cause, and the order that comes of it.
 */
import { DmaWindowError, errnoName } from "./errors.ts";
import type { Asked, IommuKind } from "./explain/cause.ts";
import { type JudgedCause, judge, POSITIVE, tell } from "./explain/judge.ts";
import { Machine } from "./explain/machine.ts";
import type { MachineFiles } from "./syscalls.ts";

export type { IommuKind } from "./explain/cause.ts";

/** Where an answer came from, as far as that is known. */
export interface Circumstances {
  /** On which IOMMU: the same answer to the same call can mean different things. */
  readonly iommu?: IommuKind | undefined;
  /** The files of the machine that answered. Without them causes stand in the order of how often they are met. */
  readonly files?: MachineFiles | undefined;
  /** What the call was about: `group`, `va`, `iova`, `length`, `pageSize`, `node`. */
  readonly facts?: Asked | undefined;
}

/**
 * What an answer that means failure says: `EBUSY: a group opens once: ...`, or the errno alone where nothing more is known.
 * The likeliest cause comes first, a few others after it; one that the machine's files make sure stands alone. sPAPR's calls
 * also fail with positive numbers, which are no errnos. Without `iommu` only what is true on every IOMMU is said.
 *
 * Cost: some files of /proc and /sys are read, where they are known. Never throws.
 */
export function explain(call: string, answer: number, iommu?: IommuKind, around: Circumstances = {}): string {
  return inWords(answer, causesOf(call, answer, { ...around, iommu }));
}

/**
 * The error for a call that the kernel refused. `about` is what the message begins with, `hint` the call that the table
 * knows it by; both are the call's own name unless they are given. `facts.causes` has all causes, likeliest first.
 */
export function refusedByKernel(
  syscall: string,
  answer: number,
  { about = syscall, hint = syscall, iommu, files, facts }: RefusedCall = {},
): DmaWindowError {
  const causes = causesOf(hint, answer, { iommu, files, facts });
  const all = { ...facts, ...(causes.length === 0 ? {} : { causes }) };
  return new DmaWindowError("ERR_KERNEL", `${about}: ${inWords(answer, causes)}`, {
    syscall,
    ...(answer < 0 ? { errno: answer } : {}),
    ...(Object.keys(all).length === 0 ? {} : { facts: all }),
  });
}

interface RefusedCall extends Circumstances {
  readonly about?: string;
  readonly hint?: string;
}

function causesOf(call: string, answer: number, { iommu, files, facts = {} }: Circumstances): JudgedCause[] {
  return judge(call, answer > 0 ? POSITIVE : errnoName(answer), iommu, new Machine(files), facts);
}

function inWords(answer: number, causes: readonly JudgedCause[]): string {
  const name = answer > 0 ? `the answer was ${answer}, which means failure` : errnoName(answer);
  const told = tell(causes);
  return told === "" ? name : `${name}: ${told}`;
}
