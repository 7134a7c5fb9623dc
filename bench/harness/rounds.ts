/**
 * Contenders measured in rounds: each round times every one of them once, in an order of its own; only the very slow ones sit
 * out most rounds. So whatever slows the
 * machine for a while slows all of them, and nobody always runs behind the same neighbour.
 */
import type { Random } from "./random.ts";
import { median, minimum } from "./statistics.ts";

/** One way of doing the work that is measured. */
export interface Contender {
  readonly name: string;
  /** Does the work `repeats` times, looks whether every answer was right, and gives nanoseconds for all of them. */
  time(repeats: number): number | Promise<number>;
}

/** How long to measure. */
export interface Effort {
  readonly rounds: number;
  /** Nanoseconds that one timing should take at least: far above what reading the clock costs. */
  readonly sample: number;
  /** Nanoseconds that a contender runs before anything counts. */
  readonly warmUp: number;
}

/** What a contender needed, in nanoseconds for one repeat. */
export interface Timing {
  readonly name: string;
  readonly minimum: number;
  readonly median: number;
}

/**
 * A function of wasm runs in V8's baseline tier until it was called some twenty times; only then does the optimised tier come,
 * and it comes from another thread. The figures are those of the optimised tier.
 */
const WARM_UP_CALLS = 40;

interface Entrant {
  readonly contender: Contender;
  /** For one timing. */
  readonly repeats: number;
  /** It takes part in each so manieth round: 1, unless a single repeat takes much longer than a timing should. */
  readonly every: number;
  readonly samples: number[];
}

/** Warms a contender up, and finds out how long it takes. */
async function enter(contender: Contender, { rounds, sample, warmUp }: Effort): Promise<Entrant> {
  let spent = 0;
  for (let calls = 0; calls < WARM_UP_CALLS || spent < warmUp; calls++) {
    // A contender that is slow enough to need no other tier is not run forty times.
    if (spent > 20 * warmUp) break;
    spent += await contender.time(1);
  }
  let repeats = 1;
  while (true) {
    const took = await contender.time(repeats);
    if (took >= sample) {
      // Five timings at least. The slow ones are slower by far than what they are held against, and whole seconds are theirs.
      const every = Math.min(Math.ceil(took / (2 * sample)), Math.floor(rounds / 5)) || 1;
      return { contender, repeats, every: repeats === 1 ? every : 1, samples: [] };
    }
    repeats = Math.max(repeats + 1, Math.min(repeats * 16, Math.ceil((repeats * sample * 1.2) / Math.max(took, 1))));
  }
}

/** Times all contenders; their timings come in the order in which they were given. */
export async function compete(contenders: readonly Contender[], effort: Effort, random: Random): Promise<Timing[]> {
  const entrants: Entrant[] = [];
  for (const contender of contenders) entrants.push(await enter(contender, effort));
  for (let round = 0; round < effort.rounds; round++) {
    const present = entrants.filter(({ every }) => round % every === 0);
    for (const { contender, repeats, samples } of random.shuffled(present)) {
      samples.push((await contender.time(repeats)) / repeats);
    }
  }
  return entrants.map(({ contender: { name }, samples }) => ({
    name,
    minimum: minimum(samples),
    median: median(samples),
  }));
}
