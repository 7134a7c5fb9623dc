import { keysOf } from "../known.ts";
import type { Syscalls } from "../syscalls.ts";
import type { PhysicalResolver } from "./physical.ts";
import type { Memseg } from "./types.ts";

export interface MemsegTableOptions {
  /** Where `allocate` gets memory from. Without it the table only records memory that the program has. */
  readonly kernel?: Syscalls;
  /**
   * Gives the physical addresses of `allocate`'s pages: memsegs then know their IOVA, as IOVA mode `pa` needs it. `true`: the
   * kernel is asked (on Linux that takes CAP_SYS_ADMIN).
   */
  readonly physical?: PhysicalResolver | boolean;
  /**
   * For debugging: whether {@link MemsegTable.leaks} says where each segment was allocated, and `close` warns of those that it has to free.
   * Default: what the environment says by `DMA_WINDOW_CALL_SITES=1`.
   */
  readonly callSites?: boolean;
}

/** Memory that the program has, for `add`: as a {@link Memseg}, whose length may be a number too. */
export interface NewMemseg {
  /** Where it begins: a page of its list. */
  readonly va: bigint;
  /** Bytes: whole pages of its list. */
  readonly length: bigint | number;
  /** As in {@link Memseg}. */
  readonly iova?: bigint;
}

export interface ListOptions {
  /** Bytes of a page: larger than the CPU's means hugetlb memory. */
  readonly pageSize: bigint | number;
  /** The most memory that the list will ever hold: address space now, pages when they are asked for. */
  readonly maxBytes: bigint | number;
  /** Where the program's own memory lies. Without it the table keeps address space of its own. */
  readonly base?: bigint;
  /** Where the address space of its own should lie, if it is free: low addresses make small windows in IOVA mode `va`. */
  readonly near?: bigint;
  /**
   * The NUMA node that the pages come from, and no other: one of `readNodes()`, best the one that `numaNodeOf(device)` says. Each
   * `allocate` throws where the node has too few. Not with `base`. Default: the kernel chooses for each page.
   */
  readonly node?: number;
  /** The program's own memory, which containers do not map with the table, unless it is a heap. */
  readonly external?: boolean;
  readonly heap?: boolean;
}

export const TABLE_KEYS = keysOf<MemsegTableOptions>({ kernel: true, physical: true, callSites: true });
export const MEMSEG_KEYS = keysOf<NewMemseg>({ va: true, length: true, iova: true });
export const LIST_KEYS = keysOf<ListOptions>({
  pageSize: true,
  maxBytes: true,
  base: true,
  near: true,
  external: true,
  heap: true,
  node: true,
});
