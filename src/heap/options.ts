/** What heaps and pools are given, checked. */

import { isItself } from "../closable.ts";
import { Window } from "../container/window.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError, imitationError } from "../errors.ts";
import { bytes as inBytes } from "../hex.ts";
import { keysOf, known } from "../known.ts";
import { MemsegTable } from "../memory/table.ts";
import type { MemsegList, OwnList } from "../memory/types.ts";
import { boolean, count, object, oneOf, size } from "../validate.ts";
import { blockBytes } from "./block.ts";

/** How a heap gets more memory. All sizes in bytes, rounded up to whole pages of the list. */
export interface GrowOptions {
  /** From fewer free bytes than this on the heap grows, off the hot path. Default: a quarter of `step`. */
  readonly low?: bigint | number;
  /** How much comes at a time, at least. Default: 2 MiB. */
  readonly step?: bigint | number;
  /** The most that the heap will have. Default: what the list can hold. */
  readonly max?: bigint | number;
  /**
   * Whether `alloc` itself grows when nothing is left. Default: true, since a program that allocates in one turn of the event loop
   * gives nobody else the time to, and an allocation that fails beside free memory surprises more than one that takes a millisecond.
   * `false`: it never waits for the kernel, and throws `ERR_HEAP_EXHAUSTED` instead.
   */
  readonly sync?: boolean;
}

/** What any heap can be told. */
export interface AidOptions {
  /** What errors call it. Default: a number. */
  readonly name?: string;
  /** Whether blocks are zeroed when they are given out. Default: false. They may show what others wrote. */
  readonly zero?: boolean;
  /** For debugging: a pattern behind each block and in freed memory, looked at when a block comes back and before it goes out. Default: false. */
  readonly guard?: boolean;
  /** For debugging: how long freed memory lies idle before anybody gets it. Default: none. */
  readonly quarantine?: { readonly milliseconds: number };
  /** For debugging: whether {@link DmaHeap.leaks} says where each block was allocated. Default: false. */
  readonly callSites?: boolean;
}

export interface HeapOptions extends AidOptions {
  /** Where the pages come from; attached to the container that `window` is of. */
  readonly memory: MemsegTable;
  /** A list of the table's own: it says how large pages are, of which NUMA node, and how many there can be. */
  readonly list: MemsegList;
  /** Whose IOVAs the blocks have. */
  readonly window: Window;
  /** `false`: only {@link DmaHeap.grow} gives it memory. */
  readonly grow?: GrowOptions | false;
  /**
   * No block has an IOVA below this: what the list has there lies idle. 65536 keeps clear of 0, which devices take for "none". Default: 0n.
   */
  readonly lowestIova?: bigint | number;
}

/** Where a block must lie. */
export interface BlockOptions {
  /** A power of two: the IOVA is a multiple of it. Default: 64, which is also the least. */
  readonly align?: number;
  /** A power of two, at least the block's bytes: no multiple of it lies inside the block. Default: none. */
  readonly boundary?: number;
}

export interface PoolOptions extends BlockOptions {
  /** Bytes of a slot. */
  readonly size: number;
  /** How many slots: up to 2^21. */
  readonly count: number;
  /** Which slot comes next: that which came back last (`stack`, the default), or that which is idle longest (`fifo`). */
  readonly reuse?: "stack" | "fifo";
  /** Whether slots are zeroed when they are given out. Default: as the heap. */
  readonly zero?: boolean;
}

export interface SharedPoolOptions extends BlockOptions {
  /** Bytes of a slot. */
  readonly size: number;
  /** How many slots: up to 2^21. */
  readonly count: number;
  /**
   * How many workers can be members at a time, besides the thread that makes the pool: 1 to 62. Default: 4. Each has magazines of
   * `count / (4 * (workers + 1))` slots, at most 56.
   */
  readonly workers?: number;
  /** Whether slots are zeroed when they are given out. Default: as the heap. */
  readonly zero?: boolean;
}

/** What is told of blocks that other threads freed. */
export interface RemoteOptions {
  /** Hears of each handle that was refused when the heap took it, and of guards that were damaged. */
  readonly onError?: (error: Error) => void;
}

const HEAP_KEYS = keysOf<HeapOptions>({
  memory: true,
  list: true,
  window: true,
  name: true,
  grow: true,
  zero: true,
  guard: true,
  quarantine: true,
  callSites: true,
  lowestIova: true,
});
const GROW_KEYS = keysOf<GrowOptions>({ low: true, step: true, max: true, sync: true });
const QUARANTINE_KEYS = keysOf<NonNullable<AidOptions["quarantine"]>>({ milliseconds: true });
const BLOCK_KEYS = keysOf<BlockOptions>({ align: true, boundary: true });
const CLOSE_KEYS = keysOf<{ readonly force?: boolean }>({ force: true });
const POOL_KEYS = keysOf<PoolOptions>({
  size: true,
  count: true,
  align: true,
  boundary: true,
  reuse: true,
  zero: true,
});

const SHARED_KEYS = keysOf<SharedPoolOptions>({
  size: true,
  count: true,
  align: true,
  boundary: true,
  workers: true,
  zero: true,
});

const REMOTE_KEYS = keysOf<RemoteOptions>({ onError: true });

/** Growth, in bytes that are whole pages. */
export interface GrowPlan {
  readonly low: bigint;
  readonly step: bigint;
  readonly max: bigint;
  readonly sync: boolean;
}

/** The debugging aids. */
export interface Aids {
  readonly zero: boolean;
  readonly guard: boolean;
  /** Milliseconds; 0: none. */
  readonly quarantine: number;
  readonly callSites: boolean;
}

export interface HeapPlan extends Aids {
  readonly memory: MemsegTable;
  readonly list: OwnList;
  readonly window: Window;
  readonly name: string;
  readonly grow: GrowPlan | undefined;
  readonly lowestIova: bigint;
}

const STEP = 2n << 20n;
let unnamed = 0;

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_NOT_ATTACHED` for memory that the window does not map; `ERR_NOT_FOUND`. */
export function readHeap(options: HeapOptions): HeapPlan {
  known("options", object("options", options), HEAP_KEYS);
  const { memory, list, window, grow = {} } = options;
  if (!(memory instanceof MemsegTable)) throw argumentTypeError("memory", "a MemsegTable", memory);
  if (!isItself(memory)) throw imitationError("memory", "a MemsegTable");
  if (!(window instanceof Window)) throw argumentTypeError("window", "a Window", window);
  if (!isItself(window)) throw imitationError("window", "a Window");
  const name = nameIn(options);
  const own = ownList(memory, list);
  const plan = {
    memory,
    list: own,
    window,
    name,
    grow: grow === false ? undefined : readGrowth(grow, own),
    lowestIova: lowestIn(options),
    ...readAids(options),
  };
  if (window.closed) throw new DmaWindowError("ERR_CLOSED", "the window is closed");
  if (memory.listeners.some((listener) => listener.window === window && listener.isWhole)) {
    checkLowest(plan);
    return plan;
  }
  throw new DmaWindowError(
    "ERR_NOT_ATTACHED",
    "the memory is not attached to the window, so no device could reach what is allocated from it: container.attach(memory, window) first",
  );
}

/**
 * A list gives its pages from the first on. What a heap gets below its lowest IOVA is locked, and of no use; where a step is all below, it
 * would grow by such steps alone.
 */
function checkLowest({ window, list, grow, lowestIova }: HeapPlan): void {
  if (grow === undefined || lowestIova === 0n || window.iovaMode === "pa") return;
  const first = BigInt.asUintN(64, list.base + window.iovaOffset(list));
  const most = first + (grow.step > list.pageSize ? grow.step : list.pageSize);
  if (lowestIova <= most) return;
  const range = `at most ${most} where the list's first page is at IOVA ${first} and grow.step is ${grow.step}: make grow.step longer, or pass grow: false and call heap.grow`;
  throw argumentRangeError("lowestIova", range, lowestIova);
}

/** In whole granules of 64 bytes. @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
function lowestIn({ lowestIova = 0n, window }: HeapOptions): bigint {
  const lowest = size("lowestIova", lowestIova);
  if (lowest > window.last)
    throw argumentRangeError("lowestIova", `at most the window's last IOVA, ${window.last}`, lowestIova);
  return (lowest + 63n) & ~63n;
}

/** @throws `ERR_INVALID_ARG_TYPE`. */
export function nameIn({ name = `${++unnamed}` }: AidOptions): string {
  if (typeof name !== "string") throw argumentTypeError("name", "a string", name);
  return name;
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
export function readAids({ zero = false, guard = false, quarantine, callSites = false }: AidOptions): Aids {
  if (quarantine !== undefined) known("quarantine", object("quarantine", quarantine), QUARANTINE_KEYS);
  return {
    zero: boolean("zero", zero),
    guard: boolean("guard", guard),
    quarantine: quarantine === undefined ? 0 : count("quarantine.milliseconds", quarantine.milliseconds),
    callSites: boolean("callSites", callSites),
  };
}

function ownList(memory: MemsegTable, list: MemsegList): OwnList {
  object("list", list);
  if (!memory.lists.includes(list)) throw new DmaWindowError("ERR_NOT_FOUND", "the list is not one of the memory's");
  const own = list as OwnList;
  if (!own.kept) throw argumentTypeError("list", "a list of the table's own, added without base", list);
  if (own.external && !own.heap)
    throw argumentTypeError("list", "a list that is mapped with the table: external with heap, or neither", list);
  return own;
}

function readGrowth(grow: GrowOptions, list: OwnList): GrowPlan {
  if (typeof grow !== "object" || grow === null) throw argumentTypeError("grow", "an object or false", grow);
  known("grow", grow, GROW_KEYS);
  const whole = (name: string, value: bigint | number) => wholePages(size(`grow.${name}`, value), list.pageSize);
  const max = grow.max === undefined ? list.length : whole("max", grow.max);
  const step = least(whole("step", grow.step ?? STEP), max);
  const low = grow.low === undefined ? step / 4n : size("grow.low", grow.low);
  if (max === 0n) throw argumentRangeError("grow.max", "at least 1", grow.max);
  if (step === 0n) throw argumentRangeError("grow.step", "at least 1", grow.step);
  if (max > list.length) {
    throw argumentRangeError("grow.max", `at most the list's ${inBytes(list.length)}, or a larger list`, grow.max);
  }
  if (low >= max)
    throw argumentRangeError("grow.low", `less than the most that the heap can have, ${inBytes(max)}`, low);
  return { low, step, max, sync: boolean("grow.sync", grow.sync ?? true) };
}

/** @throws `ERR_INVALID_ARG_TYPE`. */
export function readBlock(options: BlockOptions): BlockOptions {
  known("options", object("options", options), BLOCK_KEYS);
  return options;
}

export interface PoolPlan {
  readonly size: number;
  readonly count: number;
  readonly align: number | undefined;
  readonly boundary: number | undefined;
  readonly fifo: boolean;
  readonly zero: boolean;
}

/** More have no place in the allocator's memory. */
const SLOTS_MAX = 2 ** 21;

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
export function readPool(options: PoolOptions, heapZeroes: boolean): PoolPlan {
  known("options", object("options", options), POOL_KEYS);
  const { align, boundary } = options;
  const slots = count("count", options.count);
  if (slots === 0 || slots > SLOTS_MAX) throw argumentRangeError("count", `from 1 to 2^21 slots`, options.count);
  return {
    size: blockBytes("size", options.size),
    count: slots,
    align,
    boundary,
    fifo: oneOf("reuse", options.reuse ?? "stack", ["stack", "fifo"]) === "fifo",
    zero: boolean("zero", options.zero ?? heapZeroes),
  };
}

export type SharedPoolPlan = Omit<PoolPlan, "fifo"> & { readonly workers: number };

/** As many as a head of the depot has numbers for, less the thread that makes the pool. */
const WORKERS_MAX = 62;

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
export function readSharedPool(options: SharedPoolOptions, heapZeroes: boolean): SharedPoolPlan {
  known("options", object("options", options), SHARED_KEYS);
  const { workers: wanted = 4, ...rest } = options;
  const workers = count("workers", wanted);
  if (workers === 0 || workers > WORKERS_MAX) throw argumentRangeError("workers", `from 1 to ${WORKERS_MAX}`, wanted);
  const { fifo: _, ...plan } = readPool(rest, heapZeroes);
  return { ...plan, workers };
}

/** @throws `ERR_INVALID_ARG_TYPE`. */
export function readRemote(options: RemoteOptions): RemoteOptions {
  known("options", object("options", options), REMOTE_KEYS);
  const { onError } = options;
  if (onError !== undefined && typeof onError !== "function") throw argumentTypeError("onError", "a function", onError);
  return onError === undefined ? {} : { onError };
}

/** What `close` is given. @throws `ERR_INVALID_ARG_TYPE`. */
export function readForce(options: { readonly force?: boolean }): boolean {
  known("options", object("options", options), CLOSE_KEYS);
  return boolean("force", options.force ?? false);
}

/** Rounded up. */
export function wholePages(length: bigint, pageSize: bigint): bigint {
  return ((length + pageSize - 1n) / pageSize) * pageSize;
}

export function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
