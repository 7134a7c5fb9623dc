/** Threads that work on one shared pool, without the library: the module alone. */
import { Worker } from "node:worker_threads";
import { Audit, type SharedModule } from "./audit.ts";
import type { Bytes } from "./modules.ts";

export interface Table {
  readonly wasm: Bytes;
  readonly memory: WebAssembly.Memory;
  readonly module: SharedModule;
  readonly pool: number;
  readonly audit: Audit;
}

/** Anywhere that nobody else uses. */
const SEATS = 1024;

/** A pool, made by the thread that runs this. */
export function table(
  wasm: Bytes,
  memory: WebAssembly.Memory,
  module: SharedModule,
  count: number,
  workers: number,
): Table {
  const pool = module.sharedOpen(count, workers, SEATS);
  if (pool <= 0) throw new Error(`no pool: ${pool}`);
  return { wasm, memory, module, pool, audit: new Audit(memory, pool) };
}

/** A worker with a ticket for the pool. */
export function begin({ wasm, memory, module, pool, audit }: Table, program: string, data: object): [Worker, number] {
  const self = module.sharedReserve(pool);
  if (self === 0) throw new Error("no ticket is left");
  const workerData = {
    wasm,
    memory,
    self,
    seat: audit.seat(self),
    ticket: audit.state(self),
    first: audit.first,
    ...data,
  };
  return [new Worker(new URL(`./programs/${program}.mjs`, import.meta.url), { workerData, execArgv: [] }), self];
}

/** What a worker says last, once it has ended. */
export function said<Message>(worker: Worker): Promise<Message> {
  return new Promise((resolve, reject) => {
    let last: Message;
    worker.on("message", (message: Message) => {
      last = message;
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve(last));
  });
}

export function shared(words: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(words * 4));
}
