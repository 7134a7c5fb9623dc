/** Workers that share a pool, and have a heap each. They wait for one another before each timing, and what counts is the slower one. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type Allocator, allocator } from "../../src/alloc.ts";
import { readSharedAlloc } from "../../src/alloc-shared.ts";
import {
  DmaHeap,
  linuxKernel,
  MemsegTable,
  modelKernel,
  openContainer,
  planWindow,
  type SharedPoolToken,
} from "../../src/index.ts";
import { shimAvailable } from "../../src/linux/shim.ts";
import type { Random } from "../harness/random.ts";
import type { Contender } from "../harness/rounds.ts";
import { OPERATIONS } from "../tables/workload.ts";
import { loopsInWasm } from "./loops.ts";

/** What is asked of a worker, together with all others that are asked at that time. */
export interface Order {
  readonly work: "pool-wasm" | "pool-js" | "pool-burst" | "heap";
  readonly repeats: number;
  readonly all: number;
}

/** Nanoseconds; and in milliseconds of the same clock for all, when. */
export interface Answer {
  readonly took: number;
  readonly begun: number;
  readonly ended: number;
}

/** What a worker has from the beginning. */
export interface Part {
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly loops: Uint8Array<ArrayBuffer>;
  readonly memory: WebAssembly.Memory;
  readonly self: number;
  readonly seat: number;
  readonly ticket: number;
  /** For the pool as programs have it; nothing where the shim is not built: other threads see no simulated memory. */
  readonly token?: SharedPoolToken;
  /** How many came to the meetings so far, all together. */
  readonly arrived: Int32Array;
  readonly seed: number;
}

/** The exports that are used here. */
export interface SharedCalls {
  sharedOpen(count: number, workers: number, seats: number): number;
  sharedReserve(pool: number): number;
  sharedJoin(self: number, seat: number, ticket: number): number;
  sharedGet(self: number): number;
  sharedPut(self: number, handle: number): number;
}

/** Of the pool. A worker's record begins with where its seat is, and a seat's word is what its ticket must be. */
const SLOTS = 4096;
const SLOT_BYTES = 2048;

/** A pool in memory of this process's own, which the software kernel maps. */
function publicPool(workers: number) {
  if (!shimAvailable()) return undefined;
  const kernel = modelKernel({ memory: linuxKernel() });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 4096, maxBytes: 4 * SLOTS * SLOT_BYTES });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const heap = new DmaHeap({ memory, list, window, grow: false });
  heap.grow(2 * SLOTS * SLOT_BYTES);
  return heap.sharedPool({ size: SLOT_BYTES, count: SLOTS, workers: workers + 1 });
}

/** Pairs of get and put, and of free and alloc, in one repeat: long enough for the machine to give each worker a processor. */
export const TURN = 4 * OPERATIONS;

/** Of a timing, so much must be of all of them: who runs while the others wait for a processor says nothing. */
const TOGETHER = 0.8;
const TRIES = 100;
/** So many runs may be one after the other. */
const WARM_UP = 40;

/** The machine has too much else to do. */
export class NotTogether extends Error {}
function wereTogether(answers: readonly Answer[]): boolean {
  const begun = Math.max(...answers.map((answer) => answer.begun));
  const ended = Math.min(...answers.map((answer) => answer.ended));
  const longest = Math.max(...answers.map((answer) => answer.ended - answer.begun));
  return ended - begun >= TOGETHER * longest;
}

export class Workers {
  /** Whether there is a pool as programs have it. */
  readonly arePublic: boolean;
  readonly #workers: readonly Worker[];
  readonly #arrived: Int32Array;

  /** So many, each ready for everything. */
  static async start(count: number, random: Random): Promise<Workers> {
    const { memory: own, words, arenaTake }: Allocator = allocator();
    const memory = own as WebAssembly.Memory;
    const wasm = readSharedAlloc();
    const calls = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory } })
      .exports as unknown as SharedCalls;
    const pool = calls.sharedOpen(SLOTS, count, arenaTake(count * 4));
    if (!(pool > 0)) throw new Error(`no pool for the workers: ${pool}`);
    const arrived = new Int32Array(new SharedArrayBuffer(4));
    const shared = publicPool(count);
    const common = { wasm, loops: await loopsInWasm(), memory, arrived };
    const workers = Array.from({ length: count }, () => {
      const self = calls.sharedReserve(pool);
      const seat = words[self >> 2] as number;
      const ticket = words[seat >> 2] as number;
      const mine = { self, seat, ticket, seed: random.below(2 ** 32) };
      const workerData: Part = { ...common, ...mine, ...(shared && { token: shared.token() }) };
      return new Worker(new URL("./thread.mjs", import.meta.url), { workerData });
    });
    await Promise.all(workers.map((worker) => once(worker, "message")));
    return new Workers(workers, arrived, shared !== undefined);
  }

  private constructor(workers: readonly Worker[], arrived: Int32Array, arePublic: boolean) {
    this.arePublic = arePublic;
    this.#workers = workers;
    this.#arrived = arrived;
  }

  /** The first `all` of them at that work, all at the same time; a repeat is that of one. */
  contender(name: string, work: Order["work"], all: number): Contender {
    let asked = 0;
    return {
      name,
      time: async (repeats) => {
        for (let tries = 0; tries < TRIES; tries++) {
          const answers = await this.#ask({ work, repeats, all });
          if (asked++ < WARM_UP || wereTogether(answers)) return Math.max(...answers.map(({ took }) => took));
        }
        throw new NotTogether(`the machine did not let them run at the same time, ${TRIES} times`);
      },
    };
  }

  async #ask(order: Order): Promise<Answer[]> {
    const asked = this.#workers.slice(0, order.all);
    this.#arrived[0] = 0;
    const answers = asked.map((worker) => once(worker, "message"));
    for (const worker of asked) worker.postMessage(order);
    return (await Promise.all(answers)).map(([answer]) => answer as Answer);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
