/** `dma-window explain`: why VFIO said no, to this library or to any other program. */

import { callsAnswering } from "../explain/by-answer.ts";
import { codes } from "../explain/codes.ts";
import { type ExplainOptions, type Explanation, explainCall } from "../explain/explanation.ts";
import { explainLine } from "../explain/lines/explain.ts";
import { answerInLine } from "../explain/lines/line.ts";
import { plain } from "../explain/lines/plain.ts";
import { explainTrace } from "../history/explain.ts";
import { machineFiles } from "../system/machine-files.ts";
import { readTrace, traceLines } from "../trace/index.ts";
import type { ExplainAnswerLine, ExplainFileLine, ExplainLine } from "./explain-line.ts";
import { answerLines, callLines, explanationLines } from "./explain-words.ts";
import { logLines } from "./log-lines.ts";

/** So many different failures are told apart in one log; those behind them are counted together. */
const DIFFERENT_MAX = 1000;

/** As much of a line is shown above what it means. */
const SHOWN_MAX = 300;

/** 0 when something was explained, 1 when there was nothing to explain. */
export function explainCommand(line: ExplainLine, print: Print): number {
  const options: ExplainOptions = {
    platform: line.platform,
    linux: line.linux,
    asked: line.asked,
    ...(line.here ? { files: machineFiles } : {}),
  };
  switch (line.kind) {
    case "call":
      return explainCalls(line.calls, line.answer, options, line.json, print);
    case "answer":
      return explainAnswer(line, options, print);
    case "code": {
      const words = codes[line.code];
      print(
        line.json ? json({ code: line.code, ...words }) : `${line.code}: ${words?.means}.\n\n  Do: ${words?.next}.`,
      );
      return 0;
    }
    case "text": {
      const found = explainLine(line.text, options);
      if (found === undefined) return nothing("that line", answerInLine(line.text));
      print(line.json ? json(found) : explanationLines(found, { ...found.found, ...line.asked }).join("\n"));
      return 0;
    }
    default:
      return explainAll(line, line.kind === "trace" ? inTrace(line.file, options) : inLog(line.file, options), print);
  }
}

/** A number may be two calls', one on a container and one on a device: the one that has the answer is meant. */
function explainCalls(
  calls: readonly string[],
  answer: string | undefined,
  options: ExplainOptions,
  isJson: boolean,
  print: Print,
): number {
  const all = calls.map((call) => explainCall(call, answer, options));
  const found = all.find(({ causes }) => causes.length > 0) ?? all[0];
  if (found === undefined) return nothing("that call");
  if (isJson) print(json(found));
  else print((answer === undefined ? callLines(found) : explanationLines(found, options.asked)).join("\n"));
  return found.causes.length > 0 ? 0 : 1;
}

/** The calls that give it. A number that is a call's too is taken for that where no call gives the answer. */
function explainAnswer(line: ExplainAnswerLine, options: ExplainOptions, print: Print): number {
  const { word, answer, alsoCalls } = line;
  const calls = callsAnswering(answer, options);
  if (calls.length > 0) {
    print(line.json ? json({ answer, calls, alsoCalls }) : answerLines(word, answer, calls, alsoCalls).join("\n"));
    return 0;
  }
  process.stderr.write(`dma-window: ${answer} is an answer, and no call of VFIO's is known to give it\n`);
  return alsoCalls.length === 0 ? 1 : explainCalls(alsoCalls, undefined, options, line.json, print);
}

interface Placed {
  readonly line: number;
  /** The text of the line, where that is not the trace's own. */
  readonly text?: string;
  readonly explanation: Explanation & { readonly found?: Readonly<Record<string, unknown>> };
}

function* inLog(file: string, options: ExplainOptions): Generator<Placed, void, void> {
  let line = 0;
  for (const text of logLines(file)) {
    line++;
    const explanation = explainLine(text, options);
    if (explanation !== undefined) yield { line, text, explanation };
  }
}

function* inTrace(file: string, options: ExplainOptions): Generator<Placed, void, void> {
  for (const explanation of explainTrace(readTrace(traceLines(file)), options)) {
    yield { line: explanation.line, explanation };
  }
}

/** `false` where nobody reads any more. */
type Print = (text: string) => unknown;

/** For programs every one, as it is read; for people those that differ, and how often each was there. */
function explainAll(line: ExplainFileLine, all: Iterable<Placed>, print: Print): number {
  const seen = new Map<string, { count: number; readonly first: number }>();
  let rest = 0;
  for (const { line: number, text, explanation } of all) {
    const key = keyOf(explanation);
    const before = seen.get(key);
    if (before !== undefined) before.count++;
    else if (seen.size < DIFFERENT_MAX) seen.set(key, { count: 1, first: number });
    else rest++;
    // A log may have no end: where nobody reads on, nor does this.
    if (line.json) {
      if (print(json({ line: number, ...explanation })) === false) return 0;
    } else if (before === undefined && rest === 0) {
      const shown = text === undefined ? [] : [`  ${plain(text).slice(0, SHOWN_MAX)}`];
      const lines = [`line ${number}`, ...shown, ...explanationLines(explanation, explanation.found), ""];
      if (print(lines.join("\n")) === false) return 0;
    }
  }
  if (seen.size === 0) return nothing(line.file === "-" ? "the input" : line.file);
  if (!line.json) {
    const often = [...seen.values()].filter(({ count }) => count > 1);
    for (const { count, first } of often) print(`As line ${first}: ${count - 1} more.`);
    if (rest > 0) print(`${rest} more failures, of other kinds than the first ${DIFFERENT_MAX}.`);
  }
  return 0;
}

/** What makes two failures the same to a reader: the call, the answer and the likeliest cause. */
function keyOf({ call, answer, causes }: Explanation): string {
  return `${call} ${answer} ${causes[0]?.check} ${causes[0]?.verdict}`;
}

/** An answer alone may be of any call: whoever knows of which can ask for that. */
function nothing(where: string, answer?: string): 1 {
  const next = answer === undefined ? "" : `; it says ${answer}: dma-window explain CALL ${answer} explains a call's`;
  process.stderr.write(`dma-window: no call of VFIO's that failed was found in ${plain(where)}${next}\n`);
  return 1;
}

function json(value: object): string {
  return JSON.stringify(value, (_, one) => (typeof one === "bigint" ? `0x${one.toString(16)}` : one));
}
