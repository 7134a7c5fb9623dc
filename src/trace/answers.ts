/** Answers as a trace has them: errnos by name, since only the names are the same everywhere. */
import { ERRNO } from "../errno.ts";
import { errnoName } from "../errors.ts";

/** One that is not in the kernel's public headers, and that VFIO gives all the same. */
const more: Readonly<Record<string, number>> = { ENOTSUPP: 524 };
const numbers = new Map<string, number>([...Object.entries(ERRNO), ...Object.entries(more)]);
const moreNames = new Map(Object.entries(more).map(([name, value]) => [value, name]));

/** A number of 0 or more as it is; `"ENOMEM"`; a negative number for an errno that has no name. */
export type PlainAnswer = number | string;

export function plainAnswer(answer: number): PlainAnswer {
  if (answer >= 0) return answer;
  const name = moreNames.get(-answer) ?? errnoName(answer);
  return numbers.get(name) === -answer ? name : answer;
}

export function isErrnoName(text: string): boolean {
  return numbers.has(text);
}

/** The code of an error, or its name where it has none: for a call that ended with an exception. */
export function thrownName(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : error.name;
}

/** Whether an error says that an argument cannot be: the kernel was not asked then. */
export function refusesArguments(error: unknown): boolean {
  const name = thrownName(error);
  return name === "ERR_OUT_OF_RANGE" || name === "ERR_INVALID_ARG_TYPE";
}
