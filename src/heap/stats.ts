/** How much a heap has. */
import { readable, type Told, whereClosed } from "../inspect.ts";
import type { Blocks } from "./blocks.ts";
import type { RemoteStats } from "./remote-frees.ts";
import { wasm } from "./wasm.ts";

/** What a heap has, in bytes, and how many. */
export interface HeapStats {
  /** Of all its segments: `live` + `pooled` + `free` + `quarantined`. */
  readonly total: bigint;
  /** Of blocks that are live, in whole granules. */
  readonly live: bigint;
  readonly liveCount: number;
  /** Of the blocks that pools lie in. */
  readonly pooled: bigint;
  readonly free: bigint;
  /** The most that is free in a row, in one segment. What is kept for the next block of the same size does not count. */
  readonly largest: bigint;
  /** Freed, and not free yet. */
  readonly quarantined: bigint;
  /** Of segments that other threads have, for heaps of their own: not in `total`. */
  readonly lent: bigint;
  readonly segments: number;
  /** How often it grew. */
  readonly growths: number;
  /** What other threads freed, by {@link DmaHeap.remote}. */
  readonly remote: RemoteStats;
}

/** What {@link DmaHeap.trim} could do. */
export interface TrimResult {
  /** Bytes that went back to the operating system. */
  readonly returned: bigint;
  /** Segments that they were. */
  readonly segments: number;
  /** Bytes that are free and stay, since something is live in the same segment. */
  readonly kept: bigint;
}

/** `pooled`: bytes of pools; `liveCount`: blocks that somebody has. */
export function statsOf(
  { heap, segments, growth, quarantined }: Blocks,
  pooled: bigint,
  liveCount: number,
  remote: RemoteStats = { freed: 0, refused: 0 },
): HeapStats {
  const total = wasm.heapTotal(heap);
  const free = wasm.heapFreeBytes(heap);
  return readable({
    total,
    live: total - free - pooled - quarantined,
    liveCount,
    pooled,
    free,
    largest: wasm.heapLargest(heap),
    quarantined,
    lent: growth.lent,
    segments: segments.count,
    growths: growth.count,
    remote,
  });
}

/** A heap to whoever looks, as the allocator knows it now. `careful`: how many blocks are live in one that is debugged. */
export function tellHeap(
  heap: { readonly name: string; readonly closed: boolean },
  blocks: Blocks,
  careful: number | undefined,
  pools: number,
): Told {
  const state = whereClosed(heap);
  if (state !== undefined) return { state, name: heap.name };
  const [total, free] = [wasm.heapTotal(blocks.heap), wasm.heapFreeBytes(blocks.heap)];
  return { name: heap.name, total, free, blocks: careful ?? blocks.liveCount, pools, segments: blocks.segments.count };
}

/** A pool, likewise. */
export function tellPool(pool: {
  readonly closed: boolean;
  readonly size: number;
  readonly count: number;
  readonly free: number;
}): Told {
  return { state: whereClosed(pool), size: pool.size, count: pool.count, free: pool.free };
}
