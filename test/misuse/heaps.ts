/**
 * A program that does everything wrong with heaps, pools and pools that threads share, at random, on memory of this process behind a
 * software IOMMU: handles of others, arrays that lie or were moved, closes in any order, also from within kernel interfaces and
 * getters, failing system calls, workers that end at any time. What it meets are exceptions with a code; what it must not meet is
 * a signal, or a block that another owner wrote to.
 *
 *     node --expose-gc --import tsx heaps.ts SEED STEPS END
 *
 * It prints one line, and ends as END says: `return`, `exit`, `throw` (exit code 1) or `terminate` (in a worker that is ended).
 */
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import {
  type Container,
  DmaHeap,
  type DmaPool,
  linuxKernel,
  MemsegTable,
  modelKernel,
  openContainer,
  openSharedPool,
  planWindow,
  type SharedPool,
  type SharedPoolToken,
  type Window,
} from "../../src/index.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { faulty } from "../support/faulty.ts";
import { Random } from "../support/random.ts";
import { endAs } from "./ends.ts";

const here = fileURLToPath(import.meta.url);
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
const GROUP = 26;
const MiB = 1n << 20n;
/** There is nothing to misuse yet. */
const NONE = new Error("none yet");
const bad = [NaN, -0, 2 ** 31, 2 ** 32, -1, 1.5, 5n, "64", {}, null, undefined, Symbol("x"), [64], Infinity, 2 ** 53];

interface Place {
  readonly kernel: ReturnType<typeof faulty>;
  readonly container: Container;
  readonly memory: MemsegTable;
  readonly list: MemsegList;
  readonly window: Window;
}

/** A block or slot that nobody but its owner writes to. */
interface Kept {
  readonly of: DmaHeap | DmaPool | SharedPool;
  readonly handle: number;
  readonly pattern: number;
}

type Pool = DmaPool | SharedPool;

class Misuse {
  readonly #random: Random;
  readonly #places: Place[] = [];
  readonly #heaps: DmaHeap[] = [];
  readonly #pools: Pool[] = [];
  readonly #shared: SharedPool[] = [];
  readonly #arrays: Int32Array[] = [];
  readonly #views: Uint8Array[] = [];
  readonly #handles: number[] = [];
  readonly #tokens: SharedPoolToken[] = [];
  readonly #workers: Worker[] = [];
  #kept: Kept[] = [];
  readonly faults: string[] = [];
  readonly done: Record<string, number> = {};

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async run(steps: number): Promise<void> {
    const often = [
      "heap",
      "alloc",
      "alloc",
      "free",
      "pool",
      "get",
      "get",
      "put",
      "sharedPool",
      "token",
      "worker",
      "keep",
    ];
    const names = Object.keys(this.#ways).concat(...often.map((name) => Array(4).fill(name)));
    for (let step = 0; step < steps; step++) {
      const name = names[this.#below(names.length)] as string;
      try {
        const result = (this.#ways[name] as () => unknown)();
        this.done[name] = (this.done[name] ?? 0) + 1;
        if (result instanceof Promise) result.catch((error) => this.#judge(name, error));
      } catch (error) {
        this.#judge(name, error);
      }
      if (this.#below(8) === 0) await turn();
    }
    this.#look();
  }

  async settle(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** What is wrong is answered with a code. */
  #judge(name: string, error: unknown): void {
    if (error === NONE || name === "move" || typeof (error as { code?: unknown }).code === "string") return;
    this.faults.push(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
  }

  #below(count: number): number {
    return this.#random.below(count);
  }

  #one<T>(some: readonly T[]): T {
    if (some.length === 0) throw NONE;
    return some[this.#below(some.length)] as T;
  }

  /** One of anybody's, or no handle at all. */
  #handle(): number {
    if (this.#below(5) === 0) return this.#one(bad) as number;
    if (this.#below(5) === 0) return this.#below(2 ** 31);
    return this.#one(this.#handles);
  }

  #note(handle: number): number {
    if (handle > 0) this.#handles.push(handle);
    if (this.#handles.length > 300) this.#handles.splice(this.#below(100), 1);
    return handle;
  }

  #view(bytes: Uint8Array): Uint8Array {
    this.#views.push(bytes);
    if (this.#views.length > 60) this.#views.splice(this.#below(30), 1);
    return bytes;
  }

  /** Whoever keeps a block finds what it wrote. */
  #look(): void {
    this.#kept = this.#kept.filter(({ of }) => !of.closed);
    for (const { of, handle, pattern } of this.#kept) {
      let bytes: Uint8Array;
      try {
        bytes = of.bytes(handle);
      } catch {
        continue; // somebody guessed the handle, and freed it
      }
      const wrong = bytes.findIndex((byte) => byte !== pattern);
      if (wrong >= 0) this.faults.push(`byte ${wrong} of a block is ${bytes[wrong]}, and should be ${pattern}`);
    }
  }

  readonly #ways: Record<string, () => unknown> = {
    place: () => {
      if (this.#places.length > 3) throw NONE;
      const memory = linuxKernel();
      const kernel = faulty(modelKernel({ platform: "type1", memory }));
      const container = openContainer({ kernel, groups: [GROUP] });
      const table = new MemsegTable({ kernel });
      const list = table.addList({ pageSize: BigInt(memory.pageSize), maxBytes: 32n * MiB });
      const window = container.createWindow(planWindow({ memory: table, info: container.info(), growTo: 256n * MiB }));
      container.attach(table, window);
      this.#places.push({ kernel, container, memory: table, list, window });
    },
    heap: () => {
      if (this.#heaps.length > 6) throw NONE;
      const { memory, list, window } = this.#one(this.#places);
      const grow = this.#one([false, {}, { step: 65536, low: 4096 }, { step: 4096, sync: false }] as const);
      const aids = { guard: this.#below(5) === 0, zero: this.#below(4) === 0, callSites: this.#below(6) === 0 };
      const quarantine = this.#below(6) === 0 ? { quarantine: { milliseconds: this.#below(3) } } : {};
      this.#heaps.push(new DmaHeap({ memory, list, window, grow, ...aids, ...quarantine }));
    },
    alloc: () => this.#note(this.#one(this.#heaps).alloc(1 + this.#below(20_000))),
    allocAligned: () => {
      const boundary = 2 ** (6 + this.#below(12));
      this.#note(this.#one(this.#heaps).alloc(1 + this.#below(boundary), 2 ** this.#below(14), boundary));
    },
    allocBad: () => {
      const [bytes, align, boundary] = [this.#one(bad), this.#one(bad), this.#one(bad)] as unknown as number[];
      this.#note(this.#one(this.#heaps).tryAlloc(this.#below(3) > 0 ? 64 : (bytes as number), align, boundary));
    },
    free: () => this.#one(this.#heaps).free(this.#handle()),
    look: () => this.#look(),
    keep: () => {
      const of = this.#one<DmaHeap | Pool>([...this.#heaps, ...this.#pools]);
      const handle = of instanceof DmaHeap ? of.alloc(64 + this.#below(9000)) : of.get();
      const pattern = 1 + this.#below(255);
      of.bytes(handle).fill(pattern);
      this.#kept.push({ of, handle, pattern });
    },
    release: () => {
      const { of, handle } = this.#kept.splice(this.#below(this.#kept.length), 1)[0] ?? this.#one<Kept>([]);
      if (of instanceof DmaHeap) of.free(handle);
      else of.put(handle);
      this.#note(handle);
    },
    read: () => this.#one(this.#heaps).read(this.#handle(), this.#below(100), new Uint8Array(this.#below(100))),
    bytes: () => this.#view(this.#one<DmaHeap | Pool>([...this.#heaps, ...this.#pools]).bytes(this.#handle())),
    columns: () => {
      const heap = this.#one(this.#heaps);
      return [heap.iovas[heap.slot(this.#handle())], heap.iovaOf(this.#handle()), heap.sizeOf(this.#handle())];
    },
    buffer: () => {
      const buffer = this.#one(this.#heaps).buffer(1 + this.#below(5000), { align: 64 });
      this.#view(buffer.bytes);
      if (this.#below(2) === 0) buffer.close();
      buffer.close();
    },
    grow: () => this.#one(this.#heaps).grow(1 + this.#below(300_000)),
    trim: () => this.#one(this.#heaps).trim(),
    check: () => [this.#one(this.#heaps).check(), this.#one(this.#heaps).stats, this.#one(this.#heaps).leaks()],
    pool: () => {
      const reuse = this.#one(["stack", "fifo"] as const);
      const size = 1 + this.#below(3000);
      this.#pools.push(this.#one(this.#heaps).pool({ size, count: 1 + this.#below(60), reuse, align: 64 }));
      if (this.#pools.length > 8) this.#pools.splice(this.#below(4), 1);
    },
    sharedPool: () => {
      const pool = this.#one(this.#heaps).sharedPool({ size: 64, count: 1 + this.#below(60), workers: 2 });
      this.#pools.push(pool);
      this.#shared.push(pool);
      if (this.#shared.length > 4) this.#shared.shift();
    },
    closingGetter: () => {
      const heap = this.#one(this.#heaps);
      const options = {
        count: 4,
        get size() {
          heap.close({ force: true });
          return 64;
        },
      };
      if (this.#below(4) === 0) heap[this.#one(["pool", "sharedPool"] as const)](options);
    },
    get: () => this.#note(this.#one(this.#pools).get()),
    put: () => this.#one(this.#pools).put(this.#handle()),
    batch: () => {
      const pool = this.#one(this.#pools);
      if ("batch" in pool) this.#arrays.push(pool.batch(1 + this.#below(20)));
      else this.#arrays.push(new Int32Array(this.#below(20)));
    },
    lie: () => {
      const name = this.#one(["length", "byteOffset", "byteLength", "buffer"]);
      Object.defineProperty(this.#one(this.#arrays), name, { value: this.#below(2 ** 30), configurable: true });
    },
    getMany: () => this.#one(this.#pools).getMany(this.#one(this.#arrays)),
    putMany: () => this.#one(this.#pools).putMany(this.#one(this.#arrays)),
    fillArray: () => this.#one(this.#arrays).fill(this.#below(2 ** 31)),
    available: async () => {
      const pool = this.#one(this.#pools);
      await pool.available();
      this.#note(pool.tryGet());
    },
    adopt: () => this.#one(this.#shared).adopt(this.#handle()),
    token: () => this.#tokens.push(this.#one(this.#shared).token()),
    forge: () => {
      const token = { ...this.#one(this.#tokens) } as Record<string, unknown>;
      const name = this.#one(["pool", "self", "seat", "ticket", "worker"]);
      token[name] = this.#one<unknown>([...bad.filter((value) => typeof value !== "symbol"), this.#below(2 ** 28)]);
      this.#tokens.push(token as unknown as SharedPoolToken);
    },
    worker: () => {
      if (this.#workers.length > 2) throw NONE;
      const token = this.#one(this.#tokens);
      const worker = new Worker(here, { workerData: { token, seed: this.#below(2 ** 31), kind: "member" } });
      worker.on("error", (error) => this.#judge("a worker", error));
      worker.on("message", (bytes) => this.#view(bytes));
      worker.on("exit", () => this.#workers.splice(this.#workers.indexOf(worker), 1));
      worker.unref();
      this.#workers.push(worker);
    },
    here: () => {
      const pool = openSharedPool(this.#one(this.#tokens), { kernel: linuxKernel() });
      this.#view(pool.bytes(this.#note(pool.get())));
      if (this.#below(4) > 0) pool.leave();
    },
    terminate: () => this.#one(this.#workers).terminate(),
    recover: () => this.#one(this.#shared).recover(this.#below(4)),
    leaveShared: () => this.#one(this.#shared).close({ force: this.#below(2) === 0 }),
    closePool: () => this.#one(this.#pools).close({ force: this.#below(2) === 0 }),
    closeHeap: () => {
      const heap = this.#one(this.#heaps);
      heap.close({ force: this.#below(2) === 0 });
      this.#heaps.splice(this.#heaps.indexOf(heap), 1);
    },
    closeOthers: () => {
      const { memory, window, container, list } = this.#one(this.#places);
      const closes = [
        () => memory.close(),
        () => window.close(),
        () => memory.removeList(list),
        () => container.close(),
      ];
      this.#one(closes)();
    },
    dispose: () => {
      if (this.#below(6) > 0) throw NONE;
      const place = this.#one(this.#places);
      this.#places.splice(this.#places.indexOf(place), 1);
      if (this.#below(2) === 0) place.container[Symbol.dispose]?.();
      place.memory[Symbol.dispose]?.();
    },
    move: () => {
      const { buffer } = this.#one(this.#views);
      this.#view(new Uint8Array(structuredClone(buffer, { transfer: [buffer as ArrayBuffer] }) as ArrayBuffer));
    },
    touch: () => {
      const bytes = this.#one(this.#views);
      return (bytes[0] ?? 0) + (bytes[bytes.length - 1] ?? 0); // it only looks: somebody else keeps what lies there
    },
    failing: () => {
      const { kernel } = this.#one(this.#places);
      const call = this.#one(["mmap", "munmap", "MAP_DMA", "UNMAP_DMA"]);
      kernel.heal();
      if (this.#below(2) === 0) kernel.fail({ call, nth: this.#below(3), answer: -12 });
    },
    fromWithin: () => {
      const { kernel } = this.#one(this.#places);
      const before = () => {
        const names = Object.keys(this.#ways).filter((name) => !["place", "worker", "here", "collect"].includes(name));
        const name = this.#one(names);
        try {
          const result = (this.#ways[name] as () => unknown)();
          if (result instanceof Promise) result.catch((error) => this.#judge(name, error));
        } catch (error) {
          this.#judge(name, error);
        }
      };
      kernel.fail({ call: this.#one(["mmap", "munmap", "MAP_DMA", "UNMAP_DMA"]), nth: this.#below(3), before });
    },
    collect: () => {
      if (this.#below(5) === 0) collect();
    },
  };
}

/** A worker that opens a pool, gets and puts, moves what it sees, and ends in one of several ways. */
async function member(token: SharedPoolToken, seed: number): Promise<void> {
  const random = new Random(seed);
  let pool: ReturnType<typeof openSharedPool>;
  try {
    pool = openSharedPool(token, { kernel: linuxKernel() });
  } catch (error) {
    if (typeof (error as { code?: unknown }).code === "string") return;
    throw error;
  }
  const has: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const handle = random.below(3) === 0 ? -1 : pool.tryGet();
    if (handle > 0) has.push(handle);
    else if (has.length > 0) pool.put(has.pop() as number);
  }
  const [first] = has;
  if (first !== undefined && random.below(2) === 0) {
    const { buffer } = pool.bytes(first);
    if (random.below(2) === 0) parentPort?.postMessage(new Uint8Array(buffer), [buffer as ArrayBuffer]);
    await turn();
  }
  const end = random.below(4);
  if (end === 0) process.exit(0);
  if (end === 1) void pool.available().catch(() => {});
  if (end === 2) {
    try {
      pool.leave();
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ERR_HELD") throw error;
    }
  }
  await turn();
}

async function main(seed: number, steps: number, end: string): Promise<void> {
  if (end === "terminate" && isMainThread) {
    const worker = new Worker(here, { workerData: { seed, steps: Number.MAX_SAFE_INTEGER, kind: "all" } });
    worker.on("error", (error) => console.log(error));
    await new Promise((resolve) => setTimeout(resolve, 500 + (seed % 700)));
    await worker.terminate();
    console.log("ended");
    return;
  }
  const misuse = new Misuse(seed);
  await misuse.run(steps);
  await endAs(end, misuse);
}

if (isMainThread) {
  const [seed = "1", steps = "2000", end = "return"] = process.argv.slice(2);
  await main(Number(seed), Number(steps), end);
} else if (workerData.kind === "all") {
  await main(workerData.seed, workerData.steps, "return");
} else {
  await member(workerData.token, workerData.seed);
}
