/**
 * The allocator of DMA buffers: a second WebAssembly module, the dictionary of its exports, and where it runs.
 *
 * It is instantiated on first use, once for each thread, on a shared memory of 368 MiB that it imports and that never grows: so
 * no typed array over it is ever stale, and a worker can open a second instance on the memory of another thread. All of that is
 * address space; a page of it takes memory when something was written there.
 *
 * **wasm turns undefined and NaN into 0 and takes any bigint modulo 2^64**: whoever calls an export has validated its arguments.
 * Pointers (heaps, pools, blocks of the arena) are the library's own and never a program's; handles may be any integer.
 *
 * No export calls out, throws, or leaves garbage, save the bigints that carry results. Those are below 2^63, so none comes back
 * negative: all the segments of a heap are less than 2^22 x 256 GiB.
 */
import { ALLOC_WASM } from "./alloc-wasm.ts";
import { fromBase64 } from "./base64.ts";
import { reason } from "./core-unavailable.ts";
import { DmaWindowError } from "./errors.ts";
import { unpack } from "./unpack.ts";

/** What the allocator answers when it refuses. Functions that give a handle or a pointer give the negative of these. */
export const AllocStatus = {
  OK: 0,
  EXHAUSTED: 1,
  NOT_LIVE: 2,
  STALE_HANDLE: 3,
  FOREIGN_HANDLE: 4,
  UNKNOWN_HANDLE: 5,
  ZERO_LENGTH: 6,
  UNALIGNED: 7,
  WRAPS: 8,
  OVERLAPS: 9,
  NOT_FREE: 10,
  TOO_LARGE: 11,
  OUT_OF_MEMORY: 12,
} as const;

/** Pages of 64 KiB of its memory: 128 MiB of descriptors, 128 MiB of heaps and pools, 96 MiB of columns, 16 MiB of states. */
const MEMORY_PAGES = 5888;

/** Descriptors of a memory, and so handles at a time; descriptor 0 is nobody's. */
export const DESCRIPTORS = 1 << 22;
/** A handle is the index of a descriptor, and above it the generation: 9 bits, which wrap after 512 times that it is freed. */
export const HANDLE_INDEX_MASK = DESCRIPTORS - 1;
export const GENERATION_SHIFT = 22;
export const GENERATIONS = 512;
/** Sizes are counted in these. */
export const GRANULE = 64;
/** What a heap takes of the arena for itself. */
export const ALLOC_HEAP_BYTES = 105984;

/** Exports of the module. `heap` and `pool` are pointers; statuses are {@link AllocStatus}. */
export interface AllocExports {
  // arena: blocks for columns and batches, zeroed, at multiples of 64
  /** 0: there is no room. Sizes are rounded up, with 64 bytes more, to powers of two. */
  arenaTake(bytes: number): number;
  arenaGive(pointer: number): void;

  // heaps
  /** A heap without memory. The negative of OUT_OF_MEMORY: there is no room for it. */
  heapOpen(): number;
  /** Nothing of it is live afterwards. */
  heapClose(heap: number): void;
  /**
   * Multiples of 64; less than 256 GiB. It becomes one with what it is contiguous with both in IOVAs and in memory, unless
   * `apart` has a bit: 1 for what lies below, 2 for what lies above. No block lies on both sides of such a border.
   */
  heapAddSegment(heap: number, iova: bigint, va: bigint, size: bigint, apart?: number): number;
  /** Memory that is wholly free leaves; magazines have to be flushed before. */
  heapRemove(heap: number, iova: bigint, size: bigint): number;
  /** `bytes` as u32: 1 to 4 GiB - 64. At a multiple of 64. A block of 8 to 64 KiB is up to a 64th larger, where there is room for that. */
  heapAlloc(heap: number, bytes: number): number;
  /**
   * At a multiple of `1 << alignShift` (0 to 36; what is less than 6 is 6), in one block of `1 << boundaryShift`; 0: wherever.
   * TOO_LARGE when the boundary is less than the bytes.
   */
  heapAllocAligned(heap: number, bytes: number, alignShift: number, boundaryShift: number): number;
  /** Any integer may be a handle here. */
  heapFree(heap: number, handle: number): number;
  /** What heapFree would say. */
  heapCheckHandle(heap: number, handle: number): number;
  /** Empties the magazines into the free lists. An alloc that finds no room does this itself, and looks again. */
  heapFlush(heap: number): void;
  heapLiveCount(heap: number): number;
  /** Bytes, in granules, of what is live. */
  heapLive(heap: number): bigint;
  heapTotal(heap: number): bigint;
  /** Bytes that are free, those in magazines among them. */
  heapFreeBytes(heap: number): bigint;
  /** Bytes that are free, without those in magazines. */
  heapLowFree(heap: number): bigint;
  /** How often a block, or new memory, came to the free lists: with each that did, something may fit that did not. Magazines are to be flushed before. */
  heapReturns(heap: number): bigint;
  /** Bit 0 of the heap's first word, an i32 at its pointer, is set while heapLowFree is below this; bit 1: see {@link RUNG_WORD}. */
  heapSetLow(heap: number, bytes: bigint): void;
  /** Bytes of the largest free block, without magazines. */
  heapLargest(heap: number): bigint;
  /** The next live handle by index; 0 begins, and ends. */
  heapNextLive(heap: number, handle: number): number;
  /** The descriptor of the next free block of at least `bytes`, in no order; 0 begins, and ends. Begins anew after each change. */
  heapNextFree(heap: number, descriptor: number, bytes: bigint): number;

  // pools
  /** All slots free. `fifo` 1: the slot comes next that was free longest; 0: shortest. At most 2^21 slots. */
  poolOpen(count: number, fifo: 0 | 1): number;
  poolClose(pool: number): void;
  poolGet(pool: number): number;
  /** Any integer may be a handle here. */
  poolPut(pool: number, handle: number): number;
  poolCheckHandle(pool: number, handle: number): number;
  /** Handles as i32 to `pointer`; how many. */
  poolGetMany(pool: number, pointer: number, count: number): number;
  /** How many were put before the first that is refused. */
  poolPutMany(pool: number, pointer: number, count: number): number;
  /** Slots that are free. */
  poolFree(pool: number): number;
  /** The slot of a handle is its index less this. */
  poolFirst(pool: number): number;
  /** The next live handle by slot; 0 begins, and ends. */
  poolNextLive(pool: number, handle: number): number;
}

/** A WebAssembly.Memory, whose type only programs with the DOM's library know. */
export interface AllocMemory {
  readonly buffer: ArrayBufferLike;
  /** It never grows: there are as many pages as there can be. */
  grow(pages: number): number;
}

/** Of blocks that are live or in a magazine: `iovas[index * 3]`, `vas[index * 3]`, `sizes[index * 6]`, in granules. */
export interface Columns {
  readonly iovas: BigUint64Array;
  readonly vas: BigUint64Array;
  readonly sizes: Uint32Array;
}

/**
 * The word in which a thread says that it freed a block of a heap of this memory: 1. Any heap that takes blocks from its free lists then,
 * or gives some back, has bit 1 set in its first word, until that happens again with this word 0. It is nobody's part of any heap, since
 * whoever writes it may be late, and that heap closed.
 */
export const RUNG_WORD = ((128 << 20) + 2048) >> 2;
/** Bits of the first word of a heap. */
export const LOW = 1;
export const RUNG = 2;

/** The word that has the state of descriptor 0; those of the others lie behind it. Drawn in assembly/alloc/descriptors.ts. */
export const STATES = (352 << 20) >> 2;
/** Bits of a state: a program has the block, its magazine, and whose it is. */
export const [LIVE, MAGAZINE, OWNER] = [1 << 21, 511 << 12, 4095] as const;

/** Words of 8 bytes that each index has in the columns. */
export const COLUMN_WORDS = 3;
/** Where they begin: drawn in assembly/alloc/memory.ts. */
const COLUMNS = 256 << 20;

export interface Allocator extends AllocExports {
  readonly memory: AllocMemory;
  /**
   * The descriptors themselves: `iovas[index * 4]`, `vas[index * 4]`, bytes; exact. A `va` is one while the buffer is live. No program
   * sees these: there are links between them.
   */
  readonly iovas: BigUint64Array;
  readonly vas: BigUint64Array;
  /** `sizes[index * 8]`, in granules. */
  readonly sizes: Uint32Array;
  /** The same for programs, which may write there, and nobody reads it but they. */
  readonly columns: Columns;
  /** All of the memory. */
  readonly words: Int32Array;
}

/** The bytes of the module. */
export function readAlloc(): Uint8Array<ArrayBuffer> {
  return unpack(fromBase64(ALLOC_WASM));
}

/** A memory for {@link instantiateAlloc}. @throws RangeError where 368 MiB of addresses cannot be had. */
export function allocMemory(): AllocMemory {
  return new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
}

/** The allocator on a memory, which may be in use: nothing is written to it. */
export function instantiateAlloc(memory: AllocMemory, wasm: Uint8Array<ArrayBuffer> = readAlloc()): Allocator {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    env: { memory: memory as WebAssembly.Memory },
  });
  const { buffer } = memory;
  return {
    ...(instance.exports as unknown as AllocExports),
    memory,
    iovas: new BigUint64Array(buffer, 0, DESCRIPTORS * 4),
    vas: new BigUint64Array(buffer, 24, DESCRIPTORS * 4 - 3),
    sizes: new Uint32Array(buffer, 8, DESCRIPTORS * 8 - 2),
    columns: {
      iovas: new BigUint64Array(buffer, COLUMNS, DESCRIPTORS * COLUMN_WORDS),
      vas: new BigUint64Array(buffer, COLUMNS + 8, DESCRIPTORS * COLUMN_WORDS - 1),
      sizes: new Uint32Array(buffer, COLUMNS + 16, (DESCRIPTORS * COLUMN_WORDS - 2) * 2),
    },
    words: new Int32Array(buffer),
  };
}

let own: Allocator | undefined;

/**
 * The allocator of this process or worker, on a memory of its own.
 *
 * @throws DmaWindowError `ERR_ALLOC_UNAVAILABLE` where the engine cannot run it, or has no addresses for its memory. The next use
 *   tries again.
 */
export function allocator(): Allocator {
  own ??= available(() => instantiateAlloc(allocMemory()));
  return own;
}

/** The same module on the memory of another thread; it has an instance of its own. */
export function allocatorOn(memory: AllocMemory): Allocator {
  return available(() => instantiateAlloc(memory));
}

/** @throws DmaWindowError `ERR_ALLOC_UNAVAILABLE` where `instantiate` throws. */
export function available<Instance>(instantiate: () => Instance): Instance {
  try {
    return instantiate();
  } catch (cause) {
    const message = `The allocator of DMA buffers, a WebAssembly module with 368 MiB of shared memory, cannot be used. ${reason(cause)}`;
    throw new DmaWindowError("ERR_ALLOC_UNAVAILABLE", message, { cause });
  }
}
