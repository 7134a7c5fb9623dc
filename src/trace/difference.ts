/** What came of a call, and how it differs from what the trace says. */
import { isDeepStrictEqual } from "node:util";
import { plainAnswer } from "./answers.ts";
import type { TraceCall } from "./format.ts";
import type { Out } from "./out.ts";

/** A call that was answered otherwise. */
export interface Difference {
  /** The line of the trace, from 1: the header's. */
  readonly line: number;
  /** As the trace names it: `MAP_DMA`. */
  readonly call: string;
  /** The trace's answer, with what the kernel wrote then and not now: `ENOMEM`, `0 with {"start":"0x0"}`. */
  readonly expected: string;
  readonly got: string;
}

/** What came of a call: as the trace would have it where it came true, in words where it has no such thing. */
export interface Got {
  readonly text: string;
  readonly out?: Out | undefined;
}

export const NOT_MADE: Got = { text: "not made" };

/** What a call answered, and nothing more. */
export function plain(answer: number): Got {
  return { text: String(plainAnswer(answer)) };
}

export function thrown(code: string): Got {
  return { text: `an exception (${code})` };
}

export function locked(used: string): Got {
  return { text: `${used} bytes locked since the trace began` };
}

/** `undefined` where the answer is the recorded one. */
export function differenceOf(call: TraceCall, got: Got): Difference | undefined {
  const expected = expectedOf(call);
  const sameAnswer = expected.text === got.text;
  if (sameAnswer && isDeepStrictEqual(expected.out, got.out)) return undefined;
  const [was, is] = sameAnswer ? [onlyIn(expected, got), onlyIn(got, expected)] : [expected, got];
  return { line: call.line, call: call.call, expected: words(was), got: words(is) };
}

function expectedOf({ call, fields, answer, throws, out }: TraceCall): Got {
  if (throws !== undefined) return thrown(throws);
  if (call === "lockedMemory") return locked(fields.used as string);
  return answer === null ? NOT_MADE : { text: String(answer), out };
}

function words({ text, out }: Got): string {
  return out === undefined ? text : `${text} with ${JSON.stringify(out)}`;
}

/** Without what the kernel wrote both times. */
function onlyIn({ text, out = {} }: Got, other: Got): Got {
  const differing = Object.entries(out).filter(([name, value]) => !isDeepStrictEqual(value, other.out?.[name]));
  return { text, out: Object.fromEntries(differing) };
}
