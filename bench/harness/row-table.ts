/** The rows as a table. */
import { short } from "./format.ts";
import type { Row } from "./goals.ts";

export const ROW_HEADER = ["row", "ours", "rival", "ratio", "goal", "met", "unit", "rival's name"] as const;

export function rowLines(rows: readonly Row[]): string[][] {
  return rows.map(({ name, ours, rival, ratio, goal, met, unit, rivalName }) => [
    name,
    short(ours),
    short(rival),
    short(ratio),
    `<= ${short(goal)}`,
    met ? "yes" : "no",
    unit,
    rivalName,
  ]);
}
