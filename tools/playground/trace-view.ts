/** A trace: which of its calls failed, and why, by what the calls before them had made. */
import { explainTrace, type TracedExplanation } from "../../src/history/explain.ts";
import { pictureAt, surveyOf } from "../../src/picture/survey.ts";
import { readTrace } from "../../src/trace/read.ts";
import { element } from "./dom.ts";
import { explained, wordsOfAnswer } from "./explain-view.ts";
import { pictureOf } from "./picture-view.ts";
import type { Seen } from "./seen.ts";

/** So many of the calls that failed are shown. */
const SHOWN = 50;

/** @throws `ERR_TRACE_MALFORMED`, `ERR_TRACE_VERSION`. */
export function seeTrace(lines: readonly string[]): Seen {
  const trace = readTrace(lines);
  const failed = [...explainTrace(trace)];
  const { note: said } = trace.header;
  const note = said === undefined ? "" : ` (${said})`;
  const words = `A trace of ${lines.length - 1} calls${note}: ${failed.length} to look at.`;
  const more = failed.length > SHOWN ? [element("p", {}, `And ${failed.length - SHOWN} more.`)] : [];
  return { words, elements: [...windowsOf(lines), ...failed.slice(0, SHOWN).map(callOf), ...more] };
}

/** The windows after a call that a slider chooses: at first when most was live. */
function windowsOf(lines: readonly string[]): HTMLElement[] {
  const { fullest, lines: last } = surveyOf(readTrace(lines));
  const slider = element("input", { type: "range", id: "trace-line", min: 1, max: last, value: fullest || last });
  const place = element("div");
  const draw = () => {
    const line = Number(slider.value);
    place.replaceChildren(...pictureOf(pictureAt(readTrace(lines), line, `After line ${line} of ${last}`)));
  };
  slider.addEventListener("input", draw);
  draw();
  return [element("p", {}, element("label", { for: slider.id }, "Windows after line"), slider), place];
}

function callOf(traced: TracedExplanation): HTMLElement {
  const { line, call, answer } = traced;
  const title = element("summary", {}, `line ${line}: ${call} was answered ${wordsOfAnswer(answer)}`);
  return element("details", {}, title, ...explained(traced));
}
