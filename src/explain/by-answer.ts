/** An answer without its call: which calls give it. */
import { callNames } from "./calls.ts";
import { answersOf, type ExplainOptions, explainCall } from "./explanation.ts";

export interface AnsweredCall {
  readonly call: string;
  /** The checks that give the answer, likeliest first; those that are unlikely are left out. */
  readonly checks: readonly string[];
}

/** The calls that give an answer, on the platform and version of the options; those of which it is the more frequent answer first. */
export function callsAnswering(answer: string, options: ExplainOptions = {}): AnsweredCall[] {
  const place = (call: string) => answersOf(call).indexOf(answer);
  return callNames()
    .filter((call) => place(call) >= 0)
    .sort((a, b) => place(a) - place(b))
    .map((call) => {
      const { causes } = explainCall(call, answer, options);
      const told = causes.filter(({ verdict }) => verdict !== "unlikely");
      return { call, checks: [...new Set((told.length === 0 ? causes : told).map(({ check }) => check))] };
    })
    .filter(({ checks }) => checks.length > 0);
}
