/** What belongs together: one subject, its figures, its rows. */
import type { Rivals } from "../rivals/build.ts";
import type { Row, RowName } from "./goals.ts";
import type { Random } from "./random.ts";
import type { Contender, Effort, Timing } from "./rounds.ts";

/** One contender's figure at one size, in the group's unit. */
export interface Figure {
  readonly contender: string;
  /** Of what the group grows with; nothing where there is one size only. */
  readonly size?: number;
  readonly minimum: number;
  readonly median: number;
}

export interface Outcome {
  readonly figures: readonly Figure[];
  readonly rows: readonly Row[];
  /** Text for below the table: a line each. */
  readonly notes?: readonly string[];
}

/** What a group has to work with. */
export interface Bench {
  readonly rivals: Rivals;
  readonly effort: Effort;
  readonly random: Random;
  /** Less of everything, for a run that only shows that it works. */
  readonly quick: boolean;
  /** Measures contenders against each other. */
  compete(what: string, contenders: readonly Contender[]): Promise<Timing[]>;
  /** Says what is being done, to a person who waits. */
  say(what: string): void;
  /** Says that something is not measured, and why. */
  leaveOut(what: string): void;
}

export interface Group {
  readonly name: string;
  readonly title: string;
  /** Of the figures: `ns per address`. */
  readonly unit: string;
  /** What the sizes count: `memsegs`. */
  readonly sizes?: string;
  readonly rows: readonly RowName[];
  run(bench: Bench): Promise<Outcome>;
}

/** Figures of timings of which one repeat was `operations` of the group's unit. */
export function figures(timings: readonly Timing[], operations: number, size?: number): Figure[] {
  return timings.map(({ name, minimum, median }) => ({
    contender: name,
    ...(size !== undefined && { size }),
    minimum: minimum / operations,
    median: median / operations,
  }));
}

/** The figure of the contender at that size whose name begins so; of several the fastest: nobody is to have a weaker rival. */
export function fastest(of: readonly Figure[], begins: string, size?: number): Figure | undefined {
  return of
    .filter((figure) => figure.contender.startsWith(begins) && figure.size === size)
    .reduce<Figure | undefined>((best, figure) => (best && best.minimum <= figure.minimum ? best : figure), undefined);
}

/** The figure of that very contender, at that size. */
export function exactly(of: readonly Figure[], contender: string, size?: number): Figure | undefined {
  return of.find((figure) => figure.contender === contender && figure.size === size);
}
