/** Lines of a log: which call of VFIO each is about, what it says of it, and why the answer was that. */
import { explainLine, type LineExplanation } from "../../src/explain/lines/explain.ts";
import { hex } from "../../src/hex.ts";
import { element } from "./dom.ts";
import { explained, wordsOfAnswer } from "./explain-view.ts";
import type { Seen } from "./seen.ts";

/** So many lines are explained. */
const SHOWN = 20;

/** So many are looked at. */
const LINES_MAX = 100_000;

/** What lines say, and the first of their explanations. */
export interface LogSeen extends Seen {
  readonly first: LineExplanation | undefined;
}

export function seeLog(text: string, linux: string | undefined): LogSeen {
  const options = linux === undefined ? {} : { linux };
  const found: LineExplanation[] = [];
  for (const line of text.split("\n", LINES_MAX)) {
    const explanation = explainLine(line, options);
    if (explanation !== undefined) found.push(explanation);
    if (found.length === SHOWN) break;
  }
  const [first] = found;
  if (first === undefined) return { words: NOTHING, elements: [], first };
  const many = found.length === 1 ? "It is" : `The first of ${found.length} is`;
  const words = `${many} about ${first.call}, which was answered ${wordsOfAnswer(first.answer)}.`;
  return { words, elements: found.map((one, i) => lineOf(one, i === 0)), first };
}

const NOTHING =
  "That is none of what can be read: no /proc/iomem, plan, trace or machine, and no line of a log about a call of VFIO that failed. " +
  "Choose call and answer below.";

function lineOf(line: LineExplanation, isOpen: boolean): HTMLElement {
  const { call, answer, found } = line;
  const said = Object.entries(found).map(([name, value]) => `${name} ${wordsOf(value)}`);
  return element(
    "details",
    { open: isOpen },
    element("summary", {}, `${call} was answered ${wordsOfAnswer(answer)}`),
    ...(said.length === 0 ? [] : [element("p", {}, `The line says: ${said.join(", ")}.`)]),
    ...explained(line),
  );
}

function wordsOf(value: unknown): string {
  return typeof value === "bigint" ? hex(value) : String(value);
}
