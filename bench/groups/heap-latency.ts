/** How long single operations take: the clock is read before and behind each. Beside them the clock itself. */
import { row } from "../harness/goals.ts";
import { type Bench, exactly, type Figure, type Group, type Outcome } from "../harness/group.ts";
import { latencyOf, type Percentiles, SHARES } from "../harness/percentiles.ts";
import { median, minimum } from "../harness/statistics.ts";
import { withAllocators } from "../rivals/allocators.ts";
import { filled } from "../tables/heaps.ts";
import { HEAP, type Ours, publicHeap } from "../tables/ours.ts";
import { always, logUniform, MEAN, Workload } from "../tables/workload.ts";
import { FILLED, SPACE } from "./heap-random.ts";

const LIVE = 4096;
const SIZE = 64;
const STEPS = 1 << 17;
const OPERATIONS = 655_360;
const RUNS = 9;
const QUICK = { operations: 131_072, runs: 3 };
const CLOCK = "the clock alone, in JavaScript";
const OURS = `${HEAP}, ${SIZE} bytes`;

/** Eight words for each block, as descriptors are. */
const WORDS = 8;
const TOUCH = `a word for each of ${LIVE} blocks read and written, without a heap`;

interface Measured {
  readonly name: string;
  run(count: number): Percentiles | Promise<Percentiles>;
}

/** The workload's steps, one at a time. */
function steps(name: string, workload: Workload, heap: Ours): Measured {
  const { handles } = filled(name, workload, heap);
  const { free, alloc, scope } = heap.calls;
  const one = workload.sizes.every((size) => size === workload.sizes[0]);
  const before = `const at = (i % ${workload.stepCount}) * 2; const slot = steps[at]; const size = steps[at + 1];`;
  const operation = `${free("handles[slot]")} handles[slot] = ${alloc(one ? String(workload.sizes[0]) : "size")};`;
  return { name, run: latencyOf(operation, before, { ...scope, handles, steps: workload.steps }) };
}

/** The workload's steps, of which each reads and writes a word that belongs to its block. */
function touches(workload: Workload): Measured {
  const before = `const slot = steps[(i % ${workload.stepCount}) * 2];`;
  const operation = `const at = slot * ${WORDS}; if (words[at] === 7) words[at + 1] = 1; words[at] ^= 2;`;
  const words = new Int32Array(LIVE * WORDS);
  return { name: TOUCH, run: latencyOf(operation, before, { steps: workload.steps, words }) };
}

/** Of all runs the best and the middle one, percentile by percentile. */
function figuresOf(name: string, runs: readonly Percentiles[]): Figure[] {
  return SHARES.map((size, index) => {
    const values = runs.map((run) => run[index] as number);
    return { contender: name, size, minimum: minimum(values), median: median(values) };
  });
}

async function measure(bench: Bench, all: readonly Measured[]): Promise<Figure[]> {
  const { operations, runs } = bench.quick ? QUICK : { operations: OPERATIONS, runs: RUNS };
  bench.say(`heap-latency: ${all.length} contenders, ${runs} runs of ${operations} operations`);
  const found = new Map<string, Percentiles[]>(all.map(({ name }) => [name, []]));
  for (const { run } of all) await run(operations / 4); // until it is optimised
  for (let i = 0; i < runs; i++) {
    for (const { name, run } of bench.random.shuffled(all)) found.get(name)?.push(await run(operations));
  }
  return [...found].flatMap(([name, each]) => figuresOf(name, each));
}

async function run(bench: Bench): Promise<Outcome> {
  const small = new Workload(LIVE, always(SIZE), STEPS, bench.random);
  const random = new Workload(Math.floor((SPACE * FILLED) / MEAN.logUniform), logUniform, STEPS, bench.random);
  const heaps = [publicHeap({ space: 16 << 20 }), publicHeap({ space: SPACE })] as const;
  try {
    const ours = [
      { name: CLOCK, run: latencyOf("", "", {}) },
      touches(small),
      steps(OURS, small, heaps[0]),
      steps(`${HEAP}, 64 bytes to 64 KiB`, random, heaps[1]),
    ];
    const names = ["mimalloc", "jemalloc", "glibc", "rte_malloc"] as const;
    const found = await withAllocators(bench, names, small, {}, (rivals) =>
      measure(bench, [
        ...ours,
        ...rivals.map((rival) => ({
          name: `${rival.name}, ${SIZE} bytes`,
          run: (count: number) => rival.latency(count),
        })),
        ...rivals
          .slice(0, 1)
          .map((rival) => ({ name: "the clock alone, in C", run: (count: number) => rival.clock(count) })),
      ]),
    );
    const [mine, clock] = [exactly(found, OURS, 99.99), exactly(found, CLOCK, 99.99)];
    return {
      figures: found,
      rows: mine && clock ? [row("heap-p9999-64b-vs-clock", mine.minimum, clock.minimum, CLOCK)] : [],
    };
  } finally {
    for (const heap of heaps) heap.close();
  }
}

export const heapLatency: Group = {
  name: "heap-latency",
  title: "A free and an alloc, one by one: so many of 100 take no longer, the clock included",
  unit: "ns per free and alloc",
  sizes: "%",
  rows: ["heap-p9999-64b-vs-clock"],
  run,
};
