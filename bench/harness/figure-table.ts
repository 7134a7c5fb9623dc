/** A group's figures as a table: a line for each contender, a pair of columns for each size. */
import { short, size } from "./format.ts";
import type { Figure, Group } from "./group.ts";

/** Sizes in ascending order; `undefined` alone where there is one size only. */
export function sizesOf(figures: readonly Figure[]): (number | undefined)[] {
  return [...new Set(figures.map((figure) => figure.size))].sort((a, b) => (a ?? 0) - (b ?? 0));
}

export function contendersOf(figures: readonly Figure[]): string[] {
  return [...new Set(figures.map(({ contender }) => contender))];
}

/** Header and lines: the minimum, and behind it in brackets the median. */
export function figureTable(group: Group, figures: readonly Figure[]): { header: string[]; body: string[][] } {
  const sizes = sizesOf(figures);
  const heading = (each: number | undefined): string =>
    each === undefined ? group.unit : `${size(each)} ${group.sizes}`;
  const cell = (contender: string, each: number | undefined): string => {
    const figure = figures.find((one) => one.contender === contender && one.size === each);
    return figure === undefined ? "" : `${short(figure.minimum)} (${short(figure.median)})`;
  };
  return {
    header: [sizes.length > 1 ? group.unit : group.name, ...sizes.map(heading)],
    body: contendersOf(figures).map((contender) => [contender, ...sizes.map((each) => cell(contender, each))]),
  };
}
