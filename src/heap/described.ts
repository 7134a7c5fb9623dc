/** What descriptors say of the blocks of a heap: what the heap itself goes by, whatever a program wrote to the columns that it is shown. */
import { GRANULE, HANDLE_INDEX_MASK } from "../alloc.ts";
import { wasm } from "./wasm.ts";

/** What is known of blocks by their handles, which are live but for {@link statusOf}'s. */
export interface KnownBlocks {
  /** OK for a handle that is live; else why not. */
  statusOf(handle: number): number;
  iovaOf(handle: number): bigint;
  vaOf(handle: number): bigint;
  /** Bytes. */
  sizeOf(handle: number): number;
  /** The next live handle; 0 begins, and ends. */
  next(handle: number): number;
  /** Where it was allocated, if that is written down. */
  siteOf(handle: number): string | undefined;
}

export class DescribedBlocks implements KnownBlocks {
  readonly #heap: number;

  constructor(heap: number) {
    this.#heap = heap;
  }

  statusOf(handle: number): number {
    return wasm.heapCheckHandle(this.#heap, handle);
  }

  iovaOf(handle: number): bigint {
    return wasm.iovas[(handle & HANDLE_INDEX_MASK) * 4] as bigint;
  }

  vaOf(handle: number): bigint {
    return wasm.vas[(handle & HANDLE_INDEX_MASK) * 4] as bigint;
  }

  sizeOf(handle: number): number {
    return (wasm.sizes[(handle & HANDLE_INDEX_MASK) * 8] as number) * GRANULE;
  }

  next(handle: number): number {
    return wasm.heapNextLive(this.#heap, handle);
  }

  siteOf(): undefined {
    return undefined;
  }
}
