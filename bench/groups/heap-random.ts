/** A heap that is well filled, with blocks of all sizes: what the caches of the processor, and of allocators, do not hold. */
import { short } from "../harness/format.ts";
import { garbageOf } from "../harness/garbage.ts";
import { plainRow, row } from "../harness/goals.ts";
import { type Bench, exactly, type Figure, figures, type Group, type Outcome } from "../harness/group.ts";
import { withAllocators } from "../rivals/allocators.ts";
import { floors } from "../tables/empty.ts";
import { filled } from "../tables/heaps.ts";
import { HEAP, moduleHeap, publicHeap } from "../tables/ours.ts";
import { logUniform, MEAN, OPERATIONS, type Sizes, uniform, Workload } from "../tables/workload.ts";

export const SPACE = 512 << 20;
export const FILLED = 0.7;
const STEPS = 1 << 19;

export const DISTRIBUTIONS = [
  { called: "log-uniform", sizes: logUniform, mean: MEAN.logUniform },
  { called: "uniform", sizes: uniform, mean: MEAN.uniform },
] as const;

interface Distribution {
  readonly called: string;
  readonly sizes: Sizes;
  readonly mean: number;
}

/** rte_malloc walks its free lists: some 30 us for each block, which only its first seconds would show. */
const RIVALS = ["mimalloc", "jemalloc", "glibc"] as const;

async function ofDistribution(bench: Bench, { called, sizes, mean }: Distribution) {
  const live = Math.floor((SPACE * FILLED) / mean);
  bench.say(`heap-random: ${live} blocks, ${called}`);
  const workload = new Workload(live, sizes, STEPS, bench.random);
  const ours = [
    { name: HEAP, heap: publicHeap({ space: SPACE }) },
    { name: "its exports in wasm, called alone", heap: moduleHeap({ space: SPACE }) },
  ];
  try {
    const heaps = ours.map(({ name, heap }) => filled(name, workload, heap));
    const timings = await withAllocators(bench, RIVALS, workload, {}, (rivals) =>
      bench.compete(`heap-random, ${called}`, [
        ...floors(workload),
        ...heaps.map(({ contender }) => contender),
        ...rivals.map(({ contender }) => contender),
      ]),
    );
    const named = timings.map((timing) => ({ ...timing, name: `${timing.name}, ${called}` }));
    const garbage = garbageOf((heaps[0] as (typeof heaps)[0]).work, OPERATIONS);
    return { found: figures(named, OPERATIONS), garbage };
  } finally {
    for (const { heap } of ours) heap.close();
  }
}

async function run(bench: Bench): Promise<Outcome> {
  const found: Figure[] = [];
  const notes: string[] = [];
  let most = 0;
  for (const distribution of DISTRIBUTIONS) {
    const one = await ofDistribution(bench, distribution);
    found.push(...one.found);
    most = Math.max(most, one.garbage);
    notes.push(`${HEAP}, ${distribution.called}: ${short(one.garbage)} bytes of garbage per free and alloc`);
  }
  const [ours, rival] = [exactly(found, `${HEAP}, log-uniform`), exactly(found, "mimalloc, log-uniform")];
  return {
    figures: found,
    rows: [
      ...(ours && rival ? [row("heap-random-70-vs-mimalloc", ours.minimum, rival.minimum, "mimalloc")] : []),
      plainRow("heap-random-garbage", most),
    ],
    notes,
  };
}

export const heapRandom: Group = {
  name: "heap-random",
  title: `A heap of 512 MiB, ${FILLED * 100} % live, 64 bytes to 64 KiB: a random block freed, one of another size allocated`,
  unit: "ns per free and alloc",
  rows: ["heap-random-70-vs-mimalloc", "heap-random-garbage"],
  run,
};
