/**
 * Who waits for a slot, in the order in which they came. One after the other is told, and has the time to take a slot before the
 * next one is told, so no slot is promised twice; one who does not take it keeps it from nobody.
 *
 *     put ── deliver ── tell the first ── some microtasks: its `get` ── tell the next, while slots are free
 */
interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Waiters {
  readonly #free: () => number;
  readonly #waiting: Waiter[] = [];
  #isDelivering = false;
  #isTold = false;

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
    const { promise, waiter } = promised();
    this.#waiting.push(waiter);
    return promise;
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
    await undefined; // whoever put the slot goes on first
    while (this.#waiting.length > 0 && this.#free() > 0) {
      this.#isTold = true;
      this.#waiting.shift()?.resolve();
      // What awaits the promise goes on within two microtasks, behind an async function of the program's within five.
      for (let i = 0; i < 6; i++) await undefined;
      this.#isTold = false;
    }
    this.#isDelivering = false;
  }
}

function promised(): { readonly promise: Promise<void>; readonly waiter: Waiter } {
  let waiter: Waiter = { resolve: () => {}, reject: () => {} };
  const promise = new Promise<void>((resolve, reject) => {
    waiter = { resolve, reject };
  });
  return { promise, waiter };
}
