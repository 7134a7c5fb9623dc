/** What was asked for on the command line. */
import { parseArgs } from "node:util";
import { groups } from "./groups/index.ts";
import { isRowName } from "./harness/goals.ts";
import type { Group } from "./harness/group.ts";

export const USAGE = `npm run bench -- [options]

  --quick        everything once over, in some two minutes; nothing is written
  --only NAME    one group (${groups.map(({ name }) => name).join(", ")})
                 or the group of one row; may be given several times; nothing is written
  --json         the rows as one line of JSON; nothing is written
  --seed NUMBER  repeats the choices of an earlier run, which has printed its seed
  --help         this

Without options: everything, and then the tables and charts under docs/bench are written anew.`;

export interface Options {
  readonly quick: boolean;
  readonly json: boolean;
  readonly help: boolean;
  readonly seed: number;
  /** The groups that are asked for; all of them otherwise. */
  readonly chosen: readonly Group[];
  /** The rows that are asked for by name; none: all rows of the groups. */
  readonly rows: ReadonlySet<string>;
  /** Whether the run is one for the page. */
  readonly write: boolean;
}

/** @throws Error that says what is wrong with the arguments. */
export function readOptions(args: readonly string[], randomSeed: number): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      seed: { type: "string" },
    },
  });
  const { quick, json, help, only } = values;
  const seed = values.seed === undefined ? randomSeed : Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new Error(`--seed must be a whole number from 0 to 2^32 - 1; got ${values.seed}`);
  }
  const known = new Set([...groups.map(({ name }) => name), ...groups.flatMap(({ rows }) => rows)]);
  for (const name of only) {
    if (!known.has(name)) throw new Error(`--only ${name}: there is no group and no row of that name`);
  }
  const wanted = new Set(only);
  const chosen = groups.filter(
    (group) => wanted.size === 0 || wanted.has(group.name) || group.rows.some((row) => wanted.has(row)),
  );
  // A group that is asked for as a whole shows all of its rows.
  const whole = chosen.filter(({ name }) => wanted.has(name)).flatMap(({ rows }) => rows);
  const rows = new Set<string>([...only.filter(isRowName), ...whole]);
  return { quick, json, help, seed, chosen, rows, write: !quick && !json && only.length === 0 };
}
