import { SHARED, type SharedAllocator, sharedAllocatorOn } from "../alloc-shared.ts";
import { markClass } from "../copies.ts";
import { coded, DmaWindowError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { hex } from "../hex.ts";
import { inspectable, whereClosed } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import { type Sight, type Syscalls, sightIn, spaceOf } from "../syscalls.ts";
import { object, syscalls } from "../validate.ts";
import { isPool, readFacts } from "./facts.ts";
import { type Part, type PoolRun, SharedSlots } from "./slots.ts";
import { thisThread } from "./thread.ts";
import { checkSpace, readToken, type SharedPoolToken } from "./token.ts";

export interface OpenSharedPoolOptions {
  /** By which this thread sees the pool's memory: `linuxKernel()`. */
  readonly kernel: Syscalls;
}

const KEYS = keysOf<OpenSharedPoolOptions>({ kernel: true });

let make: (kernel: Syscalls, part: Part) => WorkerPool;

/**
 * A pool that another thread made, in a worker: the same slots, and the same memory. Gets and puts go by shared memory, without
 * messages.
 *
 *     const pool = openSharedPool(workerData, { kernel: linuxKernel() });
 *     const handle = pool.get();
 *     ring[tail] = pool.iovas[pool.slot(handle)];
 *     pool.bytes(handle)[0] = 1;
 *     pool.put(handle);
 *     pool.leave();
 *
 * A worker that is ended before it leaves keeps its slots until the pool's maker calls `recover`.
 */
export class WorkerPool extends SharedSlots {
  readonly #kernel: Syscalls;
  readonly #shared: SharedAllocator;
  readonly #self: number;
  readonly #runs: readonly PoolRun[];
  readonly #title: string;
  /** Over the runs, made when they are needed. */
  readonly #shown = new Map<PoolRun, Uint8Array>();
  /** What still leads to the memory though its array has ended. */
  #sights: Sight[] = [];

  static {
    make = (kernel, part) => new WorkerPool(make, kernel, part);
  }

  /** @internal Made by {@link openSharedPool}. */
  constructor(key: unknown, kernel: Syscalls, part: Part) {
    if (key !== make) throw coded(new TypeError("it is opened by openSharedPool"), "ERR_INVALID_ARG_TYPE");
    super(part);
    this.#kernel = kernel;
    this.#shared = part.shared;
    this.#self = part.self;
    this.#runs = part.runs;
    this.#title = part.title;
  }

  /** @internal */
  protected override copy(va: bigint, bytes: Uint8Array, way: "read" | "write"): void {
    this.#runOf(va, bytes.byteLength);
    const copy = this.#kernel[way];
    if (copy !== undefined) exclusively(`pool.${way}`, () => copy.call(this.#kernel, va, bytes));
    else if (way === "read") bytes.set(this.show(va, bytes.byteLength));
    else this.show(va, bytes.byteLength).set(bytes);
  }

  #runOf(va: bigint, length: number): PoolRun {
    const run = this.#runs.find((one) => va >= one.va && va - one.va + BigInt(length) <= one.length);
    if (run !== undefined) return run;
    const said = `${length} bytes at ${hex(va)} are not in ${this.#title}: were its columns written to?`;
    throw new DmaWindowError("ERR_NOT_FOUND", said, { facts: { va, length } });
  }

  /** @internal */
  protected override show(va: bigint, length: number): Uint8Array {
    const run = this.#runOf(va, length);
    const whole = this.#viewOf(run);
    return new Uint8Array(whole.buffer, whole.byteOffset + Number(va - run.va), length); // below 4 GiB: exact
  }

  #viewOf(run: PoolRun): Uint8Array {
    const before = this.#shown.get(run);
    if (before !== undefined && before.byteLength > 0) return before;
    return exclusively("pool.bytes", () => {
      if (before !== undefined) this.#unview(run, before); // its buffer was moved away
      const view = this.#kernel.view(run.va, run.length);
      this.#shown.set(run, view);
      return view;
    });
  }

  #unview(run: PoolRun, view: Uint8Array): void {
    const sight = sightIn(this.#kernel.unview(view));
    this.#shown.delete(run);
    if (sight !== undefined) this.#sights.push(sight);
  }

  /**
   * Ends this worker's part: arrays over slots have length 0, and what lies in its magazines goes to the others. Once more does nothing.
   * Gives how many slots it had that nobody has put: they stay live, and are nobody's, so that those who were handed one go on;
   * whoever has the handle can put it.
   *
   * @throws `ERR_HELD` while something still leads to the memory: an array that was moved (`transfer`, a message), or input and output
   * under way. It is a member until that has ended, and the pages stay: call it again. What an interface throws.
   */
  leave(): number {
    if (this.closed) return 0;
    for (const [run, view] of this.#shown) this.#unview(run, view);
    this.#sights = this.#sights.filter((sight) => sight.seen());
    if (this.#sights.length > 0) {
      this.#sights[0]?.collect?.();
      this.#sights = this.#sights.filter((sight) => sight.seen());
    }
    if (this.#sights.length > 0) {
      throw new DmaWindowError(
        "ERR_HELD",
        `${this.#title} cannot be left: an array over its slots was moved away, or is in use by input and output. Drop it, and leave again`,
        { facts: { worker: this.worker } },
      );
    }
    this.end();
    return this.#shared.sharedLeave(this.#self);
  }

  /** {@link leave}. */
  override close(): void {
    this.leave();
  }
}

/**
 * Opens a shared pool in a worker, by a token that the pool's maker sent. About a millisecond: a module is instantiated, and memory is
 * seen when the first slot is looked at.
 *
 * @throws `ERR_TOKEN_USED` for a token that was used, revoked, or changed, or whose pool is closed; `ERR_OTHER_MEMORY` where the kernel does not
 * see this process's memory, as a software kernel's simulated memory; `ERR_INVALID_ARG_TYPE` for what is no token, or came from another
 * process; `ERR_ALLOC_UNAVAILABLE`.
 */
export function openSharedPool(token: SharedPoolToken, options: OpenSharedPoolOptions): WorkerPool {
  known("options", object("options", options), KEYS);
  const kernel = syscalls("kernel", options.kernel);
  const given = { ...readToken(token) };
  const { memory, pool, self, seat, ticket, title, worker } = given;
  checkSpace(spaceOf(kernel), `${title} cannot be opened through this kernel`);
  const shared = sharedAllocatorOn(memory);
  if (!isPool(shared, given) || shared.sharedJoin(self, seat, ticket) !== 1) {
    throw new DmaWindowError(
      "ERR_TOKEN_USED",
      `the token of worker ${worker} for ${title} is not good any more: it was used, recovered or changed, or the pool is closed. Each worker needs one of its own: token()`,
      { facts: { worker } },
    );
  }
  const thread = thisThread();
  new DataView(memory.buffer).setBigUint64(self + SHARED.thread, thread, true);
  return make(kernel, { shared, pool, self, title, ...readFacts(shared, pool) });
}

markClass(WorkerPool, "WorkerPool");
inspectable(WorkerPool, "WorkerPool", (pool) => ({
  state: whereClosed(pool),
  size: pool.size,
  count: pool.count,
  worker: pool.worker,
}));
