/**
 * A program is rows of plain numbers, and each step reads its row as it goes: "which list", "how many pages". A number counts
 * modulo what there is to choose from, so every row means something in every state, and a row that is too short goes on
 * with 0, the plainest choice. That is what makes a failing program easy to shorten: any rows may go, any number may shrink,
 * and fast-check needs to know nothing of what a program may do next.
 */
import fc from "fast-check";

export type Program = readonly (readonly number[])[];

const MOST_STEPS = 200;
const MOST_NUMBERS = 20;

/** A multiple of every number up to 16: choices among so few are equally likely. */
const NUMBERS = 720_720;

/** fast-check need not hold back: by default it makes arrays of ten at most. */
const size = "max";

const row = fc.array(fc.nat(NUMBERS - 1), { maxLength: MOST_NUMBERS, size });

/**
 * Programs of any length up to the longest. fast-check makes some of them short, or of numbers that are near either end: of
 * first and last choices.
 *
 * An array is shortened from its front, and a program from its end: what a step needs stands before it. So the steps are
 * generated in reverse order.
 */
function programsOf(rows: fc.Arbitrary<readonly number[]>): fc.Arbitrary<Program> {
  const reversed = (program: Program): Program => [...program].reverse();
  const backwards: fc.Arbitrary<Program> = fc.array(rows, { minLength: 1, maxLength: MOST_STEPS, size });
  return backwards.map(reversed, (program) => reversed(program as Program) as (readonly number[])[]);
}

/** To be shortened to fewer steps. */
export const fewerSteps = programsOf(fc.noShrink(row));

/** The same programs for the same seed, to be shortened to fewer steps and smaller numbers. */
export const smallerNumbers = programsOf(row);

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
