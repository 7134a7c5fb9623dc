import { cellAt, Seat, SHARED, type SharedAllocator, sharedAllocatorOn } from "../alloc-shared.ts";
import { disposing } from "../closable.ts";
import { markClass } from "../copies.ts";
import { argumentRangeError, coded, DmaWindowError } from "../errors.ts";
import { inspectable, whereClosed } from "../inspect.ts";
import type { MemsegTable } from "../memory/table.ts";
import { spaceOf } from "../syscalls.ts";
import { columnBytes, writeFacts } from "../worker/facts.ts";
import { type Part, SharedSlots } from "../worker/slots.ts";
import { checkSpace, makeToken, type SharedPoolToken } from "../worker/token.ts";
import { alignShift, boundaryShift } from "./block.ts";
import type { Blocks } from "./blocks.ts";
import type { HeapDamage } from "./damage.ts";
import { checkEnded, isWorker, Tokens, type WorkerThread } from "./ended.ts";
import { counted, type HeapLeak, type HeapPart, inUse } from "./leaks.ts";
import { readForce, type SharedPoolPlan } from "./options.ts";
import { giveSeats, takeSeats } from "./seats.ts";
import { type Slots, takeSlots } from "./slots.ts";
import { unlessSpoilt, wasm } from "./wasm.ts";

/** What a shared pool is of. */
interface Of {
  readonly blocks: Blocks;
  /** Whose memory it is. */
  readonly space: unknown;
  readonly title: string;
  readonly ended: (pool: SharedPool) => void;
}

let make: (of: Of, plan: SharedPoolPlan) => SharedPool;
let shared: SharedAllocator | undefined;

/** Threads that are members, or may come by a token. */
export interface PoolWorker {
  readonly worker: number;
  /** `reserved`: a token was made, and nobody has come with it. */
  readonly state: "reserved" | "joined";
  /** Slots that it has. */
  readonly live: number;
}

/**
 * A pool that worker threads share with the thread that made it: a slot that one gets another one puts. Made by
 * {@link DmaHeap.sharedPool}, out of whose memory it is.
 *
 *     const pool = heap.sharedPool({ size: 2048, count: 4096 });
 *     const token = pool.token();
 *     const worker = new Worker("./queue.mjs", { workerData: token }); // there: openSharedPool(workerData, { kernel: linuxKernel() })
 *     worker.on("exit", () => pool.recover(token.worker)); // whatever it had is free again
 *
 * A worker may be ended at any instruction: no slot is lost, none has two owners, and nobody waits for it. What it had stays its own,
 * since a device may be at it, until {@link recover} is called.
 *
 * While a worker is a member the pool cannot be closed, nor the heap, the window and the memory: the worker sees the pages.
 */
export class SharedPool extends SharedSlots {
  readonly #of: Of;
  readonly #slots: Slots;
  readonly #part: Part;
  readonly #shared: SharedAllocator;
  readonly #seats: number;
  readonly #workers: number;
  /** Which numbers the tokens had that were made for a worker. */
  readonly #tokens = new Tokens();

  static {
    make = (of, plan) => new SharedPool(make, of, plan);
  }

  /** @internal Made by a heap. */
  constructor(key: unknown, of: Of, plan: SharedPoolPlan) {
    if (key !== make)
      throw coded(new TypeError("shared pools are made by sharedPool of a DmaHeap"), "ERR_INVALID_ARG_TYPE");
    const made = open(of, plan);
    super(made.part);
    this.#of = of;
    this.#slots = made.slots;
    this.#part = made.part;
    this.#seats = made.seats;
    this.#workers = plan.workers + 1;
    this.#shared = made.part.shared;
  }

  /** @internal */
  protected override show(va: bigint, length: number): Uint8Array {
    return this.#of.blocks.segments.shown.show(va, length);
  }

  /** @internal */
  protected override copy(va: bigint, bytes: Uint8Array, way: "read" | "write"): void {
    this.#of.blocks.segments.shown[way](va, bytes);
  }

  /**
   * What a worker needs to open the pool: for one worker, once. Until it comes, or {@link recover} is called, it takes one of the places
   * that the pool has.
   *
   * @param worker Whose token it will be, if that is there already: then `recover(worker)` knows it.
   * @throws `ERR_TOO_MANY_WORKERS` (facts: workers) when all places are taken; `ERR_OTHER_MEMORY` where no other thread can see the
   * memory, as on a software kernel with simulated memory; `ERR_CLOSED`.
   */
  token(worker?: WorkerThread): SharedPoolToken {
    if (worker !== undefined) isWorker(worker);
    this.#alive(); // asked now: what was given may have closed it
    const { space, title } = this.#of;
    checkSpace(space, `${title} cannot be shared with other threads`);
    const { words, memory } = this.#shared;
    const { pool } = this.#part;
    const self = this.#shared.sharedReserve(pool);
    if (self === 0) {
      throw new DmaWindowError(
        "ERR_TOO_MANY_WORKERS",
        `${title} was made for ${counted(this.#workers - 1, "worker")}, and so many are there or have a token: recover those that have ended, or make it for more`,
        { facts: { workers: this.#workers - 1 } },
      );
    }
    const seat = words[self >> 2] as number;
    const id = words[(self + SHARED.id) >> 2] as number;
    if (worker !== undefined) this.#tokens.add(worker, id);
    const ticket = words[seat >> 2] as number;
    return makeToken({ worker: id, memory, pool, self, seat, ticket, title });
  }

  /** The workers that are members, and those that may come. */
  get workers(): readonly PoolWorker[] {
    if (this.closed) return [];
    const all: PoolWorker[] = [];
    for (let worker = 1; worker <= this.#workers; worker++) {
      if (worker === this.worker) continue;
      const state = this.#stateOf(worker);
      if (state === Seat.NOBODY) continue;
      const live = this.#shared.sharedHeld(this.#part.pool, worker);
      all.push({ worker, state: state === Seat.JOINED ? "joined" : "reserved", live });
    }
    return all;
  }

  /**
   * Takes back all that a worker had that has ended: the slots that it got, or adopted, and that nobody has put, are free, and what lay
   * in its magazines too. No device may be at them. Gives how many slots it had. A token that nobody came with is void from then on.
   * Once more does nothing. Costs a look at each slot.
   *
   * @param worker `token.worker`, or the Worker for which `token` was called.
   * @throws `ERR_WORKER_RUNNING` for a thread that still runs (`await worker.terminate()` first): where /proc cannot be read that is
   * known only of a Worker. `ERR_NOT_FOUND` for a Worker without a token, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   */
  recover(worker: number | WorkerThread): number {
    const { title } = this.#of;
    const ids = typeof worker === "number" ? [this.#numberOf(worker)] : this.#tokens.ofEnded(worker, title);
    this.#alive();
    for (const id of ids) {
      if (this.#stateOf(id) === Seat.JOINED) checkEnded(() => this.#threadOf(id), title, `worker ${id}`);
    }
    return ids.reduce((sum, id) => sum + this.#shared.sharedRecover(this.#recordOf(id)), 0);
  }

  #numberOf(worker: number): number {
    if (Number.isInteger(worker) && worker >= 1 && worker <= this.#workers && worker !== this.worker) return worker;
    throw argumentRangeError("worker", `the number of a worker, as token() says it`, worker);
  }

  #threadOf(id: number): bigint {
    return new DataView(this.#shared.memory.buffer).getBigUint64(this.#recordOf(id) + SHARED.thread, true);
  }

  /**
   * Ends the pool: its memory is the heap's again. Once more does nothing. `using` closes it whatever is live, but not while workers are
   * members.
   *
   * @param options `force`: also when slots are live. Their handles are refused from then on; the device must be idle.
   * @throws `ERR_HELD` while workers are members (facts: workers): they leave first, or are ended and recovered. `ERR_POOL_IN_USE` when slots
   * are live (facts: live): the message names the first of them. Nothing is changed then, but that tokens nobody came with are void.
   */
  override close(options: { readonly force?: boolean } = {}): void {
    const force = readForce(options);
    if (this.closed) return;
    this.checkNobody();
    const { live } = this;
    if (live > 0 && !force) throw inUse("ERR_POOL_IN_USE", this.#of.title, live, this.#leaks());
    this.#shut();
  }

  /** @internal */
  override [disposing](): void {
    this.close({ force: true });
  }

  /** @internal Makes tokens void. @throws `ERR_HELD` while workers are members: they see the pages. */
  checkNobody(): void {
    for (const { worker, state } of this.workers) {
      if (state === "reserved") this.#shared.sharedRecover(this.#recordOf(worker));
    }
    const members = this.workers.filter(({ state }) => state === "joined");
    if (members.length === 0) return;
    const names = members.map(({ worker, live }) => `worker ${worker} (${counted(live, "slot")})`).join(", ");
    throw new DmaWindowError(
      "ERR_HELD",
      `${this.#of.title} is open in other threads, which see its memory: ${names}. Let them leave(), or end them and call recover(token.worker)`,
      { facts: { workers: members.map(({ worker }) => worker) } },
    );
  }

  /** @internal What the heap needs of it. */
  get part(): HeapPart & { check(): HeapDamage[] } {
    const pool = this;
    return {
      get liveCount() {
        return pool.live;
      },
      leaks: () => this.#leaks(),
      shut: () => this.#shut(),
      checkNobody: () => this.checkNobody(),
      check: () => [],
    };
  }

  /** @internal Bytes of the heap that it takes. */
  get takes(): bigint {
    return this.#slots.bytes;
  }

  #shut(): void {
    if (this.closed) return;
    this.checkNobody();
    this.end();
    const { pool, self, columns } = this.#part;
    unlessSpoilt(() => {
      this.#shared.sharedLeave(self);
      this.#shared.sharedClose(pool);
      wasm.arenaGive(columns);
      giveSeats(this.#seats, this.#workers);
    });
    unlessSpoilt(() => this.#slots.release());
    this.#of.ended(this);
  }

  *#leaks(): Generator<HeapLeak, void, void> {
    const { words } = this.#shared;
    const { pool } = this.#part;
    const first = words[(pool + SHARED.first) >> 2] as number;
    for (let slot = 0; slot < this.count; slot++) {
      const handle = words[cellAt(this.#shared, pool, first + slot)] as number;
      if (handle < 0) continue;
      const where = { iova: this.iovas[slot] as bigint, va: this.vas[slot] as bigint };
      yield { handle, ...where, bytes: this.size, pool: this.#of.title };
    }
  }

  #recordOf(worker: number): number {
    return this.#part.pool + SHARED.records + (worker - 1) * SHARED.recordBytes;
  }

  #stateOf(worker: number): number {
    const { words } = this.#shared;
    return Atomics.load(words, (words[this.#recordOf(worker) >> 2] as number) >> 2) & Seat.MASK;
  }

  #alive(): void {
    if (this.closed) throw new DmaWindowError("ERR_CLOSED", `${this.#of.title} is closed`);
  }
}

/** Takes all that a pool needs, and joins it; or nothing. */
function open(of: Of, plan: SharedPoolPlan): { readonly part: Part; readonly slots: Slots; readonly seats: number } {
  const { blocks, title } = of;
  const { size, count, align, boundary, zero } = plan;
  const wanted = { align: alignShift(align), boundary: boundaryShift(boundary, size), guard: blocks.guard };
  shared ??= sharedAllocatorOn(wasm.memory);
  const slots = takeSlots(blocks, { ...wanted, size, count });
  if (slots === undefined) throw blocks.exhausted({ bytes: size * count, align, boundary });
  const undo: (() => void)[] = [() => slots.release()];
  try {
    const { runs } = slots;
    const columns = wasm.arenaTake(columnBytes(count, runs.length));
    if (columns === 0) throw noRoom(count);
    undo.push(() => wasm.arenaGive(columns));
    const seats = takeSeats(plan.workers + 1);
    undo.push(() => giveSeats(seats, plan.workers + 1));
    const pool = shared.sharedOpen(count, plan.workers + 1, seats);
    if (pool < 0) throw noRoom(count);
    new BigUint64Array(wasm.memory.buffer, columns, count).set(slots.iovas);
    new BigUint64Array(wasm.memory.buffer, columns + count * 8, count).set(slots.vas);
    const self = shared.sharedReserve(pool);
    const seat = shared.words[self >> 2] as number;
    shared.sharedJoin(self, seat, shared.words[seat >> 2] as number);
    const facts = { columns, size, count, runs, zero };
    writeFacts(shared, pool, facts);
    return { part: { shared, pool, self, title, ...facts }, slots, seats };
  } catch (error) {
    for (const each of undo.reverse()) each();
    throw error;
  }
}

function noRoom(count: number): DmaWindowError {
  const said = `no room for ${counted(count, "slot")} in the allocator's memory: close other pools`;
  return new DmaWindowError("ERR_OUT_OF_MEMORY", said);
}

markClass(SharedPool, "SharedPool");
inspectable(SharedPool, "SharedPool", (pool) => ({
  state: whereClosed(pool),
  size: pool.size,
  count: pool.count,
  worker: pool.worker,
}));

/** A pool with memory of its own. @throws `ERR_HEAP_EXHAUSTED`, `ERR_OUT_OF_MEMORY`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; nothing is left. */
export function makeSharedPool(
  blocks: Blocks,
  { kernel }: MemsegTable,
  plan: SharedPoolPlan,
  number: number,
  ended: (pool: SharedPool) => void,
): SharedPool {
  const title = `shared pool ${number} of ${blocks.title}`;
  const space = kernel && spaceOf(kernel);
  return make({ blocks, space, title, ended }, plan);
}
