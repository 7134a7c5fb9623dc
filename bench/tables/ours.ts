/** Heaps and pools of the library, as the bench uses them. */
import {
  type Allocator,
  allocator,
  allocMemory,
  HANDLE_INDEX_MASK,
  instantiateAlloc,
  readAlloc,
} from "../../src/alloc.ts";
import { DmaHeap, MemsegTable, modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { BULK, type PoolInUse } from "./pools.ts";
import type { Calls } from "./swaps.ts";

/** A heap, however it is called. */
export interface Ours {
  readonly calls: Calls;
  /** Allocates one block; not measured. */
  readonly take: (size: number) => number;
  readonly iovaOf: (handle: number) => bigint;
  readonly close: () => void;
}

export interface HeapRules {
  /** Bytes of its one segment, by which nothing more than arithmetic is meant: no page of it is ever touched. */
  readonly space: number;
  readonly align?: number;
  readonly boundary?: number;
}

export const HEAP = "DmaHeap";
export const POOL = "DmaPool";
export const HUGEPAGE = 2 << 20;
const IOVA = 1n << 59n;
const VA = 0x7100_0000_0000n;

/** The exports that loops call. */
function callable(): Partial<Allocator> {
  const { heapAlloc, heapAllocAligned, heapFree, poolGet, poolPut, poolGetMany, poolPutMany } = allocator();
  return { heapAlloc, heapAllocAligned, heapFree, poolGet, poolPut, poolGetMany, poolPutMany };
}

function must(what: string, status: number): void {
  if (status !== 0) throw new Error(`${what}: status ${status}`);
}

/** The exports of the allocator, with nothing between them and the loop. */
export function moduleHeap({ space, align = 64, boundary = 0 }: HeapRules): Ours {
  const all = allocator();
  const heap = all.heapOpen();
  const bytes = Math.ceil(space / HUGEPAGE) * HUGEPAGE;
  must("heapAddSegment", all.heapAddSegment(heap, IOVA, VA, BigInt(bytes)));
  const plain = align <= 64 && boundary === 0;
  const rules = `${Math.log2(align)}, ${boundary > 0 ? Math.log2(boundary) : 0}`;
  return {
    calls: {
      free: (handle) => `heapFree(heap, ${handle});`,
      alloc: (size) => (plain ? `heapAlloc(heap, ${size})` : `heapAllocAligned(heap, ${size}, ${rules})`),
      scope: { heap, ...callable() },
    },
    take: (size) => all.heapAllocAligned(heap, size, Math.log2(align), boundary > 0 ? Math.log2(boundary) : 0),
    iovaOf: (handle) => all.iovas[(handle & HANDLE_INDEX_MASK) * 4] as bigint,
    close: () => all.heapClose(heap),
  };
}

/** Memory, attached to a window, on the software kernel: nobody touches its pages. */
function ground() {
  const pages = 2048;
  const kernel = modelKernel({ hugepages: { 21: pages } });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: HUGEPAGE, maxBytes: BigInt(pages) * BigInt(HUGEPAGE) });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  return { memory, list, window };
}

let common: ReturnType<typeof ground> | undefined;

/** A heap as programs have it, with so many bytes and no growth. */
function madeHeap(space: number): DmaHeap {
  common ??= ground();
  const heap = new DmaHeap({ ...common, grow: false });
  if (space > 0) heap.grow(Math.ceil(space / HUGEPAGE) * HUGEPAGE);
  return heap;
}

/** A heap as programs have it. */
export function publicHeap({ space, align, boundary }: HeapRules): Ours {
  const heap = madeHeap(space);
  const rules = align === undefined && boundary === undefined ? "" : `, ${align}, ${boundary}`;
  return {
    calls: {
      free: (handle) => `heap.free(${handle});`,
      alloc: (size) => `heap.alloc(${size}${rules})`,
      scope: { heap },
    },
    take: (size) => heap.alloc(size, align, boundary),
    iovaOf: (handle) => heap.iovaOf(handle),
    close: () => heap.close({ force: true }),
  };
}

export interface GrowingHeap {
  tryAlloc(size: number): number;
  free(handle: number): void;
  grow(): void;
  pages(): number;
  close(): void;
}

/** A heap of so many hugepages, which gets more when it is told to. */
export function growingHeap(pages: number): GrowingHeap {
  const heap = madeHeap(pages * HUGEPAGE);
  return {
    tryAlloc: (size) => heap.tryAlloc(size),
    free: (handle) => heap.free(handle),
    grow: () => heap.grow(HUGEPAGE),
    pages: () => Number(heap.stats.total) / HUGEPAGE,
    close: () => heap.close({ force: true }),
  };
}

export function modulePool({ count, reuse = "stack" }: { count: number; reuse?: "stack" | "fifo" }): PoolInUse {
  const all = allocator();
  const pool = all.poolOpen(count, reuse === "fifo" ? 1 : 0);
  const batch = all.arenaTake(BULK * 4);
  const first = all.poolFirst(pool);
  return {
    get: "poolGet(pool)",
    put: (handle) => `poolPut(pool, ${handle});`,
    getMany: `poolGetMany(pool, batch, ${BULK})`,
    putMany: `poolPutMany(pool, batch, ${BULK});`,
    scope: { pool, batch, ...callable() },
    take: () => all.poolGet(pool),
    slotOf: (handle) => (handle & HANDLE_INDEX_MASK) - first,
    freeCount: () => all.poolFree(pool),
    close: () => all.poolClose(pool),
  };
}

/** A pool of packets' buffers as programs have it. */
export function publicPool({ count, reuse }: { count: number; reuse: "stack" | "fifo" }): PoolInUse {
  const size = 2048;
  const heap = madeHeap(count * size + HUGEPAGE);
  const pool = heap.pool({ size, count, reuse });
  const batch = pool.batch(BULK);
  return {
    get: "pool.get()",
    put: (handle) => `pool.put(${handle});`,
    getMany: "pool.getMany(batch)",
    putMany: "pool.putMany(batch);",
    scope: { pool, batch },
    take: () => pool.get(),
    slotOf: (handle) => pool.slot(handle),
    freeCount: () => pool.free,
    close: () => {
      pool.close({ force: true });
      heap.close({ force: true });
    },
  };
}

export function moduleBytes(): Uint8Array<ArrayBuffer> {
  return readAlloc();
}

export function firstAllocation(bytes: Uint8Array<ArrayBuffer>, segment: number): number {
  const all = instantiateAlloc(allocMemory(), bytes);
  const heap = all.heapOpen();
  must("heapAddSegment", all.heapAddSegment(heap, IOVA, VA, BigInt(segment)));
  return all.heapAlloc(heap, 64);
}
