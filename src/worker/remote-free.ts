/** Frees blocks of a heap that is another thread's. */

import type { AllocMemory } from "../alloc.ts";
import { AllocStatus, HANDLE_INDEX_MASK, LIVE, MAGAZINE, OWNER, RUNG_WORD, STATES } from "../alloc.ts";
import { markClass } from "../copies.ts";
import { coded, DmaWindowError } from "../errors.ts";
import { inspectable, readable, whereClosed } from "../inspect.ts";
import { refusedHandle } from "../refused-handle.ts";
import { Pushed, RemoteQueue } from "./remote.ts";
import { readShared } from "./token.ts";

/**
 * Lets any thread of this process free blocks of a heap: what `remote()` of the heap gave, sent by `workerData` or `postMessage`, for
 * `openRemoteFree(token)` there. As many threads as like may open one token. What is in it is the library's.
 */
export interface RemoteFreeToken {
  readonly kind: "dma-window.remote-free";
  readonly title: string;
  /** The allocator's, of the heap's thread. */
  readonly memory: AllocMemory;
  readonly queue: SharedArrayBuffer;
  readonly room: number;
  /** The index of the first handle that there can be. */
  readonly first: number;
  /** What the state of a live block has beside its generation; 0: it is not looked at. */
  readonly tag: number;
}

const KIND = "dma-window.remote-free";

let make: (token: RemoteFreeToken) => RemoteFree;

/**
 * Frees blocks of a heap of another thread, which need not be awake: its next allocation that is cut from free memory takes them, or its event
 * loop does. Made by {@link openRemoteFree}.
 */
export class RemoteFree {
  readonly #title: string;
  readonly #queue: RemoteQueue;
  readonly #words: Int32Array;
  readonly #first: number;
  readonly #tag: number;

  static {
    make = (token) => new RemoteFree(make, token);
  }

  /** @internal Made by {@link openRemoteFree}. */
  constructor(key: unknown, { title, memory, queue, room, first, tag }: RemoteFreeToken) {
    if (key !== make) throw coded(new TypeError("it is opened by openRemoteFree"), "ERR_INVALID_ARG_TYPE");
    this.#title = title;
    const words = new Int32Array(memory.buffer);
    this.#queue = new RemoteQueue(room, queue, () => Atomics.store(words, RUNG_WORD, 1));
    this.#words = words;
    this.#first = first;
    this.#tag = tag;
  }

  /** @internal The heap, as errors call it. */
  get title(): string {
    return this.#title;
  }

  /** Whether the heap is. */
  get closed(): boolean {
    return !this.#queue.isOpen;
  }

  /**
   * Frees a block, as `free` of its heap. One compare-exchange on a word of the block's own; about 60 ns, no garbage, and nobody is
   * waited for. The device must be done with it, and no thread may use it any more.
   *
   * What is wrong with a handle is seen here as far as it can be; the heap looks once more when it takes it, and says what it refuses
   * then by `remoteErrors`.
   *
   * @throws with nothing changed: `ERR_NOT_LIVE`, also for a handle that was freed so before; `ERR_STALE_HANDLE`,
   * `ERR_FOREIGN_HANDLE`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED` when the heap is.
   */
  free(handle: number): void {
    if (typeof handle !== "number" || (handle | 0) !== handle || handle <= 0) {
      throw this.#refused(handle, AllocStatus.UNKNOWN_HANDLE);
    }
    const index = (handle & HANDLE_INDEX_MASK) - this.#first;
    const status = index >= 0 && index < this.#queue.room ? this.#statusOf(handle) : AllocStatus.FOREIGN_HANDLE;
    if (status !== AllocStatus.OK) throw this.#refused(handle, status);
    const pushed = this.#queue.push(index, handle);
    if (pushed !== Pushed.OK) throw this.#refused(handle, AllocStatus.NOT_LIVE);
  }

  /** What the heap would say now, as its descriptor has it. */
  #statusOf(handle: number): number {
    if (this.#tag === 0) return AllocStatus.OK;
    const state = Atomics.load(this.#words, (handle & HANDLE_INDEX_MASK) + STATES);
    if ((state & ~MAGAZINE) === ((handle & ~HANDLE_INDEX_MASK) | this.#tag)) return AllocStatus.OK;
    const owner = state & OWNER;
    if (owner === 0 && (state & ~MAGAZINE) >>> 22 === 0) return AllocStatus.UNKNOWN_HANDLE;
    if (owner !== 0 && owner !== (this.#tag & OWNER)) return AllocStatus.FOREIGN_HANDLE;
    return (state & LIVE) === 0 ? AllocStatus.NOT_LIVE : AllocStatus.STALE_HANDLE;
  }

  #refused(handle: unknown, status: number): Error {
    if (this.#queue.isOpen) return refusedHandle(handle, status, { title: this.#title, part: "block" });
    return new DmaWindowError("ERR_CLOSED", `${this.#title} is closed, and nothing of it is live`);
  }
}

/**
 * Opens what `remote()` of a heap in any thread of this process gave.
 *
 * @throws `ERR_INVALID_ARG_TYPE` for what is no token, or came from another process.
 */
export function openRemoteFree(token: RemoteFreeToken): RemoteFree {
  return make(readShared(token, KIND, "what remote() of a heap gave"));
}

export function makeRemoteFreeToken(parts: Omit<RemoteFreeToken, "kind">): RemoteFreeToken {
  return readable({ kind: KIND, ...parts }, "RemoteFreeToken", ({ title }) => ({ title }));
}

markClass(RemoteFree, "RemoteFree");
inspectable(RemoteFree, "RemoteFree", (remote) => ({ state: whereClosed(remote), title: remote.title }));
