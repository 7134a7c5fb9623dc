/** What a whole trace comes to: when most was live, where, and which moments show how it grew. One walk over its calls. */
import type { AddressRange } from "../iommu.ts";
import type { Trace } from "../trace/read.ts";
import { TraceWindows } from "./from-trace.ts";
import { type Frame, frameOf } from "./growth.ts";
import { type Access, type Picture, type WindowPicture, windowPicture } from "./picture.ts";
import { Runs } from "./runs.ts";
import { type Stretch, stretchesOf } from "./scale.ts";

export interface Survey {
  /** The trace's last line that was read. */
  readonly lines: number;
  /** Calls that changed what a device reaches. */
  readonly changes: number;
  /** The line after which most was live: the last of several; 0 where nothing ever was. */
  readonly fullest: number;
  /** Some container is still open at the end, and something live in it. */
  readonly isLive: boolean;
  /** All that was ever live, in the windows that it was in; undefined where nothing was. */
  readonly ever: WindowPicture | undefined;
}

/** Walks over all calls. @throws what the trace's reader throws. */
export function surveyOf({ header, calls }: Trace): Survey {
  const windows = new TraceWindows(header);
  const ever = new Ever();
  let [most, fullest] = [0n, 0];
  for (const call of calls) {
    if (!windows.take(call)) continue;
    if (call.call === "MAP_DMA") ever.note(windows, String(call.fields.fd));
    const isWhole = call.batch === undefined || call.batch[0] === call.batch[1];
    const { liveBytes } = windows;
    if (isWhole && liveBytes > 0n && liveBytes >= most) [most, fullest] = [liveBytes, call.line];
  }
  const { line, changes, liveBytes } = windows;
  return { lines: line, changes, fullest, isLive: liveBytes > 0n, ever: ever.picture() };
}

/** The picture after the call at `line`, or the last one before it. */
export function pictureAt({ header, calls }: Trace, line: number, title: string): Picture {
  const windows = new TraceWindows(header);
  for (const call of calls) {
    if (call.line > line) break;
    windows.take(call);
  }
  return windows.picture(title);
}

/** The moments after every n-th change, `count` of them at most, the last one too. */
export function framesOf({ header, calls }: Trace, survey: Survey, axis: readonly Stretch[], count: number): Frame[] {
  const windows = new TraceWindows(header);
  const frames: Frame[] = [];
  const wanted = Math.min(count, survey.changes);
  let due = 1;
  for (const call of calls) {
    if (!windows.take(call)) continue;
    // A moment in the middle of a batch no device ever saw for long: the one at its end stands for it.
    if (call.batch !== undefined && call.batch[0] < call.batch[1]) continue;
    if (windows.changes < Math.ceil((due * survey.changes) / wanted)) continue;
    // One batch may have passed several.
    due = Math.floor((windows.changes * wanted) / survey.changes) + 1;
    frames.push(frameOf(`line ${call.line}`, axis, windows.picture("").windows));
  }
  return frames;
}

/** The scale for the moments of a trace; of several, one for all: what is drawn side by side is as long. */
export function axisFor(...surveys: readonly Survey[]): readonly Stretch[] {
  const all = surveys.map(({ ever }) => ever).filter((ever) => ever !== undefined);
  const [first] = all;
  if (first === undefined) return [];
  const live = new Runs<Access>();
  let { start, last } = first;
  for (const ever of all) {
    if (ever.start < start) start = ever.start;
    if (ever.last > last) last = ever.last;
    for (const range of ever.ranges) if (range.kind === "live") live.set(range.start, range.last, BOTH);
  }
  // A strip is short: pieces of pieces have no room in it.
  return stretchesOf(windowPicture({ name: "all that was ever live", start, last, live }).ranges, 1);
}

/** To be read and written. */
const BOTH: Access = 3;

/** All that was ever live of any container, and the hull of its windows. */
class Ever {
  readonly #live = new Runs<Access>();
  #hull: AddressRange | undefined;

  note(windows: TraceWindows, fd: string): void {
    const container = windows.containers.get(fd);
    const newest = container?.newest;
    if (container === undefined || newest === undefined) return;
    this.#live.set(newest.start, newest.last, BOTH);
    this.#include(newest);
    if (container.isType1) return;
    for (const window of container.windows.values()) {
      if (window.start <= newest.start && window.last >= newest.last) this.#include(window);
    }
  }

  picture(): WindowPicture | undefined {
    if (this.#hull === undefined) return undefined;
    return windowPicture({ name: "all that was ever live", ...this.#hull, live: this.#live });
  }

  #include({ start, last }: AddressRange): void {
    const hull = this.#hull ?? { start, last };
    this.#hull = { start: start < hull.start ? start : hull.start, last: last > hull.last ? last : hull.last };
  }
}
