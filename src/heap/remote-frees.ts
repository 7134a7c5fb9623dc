/**
 * Blocks that other threads free, as the heap's own thread takes them back: when a block is cut from free memory (rung.ts), before it
 * says that nothing is left, before it grows, when it is asked what is live, and, while it is idle, in its event loop, which the first
 * push rings.
 */
import { DESCRIPTORS, HANDLE_INDEX_MASK } from "../alloc.ts";
import { DmaWindowError } from "../errors.ts";
import { RemoteQueue } from "../worker/remote.ts";
import { makeRemoteFreeToken, type RemoteFreeToken } from "../worker/remote-free.ts";
import type { Blocks } from "./blocks.ts";
import type { Careful } from "./careful.ts";
import type { RemoteOptions } from "./options.ts";
import { listen, unlisten } from "./rung.ts";
import { wasm } from "./wasm.ts";

/** What other threads freed. */
export interface RemoteStats {
  readonly freed: number;
  /** Handles that were refused when the heap took them. */
  readonly refused: number;
}

/** Errors that are kept for whoever asks. */
const KEPT = 16;
/** Milliseconds between two looks at everything: it costs about a millisecond for each million of descriptors. */
const RARELY = 1000;

export class RemoteFrees {
  readonly #blocks: Blocks;
  readonly #careful: Careful | undefined;
  readonly #queue: RemoteQueue;
  readonly #free: (handle: number) => void;
  readonly #listeners = new Set<(error: Error) => void>();
  readonly errors: Error[] = [];
  #freed = 0;
  #refused = 0;
  #searched = Number.NEGATIVE_INFINITY;

  /** `free` throws for what is refused. */
  constructor(blocks: Blocks, careful: Careful | undefined, free: (handle: number) => void) {
    this.#blocks = blocks;
    this.#careful = careful;
    this.#free = free;
    this.#queue = new RemoteQueue(careful?.room ?? DESCRIPTORS);
    blocks.collectors.push(() => this.drain() + this.#search() > 0);
    listen(this.#drain);
    void this.#hear();
  }

  token({ onError }: RemoteOptions): RemoteFreeToken {
    if (onError !== undefined) this.#listeners.add(onError);
    const { title, heap } = this.#blocks;
    const { buffer, room } = this.#queue;
    const first = this.#careful ? -this.#careful.slotOf(0) : 0;
    const tag = this.#careful ? 0 : (wasm.words[(heap >> 2) + 1] as number);
    return makeRemoteFreeToken({ title, memory: wasm.memory, queue: buffer, room, first, tag });
  }

  get stats(): RemoteStats {
    return { freed: this.#freed, refused: this.#refused };
  }

  /** Takes what was pushed: how many handles. */
  drain(): number {
    return this.#queue.drain(this.#take);
  }

  /** Also what was pushed by a thread that was ended before it said so. */
  drainAll(): void {
    this.#searched = performance.now();
    this.#queue.drainAll(this.#end, this.#take);
  }

  #search(): number {
    const now = performance.now();
    if (now - this.#searched < RARELY) return 0;
    this.#searched = now;
    return this.#queue.drainAll(this.#end, this.#take);
  }

  /** Behind the last index that ever was a handle's. */
  get #end(): number {
    return this.#careful ? this.#queue.room : (wasm.words[1] as number) + 1;
  }

  readonly #drain = (): void => {
    this.drain();
  };

  readonly #take = (handle: number): void => {
    const before = this.#careful?.liveCount ?? 0;
    try {
      this.#free(handle);
      this.#freed++;
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === "ERR_BUSY") {
        // In the middle of an operation a guard may not be looked at: another time.
        this.#queue.push(this.#careful?.slotOf(handle) ?? handle & HANDLE_INDEX_MASK, handle);
        return;
      }
      if ((this.#careful?.liveCount ?? 0) < before) this.#freed++;
      else this.#refused++;
      this.#tell(error instanceof Error ? error : new DmaWindowError("ERR_INTERFACE", String(error)));
    }
  };

  /** Later, when nothing is in the middle. What a listener throws is an uncaught exception. */
  #tell(error: Error): void {
    this.errors.push(error);
    if (this.errors.length > KEPT) this.errors.shift();
    for (const listener of this.#listeners) queueMicrotask(() => listener(error));
  }

  async #hear(): Promise<void> {
    while (this.#queue.isOpen) {
      await this.#queue.heard();
      if (this.#queue.isOpen) this.drain();
    }
  }

  /** The heap is closed. */
  close(): void {
    unlisten(this.#drain);
    this.#queue.close();
    this.#listeners.clear();
  }
}
