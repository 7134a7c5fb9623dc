/** Reading what may come from a program that still runs. */
import { readSync } from "node:fs";

/** How long to wait for a program that has written nothing yet, in ms. */
const PAUSE = 20;

/** Reads what is there, or waits for it; 0 at the end. @throws what node:fs throws. */
export function readWaiting(file: number, chunk: Uint8Array): number {
  while (true) {
    try {
      return readSync(file, chunk);
    } catch (error) {
      // A pipe that is not waited for, and has nothing yet.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
  }
}
