/** A trace: which of its calls failed, and why, by what the calls before them had made. */
import { explainTrace, type TracedExplanation } from "../../src/history/explain.ts";
import { readTrace } from "../../src/trace/read.ts";
import { element } from "./dom.ts";
import { explained, wordsOfAnswer } from "./explain-view.ts";

/** So many of the calls that failed are shown. */
const SHOWN = 50;

/** What is to be seen of a trace. */
export interface TraceSeen {
  readonly words: string;
  readonly elements: readonly HTMLElement[];
}

/** @throws `ERR_TRACE_MALFORMED`, `ERR_TRACE_VERSION`. */
export function seeTrace(lines: readonly string[]): TraceSeen {
  const trace = readTrace(lines);
  const failed = [...explainTrace(trace)];
  const { note: said } = trace.header;
  const note = said === undefined ? "" : ` (${said})`;
  const words = `A trace of ${lines.length - 1} calls${note}: ${failed.length} to look at.`;
  const more = failed.length > SHOWN ? [element("p", {}, `And ${failed.length - SHOWN} more.`)] : [];
  return { words, elements: [...failed.slice(0, SHOWN).map(callOf), ...more] };
}

function callOf(traced: TracedExplanation): HTMLElement {
  const { line, call, answer } = traced;
  const title = element("summary", {}, `line ${line}: ${call} was answered ${wordsOfAnswer(answer)}`);
  return element("details", {}, title, ...explained(traced));
}
