/** Lines that somebody pastes, with what they mean. */
import { type ExplainOptions, type Explanation, explainCall } from "../explanation.ts";
import { findIn } from "./line.ts";

export interface LineExplanation extends Explanation {
  /** What the line says of the call: operands by name, the number of a group. */
  readonly found: Readonly<Record<string, unknown>>;
}

/**
 * What a line of a log means; `undefined` where it is about no call of VFIO's that failed. What `options` state stands before what
 * the line says. Never throws, whatever is in the line; costs a few microseconds for each thousand characters.
 */
export function explainLine(line: string, options: ExplainOptions = {}): LineExplanation | undefined {
  const found = findIn(line);
  if (found === undefined) return undefined;
  const platform = options.platform ?? found.platform;
  const asked = { ...found.asked, ...options.asked };
  const explanation = explainCall(found.call, found.answer, {
    ...options,
    platform,
    asked,
    named: found.named,
    isProven: found.isProven,
  });
  return { ...explanation, found: found.asked };
}
