/** The events of a vector as an async iterator: what came while nobody waited is one number. */

interface VectorEventsKeeper {
  /** Somebody waits, and is done with what there was before. */
  wanted(): void;
  ended(): void;
}

export class VectorEvents implements AsyncIterableIterator<number> {
  readonly #keeper: VectorEventsKeeper;
  readonly #waiting: ((result: IteratorResult<number, undefined>) => void)[] = [];
  #count = 0;
  #open = true;
  /** Gave an event, and was not asked for the next one since. */
  #isDealing = false;

  constructor(keeper: VectorEventsKeeper) {
    this.#keeper = keeper;
  }

  get isDealing(): boolean {
    return this.#isDealing || this.#count > 0;
  }

  /** Somebody waits for the next event. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<number, undefined>> {
    if (!this.#open) return { done: true, value: undefined };
    if (this.#count > 0) return { done: false, value: this.#take() };
    this.#isDealing = false;
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      try {
        this.#keeper.wanted();
      } catch (error) {
        this.#waiting.splice(this.#waiting.indexOf(resolve), 1); // or it would take an event with it
        reject(error);
      }
    });
  }

  async return(): Promise<IteratorResult<number, undefined>> {
    if (this.#open) {
      this.end();
      this.#keeper.ended();
    }
    return { done: true, value: undefined };
  }

  push(count: number): void {
    this.#count += count;
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) resolve({ done: false, value: this.#take() });
  }

  end(): void {
    this.#open = false;
    this.#isDealing = false;
    this.#count = 0;
    for (const resolve of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  #take(): number {
    const count = this.#count;
    this.#count = 0;
    this.#isDealing = true;
    return count;
  }
}
