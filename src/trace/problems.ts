import { DmaWindowError } from "../errors.ts";
import { TRACE_VERSION } from "./format.ts";

/** A line that no recorder writes. */
export function malformed(line: number, why: string): DmaWindowError {
  return new DmaWindowError("ERR_TRACE_MALFORMED", `line ${line} of the trace: ${why}`, { facts: { line } });
}

export function wrongVersion(version: number): DmaWindowError {
  return new DmaWindowError(
    "ERR_TRACE_VERSION",
    `line 1 of the trace: it has version ${version}, and this program reads ${TRACE_VERSION}: use the dma-window that recorded it, or a later one`,
    { facts: { line: 1, version } },
  );
}
