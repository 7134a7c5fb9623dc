/** Pages on pages: 4096 bytes on a multiple of 4096. */
import { row } from "../harness/goals.ts";
import { type Bench, exactly, figures, type Group, type Outcome } from "../harness/group.ts";
import { withAllocators } from "../rivals/allocators.ts";
import { filled } from "../tables/heaps.ts";
import { HEAP, moduleHeap, publicHeap } from "../tables/ours.ts";
import { always, OPERATIONS, Workload } from "../tables/workload.ts";

const LIVE = 4096;
const STEPS = 2 ** 17;
const ALIGN = 4096;
const SPACE = 64 << 20;
/** rte_malloc takes a thousand times as long as the others: so many in each of its repeats. */
const SLOW = { rte_malloc: 64 };

async function run(bench: Bench): Promise<Outcome> {
  const workload = new Workload(LIVE, always(ALIGN), STEPS, bench.random);
  const rules = { align: ALIGN };
  const ours = [
    { name: HEAP, heap: publicHeap({ space: SPACE, ...rules }) },
    { name: "its exports in wasm, called alone", heap: moduleHeap({ space: SPACE, ...rules }) },
  ];
  try {
    const heaps = ours.map(({ name, heap }) => filled(name, workload, heap, rules));
    const names = ["mimalloc", "jemalloc", "glibc", "rte_malloc"] as const;
    const timings = await withAllocators(bench, names, workload, { align: ALIGN, slow: SLOW }, (rivals) =>
      bench.compete("heap, pages on pages", [
        ...heaps.map(({ contender }) => contender),
        ...rivals.map(({ contender }) => contender),
      ]),
    );
    const found = figures(timings, OPERATIONS);
    const [mine, rival] = [exactly(found, HEAP), exactly(found, "jemalloc")];
    return {
      figures: found,
      rows: mine && rival ? [row("heap-4k-aligned-vs-jemalloc", mine.minimum, rival.minimum, "jemalloc")] : [],
    };
  } finally {
    for (const { heap } of ours) heap.close();
  }
}

export const heapAligned: Group = {
  name: "heap-aligned",
  title: `A heap with ${LIVE} pages of 4 KiB on 4 KiB: a random one freed, another allocated`,
  unit: "ns per free and alloc",
  rows: ["heap-4k-aligned-vs-jemalloc"],
  run,
};
