/** Two workers at once, beside one alone: at one pool that they share, and at a heap each. */
import { availableParallelism } from "node:os";
import { type RowName, row } from "../harness/goals.ts";
import { type Bench, exactly, type Figure, figures, type Group, type Outcome } from "../harness/group.ts";
import { NotTogether, type Order, TURN, Workers } from "../threads/workers.ts";

interface Case {
  readonly called: string;
  readonly work: Order["work"];
  readonly row?: RowName;
  /** A SharedPool, through the library. */
  readonly isPublic?: true;
}

const CASES: readonly Case[] = [
  { called: "its exports, in wasm", work: "pool-wasm", row: "pool-2-workers-vs-1" },
  { called: "SharedPool", work: "pool-js", row: "pool-2-workers-vs-1-js", isPublic: true },
  { called: "SharedPool, 128 got and then put", work: "pool-burst", isPublic: true },
  { called: "DmaHeap, one each, 64 bytes", work: "heap", row: "heaps-2-workers-vs-1" },
];

async function run(bench: Bench): Promise<Outcome> {
  if (availableParallelism() < 2) {
    bench.leaveOut("two workers: there is one processor");
    return { figures: [], rows: [] };
  }
  const workers = await Workers.start(2, bench.random);
  try {
    return await compare(bench, workers);
  } finally {
    await workers.close();
  }
}

async function compare(bench: Bench, workers: Workers): Promise<Outcome> {
  const found: Figure[] = [];
  if (!workers.arePublic) bench.leaveOut("SharedPool: the shim is not built");
  for (const { called, work, isPublic } of CASES) {
    if (isPublic && !workers.arePublic) continue;
    const contenders = [
      workers.contender(`${called}: one worker`, work, 1),
      workers.contender(`${called}: two at once, each`, work, 2),
    ];
    try {
      found.push(...figures(await bench.compete(`workers, ${called}`, contenders), TURN));
    } catch (error) {
      if (!(error instanceof NotTogether)) throw error;
      bench.leaveOut(`two workers, ${called}: ${error.message}`);
    }
  }
  const rows = CASES.flatMap(({ called, row: name }) => {
    const [one, two] = [exactly(found, `${called}: one worker`), exactly(found, `${called}: two at once, each`)];
    return name && one && two ? [row(name, two.minimum, one.minimum, "one worker")] : [];
  });
  return { figures: found, rows };
}

export const workers: Group = {
  name: "workers",
  title: "One worker, and two at the same time",
  unit: "ns per get and put, or free and alloc",
  rows: ["pool-2-workers-vs-1", "pool-2-workers-vs-1-js", "heaps-2-workers-vs-1"],
  run,
};
