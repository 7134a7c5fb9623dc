import { AllocStatus, HANDLE_INDEX_MASK } from "../alloc.ts";
import { SHARED, type SharedAllocator } from "../alloc-shared.ts";
import { kindOf, lengthOf } from "../captured.ts";
import { Closable } from "../closable.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { placeIn } from "../place-in.ts";
import { refusedHandle } from "../refused-handle.ts";
import { count } from "../validate.ts";
import { Waiting } from "./waiting.ts";

/** Memory of a pool that is contiguous, for the device too. */
export interface PoolRun {
  readonly va: bigint;
  readonly iova: bigint;
  /** Bytes. */
  readonly length: bigint;
}

/** What a thread needs for its part of a pool. */
export interface Part {
  readonly shared: SharedAllocator;
  /** Pointers of the allocator's. */
  readonly pool: number;
  readonly self: number;
  readonly columns: number;
  readonly title: string;
  readonly size: number;
  readonly count: number;
  readonly runs: readonly PoolRun[];
  readonly zero: boolean;
}

/**
 * A pool that threads share, as one of them sees it: what {@link SharedPool} and {@link WorkerPool} have in common. Each thread has
 * magazines of its own, of at most 56 free slots each, so that a get and a put ask nobody and wait for nobody; what is left lies in
 * a depot that all of them reach.
 *
 * **A slot that is free may lie in another thread's magazines.** They hold at most half of all slots together. A get that finds none
 * asks for them: the next put of any thread gives all that this thread has, and threads that are idle do so in their next turn. So
 * {@link available} finds the last free slot, unless it lies with a thread that neither puts nor comes to its event loop.
 */
export abstract class SharedSlots extends Closable {
  /** Bytes of a slot. */
  readonly size: number;
  /** How many slots there are. */
  readonly count: number;
  /** The number of this thread in the pool. */
  readonly worker: number;
  /** The IOVA of each slot, at {@link slot} of a handle: the same memory in all threads. Not to be written to. */
  readonly iovas: BigUint64Array;
  /** The address of each slot, likewise. */
  readonly vas: BigUint64Array;

  readonly #title: string;
  readonly #shared: SharedAllocator;
  readonly #pool: number;
  readonly #self: number;
  readonly #first: number;
  readonly #batch: number;
  readonly #runs: readonly PoolRun[];
  readonly #zero: boolean;
  readonly #waiting: Waiting;
  #views: (Uint8Array | undefined)[] = [];
  #open = true;
  /** Whether get and put have nothing to do but that. */
  #fast: boolean;

  /** @internal */
  constructor({ shared, pool, self, columns, title, size, count: slots, runs, zero }: Part) {
    super();
    const { buffer } = shared.memory;
    this.size = size;
    this.count = slots;
    this.iovas = new BigUint64Array(buffer, columns, slots);
    this.vas = new BigUint64Array(buffer, columns + slots * 8, slots);
    this.worker = shared.words[(self + SHARED.id) >> 2] as number;
    this.#title = title;
    this.#shared = shared;
    this.#pool = pool;
    this.#self = self;
    this.#first = shared.words[(pool + SHARED.first) >> 2] as number;
    this.#batch = self + SHARED.batch;
    this.#runs = runs;
    this.#zero = zero;
    this.#fast = !zero;
    this.#waiting = new Waiting(shared, pool, self, () => this.#settle());
  }

  get closed(): boolean {
    return !this.#open;
  }

  /** Slots that somebody has, in any thread. Looks at each slot; 0 when it is closed. */
  get live(): number {
    return this.#open ? this.#shared.sharedHeld(this.#pool, 0) : 0;
  }

  /** Slots that nobody has, in magazines of other threads too. Likewise. */
  get free(): number {
    return this.#open ? this.count - this.live : 0;
  }

  /**
   * A slot. One crossing, about 6 ns, no garbage. It is this thread's until somebody puts it, or takes it over by {@link adopt}.
   *
   * @throws `ERR_POOL_EMPTY` when none can be had without waiting (facts: count, live, waiting); `ERR_CLOSED`.
   */
  get(): number {
    const handle = this.tryGet();
    if (handle > 0) return handle;
    const { live, count } = this;
    const waiting = this.#waiting.count;
    const elsewhere = count - live;
    const rest = elsewhere === 0 ? "" : `, and ${elsewhere} are in other threads' magazines, which were asked for`;
    throw new DmaWindowError(
      "ERR_POOL_EMPTY",
      `${this.#title} has no slot for this thread: ${live} of ${count} are live${rest}. Put some, await available(), or make it larger`,
      { facts: { count, live, waiting } },
    );
  }

  /** The same; -1 when there is none. @throws `ERR_CLOSED`. */
  tryGet(): number {
    return this.#fast ? this.#shared.sharedGet(this.#self) : this.#tryGetSlowly();
  }

  #tryGetSlowly(): number {
    this.#alive();
    // One who was told takes what was taken for it, and nobody comes before those who wait.
    const handle = this.#waiting.take() || (this.#waiting.isBusy ? -1 : this.#shared.sharedGet(this.#self));
    this.#settle();
    if (handle <= 0 || !this.#zero) return handle;
    try {
      this.#clear(handle);
    } catch (error) {
      this.put(handle); // else nobody had it, and it would be live
      throw error;
    }
    return handle;
  }

  #clear(handle: number): void {
    try {
      this.bytes(handle).fill(0);
    } catch (error) {
      if (!(error instanceof DmaWindowError) || error.code !== "ERR_NO_EXTERNAL_BUFFERS") throw error;
      this.write(handle, 0, new Uint8Array(this.size));
    }
  }

  /**
   * Gives a slot back, whichever thread got it. One crossing, about 12 ns, no garbage. The device must be done with it. Of two threads
   * that put the same handle at the same moment one is refused.
   *
   * @throws with nothing changed: `ERR_NOT_LIVE`, `ERR_STALE_HANDLE`, `ERR_FOREIGN_HANDLE`, `ERR_INVALID_ARG_TYPE`,
   * `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   */
  put(handle: number): void {
    if (this.#open && typeof handle === "number" && (handle | 0) === handle) {
      const status = this.#shared.sharedPut(this.#self, handle);
      if (status === AllocStatus.OK) return;
      throw this.#refused(handle, status);
    }
    this.#alive();
    throw this.#refused(handle, AllocStatus.UNKNOWN_HANDLE);
  }

  /**
   * As many slots as can be had, up to `count`, into `handles`; gives how many. One crossing for 64.
   *
   * @param count Default: all that `handles` has room for.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   */
  getMany(handles: Int32Array, count?: number): number {
    const wanted = this.#many(handles, count);
    let got = 0;
    if (!this.#fast) {
      for (; got < wanted; got++) {
        const handle = this.tryGet();
        if (handle < 0) break;
        handles[got] = handle;
      }
      return got;
    }
    while (got < wanted) {
      const next = Math.min(SHARED.batchLength, wanted - got);
      const some = this.#shared.sharedGetMany(this.#self, this.#batch, next);
      for (let i = 0; i < some; i++) handles[got + i] = this.#shared.words[(this.#batch >> 2) + i] as number;
      got += some;
      if (some < next) break;
    }
    return got;
  }

  /**
   * Gives slots back, in order. One crossing for 64.
   *
   * @throws as {@link put}, for the first that is refused: those before it are put, and `facts.index` says which it is.
   */
  putMany(handles: Int32Array, count?: number): void {
    const wanted = this.#many(handles, count);
    const at = this.#batch >> 2;
    for (let put = 0; put < wanted; ) {
      const next = Math.min(SHARED.batchLength, wanted - put);
      for (let i = 0; i < next; i++) this.#shared.words[at + i] = handles[put + i] as number;
      const some = this.#shared.sharedPutMany(this.#self, this.#batch, next);
      put += some;
      if (some < next) this.#putRefused(handles[put] as number, put);
    }
  }

  /** Says why one is refused; puts it, if it no longer is. */
  #putRefused(handle: number, index: number): void {
    try {
      this.put(handle);
    } catch (error) {
      if (!(error instanceof DmaWindowError)) throw error;
      const facts = { ...error.facts, index };
      throw new DmaWindowError(error.code, `handles[${index}]: ${error.message}`, { facts, cause: error });
    }
  }

  /**
   * Makes this thread the one that has a slot that another thread got and handed over. Without this it counts as that thread's: when
   * that one is ended and recovered, the slot is free. One crossing.
   *
   * @throws as {@link put}.
   */
  adopt(handle: number): void {
    this.#alive();
    const isHandle = typeof handle === "number" && (handle | 0) === handle;
    const status = isHandle ? this.#shared.sharedAdopt(this.#self, handle) : AllocStatus.UNKNOWN_HANDLE;
    if (status !== AllocStatus.OK) throw this.#refused(handle, status);
  }

  /** Where a slot is in {@link iovas} and {@link vas}: 0 for the first. Of a handle that is this pool's; it is not looked at. */
  slot(handle: number): number {
    return (handle & HANDLE_INDEX_MASK) - this.#first;
  }

  /** Where the device finds a slot. Leaves a bigint: see {@link iovas}. @throws as {@link put}. */
  iovaOf(handle: number): bigint {
    this.#check(handle);
    return this.iovas[this.slot(handle)] as bigint;
  }

  /**
   * Where the device finds an address in the pool's memory: an addition, since each piece of it is contiguous for the device too.
   * `undefined` of any other address.
   *
   * @throws `ERR_INVALID_ARG_TYPE`.
   */
  translate(va: bigint): bigint | undefined {
    if (typeof va !== "bigint") throw argumentTypeError("va", "a bigint", va);
    for (const run of this.#runs) if (va >= run.va && va - run.va < run.length) return run.iova + (va - run.va);
    return undefined;
  }

  /**
   * The memory of a slot itself, in this thread: the same array each time, over the same pages in all threads, and no copy. It outlives
   * {@link put}, and has length 0 when the pool is closed.
   *
   * @throws as {@link put}; `ERR_NO_EXTERNAL_BUFFERS` on engines that cannot show memory (Electron): see {@link read} and {@link write}.
   */
  bytes(handle: number): Uint8Array {
    this.#check(handle);
    const slot = this.slot(handle);
    const view = this.#views[slot];
    if (view !== undefined && view.byteLength > 0) return view;
    const made = this.show(this.vas[slot] as bigint, this.size);
    this.#views[slot] = made;
    return made;
  }

  /** Copies out of a slot, from `offset` on, as many bytes as `into` has. On every engine. @throws as {@link put}; `ERR_BUSY`. */
  read(handle: number, offset: number, into: Uint8Array): void {
    this.copy(this.#place(handle, offset, into), into, "read");
  }

  /** Copies into a slot, likewise. */
  write(handle: number, offset: number, from: Uint8Array): void {
    this.copy(this.#place(handle, offset, from), from, "write");
  }

  #place(handle: number, offset: number, bytes: Uint8Array): bigint {
    this.#check(handle);
    return (this.vas[this.slot(handle)] as bigint) + BigInt(placeIn(this.size, offset, bytes));
  }

  /**
   * Until a slot is free for the caller, who takes it next: `await pool.available(); const handle = pool.get();`. Those who wait in one
   * thread are told in the order in which they came, and before anybody else of their thread gets a slot. Between threads there is
   * no order: all that wait are woken, and one of them is first. Rejects with `ERR_CLOSED`.
   */
  available(): Promise<void> {
    if (!this.#open) return Promise.reject(this.#closed());
    this.#fast = false;
    return this.#waiting.wait();
  }

  /** @internal Bytes of the pool's memory, in this thread. */
  protected abstract show(va: bigint, length: number): Uint8Array;

  /** @internal Copies out of the pool's memory, or into it. */
  protected abstract copy(va: bigint, bytes: Uint8Array, way: "read" | "write"): void;

  /** @internal Nothing of it is used any more. The worker's record is still there. */
  protected end(): void {
    this.#open = false;
    this.#fast = false;
    this.#views = [];
    this.#waiting.close(this.#closed());
  }

  #settle(): void {
    this.#fast = this.#open && !this.#zero && !this.#waiting.isBusy;
  }

  #check(handle: number): void {
    this.#alive();
    const isHandle = typeof handle === "number" && (handle | 0) === handle;
    const status = isHandle ? this.#shared.sharedCheckHandle(this.#pool, handle) : AllocStatus.UNKNOWN_HANDLE;
    if (status !== AllocStatus.OK) throw this.#refused(handle, status);
  }

  #refused(handle: unknown, status: number): Error {
    return refusedHandle(handle, status, { title: this.#title, part: "slot" });
  }

  #closed(): DmaWindowError {
    return new DmaWindowError("ERR_CLOSED", `${this.#title} is closed`);
  }

  #alive(): void {
    if (!this.#open) throw this.#closed();
  }

  #many(handles: Int32Array, wanted?: number): number {
    this.#alive();
    if (kindOf(handles) !== "Int32Array") throw argumentTypeError("handles", "an Int32Array", handles);
    const room = lengthOf(handles) >> 2; // of the array, whatever a property of it says
    if (wanted === undefined) return room;
    const number = count("count", wanted);
    if (number <= room) return number;
    throw argumentRangeError("count", `at most ${room}, the length of handles`, wanted);
  }
}
