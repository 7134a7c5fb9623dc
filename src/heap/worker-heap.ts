import { markClass } from "../copies.ts";
import { coded } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import { type Syscalls, spaceOf } from "../syscalls.ts";
import { object, syscalls } from "../validate.ts";
import { type HeapToken, readHeapToken } from "../worker/heap-token.ts";
import { checkSpace } from "../worker/token.ts";
import { HeapBase } from "./base.ts";
import { Blocks } from "./blocks.ts";
import { LentGround } from "./lent.ts";
import { type AidOptions, nameIn, readAids } from "./options.ts";

export interface OpenHeapOptions extends AidOptions {
  /** By which this thread sees the memory: `linuxKernel()`. */
  readonly kernel: Syscalls;
}

const KEYS = keysOf<OpenHeapOptions>({
  kernel: true,
  name: true,
  zero: true,
  guard: true,
  quarantine: true,
  callSites: true,
});

let make: (token: HeapToken, kernel: Syscalls, options: OpenHeapOptions) => WorkerHeap;

/**
 * A heap of a worker's own, in memory that the heap of another thread has lent: blocks, pools and buffers as those of a
 * {@link DmaHeap}, by an allocator of this thread's, which nobody else waits for. It does not grow by itself: {@link add} gives it more.
 *
 *     const heap = openHeap(workerData, { kernel: linuxKernel() });
 *     const handle = heap.alloc(1500);
 *     ring[tail] = heap.iovas[heap.slot(handle)];
 *     heap.bytes(handle).set(packet); // the same pages, by an array of this thread's own
 *     heap.free(handle);
 *     heap.close(); // the memory is the lender's again
 *
 * A worker that is ended before it closes the heap keeps the loan until the lender calls `recover`.
 */
export class WorkerHeap extends HeapBase {
  readonly #blocks: Blocks;
  readonly #ground: LentGround;
  readonly #kernel: Syscalls;

  static {
    make = (token, kernel, options) => new WorkerHeap(make, token, kernel, options);
  }

  /** @internal Made by {@link openHeap}. */
  constructor(key: unknown, token: HeapToken, kernel: Syscalls, options: OpenHeapOptions) {
    if (key !== make) throw coded(new TypeError("it is opened by openHeap"), "ERR_INVALID_ARG_TYPE");
    const name = nameIn(options);
    const aids = readAids(options);
    const title = `heap "${name}" in loans of ${token.title}`;
    const ground = new LentGround(title, kernel, token);
    const blocks = new Blocks(title, ground, undefined);
    super(name, blocks, aids, () => blocks.segments.add(ground.accept(token), blocks.prepare));
    this.#blocks = blocks;
    this.#ground = ground;
    this.#kernel = kernel;
  }

  /** The numbers of the loans that it has. */
  get loans(): readonly number[] {
    return this.#ground.loans;
  }

  /**
   * More memory, by another token: of the same window.
   *
   * @throws `ERR_TOKEN_USED`, `ERR_OTHER_MEMORY`, `ERR_OTHER_WINDOW`, `ERR_OUT_OF_MEMORY`, `ERR_INVALID_ARG_TYPE`, `ERR_BUSY`, `ERR_CLOSED`. The
   * heap is as it was; after `ERR_OUT_OF_MEMORY` the loan has gone back.
   */
  add(token: HeapToken): void {
    this.begin("heap.add");
    const read = readHeapToken(token);
    checkSpace(spaceOf(this.#kernel), `${read.title} cannot be seen through this kernel`);
    this.#blocks.segments.add(this.#ground.accept(read), this.#blocks.prepare);
  }

  /** @internal Nothing may lead to memory that goes back. */
  protected override ending(): void {
    this.#ground.hush();
  }

  /** @internal */
  protected override ended(): void {}
}

/**
 * Makes a heap in a worker, by a token that `lend` of a {@link DmaHeap} gave. About a millisecond for the first of a thread, whose
 * allocator it instantiates. It has no `grow`, and `trim` and `close` give loans back; `close` and `trim` also throw `ERR_HELD` while
 * an array of it that was moved (`transfer`, a message) still leads to the memory: arrays over blocks have length 0 then, and it can be
 * tried again.
 *
 * @throws `ERR_TOKEN_USED` for a token that was used, or revoked, or whose heap is closed; `ERR_OTHER_MEMORY` where the kernel does not
 * see this process's memory; `ERR_INVALID_ARG_TYPE` for what is no token, or came from another process; `ERR_OUT_OF_RANGE`,
 * `ERR_ALLOC_UNAVAILABLE`, `ERR_OUT_OF_MEMORY`.
 */
export function openHeap(token: HeapToken, options: OpenHeapOptions): WorkerHeap {
  known("options", object("options", options), KEYS);
  const kernel = syscalls("kernel", options.kernel);
  const read = readHeapToken(token);
  checkSpace(spaceOf(kernel), `${read.title} cannot be seen through this kernel`);
  return make(read, kernel, options);
}

markClass(WorkerHeap, "WorkerHeap");
inspectable(WorkerHeap, "WorkerHeap", (heap) => heap.told);
