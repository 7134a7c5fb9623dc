/** What a thread is sent to make a heap of its own in memory that another one lends. */

import type { AllocMemory } from "../alloc.ts";
import { readable } from "../inspect.ts";
import type { PoolRun } from "./slots.ts";
import { readShared } from "./token.ts";

/** The window that IOVAs are of. */
export interface WindowOfLoan {
  readonly start: bigint;
  readonly size: bigint;
  /** Which one it is: heaps mix no IOVAs of two. */
  readonly id: string;
}

/**
 * Memory for the heap of one worker of this process, once: `new Worker(file, { workerData: heap.lend(bytes) })`, or by `postMessage`,
 * then `openHeap(token, { kernel })` there, or `add(token)` of a heap that it has. A plain object; what is in it is the library's, but
 * for `loan` and `length`.
 */
export interface HeapToken {
  readonly kind: "dma-window.heap";
  /** The number of the loan, for {@link DmaHeap.recover}. */
  readonly loan: number;
  /** Bytes. */
  readonly length: bigint;
  readonly memory: AllocMemory;
  readonly seat: number;
  readonly ticket: number;
  /** Of the heap that lends, as errors call it. */
  readonly title: string;
  readonly va: bigint;
  readonly pageSize: bigint;
  readonly window: WindowOfLoan;
  readonly runs: readonly PoolRun[];
}

const KIND = "dma-window.heap";

/** @throws `ERR_INVALID_ARG_TYPE` for what is no token, or has lost its memory on the way. */
export function readHeapToken(token: HeapToken): HeapToken {
  return readShared(token, KIND, "what lend() of a DmaHeap gave");
}

export function makeHeapToken(parts: Omit<HeapToken, "kind">): HeapToken {
  return readable({ kind: KIND, ...parts }, "HeapToken", ({ title, loan, va, length }) => ({
    title,
    loan,
    va,
    length,
  }));
}
