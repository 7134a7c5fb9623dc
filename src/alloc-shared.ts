/**
 * The module for pools that several workers share: the dictionary of its exports. It runs on the memory of the allocator of the
 * thread that made the pool; each thread has an instance of its own, and nobody is told by messages of what another one did.
 *
 * `pool` and `self` (a worker's record) are pointers and the library's own; handles may be any integer. No export calls out, throws,
 * or leaves garbage. What must not be done is to call one with the same `self` in two threads.
 */
import { type AllocMemory, available, DESCRIPTORS } from "./alloc.ts";
import { ALLOC_SHARED_WASM } from "./alloc-shared-wasm.ts";
import { fromBase64 } from "./base64.ts";
import { unpack } from "./unpack.ts";

export interface SharedExports {
  /** At most 2^21 slots and 63 workers; `seats`: a word for each worker, which is a seat for ever. The negative of an AllocStatus. */
  sharedOpen(count: number, workers: number, seats: number): number;
  /** The first worker that is there, or has a ticket; 0: none, and the pool is gone. */
  sharedClose(pool: number): number;
  /** How many handles a worker has; of worker 0: how many are live. Looks at each slot. */
  sharedHeld(pool: number, worker: number): number;
  /** The record of a worker that may come, whose seat has the ticket; 0: there are as many as the pool was made for. */
  sharedReserve(pool: number): number;
  sharedJoin(self: number, seat: number, ticket: number): 0 | 1;
  /** What the worker has stays live, and is nobody's: how many. */
  sharedLeave(self: number): number;
  /** For a worker that has ended, or a ticket that is to be void. What it had is free: how many. */
  sharedRecover(self: number): number;
  sharedGet(self: number): number;
  sharedPut(self: number, handle: number): number;
  /** Handles as i32 to `pointer`; how many. */
  sharedGetMany(self: number, pointer: number, count: number): number;
  /** How many were put before the first that is refused. */
  sharedPutMany(self: number, pointer: number, count: number): number;
  /** The handle is this worker's from now on, whoever had it. */
  sharedAdopt(self: number, handle: number): number;
  sharedCheckHandle(pool: number, handle: number): number;
  /** Gives what lies in the worker's magazines to the depot. */
  sharedFlush(self: number): void;
}

export interface SharedAllocator extends SharedExports {
  readonly memory: AllocMemory;
  /** All of the memory. */
  readonly words: Int32Array;
}

/** Where what src needs lies in a pool and in a record, in bytes: drawn in assembly/alloc/shared-layout.ts. */
export const SHARED = {
  first: 8,
  cells: 20,
  facts: 64,
  bell: 516,
  call: 520,
  seat: 0,
  id: 4,
  pool: 8,
  thread: 56,
  batch: 1792,
  batchLength: 64,
  records: 640,
  recordBytes: 2048,
} as const;

/** In the low bits of a seat. */
export const Seat = { NOBODY: 0, RESERVED: 1, JOINED: 2, MASK: 3 } as const;

export function readSharedAlloc(): Uint8Array<ArrayBuffer> {
  return unpack(fromBase64(ALLOC_SHARED_WASM));
}

/** The module on a memory, which may be in use. @throws `ERR_ALLOC_UNAVAILABLE`. */
export function sharedAllocatorOn(memory: AllocMemory): SharedAllocator {
  return available(() => {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(readSharedAlloc()), {
      env: { memory: memory as WebAssembly.Memory },
    });
    const words = new Int32Array(memory.buffer);
    return { ...(instance.exports as unknown as SharedExports), memory, words };
  });
}

/** Where the cell of a slot is, as an index of words: the handle, with its sign when it is free, and who has it. */
export function cellAt({ words }: SharedAllocator, pool: number, index: number): number {
  return (((words[(pool + SHARED.cells) >> 2] as number) + (index & (DESCRIPTORS - 1)) * 8) | 0) >>> 2;
}
