/** A heap in its steady state: blocks of one size, a random one freed and another allocated. */
import { short } from "../harness/format.ts";
import { garbageOf } from "../harness/garbage.ts";
import { plainRow, type Row, type RowName, row } from "../harness/goals.ts";
import { type Bench, exactly, type Figure, figures, type Group, type Outcome } from "../harness/group.ts";
import { type AllocatorName, withAllocators } from "../rivals/allocators.ts";
import { floors } from "../tables/empty.ts";
import { filled } from "../tables/heaps.ts";
import { HEAP, moduleHeap, publicHeap } from "../tables/ours.ts";
import { always, OPERATIONS, Workload } from "../tables/workload.ts";

const LIVE = 4096;
const STEPS = 2 ** 17;
const SIZES = [64, 1500, 4096] as const;
const SPACE = 64 << 20;
const BOUNDARY = 4096;
const WITH_BOUNDARY = `${HEAP}, no boundary of 4 KiB crossed`;

/** Figures of one size, and bytes of garbage. */
async function ofSize(bench: Bench, size: number): Promise<{ found: Figure[]; garbage: [string, number][] }> {
  const workload = new Workload(LIVE, always(size), STEPS, bench.random);
  const ours = [
    { name: HEAP, heap: publicHeap({ space: SPACE }), rules: {} },
    { name: "its exports in wasm, called alone", heap: moduleHeap({ space: SPACE }), rules: {} },
  ];
  if (size === 1500) {
    const rules = { boundary: BOUNDARY };
    ours.push({ name: WITH_BOUNDARY, heap: publicHeap({ space: SPACE, ...rules }), rules });
  }
  try {
    const heaps = ours.map(({ name, heap, rules }) => filled(name, workload, heap, rules));
    const found = await withAllocators(bench, ["mimalloc", "jemalloc", "glibc", "rte_malloc"], workload, {}, (rivals) =>
      bench.compete(`heap, ${size} bytes`, [
        ...floors(workload),
        ...heaps.map(({ contender }) => contender),
        ...rivals.map(({ contender }) => contender),
      ]),
    );
    const garbage = heaps.map(({ work }): [string, number] => [
      `${work.name}, ${size} bytes`,
      garbageOf(work, OPERATIONS),
    ]);
    return { found: figures(found, OPERATIONS, size), garbage };
  } finally {
    for (const { heap } of ours) heap.close();
  }
}

async function run(bench: Bench): Promise<Outcome> {
  const found: Figure[] = [];
  const garbage: [string, number][] = [];
  for (const size of SIZES) {
    const one = await ofSize(bench, size);
    found.push(...one.found);
    garbage.push(...one.garbage);
  }
  const against = (name: RowName, size: number, rival: AllocatorName): Row[] => {
    const [ours, theirs] = [exactly(found, HEAP, size), exactly(found, rival, size)];
    return ours && theirs ? [row(name, ours.minimum, theirs.minimum, rival)] : [];
  };
  const [crossing, anywhere] = [exactly(found, WITH_BOUNDARY, 1500), exactly(found, HEAP, 1500)];
  return {
    figures: found,
    rows: [
      ...against("heap-64b-vs-rte-malloc", 64, "rte_malloc"),
      ...against("heap-64b-vs-glibc", 64, "glibc"),
      ...against("heap-64b-vs-mimalloc", 64, "mimalloc"),
      ...against("heap-1500b-vs-mimalloc", 1500, "mimalloc"),
      ...against("heap-4k-vs-mimalloc", 4096, "mimalloc"),
      ...against("heap-4k-vs-rte-malloc", 4096, "rte_malloc"),
      ...(crossing && anywhere
        ? [row("heap-boundary-4k-vs-heap-1500b", crossing.minimum, anywhere.minimum, "1500 bytes anywhere")]
        : []),
      plainRow("heap-garbage", Math.max(...garbage.map(([, bytes]) => bytes))),
    ],
    notes: garbage.map(([name, bytes]) => `${name}: ${short(bytes)} bytes of garbage per free and alloc`),
  };
}

export const heap: Group = {
  name: "heap",
  title: `A heap with ${LIVE} blocks: a random one freed, another of its size allocated`,
  unit: "ns per free and alloc",
  sizes: "bytes",
  rows: [
    "heap-64b-vs-rte-malloc",
    "heap-64b-vs-glibc",
    "heap-64b-vs-mimalloc",
    "heap-1500b-vs-mimalloc",
    "heap-4k-vs-mimalloc",
    "heap-4k-vs-rte-malloc",
    "heap-boundary-4k-vs-heap-1500b",
    "heap-garbage",
  ],
  run,
};
