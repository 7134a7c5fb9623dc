/** A log as lines, one at a time: it may be larger than memory, and come from a program that still runs. */
import { closeSync, openSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { DmaWindowError } from "../errors.ts";
import { LINE_MAX } from "../explain/lines/plain.ts";
import { readWaiting } from "./read-waiting.ts";

const CHUNK_BYTES = 1 << 16;

/**
 * The lines of the file at `path`, `-` for stdin; what of a line is longer than 8192 characters is left out.
 *
 * @throws `ERR_LOG_UNREADABLE`.
 */
export function* logLines(path: string): Generator<string, void, void> {
  const file = path === "-" ? 0 : reading(path, () => openSync(path, "r"));
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const decoder = new StringDecoder("utf8");
    let begun = "";
    const more = () => reading(path, () => readWaiting(file, chunk));
    for (let length = more(); length > 0; length = more()) {
      const lines = decoder.write(chunk.subarray(0, length)).split("\n");
      begun = joined(begun, lines.shift() ?? "");
      for (const line of lines) {
        yield begun;
        begun = joined("", line);
      }
    }
    begun = joined(begun, decoder.end());
    if (begun !== "") yield begun;
  } finally {
    if (file !== 0) closeSync(file);
  }
}

function joined(begun: string, more: string): string {
  return begun.length >= LINE_MAX ? begun : (begun + more).slice(0, LINE_MAX);
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DmaWindowError("ERR_LOG_UNREADABLE", `the log ${path} cannot be read: ${why}`, { cause });
  }
}
