/** What a command prints. */
import { writeSync } from "node:fs";

/** The result cannot be written: the disk is full, or the like. */
export class UnwritableError extends Error {}

/** Writes at once, also where the event loop does not come to its turn. `false` when nobody reads any more. @throws UnwritableError */
export function say(text: string): boolean {
  const buffer = Buffer.from(text);
  for (let done = 0; done < buffer.length; ) {
    try {
      done += writeSync(1, buffer, done);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") return false;
      if (code !== "EAGAIN") throw new UnwritableError(message, { cause: error });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
  return true;
}
