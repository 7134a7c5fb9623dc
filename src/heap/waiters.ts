/**
 * Who waits for a slot, in the order in which they came. One after the other is told, and has the time to take a slot before the
 * next one is told, so no slot is promised twice; one who does not take it keeps it from nobody.
 *
 *     put ── deliver ── tell the first ── its `get` ── tell the next, while slots are free
 *                              └────────── a turn of the event loop, when it takes none ──┘
 */
interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What awaits a promise goes on within this many microtasks, also behind an async function or two of the program's. */
const MICROTASKS = 8;

export class Waiters {
  readonly #free: () => number;
  readonly #waiting: Waiter[] = [];
  #isDelivering = false;
  #isTold = false;
  #hasTaken = false;

  /** `free`: how many slots are. */
  constructor(free: () => number) {
    this.#free = free;
  }

  get count(): number {
    return this.#waiting.length;
  }

  /** Whether one who was not told may take a slot: those who wait come first. */
  get isOpen(): boolean {
    return this.#isTold || this.#waiting.length === 0 || this.#free() > this.#waiting.length;
  }

  wait(): Promise<void> {
    const waiting = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    this.deliver();
    return waiting;
  }

  /** Somebody takes a slot. */
  took(): void {
    this.#hasTaken = true;
  }

  /** Slots may have come free. */
  deliver(): void {
    if (this.#isDelivering || this.#waiting.length === 0) return;
    this.#isDelivering = true;
    void this.#tell();
  }

  /** Nobody gets anything any more. */
  reject(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  async #tell(): Promise<void> {
    await undefined; // whoever put the slot, or asked, goes on first
    while (this.#waiting.length > 0 && this.#free() > 0) {
      this.#isTold = true;
      this.#hasTaken = false;
      this.#waiting.shift()?.resolve();
      for (let i = 0; i < MICROTASKS && !this.#hasTaken; i++) await undefined;
      if (!this.#hasTaken && this.#waiting.length > 0) await turn();
      this.#isTold = false;
    }
    this.#isDelivering = false;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
