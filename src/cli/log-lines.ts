/** A log as lines, one at a time: it may be larger than memory, and come from a program that still runs. */
import { closeSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { DmaWindowError } from "../errors.ts";
import { LINE_MAX } from "../explain/lines/plain.ts";

const CHUNK_BYTES = 1 << 16;

/** How long to wait for a program that has written nothing yet, in ms. */
const PAUSE = 20;

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
    for (let length = more(path, file, chunk); length > 0; length = more(path, file, chunk)) {
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

function more(path: string, file: number, chunk: Buffer): number {
  while (true) {
    const length = reading(path, () => {
      try {
        return readSync(file, chunk);
      } catch (error) {
        // A pipe that is not waited for, and has nothing yet.
        if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
        throw error;
      }
    });
    if (length !== undefined) return length;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
  }
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DmaWindowError("ERR_LOG_UNREADABLE", `the log ${path} cannot be read: ${why}`, { cause });
  }
}
