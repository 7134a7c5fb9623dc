/** `dma-window show`: a window by address, in the terminal, as SVG, as a page. */

import { DmaWindowError } from "../errors.ts";
import {
  axisFor,
  framesOf,
  type Growth,
  growthHtml,
  growthSvg,
  growthText,
  growthToJson,
  type Picture,
  pictureAt,
  pictureHtml,
  pictureSvg,
  pictureText,
  pictureToJson,
  plainText,
  planPicture,
  planTitle,
  type Survey,
  surveyOf,
  TraceWindows,
} from "../picture/index.ts";
import { MACHINE_FORMAT, parseMachine } from "../plan/described.ts";
import { planWindow, type StoredList } from "../plan/index.ts";
import { PLAN_LENGTH_MAX, parseStoredPlan } from "../plan/parse-plan.ts";
import { readTrace, type Trace, type TraceCall } from "../trace/index.ts";
import { beginningOf, boundedText, GrowingFile } from "./growing-file.ts";
import { lookAround } from "./machine.ts";
import type { CommandLine } from "./options.ts";
import { withPlanOf } from "./plan.ts";
import { Progress } from "./progress.ts";
import { BEGINNING_BYTES, beginsAsTrace, withRereadable } from "./read-again.ts";
import { writeResult } from "./result-file.ts";
import { say } from "./say.ts";
import type { ShowOptions } from "./show-line.ts";
import { stormGrowth } from "./storm-picture.ts";
import { thisTerminal } from "./terminal.ts";

/** A file that is read several times. */
interface Source {
  readonly path: string;
  /** What its user calls it. */
  readonly name: string;
}

export function showCommand(line: CommandLine, print: (text: string) => void): number {
  const options = line.show as ShowOptions; // the command has them
  if (options.follow) return follow(options.file as string);
  const shown = options.storm ? stormGrowth(lookAround(line.machine, line.iovaMode), line) : shownOf(line, options);
  if (options.svgFile !== undefined) writeResult(options.svgFile, svgOf(shown));
  if (options.htmlFile !== undefined) writeResult(options.htmlFile, htmlOf(shown));
  print(line.json ? JSON.stringify(jsonOf(shown)) : textOf(shown));
  return 0;
}

function shownOf(line: CommandLine, options: ShowOptions): Picture | Growth {
  const { file } = options;
  return file === undefined ? ownPlan(line) : withRereadable(file, (path, name) => shownIn({ path, name }, options));
}

function shownIn(file: Source, options: ShowOptions): Picture | Growth {
  const { moments } = options;
  if (!beginsAsTrace(beginningOf(file.path, BEGINNING_BYTES, file.name))) {
    if (moments !== undefined) throw noTrace(file, "--steps");
    if (options.atLine !== undefined) throw noTrace(file, "--at");
    return planIn(file);
  }
  const survey = withCut(file, (trace) => surveyOf(trace, moments !== undefined));
  const title = titleOf(file);
  if (moments !== undefined) {
    const axis = axisFor(survey.value);
    const frames = withCut(file, (trace) => framesOf(trace, survey.value, axis, moments)).value;
    const account = [`${survey.value.changes} calls changed what a device reaches`];
    return {
      title,
      columns: [{ name: "what a device reaches", axis, frames, account }],
      notes: cutNotes(survey.isCut),
    };
  }
  const at = options.atLine ?? fullestLine(survey.value);
  // At its end it is known already: a second walk would take as long as the first.
  const isEnd = at >= survey.value.lines;
  const picture = isEnd ? survey.value.end.picture(title) : withCut(file, (trace) => pictureAt(trace, at, title)).value;
  return {
    ...picture,
    notes: [momentNote(at, survey.value, options.atLine), ...picture.notes, ...cutNotes(survey.isCut)],
  };
}

/** The end where something is live there; else when most was. */
function fullestLine({ isLive, fullest, lines }: Survey): number {
  return isLive || fullest === 0 ? lines : fullest;
}

function momentNote(at: number, { lines, isLive, fullest }: Survey, asked: number | undefined): string {
  if (asked !== undefined) return `As it was after line ${Math.min(asked, lines)} of ${lines}.`;
  if (isLive || fullest === 0) return `As it is at the trace's end, line ${lines}.`;
  return `As it was after line ${at}, when most was live; at the trace's end, line ${lines}, nothing is.`;
}

function cutNotes(isCut: boolean): string[] {
  return isCut ? ["The trace is still being written, or was cut off: its last calls are left out."] : [];
}

function ownPlan(line: CommandLine): Picture {
  return withPlanOf(line, (made) => {
    const plan = made.plan();
    const of = line.plan?.described?.name ?? "this machine";
    return planPicture(plan, `${of}: ${planTitle(plan)}`, made.lists);
  });
}

/** A plan, or a machine's description: its plan. */
function planIn({ path, name: file }: Source): Picture {
  const text = boundedText(path, PLAN_LENGTH_MAX, file);
  const format = formatOf(text);
  if (format === undefined) {
    throw new DmaWindowError(
      "ERR_NOT_SHOWABLE",
      `${file} is neither a plan nor a trace: dma-window plan --output FILE makes the one, dma-window run --trace FILE the other`,
    );
  }
  if (format === MACHINE_FORMAT) {
    const { name, request } = parseMachine(text);
    const plan = planWindow(request);
    return planPicture(plan, `${name}: ${planTitle(plan)}`, request.memory.lists as readonly StoredList[]);
  }
  const { plan, lists } = parseStoredPlan(text);
  return planPicture(plan, `${file}: ${planTitle(plan)}`, lists);
}

function formatOf(text: string): unknown {
  try {
    const document: unknown = JSON.parse(text);
    const { format } = (document ?? {}) as { readonly format?: unknown };
    return format;
  } catch {
    return undefined;
  }
}

function noTrace({ name }: Source, option: string): DmaWindowError {
  return new DmaWindowError("ERR_NOT_SHOWABLE", `${name} is no trace: ${option} shows a moment of one`);
}

/** Walks over a trace that may be cut off: the half of a line, or of a batch, at its end is left out. */
function withCut<T>({ path, name }: Source, walk: (trace: Trace) => T): { readonly value: T; readonly isCut: boolean } {
  let progress: Progress | undefined;
  const growing = new GrowingFile(path, {
    name,
    onRead: (done, total) => {
      progress ??= new Progress(`reading ${plainText(name)}, bytes`, total);
      progress.step(done);
    },
  });
  let isHalf = false;
  const lines = lastKnown(growing.lines());
  const { header, calls } = readTrace(lines.each);
  const value = walk({ header, calls: untilHalf(calls, lines.isDone, () => (isHalf = true)) });
  return { value, isCut: growing.isCut || isHalf };
}

/** Lines, and whether all of them were taken. */
function lastKnown(lines: Iterable<string>): { readonly each: Iterable<string>; readonly isDone: () => boolean } {
  let done = false;
  function* each(): Generator<string, void, void> {
    yield* lines;
    done = true;
  }
  return { each: each(), isDone: () => done };
}

/** The calls, without a complaint about a batch whose end is not written yet. */
function* untilHalf(
  calls: Iterable<TraceCall>,
  isDone: () => boolean,
  onHalf: () => void,
): Generator<TraceCall, void, void> {
  try {
    yield* calls;
  } catch (error) {
    const isBatch = error instanceof DmaWindowError && error.message.includes("ends in the middle of a batch");
    if (!isBatch || !isDone()) throw error;
    onHalf();
  }
}

function titleOf(file: Source): string {
  const { note } = withCut(file, ({ header }) => header).value;
  return note === undefined ? file.name : `${file.name}: ${note}`;
}

/** Draws a trace again and again while it grows. Ends when all its containers are closed and no more comes, or who reads has gone. */
function follow(file: string): number {
  const { isTTY } = process.stdout;
  let windows: TraceWindows | undefined;
  let [drawn, isOver, wasOpen] = [-1, false, false];
  const draw = () => {
    if (windows === undefined || windows.changes === drawn) return;
    drawn = windows.changes;
    const note = `After line ${windows.line}.`;
    const picture = windows.picture(file);
    const text = pictureText({ ...picture, notes: [note, ...picture.notes] }, thisTerminal());
    // Home, and what was there is gone: as `watch` does.
    isOver = !say(isTTY ? `\u001b[H\u001b[2J${text}\n` : `${text}\n\n`);
  };
  const growing = new GrowingFile(file, {
    onIdle: (milliseconds) => {
      draw();
      const isClosed = wasOpen && windows?.isOpen === false;
      return !isOver && !(isClosed && milliseconds >= 1000);
    },
  });
  const { header, calls } = readTrace(wholeJson(growing.lines()));
  windows = new TraceWindows(header);
  for (const call of untilHalf(
    calls,
    () => true,
    () => {},
  )) {
    windows.take(call);
    wasOpen ||= windows.isOpen;
  }
  draw();
  return 0;
}

/** Refuses a line that is none at once: the trace's reader would look at the next one first, and wait for it. */
function* wholeJson(lines: Iterable<string>): Generator<string, void, void> {
  let number = 0;
  for (const text of lines) {
    number++;
    try {
      JSON.parse(text);
    } catch {
      throw new DmaWindowError("ERR_TRACE_MALFORMED", `line ${number} of the trace: it is no JSON`, {
        facts: { line: number },
      });
    }
    yield text;
  }
}

function isGrowth(shown: Picture | Growth): shown is Growth {
  return "columns" in shown;
}

function textOf(shown: Picture | Growth): string {
  return isGrowth(shown) ? growthText(shown, thisTerminal()) : pictureText(shown, thisTerminal());
}

function jsonOf(shown: Picture | Growth): object {
  return isGrowth(shown) ? growthToJson(shown) : pictureToJson(shown);
}

function svgOf(shown: Picture | Growth): string {
  return isGrowth(shown) ? growthSvg(shown) : pictureSvg(shown);
}

function htmlOf(shown: Picture | Growth): string {
  return isGrowth(shown) ? growthHtml(shown) : pictureHtml(shown);
}
