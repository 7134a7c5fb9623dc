/** Workers that have ended, and only those: what they had may be taken back. */
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { isRunning, thisThread } from "../worker/thread.ts";

/** A Worker of node:worker_threads, whose types only programs with Node's have. */
export interface WorkerThread {
  /** -1 once it has ended. */
  readonly threadId: number;
}

/** How long a thread that has ended may still be in /proc. */
const LINGERS = 200;

/** Which numbers the tokens had that were made for a worker. */
export class Tokens {
  readonly #ids = new WeakMap<WorkerThread, number[]>();

  add(worker: WorkerThread, id: number): void {
    this.#ids.set(worker, [...(this.#ids.get(worker) ?? []), id]);
  }

  /** Those of one that has ended. @throws `ERR_WORKER_RUNNING`, `ERR_NOT_FOUND`, `ERR_INVALID_ARG_TYPE`. */
  ofEnded(worker: WorkerThread, title: string): readonly number[] {
    isWorker(worker);
    if (worker.threadId !== -1) throw running(title, `the thread ${worker.threadId}`);
    const ids = this.#ids.get(worker);
    if (ids !== undefined) return ids;
    const said = `no token of ${title} was made for this Worker: name it when a token is made, or recover by the token's number`;
    throw new DmaWindowError("ERR_NOT_FOUND", said);
  }
}

/** @throws `ERR_INVALID_ARG_TYPE`. */
export function isWorker(worker: unknown): asserts worker is WorkerThread {
  if (typeof (worker as Partial<WorkerThread> | null)?.threadId === "number") return;
  throw argumentTypeError("worker", "a Worker of node:worker_threads, or the number that its token has", worker);
}

/**
 * Waits for a moment: a thread that was waited for is in /proc a little longer, and one that has just come says a little later which
 * it is. @throws `ERR_WORKER_RUNNING`.
 */
export function checkEnded(threadOf: () => bigint, title: string, who: string): void {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  const own = thisThread();
  for (let waited = 0; ; waited++) {
    const thread = threadOf();
    const isNew = thread === 0n && own !== 0n;
    if (!isNew && isRunning(thread) !== true) return;
    if (isNew && waited === LINGERS) return; // ended before it said so
    if (waited === LINGERS || thread === own) throw running(title, who);
    Atomics.wait(nothing, 0, 0, 1);
  }
}

function running(title: string, who: string): DmaWindowError {
  const said = `${who} still runs, and what it has of ${title} cannot be taken back: await worker.terminate() first`;
  return new DmaWindowError("ERR_WORKER_RUNNING", said);
}
