import { suite } from "uvu";
import * as assert from "uvu/assert";
import { floorOf, goals } from "../../bench/harness/goals.ts";
import { inJavaScript } from "../../bench/harness/loop.ts";
import { Histogram, latencyOf } from "../../bench/harness/percentiles.ts";
import { Random } from "../../bench/harness/random.ts";
import { rowLines } from "../../bench/harness/row-table.ts";
import { ALLOCATORS, Allocator } from "../../bench/rivals/allocators.ts";
import { buildRivals } from "../../bench/rivals/build.ts";
import { withMempools } from "../../bench/rivals/mempool.ts";
import { checkBlocks, filled } from "../../bench/tables/heaps.ts";
import { growingHeap, HUGEPAGE, moduleHeap, type Ours, publicHeap, publicPool } from "../../bench/tables/ours.ts";
import { bulkOf, exchangesOf, OBJECTS, PAIRS, pairsOf } from "../../bench/tables/pools.ts";
import { swaps } from "../../bench/tables/swaps.ts";
import {
  always,
  LARGEST,
  logUniform,
  MEAN,
  OPERATIONS,
  SMALLEST,
  uniform,
  Workload,
} from "../../bench/tables/workload.ts";

const test = suite("allocation");

test("a workload has its blocks, and steps that name them; the same again for the same seed", () => {
  const [one, same] = [1, 2].map(() => new Workload(100, logUniform, OPERATIONS, new Random(7))) as [
    Workload,
    Workload,
  ];
  assert.is(one.stepCount, OPERATIONS);
  assert.equal(one.steps, same.steps);
  for (let i = 0; i < one.steps.length; i += 2) assert.ok((one.steps[i] as number) < 100);
  assert.throws(() => new Workload(100, logUniform, OPERATIONS + 1, new Random(7)), /not a multiple/);
});

test("sizes lie between the smallest and the largest, and have the mean that they are said to have", () => {
  const random = new Random(3);
  for (const [sizes, mean] of [
    [logUniform, MEAN.logUniform],
    [uniform, MEAN.uniform],
  ] as const) {
    let sum = 0;
    for (let i = 0; i < 100_000; i++) {
      const size = sizes(random);
      assert.ok(size >= SMALLEST && size <= LARGEST);
      sum += size;
    }
    assert.ok(Math.abs(sum / 100_000 / mean - 1) < 0.02, `${sum / 100_000} is not about ${mean}`);
  }
});

test("blocks that overlap, lie off their alignment or cross a boundary are found", () => {
  const sizes = Uint32Array.of(64, 128, 64);
  const base = 1n << 59n;
  const at = (...offsets: number[]) => offsets.map((offset) => base + BigInt(offset));
  checkBlocks("right", at(0, 128, 64), sizes);
  assert.throws(() => checkBlocks("wrong", at(0, 32, 256), sizes), /overlap/);
  assert.throws(() => checkBlocks("wrong", at(0, 96, 256), sizes), /alignment/);
  assert.throws(() => checkBlocks("wrong", at(0, 192, 512), sizes, { boundary: 256 }), /boundary/);
  checkBlocks("right", at(0, 256, 192), sizes, { boundary: 256 });
});

/** An allocator that gives the same block twice, now and then. */
function forgetful(): Ours {
  let next = 0;
  const take = () => ++next;
  return {
    calls: { free: () => "", alloc: () => "take()", scope: { take } },
    take,
    iovaOf: (handle) => BigInt(handle % 7) * 65536n,
    close: () => {},
  };
}

test("an allocator that gives two owners one block ends the bench", () => {
  const workload = new Workload(16, always(64), OPERATIONS, new Random(1));
  const { contender } = filled("forgetful", workload, forgetful());
  assert.throws(() => contender.time(1), /two blocks overlap/);
});

test("after the loop the sizes are those of the steps that it did, round and round", () => {
  const workload = new Workload(50, uniform, 2 * OPERATIONS, new Random(5));
  const scope = { take: (size: number) => size };
  const { once, scope: words, catchUp } = swaps(workload, { free: () => "", alloc: (size) => `take(${size})`, scope });
  const { time } = inJavaScript({ name: "sizes", once, scope: words, expected: OPERATIONS });
  for (const repeats of [1, 2, 4]) {
    time(repeats);
    assert.equal(catchUp(), Uint32Array.from(words.handles as Int32Array));
  }
});

test("heaps of ours do a workload as it is asked, with alignment and boundary", () => {
  const workload = new Workload(500, always(1500), OPERATIONS, new Random(2));
  for (const rules of [{}, { align: 4096 }, { boundary: 4096 }]) {
    for (const make of [publicHeap, moduleHeap]) {
      const heap = make({ space: 4 << 20, ...rules });
      const { contender, check } = filled("ours", workload, heap, rules);
      assert.ok((contender.time(1) as number) > 0);
      check();
      heap.close();
    }
  }
});

test("a heap that is to grow has the hugepages that it was given", () => {
  const heap = growingHeap(1);
  while (heap.tryAlloc(LARGEST) > 0);
  assert.is(heap.pages(), 1);
  heap.grow();
  assert.is(heap.pages(), 2);
  const handle = heap.tryAlloc(HUGEPAGE / 2);
  assert.ok(handle > 0);
  heap.free(handle);
  heap.close();
});

test("pools of ours are as full after each loop as before", () => {
  const pool = publicPool({ count: OBJECTS, reuse: "fifo" });
  const held = exchangesOf("held", pool, new Random(4));
  for (const work of [held, pairsOf("pairs", pool), bulkOf("bulk", pool)]) {
    assert.is(work.expected, PAIRS);
    inJavaScript(work).time(2);
  }
  pool.close();
});

test("percentiles are those of what was counted, and the last is the longest", () => {
  const histogram = new Histogram();
  histogram.longest[0] = 10_000;
  for (let took = 1; took <= 10_000; took++) histogram.counts[took] = 1;
  assert.equal(histogram.percentiles(), [5000, 9900, 9990, 9999, 10_000]);
  const done: number[] = [];
  const found = latencyOf("done.push(i);", "", { done })(1000);
  assert.is(done.length, 1000);
  assert.equal(
    [...found].sort((a, b) => a - b),
    found,
  );
});

test("a row shows its floor, where it has one beside its goal", () => {
  const some = { ours: 1, rival: 1, rivalName: "", ratio: 1, unit: "", met: true };
  const line = (name: keyof typeof goals) => rowLines([{ name, goal: goals[name].goal, ...some }])[0];
  assert.equal(line("pool-bulk-32-vs-ring")?.slice(4, 6), ["<= 2.40", "<= 1.20"]);
  assert.equal(line("core-bytes")?.slice(4, 6), ["", "<= 16,384"]);
  assert.is(floorOf("nothing"), undefined);
});

const rivals = buildRivals();
const bench = {
  rivals,
  leaveOut: (what: string) => {
    throw new Error(what);
  },
};

for (const name of ALLOCATORS) {
  if (rivals[name] === undefined) continue;
  test(`${name} does a workload, and says how long single steps take`, async () => {
    const workload = new Workload(300, uniform, OPERATIONS, new Random(6));
    const allocator = (await Allocator.start(bench, name, workload, { operations: 512 })) as Allocator;
    assert.ok((await allocator.contender.time(3)) > 0);
    const percentiles = await allocator.latency(2000);
    assert.is(percentiles.length, 5);
    assert.ok(percentiles.every((took, i) => i === 0 || took >= (percentiles[i - 1] as number)));
    assert.is((await allocator.clock(100)).length, 5);
    assert.ok((await allocator.contender.time(1)) > 0);
    allocator.close();
  });
}

if (rivals.mempool !== undefined) {
  test("a mempool does its work with a cache and without", async () => {
    const pools = [
      { name: "cached", cache: 256, ring: "ring_mp_mc" },
      { name: "single", cache: 0, ring: "ring_sp_sc" },
    ] as const;
    await withMempools(bench, pools, OBJECTS, async (running) => {
      assert.is(running.length, 2);
      for (const one of running) {
        for (const work of ["pair", "exchange", "bulk"] as const) assert.ok((await one.contender(work).time(1)) > 0);
      }
    });
  });
}

test.run();
