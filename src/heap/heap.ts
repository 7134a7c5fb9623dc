import { markClass } from "../copies.ts";
import { argumentRangeError } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import type { Holder } from "../memory/holds.ts";
import { size } from "../validate.ts";
import type { HeapToken } from "../worker/heap-token.ts";
import { HeapBase } from "./base.ts";
import { Blocks } from "./blocks.ts";
import type { WorkerThread } from "./ended.ts";
import { ListGround } from "./list-ground.ts";
import { type HeapLoan, Loans } from "./loans.ts";
import { type HeapOptions, type HeapPlan, readHeap, readSharedPool, type SharedPoolOptions } from "./options.ts";
import { makeSharedPool, type SharedPool } from "./shared-pool.ts";

/**
 * Buffers of any size that a device can reach, each with its IOVA, out of one list of a memory that is attached to a window. It
 * grows by whole pages of the list; the window and all that is mapped stay as they are. What it knows of its memory lies elsewhere,
 * where no device can write.
 *
 *     using heap = new DmaHeap({ memory, list, window });
 *     const handle = heap.alloc(1500, 64, 4096); // 1500 bytes, at a multiple of 64, that cross no multiple of 4096
 *     ring[tail] = heap.iovas[heap.slot(handle)]; // what the device is told: a u64, exact, without garbage
 *     heap.bytes(handle).set(packet);
 *     heap.free(handle);
 *
 * A handle is a whole number from 1 to 2^31 - 1: which block, and how often that was freed (modulo 512). So a double free is
 * refused, a stale handle until its block was freed 512 times more, and one of another heap or pool always. In a heap with `guard`,
 * `quarantine` or `callSites` each handle is given out once, and there are 2^27 of them.
 *
 * For as long as it is open it holds its list: `memory.free` of its segments, `removeList`, `detach` and the `close` of memory,
 * window and container are refused (`ERR_HELD`). What `using` does to those closes it first: a heap that nobody closes would keep
 * its memory for ever.
 *
 * In the middle of another operation (a kernel interface, a listener, a getter called the program) blocks come and go as ever;
 * only growing is not possible there, and what needs a view for the first time (`ERR_BUSY`).
 */
export class DmaHeap extends HeapBase {
  readonly #plan: HeapPlan;
  readonly #blocks: Blocks;
  readonly #loans: Loans;
  readonly #holder: Holder;

  /**
   * A heap with a first step of memory, unless `grow` is false.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_NOT_FOUND` for a list of another memory, `ERR_NOT_ATTACHED`,
   * `ERR_CLOSED`, `ERR_ALLOC_UNAVAILABLE`, `ERR_OUT_OF_MEMORY`, and what `memory.allocate` throws. Nothing is left behind.
   */
  constructor(options: HeapOptions) {
    const plan = readHeap(options);
    const { name, memory, list, window } = plan;
    const blocks = new Blocks(`heap "${name}"`, new ListGround(memory, list, window), plan.grow);
    super(name, blocks, plan, () => {
      if (plan.grow && !blocks.growth.tryBy(1n)) throw blocks.growth.error ?? blocks.exhausted({ bytes: 1 });
    });
    this.#plan = plan;
    this.#blocks = blocks;
    this.#loans = new Loans(blocks, plan);
    blocks.collectors.push(() => this.#loans.settle());
    this.#holder = this.#hold();
    memory.holds.add(this.#holder);
  }

  #hold(): Holder {
    const heap = this;
    const { list, window } = this.#plan;
    return {
      title: this.#blocks.title,
      list,
      window,
      get liveCount() {
        return heap.liveCount;
      },
      get about() {
        return heap.#loans.about;
      },
      holds: (segment) => this.#blocks.segments.holds(segment),
      shut: () => this.shut(),
    };
  }

  /** A pool that worker threads share with this one; it has no guards. As {@link pool}; also `ERR_ALLOC_UNAVAILABLE`. */
  sharedPool(options: SharedPoolOptions): SharedPool {
    const plan = readSharedPool(options, this.#plan.zero);
    this.alive();
    return this.addPool<SharedPool>((number, ended) =>
      makeSharedPool(this.#blocks, this.#plan.memory, plan, number, ended),
    );
  }

  /**
   * Grows now, by at least `bytes`, in whole pages of the list.
   *
   * @throws `ERR_HEAP_MAXIMUM` (facts: wanted, most), what `memory.allocate` throws, `ERR_NOT_ATTACHED`, `ERR_BUSY`, `ERR_CLOSED`. Heap,
   * memory and window are as they were, or `residue` says what is left.
   */
  grow(bytes: bigint | number): void {
    this.alive();
    const wanted = size("bytes", bytes);
    if (wanted === 0n) throw argumentRangeError("bytes", "at least 1", bytes);
    this.#blocks.growth.by(wanted);
  }

  /**
   * Lends memory to a worker, for a heap of its own there: whole pages of the list, at least `bytes`, in a row. New ones, or a loan
   * that came back. They stay this heap's, which cannot be closed before they are back; they are in `stats.lent`, and count for
   * `grow.max`. About a millisecond for 2 MiB.
   *
   *     const token = heap.lend(4 << 20);
   *     const worker = new Worker("./queue.mjs", { workerData: token }); // there: openHeap(workerData, { kernel: linuxKernel() })
   *     worker.on("exit", () => heap.recover(token.loan));
   *
   * The worker gives them back when it closes its heap, or trims it; then they are this heap's as any other segment. A worker may be ended
   * at any instruction.
   *
   * @param worker Whose heap it will be, if that is there already: then `recover(worker)` knows it.
   * @throws `ERR_OTHER_MEMORY` where no other thread can see the memory, as on a software kernel with simulated memory;
   * `ERR_HEAP_MAXIMUM` (facts: wanted, most), what `memory.allocate` throws, `ERR_OUT_OF_MEMORY`, `ERR_BUSY`, `ERR_CLOSED`. Nothing is left.
   */
  lend(bytes: bigint | number, worker?: WorkerThread): HeapToken {
    this.alive();
    return this.#loans.lend(bytes, worker);
  }

  /** What is lent, and not back. */
  get loans(): readonly HeapLoan[] {
    if (!this.closed) this.#loans.settle();
    return this.#loans.list;
  }

  /**
   * Takes back what a worker had that has ended: gives how many bytes. No device may be at them. A token that nobody came with is void
   * from then on. Once more does nothing.
   *
   * @param worker `token.loan`, or the Worker for which `lend` was called.
   * @throws `ERR_WORKER_RUNNING` for a thread that still runs (`await worker.terminate()` first): where /proc cannot be read that is
   * known only of a Worker. `ERR_NOT_FOUND` for a Worker without a token, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   */
  recover(worker: number | WorkerThread): bigint {
    this.alive();
    return this.#loans.recover(worker);
  }

  /** Why it could not grow by itself last; `undefined` when it could, or did not have to. It tries again after a second. */
  get growthError(): unknown {
    return this.#blocks.growth.error;
  }

  /** @internal */
  protected override ending(): void {
    this.#loans.checkNobody();
    this.#blocks.segments.checkEnd();
  }

  /** @internal */
  protected override ended(): void {
    this.#loans.end();
    this.#plan.memory.holds.remove(this.#holder);
  }
}

markClass(DmaHeap, "DmaHeap");
inspectable(DmaHeap, "DmaHeap", (heap) => heap.told);
