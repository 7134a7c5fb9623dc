import type { AddressRange, IommuInfo } from "../iommu.ts";

/**
 * What a device's address stands for.
 *
 * - `rebased`: window start + offset. The window is as large as the memory, wherever the memory lies.
 * - `va`: the virtual address of the process. The window reaches up to the highest one.
 * - `pa`: the physical address. The window reaches up to the machine's highest RAM. The one mode there is without an IOMMU.
 */
export type IovaMode = "rebased" | "va" | "pa";

/** What a plan needs to know of a list of memory. A MemsegTable has these. */
export interface ListFacts {
  readonly base: bigint;
  /** Bytes of address space: the most memory that the list will ever hold. */
  readonly length: bigint | number;
  readonly pageSize: bigint | number;
  /** The program's own memory, not the allocator's. Passed over, as long as it is no heap. */
  readonly external?: boolean;
  readonly heap?: boolean;
  /** The NUMA node whose memory it gets, if it is bound to one. */
  readonly node?: number;
}

export interface MemoryFacts {
  readonly lists: readonly ListFacts[];
  /** Bytes of memory that are there now: they count against RLIMIT_MEMLOCK as soon as they are mapped. */
  readonly bytes?: bigint | number;
  /** What of them containers have mapped by now, which is counted already. */
  readonly mapped?: readonly MappedFacts[];
}

/**
 * What a container has mapped of a memory. A plan for the same container does not count it again; one for another container
 * does on type1, where each counts what it maps, and does not on sPAPR, where a process's memory counts once.
 */
export interface MappedFacts {
  /** Which one: its `info()` has the same number. */
  readonly container: number;
  readonly bytes: bigint | number;
  /** How many pages of its lists they are, and in how many maps. */
  readonly pages: bigint | number;
  readonly maps: bigint | number;
}

export interface PlanRequest {
  /** Default: `rebased`; without an IOMMU `pa`. */
  readonly iovaMode?: IovaMode;
  readonly memory: MemoryFacts;
  /** What `container.info()` says. */
  readonly info: IommuInfo;
  /**
   * How large memory may become. In bytes from the window's start for `rebased`; as the end of the highest address for
   * `va` and `pa`. Default: what the lists can hold (`rebased`), their highest end (`va`), the highest RAM (`pa`).
   */
  readonly growTo?: bigint | number;
  /** The last address of the machine's RAM: `readIomem().highest`. `pa` needs it, or `growTo`. */
  readonly highestRam?: bigint;
  /** How many address bits the device has; 64 if not given. */
  readonly deviceAddressBits?: number;
  /**
   * sPAPR: `new` (the default) for a window of our own, in place of the one that is there at first; `default` for that one as
   * it is: pages of 4 KiB, some GiB at most, and nothing is made or removed. Where the kernel makes no windows, it is taken
   * without asking.
   */
  readonly window?: "new" | "default";
}

/** The same with every size as a bigint. */
export interface ExactList extends ListFacts {
  readonly length: bigint;
  readonly pageSize: bigint;
}

/** What of the memory is mapped already, as far as it is counted already for the IOMMU that the plan is for. */
export interface Held {
  readonly bytes: bigint;
  readonly pages: bigint;
  readonly maps: bigint;
}

/** A request that was checked: every size is a bigint, and nothing is there without a value. */
export interface ExactRequest extends PlanRequest {
  readonly memory: { readonly lists: readonly ExactList[]; readonly bytes: bigint; readonly held: Held };
  readonly growTo?: bigint;
}

/** A choice that was considered and cannot be, with the numbers that say why. */
export interface Rejection {
  /** `64 KiB pages, 2 levels`. */
  readonly choice: string;
  readonly reason: string;
}

/** What the plan's memory takes when all of it is there, and what there is. */
export interface FullGrowth {
  /** Bytes: what the lists can hold, or `growTo` where that is more (`rebased`). */
  readonly memoryBytes: bigint;
  /** Bytes that count against RLIMIT_MEMLOCK: the window's tables, and the memory. 0n without an IOMMU, where nothing is pinned. */
  readonly lockedBytes: bigint;
  /** Bytes that may be locked for it, with those of its memory that are locked already; `null` where nothing limits it. */
  readonly lockable: bigint | null;
  /** Maps, if every page that is not there yet is allocated by itself. */
  readonly maps: bigint;
  /** How many of them the kernel takes, with those that the memory has already; `null` where it does not say. */
  readonly mapsAvailable: number | null;
  /** For each page size of lists that is larger than the CPU's. */
  readonly hugepages: readonly HugepageGrowth[];
}

export interface HugepageGrowth {
  readonly pageSize: bigint;
  /** Pages that the lists can hold. */
  readonly needed: bigint;
  /** Pages that can be had, with those that the memory has already; `null` where nothing is known of the pool. */
  readonly available: bigint | null;
}

/** A list, or room for lists that will come, as a window of several ranges is laid out. */
export interface PlannedPiece {
  /** Bytes. */
  readonly length: bigint;
  /** What its region begins at a multiple of, in bytes. */
  readonly pageSize: bigint;
}

export interface WindowPlan {
  readonly kind: IommuInfo["kind"];
  /** sPAPR: `default` for the window that is there at first, which is neither made nor removed; else absent. */
  readonly window?: "default";
  readonly iovaMode: IovaMode;
  /**
   * Where the window will begin. On sPAPR the kernel, or its firmware, decides; this is what it is known to do, and
   * the window says what it did. On type1 a `rebased` window goes to the next place that is free when others are in its way.
   */
  readonly start: bigint;
  /**
   * Bytes. A power of two; on type1 whole pages, where no power of two has a place. There a window beside others may become
   * smaller than this, and never smaller than `needed`.
   */
  readonly size: bigint;
  /** Bytes that were asked for, before rounding. */
  readonly needed: bigint;
  /** log2 of the bytes of an IOMMU page. */
  readonly pageShift: number;
  /** Levels of the TCE table; 0 where the IOMMU keeps its tables itself (type1), or there is none. */
  readonly levels: number;
  /** TCEs (IOMMU pages) of the window. */
  readonly tces: bigint;
  /** Bytes of the table of each level, the one with the TCEs first; empty on all but sPAPR. */
  readonly levelBytes: readonly bigint[];
  /** All of them together. */
  readonly tableBytes: bigint;
  /** What the kernel counts against RLIMIT_MEMLOCK for the window. */
  readonly chargeBytes: bigint;
  /** Address bits that a device must have to reach all of the window. */
  readonly dmaMaskBits: number;
  /** type1: parts of the window that may not be mapped. */
  readonly holes: readonly AddressRange[];
  /** type1: what the window's start is a multiple of, wherever it goes: the largest page of the lists, in bytes. */
  readonly alignment?: bigint;
  /**
   * type1, `rebased`, where there are several: what has to lie in one piece of one range each, in the order in which it is laid
   * out. Those are the lists, and what `growTo` leaves for more. By them the window finds another place over several ranges.
   */
  readonly pieces?: readonly PlannedPiece[];
  /** The device's address bits, where they were stated: the window goes nowhere that it does not reach. */
  readonly deviceAddressBits?: number;
  /** What the plan's memory takes when all of it is there. */
  readonly fullGrowth: FullGrowth;
  /** A sentence for each thing that will not suffice for that: where it ends, and what to do. */
  readonly warnings: readonly string[];
  /** Everything that would have been preferred, or is often expected, and why it cannot be. */
  readonly rejected: readonly Rejection[];
}
