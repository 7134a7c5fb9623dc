import { AllocStatus, HANDLE_INDEX_MASK } from "../alloc.ts";
import { kindOf, lengthOf } from "../captured.ts";
import { Closable, disposing } from "../closable.ts";
import { markClass } from "../copies.ts";
import { argumentRangeError, argumentTypeError, coded, DmaWindowError } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import { placeIn } from "../place-in.ts";
import { count } from "../validate.ts";
import { type Batch, batchOf, giveBatch, takeBatch } from "./batches.ts";
import { alignShift, boundaryShift } from "./block.ts";
import type { Blocks } from "./blocks.ts";
import { CarefulSlots, GUARD } from "./careful-slots.ts";
import type { HeapDamage } from "./damage.ts";
import { hotCalls } from "./hot.ts";
import { counted, type HeapLeak, type HeapPart, inUse } from "./leaks.ts";
import { type PoolPlan, readForce } from "./options.ts";
import { fill } from "./pattern.ts";
import { getPlain, type PlainPool, plainPool, putPlain } from "./plain.ts";
import { closedError, refusedHandle } from "./refusals.ts";
import { type Slots, takeSlots } from "./slots.ts";
import { tellPool } from "./stats.ts";
import { Waiters } from "./waiters.ts";
import { unlessSpoilt, wasm } from "./wasm.ts";

const hot = hotCalls; // see hot.ts

/** Of a pool that is closed, or whose get and put have more to do. */
const NONE = plainPool(new Int32Array(1), 0);

/** What get and put do when it is not plain, where V8 leaves it: see base.ts. */
let tryGetSlowly: (this: DmaPool) => number;
let putSlowly: (this: DmaPool, handle: number) => void;

/** Only heaps make pools. */
let make: (blocks: Blocks, plan: PoolPlan, title: string, guard: boolean, ended: (pool: DmaPool) => void) => DmaPool;

/**
 * Buffers of one size, which a device can reach, each with its IOVA. Made by {@link DmaHeap.pool}, out of whose memory they are.
 *
 * A slot is named by a handle, a whole number from 1 to 2^31 - 1: the index of the slot, and above it how often it was put (modulo
 * 512). So a handle that was put is refused until its slot was put 512 times more, and one of another pool or heap always.
 *
 *     const rx = heap.pool({ size: 2048, count: 1024 });
 *     const handle = rx.get();
 *     ring[tail] = rx.iovas[rx.slot(handle)]; // what the device is told
 *     rx.put(handle);
 */
export class DmaPool extends Closable {
  /** Bytes of a slot. */
  readonly size: number;
  /** How many slots there are. */
  readonly count: number;
  /** The IOVA of each slot, at {@link slot} of a handle. Stay as they are; not to be written to. */
  readonly iovas: BigUint64Array;
  /** The same in halves, for rings of 32-bit words: of slot `n` the low one at `2 * n`, the high one behind it. Without a bigint. */
  readonly iovaWords: Uint32Array;
  /** The address of each slot, likewise. */
  readonly vas: BigUint64Array;

  readonly #title: string;
  readonly #blocks: Blocks;
  readonly #slots: Slots;
  readonly #careful: CarefulSlots | undefined;
  readonly #zero: boolean;
  readonly #ended: (pool: DmaPool) => void;
  readonly #waiters = new Waiters(() => this.#freeSlots());
  /** The allocator's. */
  readonly #pool: number;
  readonly #first: number;
  readonly #own: PlainPool;
  /** Arrays over slots, once they were asked for. */
  #views: (Uint8Array | undefined)[] | undefined;
  readonly #batches = new Set<Int32Array>();
  #scratch: Int32Array | undefined;
  #open = true;
  /** Of a pool whose get and put have nothing to do but what plain.ts does: this one, or none. */
  #plain = NONE;

  static {
    make = (...of) => new DmaPool(make, ...of);
    tryGetSlowly = function (this: DmaPool) {
      if (!this.#open) throw closedError(this.#title);
      if (!this.#waiters.isOpen) return -1;
      this.#settle();
      this.#waiters.took();
      const handle = this.#careful ? this.#careful.take() : wasm.poolGet(this.#pool);
      if (handle <= 0) return -1;
      if (!this.#zero) return handle;
      try {
        fill(this.#blocks.segments.shown, this.vas[this.slot(handle)] as bigint, this.size, 0);
      } catch (error) {
        this.put(handle); // else nobody had it, and it would be live
        throw error;
      }
      return handle;
    };
    putSlowly = function (this: DmaPool, handle: number) {
      this.#check(handle);
      try {
        if (this.#careful) this.#careful.put(handle);
        else wasm.poolPut(this.#pool, handle);
      } finally {
        this.#waiters.deliver();
        this.#settle();
      }
    };
  }

  /** @internal Made by a heap. */
  constructor(
    key: unknown,
    blocks: Blocks,
    plan: PoolPlan,
    title: string,
    guard: boolean,
    ended: (pool: DmaPool) => void,
  ) {
    if (key !== make) throw coded(new TypeError("pools are made by pool of a DmaHeap"), "ERR_INVALID_ARG_TYPE");
    super();
    const { size, count: slots, align, boundary } = plan;
    const wanted = { align: alignShift(align), boundary: boundaryShift(boundary, size), guard: guard ? GUARD : 0 };
    const taken = takeSlots(blocks, { ...wanted, size, count: slots });
    if (taken === undefined) throw blocks.exhausted({ bytes: size * slots, align, boundary });
    try {
      this.#careful = guard ? new CarefulSlots(title, blocks, taken, size, plan.fifo) : undefined;
      this.#pool = this.#careful ? 0 : wasm.poolOpen(slots, plan.fifo ? 1 : 0);
      if (this.#pool < 0) {
        const message = `no room for ${counted(slots, "slot")} in the allocator's memory: close other pools`;
        throw new DmaWindowError("ERR_OUT_OF_MEMORY", message);
      }
    } catch (error) {
      taken.release();
      throw error;
    }
    this.#first = this.#careful ? 0 : wasm.poolFirst(this.#pool);
    this.#own = this.#careful ? NONE : plainPool(wasm.words, this.#pool);
    this.size = size;
    this.count = slots;
    this.iovas = taken.iovas;
    this.iovaWords = new Uint32Array(taken.iovas.buffer);
    this.vas = taken.vas;
    this.#title = title;
    this.#blocks = blocks;
    this.#slots = taken;
    this.#zero = plan.zero;
    this.#ended = ended;
    this.#settle();
  }

  get closed(): boolean {
    return !this.#open;
  }

  /** Slots that nobody has. 0 when it is closed. */
  get free(): number {
    return this.#open ? this.#freeSlots() : 0;
  }

  /** Slots that somebody has. */
  get live(): number {
    return this.#open ? this.count - this.#freeSlots() : 0;
  }

  /**
   * A slot. About 3 ns, no garbage. What it holds is what was written last, unless the pool zeroes.
   *
   * @throws `ERR_POOL_EMPTY` (facts: count, waiting), also for slots that those who wait at {@link available} come first for;
   * `ERR_CLOSED`; in a heap with `guard` `ERR_GUARD`.
   */
  get(): number {
    const handle = this.tryGet();
    if (handle > 0) return handle;
    throw this.#empty();
  }

  #empty(): DmaWindowError {
    const waiting = this.#waiters.count;
    const before = waiting === 0 ? "" : `, and ${waiting} wait for one`;
    return new DmaWindowError(
      "ERR_POOL_EMPTY",
      `${this.#title} has no slot free: ${this.live} of ${this.count} are live${before}. Put some, await available(), or make it larger`,
      { facts: { count: this.count, live: this.live, waiting } },
    );
  }

  /** The same; -1 when there is none. @throws `ERR_CLOSED`, `ERR_GUARD`. */
  tryGet(): number {
    const handle = getPlain(this.#plain);
    return handle !== 0 ? handle : tryGetSlowly.call(this) | 0;
  }

  /**
   * Gives a slot back. About 3 ns, no garbage. The device must be done with it; arrays over it stay, and show what
   * the next owner writes.
   *
   * @throws with nothing changed: `ERR_NOT_LIVE`, `ERR_STALE_HANDLE`, `ERR_FOREIGN_HANDLE`, `ERR_INVALID_ARG_TYPE`,
   * `ERR_OUT_OF_RANGE`, `ERR_CLOSED`. `ERR_GUARD` in a heap with `guard`, where the slot is free all the same.
   */
  put(handle: number): void {
    if (!putPlain(this.#plain, handle)) putSlowly.call(this, handle);
  }

  /**
   * As many slots as there are, up to `count`, into `handles`; gives how many. One crossing; a few ns for each slot, without a copy
   * where `handles` is of {@link batch}.
   *
   * @param count Default: all that `handles` has room for.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`, `ERR_GUARD`.
   */
  getMany(handles: Int32Array, count?: number): number {
    const isPlain = this.#plain !== NONE;
    const batch = batchOf(handles);
    if (isPlain && batch !== undefined && count === undefined) {
      return hot.poolGetMany(this.#pool, batch.pointer, batch.count);
    }
    const wanted = this.#many(handles, batch, count);
    if (!isPlain) return this.#getEach(handles, wanted);
    if (batch !== undefined) return hot.poolGetMany(this.#pool, batch.pointer, wanted);
    const scratch = this.#scratchOf(wanted);
    const got = hot.poolGetMany(this.#pool, batchOf(scratch)?.pointer as number, wanted);
    for (let i = 0; i < got; i++) handles[i] = scratch[i] as number;
    return got;
  }

  #getEach(handles: Int32Array, wanted: number): number {
    for (let got = 0; got < wanted; got++) {
      const handle = this.tryGet();
      if (handle <= 0) return got;
      handles[got] = handle;
    }
    return wanted;
  }

  /**
   * Gives slots back, in order. One crossing, likewise.
   *
   * @throws as {@link put}, for the first that is refused: those before it are put, and `facts.index` says which it is.
   */
  putMany(handles: Int32Array, count?: number): void {
    let batch = batchOf(handles);
    const wanted = batch !== undefined && count === undefined ? batch.count : this.#many(handles, batch, count);
    let put = 0;
    const isPlain = this.#plain !== NONE;
    if (isPlain) {
      if (batch === undefined) {
        const scratch = this.#scratchOf(wanted);
        for (let i = 0; i < wanted; i++) scratch[i] = handles[i] as number;
        batch = batchOf(scratch) as Batch;
      }
      put = hot.poolPutMany(this.#pool, batch.pointer, wanted);
      if (put === wanted) return;
    }
    try {
      for (; put < wanted; put++) putSlowly.call(this, handles[put] as number);
    } catch (error) {
      if (!(error instanceof DmaWindowError)) throw error;
      const facts = { ...error.facts, index: put };
      throw new DmaWindowError(error.code, `handles[${put}]: ${error.message}`, { facts, cause: error });
    }
  }

  /**
   * An array of `count` handles in the allocator's memory, for {@link getMany} and {@link putMany} without a copy. Ends with the
   * pool; what is written to it then reaches nobody's slots.
   *
   * @throws `ERR_OUT_OF_RANGE`, `ERR_OUT_OF_MEMORY`, `ERR_CLOSED`.
   */
  batch(count: number): Int32Array {
    if (!this.#open) throw closedError(this.#title);
    const batch = takeBatch(this.#countOf(count, this.count));
    this.#batches.add(batch);
    return batch;
  }

  /** Where a slot is in {@link iovas} and {@link vas}: 0 for the first. Of a live handle of this pool; whether it is one is not looked at. */
  slot(handle: number): number {
    if (typeof handle !== "number") this.#check(handle);
    if (this.#careful) return this.#careful.slotOf(handle);
    return (handle & HANDLE_INDEX_MASK) - this.#first;
  }

  /**
   * The memory of a slot itself, as many bytes as {@link size}: the same array each time. About 6 ns once it was made, about a
   * microsecond the first time. It outlives {@link put}; after the heap was closed it has length 0.
   *
   * @throws as {@link put}; `ERR_NO_EXTERNAL_BUFFERS` on engines that cannot show memory (Electron): see {@link read} and {@link write}.
   */
  bytes(handle: number): Uint8Array {
    this.#check(handle);
    const slot = this.slot(handle);
    const view = this.#views?.[slot];
    return view !== undefined && view.byteLength > 0 ? view : this.#show(slot);
  }

  #show(slot: number): Uint8Array {
    this.#views ??= new Array<Uint8Array | undefined>(this.count);
    const view = this.#blocks.segments.shown.show(this.vas[slot] as bigint, this.size);
    this.#views[slot] = view;
    return view;
  }

  /** Copies out of a slot, from `offset` on, as many bytes as `into` has. On every engine. @throws as {@link put}. */
  read(handle: number, offset: number, into: Uint8Array): void {
    this.#blocks.segments.shown.read(this.#place(handle, offset, into), into);
  }

  /** Copies into a slot, likewise. */
  write(handle: number, offset: number, from: Uint8Array): void {
    this.#blocks.segments.shown.write(this.#place(handle, offset, from), from);
  }

  #place(handle: number, offset: number, bytes: Uint8Array): bigint {
    this.#check(handle);
    return (this.vas[this.slot(handle)] as bigint) + BigInt(placeIn(this.size, offset, bytes));
  }

  /**
   * Until a slot is free for the caller, who takes it next: `await pool.available(); const handle = pool.get();`. Those who wait are
   * told one after the other in the order in which they came, each when a slot is free for it, and before anybody else gets one. A
   * slot is kept for whoever was told until the next turn of the event loop, and not for longer. Code that calls `get` before whoever
   * was told goes on can be first, since nobody can say which of the two calls: `ERR_POOL_EMPTY` then, and to wait again helps.
   *
   * Rejects with `ERR_CLOSED` when the pool is closed, and when it was.
   */
  available(): Promise<void> {
    if (!this.#open) return Promise.reject(closedError(this.#title));
    this.#plain = NONE;
    return this.#waiters.wait();
  }

  /**
   * Ends the pool: its memory is the heap's again. Once more does nothing. `using` closes it whatever is live.
   *
   * @param options `force`: also when slots are live. Their handles are refused from then on; the device must be idle.
   * @throws `ERR_POOL_IN_USE` when slots are live (facts: live): the message names the first of them.
   */
  close(options: { readonly force?: boolean } = {}): void {
    const force = readForce(options);
    if (!this.#open) return;
    if (this.live > 0 && !force) throw inUse("ERR_POOL_IN_USE", this.#title, this.live, this.#leaks());
    this.#shut();
  }

  /** @internal */
  override [disposing](): void {
    this.close({ force: true });
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
      check: () => this.#careful?.check() ?? [],
    };
  }

  /** @internal Bytes of the heap that it takes. */
  get takes(): bigint {
    return this.#slots.bytes;
  }

  #shut(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#plain = NONE;
    this.#waiters.reject(closedError(this.#title));
    unlessSpoilt(() => (this.#careful ? this.#careful.close() : wasm.poolClose(this.#pool)));
    unlessSpoilt(() => this.#slots.release());
    for (const batch of this.#batches) giveBatch(batch);
    if (this.#scratch) giveBatch(this.#scratch);
    this.#batches.clear();
    this.#views = undefined;
    this.#ended(this);
  }

  *#leaks(): Generator<HeapLeak, void, void> {
    const next = (handle: number) => this.#careful?.next(handle) ?? wasm.poolNextLive(this.#pool, handle);
    for (let handle = next(0); handle !== 0; handle = next(handle)) {
      const slot = this.slot(handle);
      const where = { iova: this.iovas[slot] as bigint, va: this.vas[slot] as bigint };
      yield { handle, ...where, bytes: this.size, pool: this.#title };
    }
  }

  #freeSlots(): number {
    return this.#careful ? this.#careful.free : wasm.poolFree(this.#pool);
  }

  #settle(): void {
    const isQuick = this.#open && !this.#careful && !this.#zero && this.#waiters.count === 0;
    this.#plain = isQuick ? this.#own : NONE;
  }

  /** @throws for what is no handle of a slot that is live. */
  #check(handle: number): void {
    if (!this.#open) throw closedError(this.#title);
    const isHandle = typeof handle === "number" && (handle | 0) === handle;
    const status = isHandle ? this.#statusOf(handle) : AllocStatus.UNKNOWN_HANDLE;
    if (status !== AllocStatus.OK) throw refusedHandle(handle, status, { title: this.#title, part: "slot" });
  }

  #statusOf(handle: number): number {
    return this.#careful ? this.#careful.statusOf(handle) : wasm.poolCheckHandle(this.#pool, handle);
  }

  /** How many of an array's handles are meant. */
  #many(handles: Int32Array, batch: Batch | undefined, wanted: number | undefined): number {
    if (!this.#open) throw closedError(this.#title);
    if (kindOf(handles) !== "Int32Array") throw argumentTypeError("handles", "an Int32Array", handles);
    const room = batch === undefined ? lengthOf(handles) >> 2 : batch.count; // of the array, whatever a property of it says
    return wanted === undefined ? room : this.#countOf(wanted, room, 0);
  }

  #countOf(value: number, most: number, least = 1): number {
    const number = count("count", value);
    if (number >= least && number <= most) return number;
    throw argumentRangeError("count", `from ${least} to ${most}`, value);
  }

  #scratchOf(room: number): Int32Array {
    if (this.#scratch !== undefined && this.#scratch.length >= room) return this.#scratch;
    const larger = takeBatch(Math.max(room, 64));
    if (this.#scratch) giveBatch(this.#scratch);
    this.#scratch = larger;
    return larger;
  }
}

markClass(DmaPool, "DmaPool");
inspectable(DmaPool, "DmaPool", tellPool);

/** A pool with memory of its own. @throws `ERR_HEAP_EXHAUSTED`, `ERR_OUT_OF_MEMORY`, `ERR_OUT_OF_RANGE`; nothing is left. */
export function makePool(
  blocks: Blocks,
  plan: PoolPlan,
  title: string,
  guard: boolean,
  ended: (pool: DmaPool) => void,
): DmaPool {
  return make(blocks, plan, title, guard, ended);
}
