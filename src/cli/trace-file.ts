/** A trace on its way into a file. */
import { closeSync, openSync, writeSync } from "node:fs";
import { DmaWindowError } from "../errors.ts";

/**
 * Each line is written when it comes: should the kernel take the process with it, the calls before are there. A disk that is
 * full does not break the program that is recorded: the rest is left out, and `close` says so.
 */
export class TraceFile {
  readonly #path: string;
  readonly #file: number;
  #problem: unknown;

  /** @throws `ERR_TRACE_UNWRITABLE`; what was in the file is gone otherwise. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#file = openSync(path, "w");
    } catch (cause) {
      throw this.#unwritable(cause);
    }
  }

  readonly write = (line: string): void => {
    if (this.#problem !== undefined) return;
    try {
      const bytes = Buffer.from(`${line}\n`);
      // A call may write a part; the last one that can fails.
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    } catch (error) {
      this.#problem = error;
    }
  };

  /** Gives an error, `ERR_TRACE_UNWRITABLE`, when a line could not be written. */
  close(): DmaWindowError | undefined {
    closeSync(this.#file);
    return this.#problem === undefined ? undefined : this.#unwritable(this.#problem);
  }

  #unwritable(cause: unknown): DmaWindowError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new DmaWindowError("ERR_TRACE_UNWRITABLE", `the trace ${this.#path} cannot be written: ${why}`, { cause });
  }
}
