/** The rows as a table. */
import { short } from "./format.ts";
import { floorOf, type Row } from "./goals.ts";

export const ROW_HEADER = ["row", "ours", "rival", "ratio", "floor", "goal", "met", "unit", "rival's name"] as const;

function atMost(value: number | undefined): string {
  return value === undefined ? "" : `<= ${short(value)}`;
}

/** The floor's cell is empty where there is none beside the goal. */
export function rowLines(rows: readonly Row[]): string[][] {
  return rows.map(({ name, ours, rival, ratio, goal, met, unit, rivalName }) => [
    name,
    short(ours),
    short(rival),
    short(ratio),
    atMost(floorOf(name)),
    atMost(goal),
    met ? "yes" : "no",
    unit,
    rivalName,
  ]);
}
