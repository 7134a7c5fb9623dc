/**
 * Looks for a program that fails, and makes it short: fast-check generates and shortens, and every program is run from its
 * first step, on a kernel of its own.
 *
 *     seed --generate--> the first program that fails --fewer steps--> --smaller numbers--> --fewer steps--> ...
 *                              |                             |                 |
 *     path:                   17                    :4:0:12           /0:2:5
 *
 * Each stage begins with what the one before it came to, and ends where nothing is left to take away. The path says which of
 * all ways was gone; with the seed it is that very program, on every machine.
 */
import fc from "fast-check";
import { recordTrace } from "../../src/trace/index.ts";
import { fewerSteps, type Program, smallerNumbers } from "./choices.ts";
import { type Outcomes, runProgram } from "./program.ts";
import { type Between, type Kind, nameOfKind, World } from "./world.ts";

const SHORTENING = 20_000;

/** Between the paths of two stages. */
const THEN = "/";

export interface Search {
  readonly seed: number;
  /** How many programs. */
  readonly runs: number;
  readonly between?: Between;
  /** Counts what the steps came to. */
  readonly outcomes?: Outcomes;
  /** How long a failing program may be shortened, in milliseconds: a run that fails has to end too. Default: 20 seconds. */
  readonly shortening?: number;
}

/** How a program fails; with its steps as lines, and the calls that reached the kernel as a trace. */
export interface Failure {
  readonly error: Error;
  readonly lines: readonly string[];
  readonly trace: readonly string[];
}

/** A program that fails, as short as it could be made. */
export interface Found {
  readonly kind: Kind;
  readonly seed: number;
  readonly path: string;
  readonly program: Program;
  readonly failure: Failure;
  /** How many programs were run before one failed, with that one. */
  readonly programs: number;
  /** Steps of the program that failed first. */
  readonly steps: number;
}

/** The first program that fails; `undefined` when none does. */
export function findFailure(kind: Kind, search: Search): Found | undefined {
  const { seed, runs, between, outcomes } = search;
  const run = (program: Program): void => runProgram(new World(kind, between), program, outcomes);
  const first = fc.check(fc.property(fewerSteps, run), { seed, numRuns: runs, endOnFailure: true });
  if (!first.failed) return undefined;
  const reason = reasonOf(first.errorInstance);
  const { path, program } = shorten(search, String(first.counterexamplePath), (candidate) => {
    try {
      runProgram(new World(kind, between), candidate);
    } catch (error) {
      // One that fails in another way would lead away from this one.
      if (reasonOf(error) === reason) throw error;
    }
  });
  const failure = failureOf(kind, program, between);
  if (failure === undefined)
    throw new Error(`seed ${seed}, path ${path}: failed once and not again: ${first.errorInstance}`);
  const steps = first.counterexample?.[0].length ?? 0;
  return { kind, seed, path, program, failure, programs: first.numRuns, steps };
}

/** Stage after stage, until one finds nothing more to take away, or the time is over. */
function shorten(
  { seed, shortening = SHORTENING }: Search,
  first: string,
  run: (program: Program) => void,
): { path: string; program: Program } {
  const end = performance.now() + shortening;
  let path = "";
  let program = programAt(seed, first);
  for (let stage = 0; ; stage++) {
    const begin = stage === 0 ? { path: first } : { path: "0", examples: [[program] as [Program]] };
    const property = fc.property(stage % 2 === 0 ? fewerSteps : smallerNumbers, run);
    const left = Math.max(0, end - performance.now());
    const short = fc.check(property, { seed, numRuns: 1, ...begin, plugins: [fc.interruptAfterTimeLimit(left)] });
    const reached = short.counterexamplePath ?? begin.path;
    // The second stage is never the last: smaller numbers may be what lets steps go.
    if (reached === begin.path && stage > 1) return { path, program };
    path = stage === 0 ? reached : `${path}${THEN}${reached}`;
    // Plugins are typed for any property, and so is then what they give.
    [program] = (short.counterexample ?? [program]) as [Program];
  }
}

/** The very program that a search came to. */
export function programAt(seed: number, path: string): Program {
  let examples: [Program][] = [];
  for (const [stage, part] of path.split(THEN).entries()) {
    const programs = stage % 2 === 0 ? fewerSteps : smallerNumbers;
    examples = fc.sample(fc.tuple(programs), { seed, path: part, numRuns: 1, examples });
  }
  return (examples[0] as [Program])[0];
}

/** Runs a program and keeps what there is to say of it; `undefined` when it does not fail. */
export function failureOf(kind: Kind, program: Program, between: Between = (kernel) => kernel): Failure | undefined {
  const trace: string[] = [];
  const world = new World(kind, (kernel, model) => recordTrace(between(kernel, model), (line) => trace.push(line)));
  world.lines = [];
  try {
    runProgram(world, program);
    return undefined;
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)), lines: world.lines, trace };
  }
}

/** The error with addresses and numbers taken out: two programs with the same one fail for the same reason. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/0x[0-9a-f]+|\d+/g, "#").slice(0, 60);
}

/** Throws what there is to know about a program that fails. */
export function report({ kind, seed, path, program, failure, steps }: Omit<Found, "programs">): never {
  const { error, lines, trace } = failure;
  const again = `DMA_WINDOW_SEED=${seed} DMA_WINDOW_PATH=${path} DMA_WINDOW_KIND=${nameOfKind(kind)}`;
  const message = [
    `${nameOfKind(kind)}: ${error.message}`,
    `The program, ${steps} steps and ${program.length} when shortened:`,
    ...lines.map((line) => `  ${line}`),
    "The calls that reached the kernel:",
    ...trace.map((line) => `  ${line}`),
    `Again: ${again} node --import tsx test/properties/programs.test.ts`,
  ].join("\n");
  throw Object.assign(new Error(message), { stack: error.stack });
}
