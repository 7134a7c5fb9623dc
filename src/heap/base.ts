import { AllocStatus, COLUMN_WORDS, HANDLE_INDEX_MASK } from "../alloc.ts";
import { Closable, disposing } from "../closable.ts";
import { DmaWindowError } from "../errors.ts";
import { begin, end } from "../exclusive.ts";
import type { Told } from "../inspect.ts";
import { placeIn } from "../place-in.ts";
import type { RemoteFreeToken } from "../worker/remote-free.ts";
import { alignShift, blockBytes, boundaryShift, GRANULE, quickShift } from "./block.ts";
import type { Blocks } from "./blocks.ts";
import { bufferAt, type DmaBuffer, makeBuffer } from "./buffer.ts";
import { Careful } from "./careful.ts";
import type { HeapDamage } from "./damage.ts";
import { DescribedBlocks, type KnownBlocks } from "./described.ts";
import { hotCalls } from "./hot.ts";
import { type HeapLeak, type HeapPart, inUse, tellable, tellLeaks } from "./leaks.ts";
import {
  type Aids,
  type BlockOptions,
  type PoolOptions,
  type RemoteOptions,
  readBlock,
  readForce,
  readPool,
  readRemote,
} from "./options.ts";
import { givePlain, noHeap, type PlainHeap, placeOf, plainHeap, remember, takePlain } from "./plain.ts";
import { type DmaPool, makePool } from "./pool.ts";
import { closedError, refusedHandle } from "./refusals.ts";
import { RemoteFrees } from "./remote-frees.ts";
import { type HeapStats, statsOf, type TrimResult, tellHeap } from "./stats.ts";
import { unlessSpoilt, wasm } from "./wasm.ts";

const hot = hotCalls; // see hot.ts

/**
 * What alloc and free do when it is not plain. It stays outside of the program's loop (see plain.ts): V8 does not know what is behind
 * `call` of a variable that is assigned later.
 */
let allocSlowly: (this: HeapBase, bytes: number, align?: number, boundary?: number) => number;
let tryAllocSlowly: typeof allocSlowly;
let freeSlowly: (this: HeapBase, handle: number) => void;

/** A pool of a heap, as the heap knows it. */
interface PoolOf {
  readonly live: number;
  readonly takes: bigint;
  readonly part: HeapPart & { check(): HeapDamage[] };
}

/**
 * A heap, wherever its memory comes from: what {@link DmaHeap} and {@link WorkerHeap} have in common. It belongs to the thread that
 * made it.
 */
export abstract class HeapBase extends Closable {
  readonly name: string;
  /**
   * The IOVA of each block that is live, at {@link slot} of its handle. The same array always; not to be written to. It is for programs
   * alone: what is written there changes what is read there, and nothing of the heap.
   */
  readonly iovas: BigUint64Array;
  /** The address of each, likewise. */
  readonly vas: BigUint64Array;
  /** The size of each in granules of 64 bytes, at twice the slot. */
  readonly sizes: Uint32Array;

  readonly #aids: Aids;
  readonly #blocks: Blocks;
  readonly #careful: Careful | undefined;
  readonly #known: KnownBlocks;
  readonly #pools = new Set<PoolOf>();
  /** The allocator's. */
  readonly #heap: number;
  #remote: RemoteFrees | undefined;
  #poolsMade = 0;
  #open = true;
  /** This heap, where alloc and free have nothing to do but what plain.ts and the allocator do; else none. */
  #plain: PlainHeap;
  #isPlain = false;

  /** @internal What is shown of it: without a look at what other threads freed. */
  get told(): Told {
    return tellHeap(this, this.#blocks, this.#careful?.liveCount, this.#pools.size);
  }

  /** @internal `begin` gets its first memory; where that throws nothing is left. */
  constructor(name: string, blocks: Blocks, aids: Aids, begin: () => void) {
    super();
    this.name = name;
    this.#aids = aids;
    this.#blocks = blocks;
    this.#heap = blocks.heap;
    try {
      const isWatched = aids.guard || aids.quarantine > 0 || aids.callSites;
      this.#careful = isWatched ? new Careful(blocks, aids) : undefined;
      begin();
    } catch (error) {
      this.#careful?.close();
      blocks.end();
      throw error;
    }
    this.#known = this.#careful ?? new DescribedBlocks(this.#heap);
    this.#isPlain = !this.#careful && !aids.zero;
    this.#plain = this.#isPlain ? plainHeap(wasm, this.#heap) : noHeap(wasm);
    const { iovas, vas, sizes } = this.#careful ?? wasm.columns;
    this.iovas = iovas;
    this.vas = vas;
    this.sizes = sizes;
  }

  get closed(): boolean {
    return !this.#open;
  }

  /**
   * A block of at least `bytes`, at a multiple of `align` and within one multiple of `boundary` to the next, as the device sees it.
   * About 4 ns, also with the alignment and boundary that was asked for last; no garbage. What it holds is what was written last, unless the heap
   * zeroes.
   *
   * @param bytes From 1 to 2^32 - 64; whole granules of 64 bytes are given, and from 8 to 64 KiB up to a 64th more.
   * @param align A power of two up to 64 GiB. Default: 64.
   * @param boundary A power of two, at least `bytes`. Default: none.
   * @throws `ERR_HEAP_EXHAUSTED` when nothing fits, and it could not grow (facts: bytes, align, boundary, live, free, largest, total,
   * max, listRoom, windowRoom, hugepages, quarantined; `cause`: why not). `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   * `ERR_GUARD` in a heap with `guard`, where memory that was free was written to: the next call goes on.
   */
  alloc(bytes: number, align?: number, boundary?: number): number {
    const plain = this.#plain;
    const handle = takePlain(plain, bytes, placeOf(plain, align === undefined ? 64 : align, boundary));
    return handle > 0 ? handle : allocSlowly.call(this, bytes, align, boundary) | 0;
  }

  static {
    tryAllocSlowly = function (this: HeapBase, bytes, align, boundary) {
      const handle = this.#isPlain ? this.#tryTake(bytes, align, boundary) : 0;
      return handle > 0 ? handle : this.#take(bytes, align, boundary);
    };
    allocSlowly = function (this: HeapBase, bytes, align, boundary) {
      const handle = tryAllocSlowly.call(this, bytes, align, boundary);
      if (handle > 0) return handle;
      throw this.#blocks.exhausted({
        bytes,
        ...(align === undefined ? {} : { align }),
        ...(boundary === undefined ? {} : { boundary }),
      });
    };
    freeSlowly = function (this: HeapBase, handle) {
      // What the allocator refuses it leaves as it is: then the reason is looked for.
      const isAsked = this.#open && !this.#careful && typeof handle === "number" && (handle | 0) === handle;
      if (isAsked && hot.heapFree(this.#heap, handle) === AllocStatus.OK) return;
      this.#check(handle);
      if (this.#careful) this.#careful.free(handle);
      else this.#blocks.give(handle);
    };
  }

  /** The same; -1 where {@link alloc} throws `ERR_HEAP_EXHAUSTED`. It grows as that does. */
  tryAlloc(bytes: number, align?: number, boundary?: number): number {
    const plain = this.#plain;
    const handle = takePlain(plain, bytes, placeOf(plain, align === undefined ? 64 : align, boundary));
    return handle > 0 ? handle : tryAllocSlowly.call(this, bytes, align, boundary) | 0;
  }

  /** What the allocator has at once; else 0, or less. */
  #tryTake(bytes: number, align = GRANULE, boundary?: number): number {
    if (typeof bytes !== "number" || (bytes | 0) !== bytes || bytes <= 0) return 0;
    const asked = quickShift(align);
    const within = boundary === undefined ? 0 : quickShift(boundary);
    if ((asked | within) < 0 || (boundary !== undefined && bytes > boundary)) return 0;
    const at = Math.max(asked, 6);
    if (align !== GRANULE || boundary !== undefined) remember(this.#plain, align, at, boundary, within);
    const handle = hot.heapAllocAligned(this.#heap, bytes, at, within);
    // Few bytes are free, or another thread freed something: the allocator says so in its first word of the heap.
    if (hot.words[this.#heap >> 2] !== 0) this.#blocks.signal();
    return handle;
  }

  #take(bytes: unknown, align: unknown, boundary: unknown): number {
    this.alive();
    const length = blockBytes("bytes", bytes);
    const at = alignShift(align);
    const within = boundaryShift(boundary, length);
    if (this.#careful) return this.#careful.take(length, at, within);
    return this.#aids.zero ? this.#blocks.takeZeroed(length, at, within) : this.#blocks.take(length, at, within);
  }

  /**
   * Gives a block back. About 3 ns, no garbage. The device must be done with it; arrays over it stay, and show what
   * the next owner writes.
   *
   * @throws with nothing changed: `ERR_NOT_LIVE`, `ERR_STALE_HANDLE`, `ERR_FOREIGN_HANDLE`, `ERR_INVALID_ARG_TYPE`,
   * `ERR_OUT_OF_RANGE`, `ERR_CLOSED`. `ERR_GUARD` in a heap with `guard`: it is freed all the same.
   */
  free(handle: number): void {
    if (!givePlain(this.#plain, handle)) freeSlowly.call(this, handle);
  }

  /** Where a block is in {@link iovas} and {@link vas}, and half of where in {@link sizes}. Of a live handle of this heap; whether it is one is not looked at. */
  slot(handle: number): number {
    if (typeof handle !== "number") this.#check(handle);
    return this.#careful === undefined ? (handle & HANDLE_INDEX_MASK) * COLUMN_WORDS : this.#careful.slotOf(handle);
  }

  /** Where the device finds a block. Leaves a bigint: see {@link iovas}. @throws as {@link free}. */
  iovaOf(handle: number): bigint {
    this.#check(handle);
    return this.#known.iovaOf(handle);
  }

  /** Its address. @throws as {@link free}. */
  vaOf(handle: number): bigint {
    this.#check(handle);
    return this.#known.vaOf(handle);
  }

  /** Its bytes: whole granules of 64, and as many as were asked for in a heap with `guard`. @throws as {@link free}. */
  sizeOf(handle: number): number {
    this.#check(handle);
    return this.#known.sizeOf(handle);
  }

  /**
   * The memory of a block itself, {@link sizeOf} bytes: another array each time, over the same memory. About 30 ns and 100 bytes of
   * garbage; {@link DmaPool} keeps its arrays. It outlives {@link free}; after the heap was closed it has length 0.
   *
   * @throws as {@link free}; `ERR_NO_EXTERNAL_BUFFERS` on engines that cannot show memory (Electron): see {@link read} and {@link write}.
   */
  bytes(handle: number): Uint8Array {
    this.#check(handle);
    const length = this.#known.sizeOf(handle);
    if (this.#careful === undefined) {
      const at = (handle & HANDLE_INDEX_MASK) * 8 + 6; // where a descriptor has the address
      const va = ((wasm.words[at + 1] as number) >>> 0) * 2 ** 32 + ((wasm.words[at] as number) >>> 0); // exact, or in no segment
      const shown = this.#blocks.segments.shown.showQuickly(va, length);
      if (shown !== undefined) return shown;
    }
    return this.#blocks.segments.shown.show(this.#known.vaOf(handle), length);
  }

  /** Copies out of a block, from `offset` on, as many bytes as `into` has. On every engine. @throws as {@link free}; `ERR_BUSY`. */
  read(handle: number, offset: number, into: Uint8Array): void {
    this.#blocks.segments.shown.read(this.#place(handle, offset, into), into);
  }

  /** Copies into a block, likewise. */
  write(handle: number, offset: number, from: Uint8Array): void {
    this.#blocks.segments.shown.write(this.#place(handle, offset, from), from);
  }

  #place(handle: number, offset: number, bytes: Uint8Array): bigint {
    this.#check(handle);
    return this.#known.vaOf(handle) + BigInt(placeIn(this.#known.sizeOf(handle), offset, bytes));
  }

  /** A block as an object. @throws as {@link alloc}; `ERR_INVALID_ARG_TYPE` for an option that is not known. */
  buffer(bytes: number, options: BlockOptions = {}): DmaBuffer {
    const { align, boundary } = readBlock(options);
    return makeBuffer(this, this.alloc(bytes, align, boundary), bytes);
  }

  /**
   * A pool of slots of one size, out of this heap's memory. It grows for that by all that is missing, also with `grow.sync` false: not
   * with `grow` false.
   *
   * @throws `ERR_HEAP_EXHAUSTED`, `ERR_OUT_OF_MEMORY`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`. Nothing is left, but
   * what the heap grew by.
   */
  pool(options: PoolOptions): DmaPool {
    const plan = readPool(options, this.#aids.zero);
    this.alive(); // asked now: a getter of the options may have closed it
    return this.addPool<DmaPool>((number, ended) =>
      makePool(this.#blocks, plan, `pool ${number} of ${this.#blocks.title}`, this.#aids.guard, ended),
    );
  }

  /**
   * A token by which other threads free blocks of this heap: `openRemoteFree(token)` there, then `free(handle)`. Send it to as many as like.
   * What they free is free here when a block is cut from what is free (what was freed here before and is asked for again is not), before
   * anything is exhausted and before the heap grows, and in the event loop of this thread, which is woken: also when nothing is allocated
   * or freed here. The first call takes 16 MiB of addresses.
   *
   * A handle is looked at there, and once more here: what is refused here (`ERR_NOT_LIVE`, `ERR_STALE_HANDLE`: freed in both threads) is in
   * {@link remoteErrors}, counted in `stats.remote.refused`, and told to `onError` in a microtask.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_CLOSED`.
   */
  remote(options: RemoteOptions = {}): RemoteFreeToken {
    this.alive();
    const read = readRemote(options);
    this.#remote ??= new RemoteFrees(this.#blocks, this.#careful, (handle) => this.free(handle));
    return this.#remote.token(read);
  }

  /** Why blocks that other threads freed were refused here: the last 16. */
  get remoteErrors(): readonly Error[] {
    if (this.#open) this.#remote?.drain();
    return this.#remote === undefined ? [] : [...this.#remote.errors];
  }

  /** @internal Has a pool made, whose end is heard of. */
  protected addPool<Pool extends PoolOf>(make: (number: number, ended: (pool: Pool) => void) => Pool): Pool {
    const pool = make(this.#poolsMade + 1, (ended) => this.#pools.delete(ended));
    this.#poolsMade++;
    this.#pools.add(pool);
    return pool;
  }

  /**
   * Gives segments back to the operating system in which nothing is live. That is often little: one block keeps its segment, which
   * is as long as what the heap grew by at that time.
   *
   * @throws what `memory.free` throws, after all segments were tried: what could not go is the heap's as before, as without an IOMMU while a
   * device runs (`ERR_DEVICE_RUNNING`). `ERR_BUSY`, `ERR_CLOSED`.
   */
  trim(): TrimResult {
    this.begin("heap.trim");
    this.#blocks.collect();
    this.#blocks.reclaim();
    wasm.heapFlush(this.#heap);
    try {
      const { segments, bytes } = this.#blocks.segments.trim();
      return { returned: bytes, segments, kept: wasm.heapFreeBytes(this.#heap) };
    } finally {
      this.#blocks.growth.arm();
    }
  }

  /** How much there is of what. Some microseconds, and more with many live blocks. @throws `ERR_CLOSED`. */
  get stats(): HeapStats {
    this.alive();
    let pooled = 0n;
    for (const pool of this.#pools) pooled += pool.takes;
    const live = this.#liveBlocks();
    return statsOf(this.#blocks, pooled, live, this.#remote?.stats);
  }

  /** Blocks and slots of its pools that are live; 0 when it is closed. */
  get liveCount(): number {
    if (!this.#open) return 0;
    let live = this.#liveBlocks();
    for (const pool of this.#pools) live += pool.live;
    return live;
  }

  #liveBlocks(): number {
    this.#remote?.drain();
    return this.#careful ? this.#careful.liveCount : this.#blocks.liveCount;
  }

  /**
   * Looks at all guards, and all memory that is free: gives what was written to by somebody who does not have it. Nothing in a heap
   * without `guard`. Reads all that is free.
   *
   * @throws `ERR_CLOSED`, `ERR_BUSY`.
   */
  check(): readonly HeapDamage[] {
    this.begin("heap.check");
    const found = this.#careful?.check() ?? [];
    for (const pool of this.#pools) found.push(...pool.part.check());
    return found;
  }

  /** What is live, slots of pools too, with `callSites` where it was allocated. @throws `ERR_CLOSED`. */
  leaks(): readonly HeapLeak[] {
    this.alive();
    this.#remote?.drainAll();
    return Array.from(this.#leaks(), tellable);
  }

  *#leaks(): Generator<HeapLeak, void, void> {
    const known = this.#known;
    for (let handle = known.next(0); handle !== 0; handle = known.next(handle)) {
      const site = known.siteOf(handle);
      const where = { iova: this.#known.iovaOf(handle), va: this.#known.vaOf(handle) };
      const about = { ...bufferAt(this, handle), ...(site === undefined ? {} : { callSite: site }) };
      yield { handle, ...where, bytes: this.#known.sizeOf(handle), ...about };
    }
    for (const pool of this.#pools) yield* pool.part.leaks();
  }

  /**
   * Ends the heap and its pools: all segments are unmapped and freed, and arrays over them have length 0. Devices must be idle. Once
   * more does nothing. `using` closes it whatever is live, since nobody has the handles any more at the end of a block.
   *
   * @param options `force`: also when blocks or slots are live.
   * @throws `ERR_HEAP_IN_USE` when some are (facts: live): the message names the first of them, and nothing is changed; likewise
   * `ERR_DEVICE_RUNNING` without an IOMMU, `ERR_STILL_MAPPED`, as `memory.free` says them. `ERR_CLOSE` when it
   * is closed, and segments could not be freed: `residue` names them, and they are the memory's from then on. `ERR_BUSY`.
   */
  close(options: { readonly force?: boolean } = {}): void {
    const force = readForce(options);
    if (!this.#open) return;
    this.#remote?.drainAll();
    const live = this.liveCount;
    if (live > 0 && !force) throw inUse("ERR_HEAP_IN_USE", this.#blocks.title, live, this.#leaks());
    this.shut();
  }

  /** @internal */
  override [disposing](): void {
    this.close({ force: true });
  }

  /** @internal Ends it, whatever is live. */
  protected shut(): void {
    if (!this.#open) return;
    this.begin("heap.close");
    if (this.#aids.callSites) tellLeaks(this.#blocks.title, this.liveCount, this.#leaks());
    for (const pool of this.#pools) pool.part.checkNobody?.();
    this.ending();
    for (const pool of this.#pools) pool.part.shut();
    this.#open = false;
    this.#plain = noHeap(wasm);
    this.#isPlain = false;
    this.#remote?.close();
    unlessSpoilt(() => this.#careful?.close());
    const left = this.#blocks.end();
    this.ended();
    if (left.length === 0) return;
    throw new DmaWindowError(
      "ERR_CLOSE",
      `${this.#blocks.title} is closed; not all of its segments could be freed: ${left.join("; ")}`,
      { residue: { left } },
    );
  }

  /** @internal Before anything is changed. @throws where it cannot end. */
  protected abstract ending(): void;
  /** @internal Its memory has gone. */
  protected abstract ended(): void;

  /** @internal @throws `ERR_CLOSED`. */
  protected alive(): void {
    if (!this.#open) throw closedError(this.#blocks.title);
  }

  /** @internal What changes the memory is an operation of its own. @throws `ERR_CLOSED`, `ERR_BUSY`. */
  protected begin(operation: string): void {
    this.alive();
    begin(operation);
    end();
  }

  /** @throws for what is no handle of a block that is live. */
  #check(handle: number): void {
    this.alive();
    const isHandle = typeof handle === "number" && (handle | 0) === handle;
    const status = isHandle ? this.#known.statusOf(handle) : AllocStatus.UNKNOWN_HANDLE;
    if (status !== AllocStatus.OK) throw refusedHandle(handle, status, { title: this.#blocks.title, part: "block" });
  }
}
