/**
 * Long work in batches: between two of them the event loop runs, the program hears how far it is, and may end it.
 *
 *     batch ── onProgress ── a turn of the event loop ── batch ── ...        each batch is an operation of its own (exclusive.ts)
 *        │ fails, or the signal is aborted
 *        └──> what was done is undone, a batch at a time; what cannot be is the error's residue
 */

import { argumentTypeError, DmaWindowError } from "./errors.ts";
import { bytes } from "./hex.ts";
import { readable } from "./inspect.ts";
import { keysOf, known } from "./known.ts";
import { object } from "./validate.ts";

/** How far long work is, in bytes. */
export interface Progress {
  readonly done: bigint;
  readonly total: bigint;
}

/** An AbortSignal, as far as it is asked. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason?: unknown;
}

/** What long work takes besides. */
export interface LongWorkOptions {
  /** An `AbortSignal`. Ends it: what was done is undone, and the promise rejects with `ERR_ABORTED` (`cause`: the signal's reason). */
  readonly signal?: Signal;
  /** Called after each batch, the last one too. What it throws ends the work as the signal does. */
  readonly onProgress?: (progress: Progress) => void;
}

const KEYS = keysOf<LongWorkOptions>({ signal: true, onProgress: true });

export class LongWork {
  readonly #operation: string;
  readonly #total: bigint;
  readonly #signal: Signal | undefined;
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  #done = 0n;

  /** `total`: bytes. @throws `ERR_INVALID_ARG_TYPE`; `ERR_ABORTED` for a signal that is aborted already. */
  constructor(operation: string, total: bigint, options: LongWorkOptions) {
    known("options", object("options", options), KEYS);
    const { signal, onProgress } = options;
    if (signal !== undefined && typeof (signal as Partial<Signal> | null)?.aborted !== "boolean")
      throw argumentTypeError("signal", "an AbortSignal", signal);
    if (onProgress !== undefined && typeof onProgress !== "function")
      throw argumentTypeError("onProgress", "a function", onProgress);
    this.#operation = operation;
    this.#total = total;
    this.#signal = signal;
    this.#onProgress = onProgress;
    this.check();
  }

  /** @throws `ERR_ABORTED`. */
  check(): void {
    if (!this.#signal?.aborted) return;
    const [done, total] = [this.#done, this.#total];
    throw new DmaWindowError("ERR_ABORTED", `${this.#operation} was aborted after ${bytes(done)} of ${bytes(total)}`, {
      cause: this.#signal.reason,
      facts: { operation: this.#operation, done, total },
    });
  }

  /** A batch is done: the program hears of it, and the event loop runs. @throws `ERR_ABORTED`, and what `onProgress` throws. */
  async did(length: bigint): Promise<void> {
    this.#done += length;
    this.#onProgress?.(readable({ done: this.#done, total: this.#total }));
    await turn();
    this.check();
  }
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((done) => {
    if (typeof setImmediate === "function") setImmediate(done);
    else setTimeout(done, 0); // in a browser
  });
}
