/**
 * One of the workers: it does what it is told, together with the others that are told so too. See workers.ts.
 */
import { parentPort, workerData } from "node:worker_threads";
import { linuxKernel, openSharedPool } from "../../src/index.ts";
import { inJavaScript } from "../harness/loop.ts";
import { Random } from "../harness/random.ts";
import type { Contender } from "../harness/rounds.ts";
import { filled } from "../tables/heaps.ts";
import { publicHeap } from "../tables/ours.ts";
import { always, OPERATIONS, Workload } from "../tables/workload.ts";
import type { Pairs } from "./loops.ts";
import { type Answer, type Order, type Part, type SharedCalls, TURN } from "./workers.ts";

const { wasm, loops, memory, self, seat, ticket, token, arrived, seed } = workerData as Part;
const BURST = 128;

function instance(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports): WebAssembly.Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports;
}

const calls = instance(wasm, { env: { memory } }) as unknown as SharedCalls;
if (calls.sharedJoin(self, seat, ticket) !== 1) throw new Error("the ticket for the pool is not good");
const { sharedGet: get, sharedPut: put } = calls;
const { pairs } = instance(loops, { pool: { get, put } }) as unknown as { pairs: Pairs };
const workload = new Workload(4096, always(64), 2 * OPERATIONS, new Random(seed));

const heap = filled("a heap of its own", workload, publicHeap({ space: 16 << 20 }));

/** The pool as programs have it. */
function publicPool(): Partial<Record<Order["work"], Contender>> {
  if (token === undefined) return {};
  const scope = { pool: openSharedPool(token, { kernel: linuxKernel() }), held: new Int32Array(BURST) };
  return {
    "pool-js": inJavaScript({
      name: "pairs in JavaScript",
      once: `for (let i = 0; i < ${TURN}; i++) { const handle = pool.get(); sum += handle > 0 ? 1 : 0; pool.put(handle); }`,
      scope,
      expected: TURN,
    }),
    "pool-burst": inJavaScript({
      name: "bursts in JavaScript",
      once: `for (let i = 0; i < ${TURN / BURST}; i++) {
        for (let k = 0; k < ${BURST}; k++) { const handle = pool.get(); held[k] = handle; sum += handle > 0 ? 1 : 0; }
        for (let k = 0; k < ${BURST}; k++) pool.put(held[k]);
      }`,
      scope,
      expected: TURN,
    }),
  };
}

const works: Partial<Record<Order["work"], Contender>> = {
  "pool-wasm": inJavaScript({
    name: "pairs in wasm",
    once: `sum += pairs(self, ${TURN});`,
    scope: { pairs, self },
    expected: TURN,
  }),
  heap: {
    name: "a heap of its own",
    time: (repeats) => heap.contender.time((repeats * TURN) / OPERATIONS),
  },
  ...publicPool(),
};

/** Looks so often before it sleeps: who is woken begins too late. */
const LOOKS = 20_000;

/** Until all are here. */
function meet(all: number): void {
  Atomics.add(arrived, 0, 1);
  Atomics.notify(arrived, 0);
  for (let looks = 0; looks < LOOKS; looks++) if (Atomics.load(arrived, 0) >= all) return;
  for (let now = Atomics.load(arrived, 0); now < all; now = Atomics.load(arrived, 0)) Atomics.wait(arrived, 0, now, 10);
}

/** Of a clock that all threads have. */
function milliseconds(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

parentPort?.on("message", async ({ work, repeats, all }: Order) => {
  meet(all);
  const begun = milliseconds();
  const took = await (works[work] as Contender).time(repeats);
  const answer: Answer = { took, begun, ended: milliseconds() };
  parentPort?.postMessage(answer);
});
parentPort?.postMessage(0);
