/**
 * The bench: what the hot path costs, beside C, DPDK and plain JavaScript in the same run. See docs/bench/README.md.
 *
 *     npm run bench -- --help
 */
import { availableParallelism, cpus } from "node:os";
import { figureTable } from "./harness/figure-table.ts";
import type { Row } from "./harness/goals.ts";
import type { Bench, Group, Outcome } from "./harness/group.ts";
import { json as asJson, type Machine } from "./harness/json.ts";
import { Random } from "./harness/random.ts";
import { compete, type Effort } from "./harness/rounds.ts";
import { ROW_HEADER, rowLines } from "./harness/row-table.ts";
import { textTable } from "./harness/table.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { writePage } from "./publish.ts";
import { buildRivals, type Rivals } from "./rivals/build.ts";
import { coreReport } from "./wasm/report.ts";

const THOROUGH: Effort = { rounds: 151, sample: 2e6, warmUp: 60e6 };
const QUICK: Effort = { rounds: 21, sample: 5e5, warmUp: 5e6 };

/** To a person who waits; the answer itself goes to standard output. */
function say(what: string): void {
  process.stderr.write(`bench: ${what}\n`);
}

function machine(rivals: Rivals): Machine {
  const name = cpus()[0]?.model.trim() || process.arch;
  const parts = [
    `${name}, ${availableParallelism()} CPUs`,
    rivals.compiler,
    rivals.dpdkVersion && `DPDK ${rivals.dpdkVersion}`,
  ];
  return { machine: parts.filter(Boolean).join("; "), node: process.version };
}

/** Measures one group after the other. */
async function measure(options: Options, rivals: Rivals): Promise<{ results: [Group, Outcome][]; leftOut: string[] }> {
  const leftOut = [...rivals.leftOut];
  const effort = options.quick ? QUICK : THOROUGH;
  const random = new Random(options.seed);
  const bench: Bench = {
    rivals,
    effort,
    random,
    quick: options.quick,
    compete: (what, contenders) => {
      say(`${what}: ${contenders.length} contenders, ${effort.rounds} rounds`);
      return compete(contenders, effort, random);
    },
    say,
    leaveOut: (what) => {
      leftOut.push(what);
      say(`left out: ${what}`);
    },
  };
  for (const what of rivals.leftOut) say(`left out: ${what}`);
  const results: [Group, Outcome][] = [];
  for (const group of options.chosen) results.push([group, await group.run(bench)]);
  return { results, leftOut };
}

/** `report`: about the core's bytes, where they were asked for. */
function print(
  results: readonly (readonly [Group, Outcome])[],
  rows: readonly Row[],
  report: string | undefined,
): void {
  for (const [group, { figures, notes }] of results) {
    if (figures.length === 0) continue;
    const { header, body } = figureTable(group, figures);
    console.log(`${group.title}\n${group.unit}: minimum (median)\n\n${textTable(header, body)}\n`);
    if (notes?.length) console.log(`${notes.join("\n")}\n`);
  }
  if (report !== undefined) console.log(`${report}\n`);
  if (rows.length > 0) console.log(textTable(ROW_HEADER, rowLines(rows)));
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), Date.now() % 2 ** 32);
  if (options.help) {
    console.log(USAGE);
    return;
  }
  say(`seed ${options.seed} (--seed ${options.seed} makes the same choices again)`);
  const begun = performance.now();
  const rivals = buildRivals();
  const { results, leftOut } = await measure(options, rivals);
  const rows = results
    .flatMap(([, outcome]) => outcome.rows)
    .filter(({ name }) => options.rows.size === 0 || options.rows.has(name));
  if (options.json) console.log(asJson(machine(rivals), rows));
  else print(results, rows, options.rows.has("core-bytes") ? coreReport(!options.quick) : undefined);
  if (options.write) writePage({ machine: machine(rivals), results, rows, leftOut, seed: options.seed });
  say(`done in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}

try {
  await main();
} catch (error) {
  // Node says ERR_PARSE_ARGS_... of options that it does not know; the others are ours.
  console.error(`bench: ${(error as Error).message}`);
  if (process.env.DEBUG) console.error(error);
  process.exitCode = 1;
}
