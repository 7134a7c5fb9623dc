/** Blocks of a heap as the allocator gives them, and its memory, which grows. */
import { GRANULE, HANDLE_INDEX_MASK, LOW, RUNG } from "../alloc.ts";
import { DmaWindowError } from "../errors.ts";
import { roomAnywhere, roomInPages, rounded } from "./block.ts";
import type { Asked, Ground } from "./ground.ts";
import { Growth } from "./growth.ts";
import type { GrowPlan } from "./options.ts";
import { fill } from "./pattern.ts";
import { answer } from "./rung.ts";
import { Segments } from "./segments.ts";
import { needAllocator, unlessSpoilt, wasm } from "./wasm.ts";

export class Blocks {
  readonly title: string;
  /** The allocator's pointer, 0 when it is closed. */
  readonly heap: number;
  readonly segments: Segments;
  readonly growth: Growth;
  readonly #ground: Ground;
  /** What is done to memory that comes, before anybody gets it. */
  prepare: (va: bigint, length: bigint) => void = () => {};
  /** Bytes with a pattern that are to lie behind whatever is given out. */
  guard = 0;
  /** Has what only waits given back; gives whether anything was. */
  reclaim: () => boolean = () => false;
  /** Each takes what came back from other threads, and gives whether anything did. */
  readonly collectors: (() => boolean)[] = [];
  /** Bytes that only wait. */
  quarantined = 0n;
  /** Blocks that pools lie in. */
  lent = 0;
  /** So many bytes in a row did not come when the heap grew by them: physical memory is in pieces. Nobody grows for that again. */
  #hopeless = 1n << 64n;

  /** @throws `ERR_ALLOC_UNAVAILABLE`, `ERR_OUT_OF_MEMORY`. */
  constructor(title: string, ground: Ground, grow: GrowPlan | undefined) {
    needAllocator();
    const heap = wasm.heapOpen();
    if (heap <= 0) {
      const said =
        "no room for another heap in the allocator's memory: a thread has up to 1,019, and fewer beside pools: close one";
      throw new DmaWindowError("ERR_OUT_OF_MEMORY", said);
    }
    this.title = title;
    this.heap = heap;
    this.#ground = ground;
    this.segments = new Segments(ground, heap);
    this.growth = new Growth(grow, ground, heap, (length) => {
      this.segments.grow(length, this.prepare);
    });
    this.growth.before = () => this.collect();
  }

  /** Takes what came back from other threads; gives whether anything did. */
  collect(): boolean {
    let came = false;
    for (const collector of this.collectors) came = collector() || came;
    return came;
  }

  /** The heap's first word is not 0: another thread has freed something, or few bytes are free. */
  signal(): void {
    if (((wasm.words[this.heap >> 2] as number) & RUNG) !== 0) {
      answer();
      this.growth.arm(); // which sets the word anew
    }
    if (((wasm.words[this.heap >> 2] as number) & LOW) !== 0) this.growth.low();
  }

  /** A handle, or -1. `align` and `boundary` are shifts. */
  take(bytes: number, align: number, boundary: number): number {
    const handle = wasm.heapAllocAligned(this.heap, bytes, align, boundary);
    if (wasm.words[this.heap >> 2] !== 0) this.signal();
    return handle > 0 ? handle : this.refill(bytes, align, boundary);
  }

  /** The same, all of it zero. */
  takeZeroed(bytes: number, align: number, boundary: number): number {
    const handle = this.take(bytes, align, boundary);
    if (handle <= 0) return handle;
    const at = (handle & HANDLE_INDEX_MASK) * 4;
    try {
      fill(this.segments.shown, wasm.vas[at] as bigint, (wasm.sizes[at * 2] as number) * GRANULE, 0);
    } catch (error) {
      this.give(handle);
      throw error;
    }
    return handle;
  }

  /** Blocks that somebody has. */
  get liveCount(): number {
    return wasm.heapLiveCount(this.heap) - this.lent;
  }

  give(handle: number): void {
    wasm.heapFree(this.heap, handle);
  }

  /** What `take` does where nothing fits: whatever may help, and asks once more after each. */
  refill(bytes: number, align: number, boundary: number): number {
    const again = (): number => {
      const handle = wasm.heapAllocAligned(this.heap, bytes, align, boundary);
      return handle > 0 ? handle : -1;
    };
    if (this.collect()) {
      const handle = again();
      if (handle > 0) return handle;
    }
    const anywhere = roomAnywhere(bytes, align, boundary);
    // It fits wherever that begins, and there are no descriptors: more memory would not help.
    if (wasm.heapLargest(this.heap) >= anywhere) return -1;
    if (this.reclaim()) {
      const handle = again();
      if (handle > 0) return handle;
    }
    if (this.segments.count > 1 && this.segments.join(rounded(bytes), align, boundary)) {
      const handle = again();
      if (handle > 0) return handle;
    }
    const needed = roomInPages(bytes, align, boundary, this.#ground.pageSize);
    if (needed >= this.#hopeless) return -1;
    if (!this.growth.plan?.sync) {
      this.growth.ask(needed);
      return -1;
    }
    if (!this.growth.tryBy(needed)) return -1;
    const handle = again();
    // Where there is room now, it was a descriptor that lacked, which may be there next time.
    if (handle <= 0 && wasm.heapLargest(this.heap) < anywhere) this.#hopeless = needed;
    return handle;
  }

  exhausted(asked: Asked): DmaWindowError {
    const { title, heap, growth, quarantined } = this;
    return this.#ground.exhausted(asked, { title, heap, growth, quarantined });
  }

  /** Whatever is live. Gives what could not be given back. */
  end(): string[] {
    this.growth.stop();
    unlessSpoilt(() => wasm.heapClose(this.heap));
    return this.segments.end();
  }
}
