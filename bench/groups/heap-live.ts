/** How the cost grows with how many blocks are live. */
import { type Bench, type Figure, figures, type Group } from "../harness/group.ts";
import { withAllocators } from "../rivals/allocators.ts";
import { floors } from "../tables/empty.ts";
import { filled } from "../tables/heaps.ts";
import { HEAP, publicHeap } from "../tables/ours.ts";
import { always, OPERATIONS, Workload } from "../tables/workload.ts";

const SIZE = 256;
const LIVE = [1024, 65536, 1048576] as const;
const STEPS = 1 << 18;

async function withLive(bench: Bench, live: number): Promise<Figure[]> {
  bench.say(`heap-live: ${live} blocks`);
  const workload = new Workload(live, always(SIZE), STEPS, bench.random);
  const heap = publicHeap({ space: Math.max(4 << 20, live * SIZE * 1.25) });
  try {
    const ours = filled(HEAP, workload, heap);
    const names = ["mimalloc", "jemalloc", "glibc", "rte_malloc"] as const;
    const timings = await withAllocators(bench, names, workload, {}, (rivals) =>
      bench.compete(`heap-live, ${live} blocks`, [
        ...floors(workload),
        ours.contender,
        ...rivals.map(({ contender }) => contender),
      ]),
    );
    ours.check();
    return figures(timings, OPERATIONS, live);
  } finally {
    heap.close();
  }
}

export const heapLive: Group = {
  name: "heap-live",
  title: `A heap with more and more blocks of ${SIZE} bytes: a random one freed, another allocated`,
  unit: "ns per free and alloc",
  sizes: "live",
  rows: [],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const live of LIVE) found.push(...(await withLive(bench, live)));
    return { figures: found, rows: [] };
  },
};
