/** The storm of `run` as a picture: the same steps under a static window and, where the kernel has windows, under a dynamic one. */
import { bytes } from "../hex.ts";
import { TraceWindows } from "../picture/from-trace.ts";
import { type Frame, frameOf, type Growth, type GrowthColumn } from "../picture/growth.ts";
import { axisFor, surveyOf } from "../picture/survey.ts";
import { size } from "../picture/words.ts";
import { readTrace, recordTrace } from "../trace/index.ts";
import type { Ground } from "./ground.ts";
import type { Machine } from "./machine.ts";
import type { MainJobOptions } from "./main-job.ts";
import { SCHEMES } from "./scheme-words.ts";
import { DynamicScheme, StaticScheme } from "./schemes.ts";
import { runStorm, type Scheme, type Step, stormFor } from "./storm.ts";

/** What a scheme asked of the kernel, and how many lines of it there were after each step; the first before any. */
interface Recorded {
  readonly lines: readonly string[];
  readonly after: readonly number[];
  readonly interrupted: number;
  readonly resizes: number;
  readonly failures: number;
}

/** Moments between two resizes, and beside them. */
const MOMENTS_BETWEEN = 1;

/** @param moments How many moments are drawn beside those at which a window is replaced. */
export function stormGrowth(machine: Machine, options: MainJobOptions, moments = 6): Growth {
  const { initial, steps } = stormFor(machine.pool.pages, options);
  let kind: keyof typeof SCHEMES = "spapr";
  const ours = recorded(steps, (inFront) => {
    const scheme = new StaticScheme(machine, { ...options, inFront }, initial);
    kind = scheme.plan.kind;
    return scheme;
  });
  const other =
    kind === "spapr" ? recorded(steps, (inFront) => new DynamicScheme(machine, initial, inFront)) : undefined;
  const ways = [
    { name: SCHEMES[kind], recording: ours },
    ...(other === undefined ? [] : [{ name: "dynamic window", recording: other }]),
  ];
  const axis = axisFor(...ways.map(({ recording }) => surveyOf(readTrace(recording.lines))));
  const shown = shownSteps(steps.length, other === undefined ? [] : resizeSteps(other), moments);
  return {
    title: `The storm of dma-window run: ${steps.length} steps, seed ${options.seed}; each line is one moment`,
    columns: ways.map(({ name, recording }) => ({
      name,
      axis,
      frames: framesAt(recording, axis, shown),
      account: accountOf(recording),
    })),
    notes:
      other === undefined
        ? [`On ${kind} nothing is made and removed: there is no dynamic window to stand beside it.`]
        : [],
  };
}

function recorded<T>(
  steps: readonly Step[],
  make: (inFront: NonNullable<MainJobOptions["inFront"]>) => Scheme<T> & { readonly ground: Ground; close(): void },
): Recorded {
  const lines: string[] = [];
  const scheme = make((kernel) => recordTrace(kernel, (text) => lines.push(text)));
  try {
    const after = [lines.length];
    const { failures } = runStorm<T>(steps, scheme, () => after.push(lines.length));
    const { interrupted, resizes } = scheme.ground.witness;
    // The end of the program is no part of the storm.
    return { lines: lines.slice(0, after.at(-1)), after, interrupted, resizes, failures };
  } finally {
    scheme.close();
  }
}

/** The steps in which a window is removed: one walk over both. */
function resizeSteps({ lines, after }: Recorded): number[] {
  const found: number[] = [];
  for (let step = 1; step < after.length; step++) {
    if (removals(lines.slice(after[step - 1], after[step])) > 0) found.push(step);
  }
  return found;
}

/** The first, the last, those in which something is lost, the ones before these, and some between, ascending. */
function shownSteps(steps: number, resizes: readonly number[], moments: number): { step: number; isResize: boolean }[] {
  const even = Array.from({ length: moments + 1 }, (_, i) => Math.round((i * steps) / moments));
  const before = resizes.map((step) => step - MOMENTS_BETWEEN);
  const all = [...new Set([...even, ...before, ...resizes])].filter((step) => step >= 0 && step <= steps);
  return all.sort((a, b) => a - b).map((step) => ({ step, isResize: resizes.includes(step) }));
}

/** One walk over the calls: a moment is looked at when its last line was taken, a loss when a window has gone. */
function framesAt(
  { lines, after }: Recorded,
  axis: GrowthColumn["axis"],
  shown: readonly { step: number; isResize: boolean }[],
): Frame[] {
  const { header, calls } = readTrace(lines);
  const windows = new TraceWindows(header);
  const frames: Frame[] = [];
  let [before, lost] = [0n, undefined as bigint | undefined];
  let step = 0;
  const look = () => {
    // All steps that have no more calls to come.
    for (let next = shown[frames.length]; next !== undefined && (after[next.step] as number) <= windows.line; ) {
      const gone = lost === undefined || !next.isResize ? undefined : `no window: ${size(lost)} out of reach`;
      const picture = gone === undefined ? windows.picture("").windows : [];
      frames.push(frameOf(String(next.step), axis, picture, gone));
      lost = undefined;
      next = shown[frames.length];
    }
  };
  for (const call of calls) {
    while (step < after.length - 1 && (after[step] as number) < call.line) {
      step++;
      before = windows.liveBytes;
    }
    windows.take(call);
    // Live when its step began, and within nobody's reach until all is mapped again.
    if (call.call === "TCE_REMOVE" && call.answer === 0 && step > 0) lost = before;
    look();
  }
  look();
  return frames;
}

function accountOf({ lines, after, resizes, interrupted, failures }: Recorded): string[] {
  const early = Math.max(0, removals(lines.slice(0, after[0])) - 1); // the first goes for the first of its own
  const before = early === 0 ? "" : ` (${early} of them before the first step)`;
  const what = resizes === 0 ? "never touched" : `replaced ${resizes} times${before}`;
  const failed = failures === 0 ? "" : `; ${failures} steps failed`;
  // Pages of 4 KiB, as the account of run counts them.
  return [`${what}; ${interrupted} live pages of ${bytes(4096)} interrupted${failed}`];
}

function removals(lines: readonly string[]): number {
  return lines.filter(isRemoval).length;
}

function isRemoval(text: string): boolean {
  return text.startsWith('{"call":"TCE_REMOVE"');
}
