/** Turns of the event loop, in Node and in a browser. */

interface Timers {
  setImmediate?: (work: () => void) => unknown;
  setTimeout(work: () => void, milliseconds: number): unknown;
  setInterval(work: () => void, milliseconds: number): unknown;
  clearInterval(timer: unknown): void;
}

const timers = globalThis as unknown as Timers;

/** Calls `work` in a turn of its own, soon. What it throws is an uncaught exception. */
export function nextTurn(work: () => void): void {
  if (timers.setImmediate !== undefined) timers.setImmediate(work);
  else timers.setTimeout(work, 0);
}

/** The longest that a timer can wait: 24 days. */
const LONG = 2 ** 31 - 1;

/** What keeps the event loop going, as an open handle does; a browser's goes on anyway. */
export class LoopHold {
  #timer: unknown;

  hold(): void {
    this.#timer ??= timers.setInterval(() => undefined, LONG);
  }

  release(): void {
    if (this.#timer !== undefined) timers.clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
