/** A file as lines, one at a time: a trace may be larger than memory. */
import { closeSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { DmaWindowError } from "../errors.ts";
import { checkPath } from "../validate.ts";
import { malformed } from "./problems.ts";

const CHUNK_BYTES = 1 << 16;

/** The longest line of a trace is that of a long capability chain, a few KiB. */
const LINE_LENGTH_MAX = 1 << 20;

/**
 * The lines of the file at `path`, without their newlines. The file is open from the first line on, until the last one or
 * until the walk is given up.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, at once, for what is no path. Where the first line is asked for, `ERR_TRACE_UNREADABLE`;
 * `ERR_TRACE_MALFORMED` for a line of more than 2^20 characters.
 */
export function traceLines(path: string): Generator<string, void, void> {
  checkPath("path", path);
  return linesIn(path);
}

function* linesIn(path: string): Generator<string, void, void> {
  const file = reading(path, () => openSync(path, "r"));
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const decoder = new StringDecoder("utf8");
    let begun = "";
    let line = 1;
    while (true) {
      const length = reading(path, () => readSync(file, chunk));
      begun += length === 0 ? decoder.end() : decoder.write(chunk.subarray(0, length));
      const lines = begun.split("\n");
      begun = lines.pop() ?? "";
      for (const text of lines) yield text;
      line += lines.length;
      if (begun.length > LINE_LENGTH_MAX) throw malformed(line, `it has more than ${LINE_LENGTH_MAX} characters`);
      if (length === 0) break;
    }
    if (begun !== "") yield begun;
  } finally {
    closeSync(file);
  }
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DmaWindowError("ERR_TRACE_UNREADABLE", `the trace ${path} cannot be read: ${why}`, { cause });
  }
}
