export type { Difference } from "./difference.ts";
export type { TraceCall, TraceHeader } from "./format.ts";
export { traceLines } from "./lines.ts";
export { readTrace, type Trace } from "./read.ts";
export { type RecordOptions, recordTrace } from "./recorder.ts";
export { type Replayed, type ReplayOptions, replay } from "./replay.ts";
