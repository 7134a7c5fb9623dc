/** The same allocations and frees, in the same order, for every scheme that is compared: made once, from a seed. */

export type Step = { readonly allocate: number } | { readonly free: number };

export interface StormShape {
  readonly seed: number;
  readonly steps: number;
  /** Pages that may be in use at a time. */
  readonly pages: number;
  /** Pages of the largest allocation. */
  readonly largest: number;
}

/** xorshift32: small, seeded, the same everywhere. Whole numbers from 0 to `below` - 1. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/**
 * A storm that grows: the memory in use swings around a level that rises from a sixteenth of `pages` to all of it, as a
 * program's does that takes on more and more. `free` names the n-th of the segments in use, oldest first.
 */
export function makeStorm({ seed, steps, pages, largest }: StormShape): Step[] {
  const below = random(seed);
  const live: number[] = [];
  let used = 0;
  return Array.from({ length: steps }, (_, i) => {
    const level = (pages / 16) * (1 + (15 * i) / steps);
    const wanted = 1 + below(Math.min(largest, pages));
    const mayAllocate = used + wanted <= pages;
    if (live.length === 0 || (mayAllocate && below(100) < (used < level ? 80 : 20))) {
      live.push(wanted);
      used += wanted;
      return { allocate: wanted };
    }
    const index = below(live.length);
    used -= live[index] ?? 0;
    live.splice(index, 1);
    return { free: index };
  });
}

/** How the memory is cut up that is there before the window is planned. */
const INITIAL_SEGMENTS = 4;

/** A storm over `pages` pages, and the pages of each of the segments that are there before it: a sixteenth of all. */
export function stormFor(
  pages: number,
  { seed, steps }: Pick<StormShape, "seed" | "steps">,
): { readonly initial: readonly number[]; readonly steps: readonly Step[] } {
  const each = Math.max(1, Math.floor(pages / 16 / INITIAL_SEGMENTS));
  const left = pages - each * INITIAL_SEGMENTS;
  const largest = Math.max(1, Math.floor(left / 64));
  return {
    initial: Array.from({ length: INITIAL_SEGMENTS }, () => each),
    steps: makeStorm({ seed, steps, pages: left, largest }),
  };
}

/** What a storm is let loose on. */
export interface Scheme<T> {
  /** Throws when there is no room. */
  allocate(pages: number): T;
  free(segment: T): void;
}

export interface StormResult {
  readonly allocations: number;
  readonly frees: number;
  /** Allocations and frees that threw. */
  readonly failures: number;
  readonly firstFailure?: unknown;
}

/** A storm under way, one step at a time: so it can be shown, and stopped. */
export class Storm<T> {
  readonly #steps: readonly Step[];
  readonly #scheme: Scheme<T>;
  readonly #live: (T | undefined)[] = [];
  #done = 0;
  #allocations = 0;
  #frees = 0;
  #failures = 0;
  #firstFailure: unknown;

  constructor(steps: readonly Step[], scheme: Scheme<T>) {
    this.#steps = steps;
    this.#scheme = scheme;
  }

  /** Steps that are behind it, failed ones too. */
  get done(): number {
    return this.#done;
  }

  /** The next step; false where there is none. */
  step(): boolean {
    const step = this.#steps[this.#done];
    if (step === undefined) return false;
    this.#done++;
    try {
      if ("allocate" in step) this.#allocate(step.allocate);
      else this.#free(step.free);
    } catch (error) {
      this.#firstFailure ??= error;
      this.#failures++;
    }
    return true;
  }

  get result(): StormResult {
    const counts = { allocations: this.#allocations, frees: this.#frees, failures: this.#failures };
    return this.#firstFailure === undefined ? counts : { ...counts, firstFailure: this.#firstFailure };
  }

  #allocate(pages: number): void {
    this.#live.push(undefined); // keeps the numbering, should it fail
    this.#live[this.#live.length - 1] = this.#scheme.allocate(pages);
    this.#allocations++;
  }

  #free(index: number): void {
    const [segment] = this.#live.splice(index, 1);
    if (segment === undefined) return;
    this.#scheme.free(segment);
    this.#frees++;
  }
}

/** Goes through the steps. `onStep` is told after each how many are done. */
export function runStorm<T>(steps: readonly Step[], scheme: Scheme<T>, onStep: (done: number) => void): StormResult {
  const storm = new Storm(steps, scheme);
  while (storm.step()) onStep(storm.done);
  return storm.result;
}
