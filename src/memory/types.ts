import type { DmaWindowError } from "../errors.ts";
import type { ListFacts, MappedFacts } from "../plan/index.ts";

/** A run of pages that are there. */
export interface Memseg {
  readonly va: bigint;
  /** Bytes: whole pages of its list. */
  readonly length: bigint;
  /** The IOVA that belongs to it by nature (its physical address, in IOVA mode `pa`); absent when it is not known. */
  readonly iova?: bigint;
}

/** What learns of a table's changes while they happen, and may refuse them: an attachment to a container. */
export interface MemoryListener {
  /** Where it maps what comes. */
  readonly window: object;
  /** All memory of the table is mapped there; not while it is being attached a step at a time. */
  readonly isWhole: boolean;
  /** What it has mapped of the table's memory. */
  mapped(): MappedFacts;
  /** A list has come. Throws to refuse it. */
  listAdded(list: MemsegList): void;
  /** A list, empty, goes. */
  listRemoved(list: MemsegList): void;
  /** Memory has come: all of it is mapped when this returns, or nothing when it throws. */
  added(list: MemsegList, memsegs: readonly Memseg[]): void;
  /**
   * Memory is about to go: nothing of it is mapped when this returns. Throws, with all still mapped, to keep it. Gives an
   * error where all is unmapped and only a registration could not be ended.
   */
  removing(list: MemsegList, memsegs: readonly Memseg[]): DmaWindowError | undefined;
}

/** Address space with one page size. Made by `MemsegTable.addList`. */
export interface MemsegList extends ListFacts {
  readonly base: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
  readonly external: boolean;
  readonly heap: boolean;
  /** The NUMA node that its pages come from; absent where the kernel chooses. */
  readonly node?: number;
}

/** A list as the core and the operating system know it. */
export interface Place {
  /** The core's number of it. */
  readonly index: number;
  readonly base: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
  readonly pageShift: number;
  readonly node?: number;
}

/** A list and its address space, as the table keeps them. */
export interface OwnList extends MemsegList, Place {
  /** Whether the table keeps the space, and the program does not. */
  readonly kept: boolean;
}
