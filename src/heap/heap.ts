import { markClass } from "../copies.ts";
import { argumentRangeError } from "../errors.ts";
import type { Holder } from "../memory/holds.ts";
import { size } from "../validate.ts";
import { HeapBase } from "./base.ts";
import { Blocks } from "./blocks.ts";
import { ListGround } from "./ground.ts";
import { type HeapOptions, type HeapPlan, readHeap, type SharedPoolOptions } from "./options.ts";
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
      holds: (segment) => this.#blocks.segments.holds(segment),
      shut: () => this.shut(),
    };
  }

  /** A pool that worker threads share with this one; it has no guards. As {@link pool}; also `ERR_ALLOC_UNAVAILABLE`. */
  sharedPool(options: SharedPoolOptions): SharedPool {
    this.alive();
    return this.addPool<SharedPool>((number, ended) =>
      makeSharedPool(this.#blocks, this.#plan, options, number, ended),
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

  /** Why it could not grow by itself last; `undefined` when it could, or did not have to. It tries again after a second. */
  get growthError(): unknown {
    return this.#blocks.growth.error;
  }

  /** @internal */
  protected override ending(): void {}

  /** @internal */
  protected override ended(): void {
    this.#plan.memory.holds.remove(this.#holder);
  }
}

markClass(DmaHeap, "DmaHeap");
