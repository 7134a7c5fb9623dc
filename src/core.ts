/**
 * The wasm core, instantiated once for each process or worker, and the dictionary of its exports.
 *
 * Addresses, sizes and counts are u64: `bigint` here, 0n to 2^64 - 1. **wasm takes any bigint modulo 2^64 without a word,
 * and turns undefined and NaN into 0**: whoever calls an export has validated its arguments (see `validate.ts`).
 * Handles are small positive integers; a handle that is gone is recognised. Pointers are offsets in `memory`.
 *
 * No export calls out, throws, or leaves garbage, save the bigints that carry results.
 */
import { type CoreBuild, chooseBuild, engineHasSimd, readCore } from "./core-build.ts";
import { orStandIn } from "./core-unavailable.ts";

export { type CoreBuild, chooseBuild, engineHasSimd, readCore } from "./core-build.ts";

/** What the core answers when it refuses. Functions that give a handle or an index give the negative of these. */
export const Status = {
  OK: 0,
  OUT_OF_MEMORY: 1,
  UNKNOWN_HANDLE: 2,
  ZERO_LENGTH: 3,
  UNALIGNED_VA: 4,
  UNALIGNED_IOVA: 5,
  UNALIGNED_LENGTH: 6,
  WRAPS: 7,
  OUTSIDE_WINDOW: 8,
  ALREADY_LIVE: 9,
  VA_ALREADY_MAPPED: 10,
  NOT_LIVE: 11,
  RESERVED: 12,
  NOT_RESERVED: 13,
  PARTLY_REGISTERED: 14,
  BAD_PERMISSION: 15,
  OVERLAPS: 16,
  OUTSIDE_LIST: 17,
  NOT_FOUND: 18,
  VA_MISMATCH: 19,
  TOO_LARGE: 20,
  NO_HOLE: 21,
  BUSY: 22,
  BAD_PAGE_SHIFT: 23,
  STALE_REGISTRATION: 24,
  CUTS_MAP: 25,
  MALFORMED_INFO: 26,
  UNKNOWN_IOMMU: 27,
} as const;

const codes = new Map(Object.entries(Status).map(([name, value]) => [value as number, `ERR_${name}`]));

/** The code of the error that a refusal becomes: `ERR_OUTSIDE_WINDOW` for the status of that name. */
export function codeOf(status: number): string {
  return codes.get(status) ?? `ERR_CORE_${status}`;
}

/** Why a PowerNV table of a shape cannot be: see `powernvShape`. */
export const Shape = { OK: 0, LEVELS: 1, REACH: 2, NOT_CONTIGUOUS: 3, WINDOW: 4 } as const;

/** On whose behalf a map or unmap is made: decides which IOVAs it may touch. */
export const Owner = { PROGRAM: 0, MEMORY: 1, WINDOW: 2 } as const;

/** `flags` of a list. External memory that is no heap is its owner's to map: walks for the window's size pass over it. */
export const ListFlag = { EXTERNAL: 1, HEAP: 2 } as const;

/** All ones: "no address", wherever the core gives one. No page begins there, so it is never a valid answer. */
export const NO_ADDRESS = 0xffff_ffff_ffff_ffffn;

/** The result of a call that was not made, in a list of calls. */
export const NOT_CALLED = 0x7fff_ffff;

/** What of a `WebAssembly.Memory` is used: its type is only known where TypeScript is told of browsers. */
export interface CoreMemory {
  readonly buffer: ArrayBuffer;
  /** By pages of 64 KiB; how many there were. */
  grow(pages: number): number;
}

/**
 * The exports of `assembly/index.ts`.
 *
 * Two of them, `windowTables` and `tableTables`, give what JavaScript needs to look addresses up by itself, in words of 32
 * bits at a pointer: for one address that costs less than a crossing.
 *
 *     windowTables     | root | entries of the root |         the map va -> iova, drawn in assembly/radix.ts
 *
 *     tableTables      | root | entries of the root | ...     the same of what memsegs state; behind it assembly/memsegs.ts
 *
 * The two pointers hold as long as the window, or the table, is open. What stands at them is to be read anew after every
 * export that may change it: for a window prepareMaps, settleMaps, prepareUnmaps and settleUnmaps, for a table memsegAdd and
 * memsegRemove; the tables that it leads to are then others too. A view is to be taken anew when `memory` has grown: any
 * export that takes memory may do that, and the old view then has length 0. Whoever reads from the pointer on for each
 * look-up, through a view whose length is not 0, needs to know none of this. Nothing may be written there.
 */
export interface CoreExports {
  readonly memory: CoreMemory;

  /** Whether this build computes in vectors: all but `core.scalar`. */
  usesSimd(): 0 | 1;

  // bits: exact for every u64
  /** Whether the value is a power of two; not for 0. */
  isPowerOfTwo(value: bigint): 0 | 1;
  /** The exponent of the highest set bit, of a value that is not 0. */
  log2Floor(value: bigint): number;
  /** The smallest n with 2^n >= value, 0 to 64, of a value that is not 0. */
  log2Ceil(value: bigint): number;
  /** The smallest power of two >= value; 0n where that is 2^64. */
  powerOfTwoAtLeast(value: bigint): bigint;
  /** Trailing zero bits, 0 to 64. */
  trailingZeros(value: bigint): number;
  /** The next multiple of 2^shift, shift 0 to 63; 0n where that is 2^64. */
  alignUp(value: bigint, shift: number): bigint;

  // ranges: [start, start + length) without ever forming the end
  isRange(start: bigint, length: bigint): 0 | 1;
  rangeContains(outerStart: bigint, outerLast: bigint, start: bigint, length: bigint): 0 | 1;
  /** `to + (address - from)`: `address` must lie behind `from`, and the result below 2^64. */
  rebase(address: bigint, from: bigint, to: bigint): bigint;
  rangesOverlap(startA: bigint, lastA: bigint, startB: bigint, lastB: bigint): 0 | 1;

  // TCE tables; windowShift and pageShift are log2 of bytes
  powernvShape(windowShift: number, pageShift: number, levels: number, cpuPageShift: number): number;
  /** Bytes of the tables of one level; 1 holds the TCEs. Shapes that powernvShape accepts only; so the next two. */
  powernvLevelBytes(
    windowShift: number,
    pageShift: number,
    levels: number,
    cpuPageShift: number,
    level: number,
  ): bigint;
  powernvTableBytes(windowShift: number, pageShift: number, levels: number, cpuPageShift: number): bigint;
  /** What counts against RLIMIT_MEMLOCK. */
  powernvCharge(windowShift: number, pageShift: number, levels: number, cpuPageShift: number): bigint;
  pseriesCharge(windowShift: number, pageShift: number): bigint;
  /** Address bits a device needs to reach `last`, 1 to 64. */
  maskBits(last: bigint): number;

  // structs of <linux/vfio.h>, written and read at an offset of the memory
  structScratch(): number;
  writeGroupStatus(at: number): void;
  groupFlags(at: number): number;
  /** The argument of GROUP_SET_CONTAINER. */
  writeFile(at: number, fd: number): void;
  writeInfo(at: number): void;
  /** Of type1's info too. */
  infoFlags(at: number): number;
  infoDefaultStart(at: number): number;
  infoDefaultSize(at: number): number;
  infoPageSizes(at: number): bigint;
  infoWindows(at: number): number;
  infoLevels(at: number): number;
  writeRegister(at: number, va: bigint, length: bigint): void;
  writeCreate(at: number, pageShift: number, size: bigint, levels: number): void;
  createdStart(at: number): bigint;
  writeRemove(at: number, start: bigint): void;
  writeMap(at: number, permission: number, va: bigint, iova: bigint, length: bigint): void;
  writeUnmap(at: number, iova: bigint, length: bigint): void;
  /** After UNMAP: the bytes that type1 says to have unmapped; on sPAPR those that were asked for. */
  unmappedLength(at: number): bigint;

  // struct vfio_iommu_type1_info and the capabilities behind it
  /** Asks with a struct of `bytes`, 24 or more, all of which are zeroed first. */
  writeType1Info(at: number, bytes: number): void;
  /** Bytes that the kernel has to say; more than asked with: ask again. */
  infoBytes(at: number): number;
  type1PageSizes(at: number): bigint;
  /**
   * Where capability 1 (IOVA ranges) or 3 (maps available) begins, counted from `at`; 0 when it is not there;
   * -MALFORMED_INFO where the chain, in an info of `bytes` (24 or more), leads outside or round in a ring.
   */
  infoCapability(at: number, bytes: number, id: number): number;
  /** Ranges, or maps, that a capability holds; `at` is where it was found. */
  capabilityCount(at: number): number;
  /** First and last IOVA of a range; `index` below the count. */
  rangeStart(at: number, index: number): bigint;
  rangeLast(at: number, index: number): bigint;

  // memory of the core's own
  /** A zeroed block; 0 when the memory cannot grow. */
  acquireBytes(bytes: number): number;
  releaseBytes(block: number, bytes: number): void;
  /** Bytes in blocks that are handed out. */
  bytesInUse(): bigint;

  // tables of memory: lists and memsegs
  tableOpen(): number;
  tableClose(table: number): number;
  /** Its index, or the negative of a status. That lists do not overlap is for the caller to see to: no page is in two memsegs. */
  listAdd(table: number, base: bigint, length: bigint, pageShift: number, flags: number): number;
  listRemove(table: number, list: number): number;
  listFreePages(table: number, list: number, pages: bigint): bigint;
  memsegAdd(table: number, list: number, va: bigint, iova: bigint, length: bigint): number;
  memsegRemove(table: number, va: bigint): number;
  memsegFind(table: number, va: bigint): number;
  memsegNext(table: number, va: bigint, last: bigint): number;
  memsegVa(table: number, number: number): bigint;
  memsegLength(table: number, number: number): bigint;
  memsegIova(table: number, number: number): bigint;
  memsegList(table: number, number: number): number;
  memsegTranslate(table: number, va: bigint): bigint;
  /** As windowTranslateMany, by what the memsegs state. */
  memsegTranslateMany(table: number, vas: number, iovas: number, count: number): number;
  /** Where a table begins, drawn above; 0: no such table. */
  tableTables(table: number): number;
  /** How many memsegs there are, and their bytes: counted as they come and go, and nothing is walked. */
  memsegCount(table: number): number;
  memsegBytes(table: number): bigint;
  /** The same of those that state an IOVA. */
  knownCount(table: number): number;
  knownBytes(table: number): bigint;
  /** Whether a memseg is served; of the highest of them walkLast and walkPageShift then know the end and the page size. */
  walkHighestMemseg(table: number): 0 | 1;
  walkLast(): bigint;
  walkPageShift(): number;
  /** The smallest page size of the lists that are served, as a shift; 0: there are none. */
  walkSmallestPage(table: number): number;

  // containers and windows
  /** `iommu`: 1 or 3 (type1 v1, v2), 7 (sPAPR TCE v2), 8 (none), as SET_IOMMU numbers them. */
  containerOpen(cpuPageShift: number, iommu: number): number;
  containerClose(container: number): number;
  /** Registrations; on type1 the kernel's maps. */
  containerRegistrations(container: number): number;
  /** Where the registration begins that holds an address (type1: the map that holds an IOVA); all ones: none does. */
  containerPieceStart(container: number, address: bigint): bigint;
  containerPieceLength(container: number, address: bigint): bigint;
  containerHasIdle(container: number): 0 | 1;
  windowOpen(container: number, start: bigint, size: bigint, pageShift: number): number;
  windowClose(window: number): number;
  windowForget(window: number): number;
  windowContains(window: number, iova: bigint, length: bigint): 0 | 1;
  windowHeadroom(window: number, iova: bigint): bigint;
  windowTceIndex(window: number, iova: bigint): bigint;
  windowLiveTces(window: number): bigint;
  windowFirstFit(window: number, length: bigint, alignShift: number): bigint;
  windowLargestHole(window: number): bigint;
  windowReserve(window: number, iova: bigint, length: bigint): number;
  windowUnreserve(window: number, iova: bigint, length: bigint): number;
  windowTranslate(window: number, va: bigint): bigint;
  windowReverse(window: number, iova: bigint): bigint;
  /**
   * `count` addresses, u64 each, from the column at `vas` to the column at `iovas`, which may be the same: the IOVA of each,
   * all ones where it is not mapped. How many are. The columns lie in the memory; so do those of the next two.
   */
  windowTranslateMany(window: number, vas: number, iovas: number, count: number): number;
  /**
   * Holds `count` ranges against the window. `indexes[i]` becomes the TCE of `iovas[i]` when `iovas[i]` and `lengths[i]`
   * bytes from there exist, are not empty and lie in the window, else all ones. How many lie inside. Exact for every u64.
   * `indexes` may be one of the other two columns. An unknown window: 0, and nothing is written.
   */
  windowCheckMany(window: number, iovas: number, lengths: number, indexes: number, count: number): number;
  /** Where the map va -> iova begins, drawn above; 0: no such window. */
  windowTables(window: number): number;

  // requests: see assembly/requests.ts for the order of these calls
  reserveRequests(count: number): 0 | 1;
  vaColumn(): number;
  iovaColumn(): number;
  lengthColumn(): number;
  permissionColumn(): number;
  refusedRequest(): number;
  prepareMaps(window: number, count: number, owner: number): number;
  collectMaps(): 0 | 1;
  prepareUndo(): void;
  afterFailure(call: number): number;
  collectUndo(window: number): void;
  settleMaps(window: number): number;
  leftMapped(request: number): 0 | 1;
  leftRegistered(request: number): 0 | 1;
  prepareUnmaps(window: number, count: number, owner: number): number;
  /** The first call from `from` on that unmapped another length than it was asked for; the count of calls: none did. */
  wrongUnmap(from: number): number;
  settleUnmaps(window: number): number;
  prepareIdle(container: number): number;
  settleIdle(container: number): number;
  listMaps(window: number, from: bigint, limit: number): number;

  // the list of calls that a prepare has written
  callCount(): number;
  callTable(): number;
  callAt(index: number): number;
  structAt(index: number): number;
  resultAt(index: number): number;
  requestAt(index: number): number;
}

export interface Core extends CoreExports {
  /** All of the memory, as it is now: taken again whenever it grew. Do not keep it across a call of the core. */
  bytes(): Uint8Array;
  /** `length` u64 from a pointer; the same holds. */
  u64(pointer: number, length: number): BigUint64Array;
  /** `length` u32 from a pointer; the same holds. */
  u32(pointer: number, length: number): Uint32Array;
}

/** wasm hands every i64 to JavaScript as signed; these results are u64. */
const U64_RESULTS = [
  "alignUp",
  "bytesInUse",
  "containerPieceLength",
  "containerPieceStart",
  "createdStart",
  "infoPageSizes",
  "knownBytes",
  "listFreePages",
  "memsegBytes",
  "memsegIova",
  "memsegLength",
  "memsegTranslate",
  "memsegVa",
  "powernvCharge",
  "powernvLevelBytes",
  "powernvTableBytes",
  "powerOfTwoAtLeast",
  "pseriesCharge",
  "rangeLast",
  "rangeStart",
  "rebase",
  "type1PageSizes",
  "unmappedLength",
  "walkLast",
  "windowFirstFit",
  "windowHeadroom",
  "windowLargestHole",
  "windowLiveTces",
  "windowReverse",
  "windowTceIndex",
  "windowTranslate",
] as const satisfies readonly (keyof CoreExports)[];

/** The same for i32: pointers, which may lie above 2 GiB, and fields of structs. */
const U32_RESULTS = [
  "acquireBytes",
  "capabilityCount",
  "callTable",
  "groupFlags",
  "infoBytes",
  "infoDefaultSize",
  "infoDefaultStart",
  "infoFlags",
  "iovaColumn",
  "lengthColumn",
  "permissionColumn",
  "structAt",
  "structScratch",
  "tableTables",
  "vaColumn",
  "windowTables",
] as const satisfies readonly (keyof CoreExports)[];

/** As they were when this was loaded: where memory lies is not said by what a program puts in their place. */
const { apply } = Reflect;
const { asUintN } = BigInt;

type AnyFunction<R> = (...parameters: never[]) => R;

function unsigned(exports: CoreExports): CoreExports {
  const result: Record<string, unknown> = { ...exports };
  for (const name of U64_RESULTS) {
    const call = exports[name] as AnyFunction<bigint>;
    result[name] = (...parameters: never[]) => asUintN(64, apply(call, undefined, parameters));
  }
  for (const name of U32_RESULTS) {
    const call = exports[name] as AnyFunction<number>;
    result[name] = (...parameters: never[]) => apply(call, undefined, parameters) >>> 0;
  }
  return result as unknown as CoreExports;
}

/**
 * A core of its own, with its own tables. The library uses {@link core}, one for the process: V8 inlines calls into
 * wasm only while a call site sees one module's functions. More are for tests and for comparing builds.
 */
export function instantiateCore(wasm: ArrayBuffer | ArrayBufferView): Core {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm as BufferSource), {});
  const exports = instance.exports as unknown as CoreExports;
  let view = new Uint8Array(exports.memory.buffer);
  const bytes = (): Uint8Array => {
    // memory.grow detaches the old buffer; its views then have length 0.
    if (view.length === 0) view = new Uint8Array(exports.memory.buffer);
    return view;
  };
  return {
    ...unsigned(exports),
    bytes,
    u64: (pointer, length) => new BigUint64Array(exports.memory.buffer, pointer, length),
    u32: (pointer, length) => new Uint32Array(exports.memory.buffer, pointer, length),
  };
}

/**
 * The build of {@link core}: `core` with SIMD, `core.scalar` without. Where `DMA_WINDOW_CORE` asks for one that there is not,
 * the engine's own; the core then says what is wrong.
 */
export const coreBuild: CoreBuild = buildOrEngines();

function buildOrEngines(): CoreBuild {
  try {
    return chooseBuild();
  } catch {
    return engineHasSimd() ? "core" : "core.scalar";
  }
}

/**
 * The core of this process or worker. Importing it never throws: where the engine cannot run it (no WebAssembly, no address
 * space, a policy), every use throws a DmaWindowError of code `ERR_CORE_UNAVAILABLE` that says why, and the next one
 * tries again.
 */
export const core: Core = orStandIn(() => instantiateCore(readCore()));
