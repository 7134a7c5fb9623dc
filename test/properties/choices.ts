/**
 * A program is rows of plain numbers, and each step reads its row as it goes: "which list", "how many pages". A number counts
 * modulo what there is to choose from, so every row means something in every state, and a row that is too short goes on
 * with 0, the plainest choice. That is what makes a failing program easy to shorten: any rows may go, any number may shrink.
 */
import { Random } from "../support/random.ts";

export type Program = readonly (readonly number[])[];

const NUMBERS = 20;

export class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** From 0 to `end` - 1. */
  below(end: number): number {
    return (this.#numbers[this.#at++] ?? 0) % end;
  }

  /** Once in `times`; never where the numbers have run out. */
  once(times: number): boolean {
    return this.below(times) === times - 1;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** One of `from`, each as often as its weight says. The first is the plainest. */
  weighted<T>(from: readonly (readonly [number, T])[]): T {
    let at = this.below(from.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of from) {
      if (at < weight) return value;
      at -= weight;
    }
    throw new Error("weights of nothing");
  }
}

/** The same program for the same seed, on every machine. */
export function randomProgram(seed: number, mostSteps: number): Program {
  const random = new Random(Math.imul(seed, 0x9e3779b1));
  // Short programs more often: they run faster, and most mistakes need few steps.
  const steps = 1 + Math.min(random.below(mostSteps), random.below(mostSteps));
  return Array.from({ length: steps }, () => Array.from({ length: NUMBERS }, () => random.below(720_720)));
}
