/** A trace that may still be written: its whole lines, and on request those that come. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { readBounded } from "../bounded-file.ts";
import { DmaWindowError } from "../errors.ts";

const CHUNK_BYTES = 1 << 18;

/** As `traceLines` has it: no line of a trace is nearly as long. */
const LINE_LENGTH_MAX = 1 << 20;

/** How often a file is looked at that has nothing new. */
const POLL_MILLISECONDS = 200;

export interface GrowingOptions {
  /** What the file is called where it cannot be read; left out: its path. */
  readonly name?: string;
  /** What is told after each piece that was read: bytes so far, and of all. */
  readonly onRead?: (done: number, total: number) => void;
  /** Called when there is nothing new, again and again: `false` ends it. Without it the file's end is the end. */
  readonly onIdle?: (milliseconds: number) => boolean;
}

export class GrowingFile {
  readonly #path: string;
  readonly #options: GrowingOptions;
  /** The last line has no end yet: it is left out, for it may be half of one. */
  isCut = false;

  constructor(path: string, options: GrowingOptions = {}) {
    this.#path = path;
    this.#options = options;
  }

  /**
   * Its lines, one at a time, from the first on.
   *
   * @throws `ERR_FILE_UNREADABLE`; `ERR_TRACE_MALFORMED` for a line of more than 2^20 characters.
   */
  *lines(): Generator<string, void, void> {
    const { onRead, onIdle, name = this.#path } = this.#options;
    const file = reading(name, () => openSync(this.#path, "r"));
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const decoder = new StringDecoder("utf8");
      let [begun, done, idle] = ["", 0, 0];
      while (true) {
        const length = reading(name, () => readSync(file, chunk));
        if (length === 0) {
          if (onIdle === undefined || !onIdle(idle)) break;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MILLISECONDS);
          idle += POLL_MILLISECONDS;
          continue;
        }
        [done, idle] = [done + length, 0];
        onRead?.(done, onIdle === undefined ? fstatSync(file).size : done);
        begun += decoder.write(chunk.subarray(0, length));
        const lines = begun.split("\n");
        begun = lines.pop() ?? "";
        yield* lines;
        if (begun.length > LINE_LENGTH_MAX) throw tooLong(name);
      }
      this.isCut = begun !== "";
    } finally {
      closeSync(file);
    }
  }
}

/** The text of a file that has at most so many bytes. @throws `ERR_FILE_UNREADABLE`, `ERR_FILE_TOO_LARGE`. */
export function boundedText(path: string, most: number, name = path): string {
  const { text, isWhole } = reading(name, () => readBounded(path, most));
  if (isWhole) return text;
  const problem = `${name} has more than ${most} bytes: it is no plan, and no machine's description`;
  throw new DmaWindowError("ERR_FILE_TOO_LARGE", problem);
}

/** How a file begins. */
export function beginningOf(path: string, most: number, name = path): string {
  return reading(name, () => readBounded(path, most)).text;
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DmaWindowError("ERR_FILE_UNREADABLE", `${path} cannot be read: ${why}`, { cause });
  }
}

function tooLong(path: string): DmaWindowError {
  return new DmaWindowError(
    "ERR_TRACE_MALFORMED",
    `${path} has a line of more than ${LINE_LENGTH_MAX} characters: it is no trace`,
  );
}
