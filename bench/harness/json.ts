/** The answer for machines: `npm run bench -- --json`. */
import type { Row } from "./goals.ts";

export interface Machine {
  /** The processor as it names itself, and how many there are. */
  readonly machine: string;
  /** The version of Node.js. */
  readonly node: string;
}

/** One object: machine, node and rows, each row with its eight fields, in that order and no others. */
export function json({ machine, node }: Machine, rows: readonly Row[]): string {
  const plain = rows.map(({ name, ours, rival, rivalName, ratio, unit, goal, met }) => {
    for (const [field, value] of Object.entries({ ours, rival, ratio, goal })) {
      if (!Number.isFinite(value)) throw new Error(`${name}: ${field} is ${value}, which JSON cannot say`);
    }
    return { name, ours, rival, rivalName, ratio, unit, goal, met };
  });
  return JSON.stringify({ machine, node, rows: plain });
}
