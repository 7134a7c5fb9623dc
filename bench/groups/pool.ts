/** A pool: one got and put back; many held, and one of them put for another; 32 at once. */
import { short } from "../harness/format.ts";
import { garbageOf } from "../harness/garbage.ts";
import { plainRow, type Row, type RowName, row } from "../harness/goals.ts";
import { type Bench, exactly, type Figure, figures, type Group, type Outcome } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import { type Mempool, withMempools } from "../rivals/mempool.ts";
import { emptyCalls } from "../tables/empty.ts";
import { modulePool, POOL, publicPool } from "../tables/ours.ts";
import { BULK, bulkOf, exchangesOf, HELD, OBJECTS, PAIRS, type PoolInUse, pairsOf } from "../tables/pools.ts";

const RING = "rte_mempool, its ring";
const CACHED = "rte_mempool, a cache of 256";

const RIVALS: readonly Mempool[] = [
  { name: CACHED, cache: 256, ring: "ring_mp_mc" },
  { name: RING, cache: 0, ring: "ring_mp_mc" },
  { name: "rte_mempool, a ring for one thread", cache: 0, ring: "ring_sp_sc" },
];

function ours(): readonly { readonly name: string; readonly pool: PoolInUse }[] {
  return [
    { name: POOL, pool: publicPool({ count: OBJECTS, reuse: "stack" }) },
    { name: `${POOL}, first in, first out`, pool: publicPool({ count: OBJECTS, reuse: "fifo" }) },
    { name: "its exports in wasm, called alone", pool: modulePool({ count: OBJECTS }) },
  ];
}

/** What is paid before anything is done. */
function floors(): Contender[] {
  const { a, b } = emptyCalls();
  const cell = new Int32Array(1);
  const scope = { a, b, cell };
  return [
    inJavaScript({
      name: "a load and a store",
      once: `for (let i = 0; i < ${PAIRS}; i++) { cell[0] = i + 1; sum += cell[0] > 0 ? 1 : 0; }`,
      scope,
      expected: PAIRS,
    }),
    inJavaScript({
      name: "two empty calls into wasm",
      once: `for (let i = 0; i < ${PAIRS}; i++) { const handle = a(1, i + 1); sum += handle > 0 ? 1 : 0; b(1, handle); }`,
      scope,
      expected: PAIRS,
    }),
  ];
}

/** What a program writes without the library: objects that it has made once, and a mark in each. */
function plainObjects(): Contender {
  const free = Array.from({ length: OBJECTS }, (_, index) => ({ index, isFree: true }));
  class Objects {
    take() {
      const one = free.pop();
      if (one === undefined) throw new Error("the pool is empty");
      one.isFree = false;
      return one;
    }
    release(one: { index: number; isFree: boolean }): void {
      if (one.isFree) throw new Error("twice");
      one.isFree = true;
      free.push(one);
    }
  }
  return inJavaScript({
    name: "JavaScript: objects made once, in an array",
    once: `for (let i = 0; i < ${PAIRS}; i++) { const one = pool.take(); sum += one.index >= 0 ? 1 : 0; pool.release(one); }`,
    scope: { pool: new Objects() },
    expected: PAIRS,
  });
}

function against(found: readonly Figure[], name: RowName, rival: string): Row[] {
  const [mine, theirs] = [exactly(found, POOL), exactly(found, rival)];
  return mine && theirs ? [row(name, mine.minimum, theirs.minimum, rival)] : [];
}

async function single(bench: Bench): Promise<Outcome> {
  const pools = ours();
  // These hold their objects from here on, as the rivals do.
  const exchanges = pools.map(({ name, pool }) => exchangesOf(`${name}; ${HELD} held`, pool, bench.random));
  const pairs = pools.map(({ name, pool }) => pairsOf(name, pool));
  try {
    const timings = await withMempools(bench, RIVALS, OBJECTS, (rivals) =>
      bench.compete("pool", [
        ...floors(),
        ...pairs.map(inJavaScript),
        ...rivals.map((rival) => rival.contender("pair")),
        plainObjects(),
        ...exchanges.map(inJavaScript),
        ...rivals.map((rival) => rival.contender("exchange", `; ${HELD} held`)),
      ]),
    );
    const found = figures(timings, PAIRS);
    const garbage = [...pairs, ...exchanges].map((work): [string, number] => [work.name, garbageOf(work, PAIRS)]);
    return {
      figures: found,
      rows: [
        ...against(found, "pool-vs-mempool-cached", CACHED),
        ...against(found, "pool-vs-mempool-ring", RING),
        plainRow("pool-garbage", Math.max(...garbage.map(([, bytes]) => bytes))),
      ],
      notes: garbage.map(([name, bytes]) => `${name}: ${short(bytes)} bytes of garbage per get and put`),
    };
  } finally {
    for (const { pool } of pools) pool.close();
  }
}

async function many(bench: Bench): Promise<Outcome> {
  const pools = ours();
  const bulks = pools.map(({ name, pool }) => bulkOf(name, pool));
  try {
    const timings = await withMempools(bench, RIVALS, OBJECTS, (rivals) =>
      bench.compete("pool, 32 at once", [
        ...bulks.map(inJavaScript),
        ...rivals.map((rival) => rival.contender("bulk")),
      ]),
    );
    const found = figures(timings, PAIRS);
    const garbage = Math.max(...bulks.map((work) => garbageOf(work, PAIRS)));
    return {
      figures: found,
      rows: [...against(found, "pool-bulk-32-vs-ring", RING), plainRow("pool-bulk-garbage", garbage)],
    };
  } finally {
    for (const { pool } of pools) pool.close();
  }
}

export const pool: Group = {
  name: "pool",
  title: `A pool of ${OBJECTS} buffers: one got and put back; or one of ${HELD} that are held put, and another got`,
  unit: "ns per get and put",
  rows: ["pool-vs-mempool-cached", "pool-vs-mempool-ring", "pool-garbage"],
  run: single,
};

export const poolBulk: Group = {
  name: "pool-bulk",
  title: `A pool of ${OBJECTS} buffers: ${BULK} got at once and put back at once`,
  unit: "ns per object",
  rows: ["pool-bulk-32-vs-ring", "pool-bulk-garbage"],
  run: many,
};
