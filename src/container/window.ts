import { failed } from "../channels.ts";
import { Closable, disposing } from "../closable.ts";
import { disposeWith } from "../closing.ts";
import { markClass } from "../copies.ts";
import { core, NO_ADDRESS, Owner, Status } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { begin, end, exclusively } from "../exclusive.ts";
import { bytes, hex } from "../hex.ts";
import { inspectable, readableEach } from "../inspect.ts";
import type { LongWorkOptions } from "../long-work.ts";
import { checkColumns, translateColumns } from "../memory/arrays.ts";
import { exactly } from "../memory/exact.ts";
import type { Segment } from "../memory/segment.ts";
import type { MemsegList } from "../memory/types.ts";
import { translateByMap } from "../memory/walk.ts";
import type { IovaMode, WindowPlan } from "../plan/index.ts";
import { address, size } from "../validate.ts";
import type { MadeWindow } from "./backend/backend.ts";
import { mapArrays, unmapArrays } from "./batches.ts";
import { outOfMemory } from "./columns.ts";
import { type DmaRun, type RunOptions, runsInto, runsOf } from "./dma-runs.ts";
import type { Keeper } from "./keeper.ts";
import { mapLater, mapRequests } from "./map-later.ts";
import { type MappedRun, runsFrom, runsIn } from "./mapped.ts";
import { shownWindow, tellWindow } from "./messages.ts";
import { offsetAmong } from "./offset.ts";
import { type MapRequest, type UnmapRequest, writeUnmaps } from "./requests.ts";
import { RequestRows } from "./rows.ts";
import { Span } from "./span.ts";
import type { ContainerTarget, Target } from "./target.ts";
import { performUnmaps } from "./unmaps.ts";

export type { DmaRun, RunOptions } from "./dma-runs.ts";
export type { MappedRun } from "./mapped.ts";
export type { MapRequest, UnmapRequest } from "./requests.ts";
export type { RequestRows } from "./rows.ts";

/**
 * A DMA window: IOVAs that a device can use, and the memory behind them. Made by `container.createWindow(plan)`.
 *
 * Its size never changes, and no map is touched but by its own unmap. The core's tables are the only record of what is
 * mapped; after every call, also one that failed, they say what the kernel has.
 */
export class Window extends Closable {
  /** First IOVA: where the kernel put the window, which may not be where the plan expected it. */
  readonly start: bigint;
  /** Bytes. */
  readonly size: bigint;
  /** Last IOVA, which is in it: exact also where the window ends at 2^64. */
  readonly last: bigint;
  /** log2 of the bytes of a page of the window. */
  readonly pageShift: number;
  readonly levels: number;
  readonly iovaMode: IovaMode;
  /** Address bits that a device must have to reach all of the window. */
  readonly dmaMaskBits: number;

  /** @internal */
  readonly target: Target;
  readonly #keeper: Keeper<Window>;
  /** Its IOVAs as numbers; none when it is closed. */
  #span: Span;
  /** Where the core keeps va -> IOVA: the same place as long as the window is there. */
  readonly #map: number;
  readonly #rows = new Set<RequestRows>();
  #open = true;

  /** @internal Made by a container. */
  constructor(
    plan: Pick<WindowPlan, "size" | "pageShift" | "levels" | "iovaMode">,
    { start, forbidden, allowed }: Pick<MadeWindow, "start" | "forbidden" | "allowed">,
    owner: ContainerTarget,
    keeper: Keeper<Window>,
  ) {
    super();
    this.start = start;
    this.size = plan.size;
    this.last = start + plan.size - 1n;
    this.pageShift = plan.pageShift;
    this.levels = plan.levels;
    this.iovaMode = plan.iovaMode;
    this.dmaMaskBits = core.maskBits(this.last);
    const window = core.windowOpen(owner.container, start, plan.size, plan.pageShift);
    if (window <= 0) {
      throw new DmaWindowError(
        window === -Status.OUT_OF_MEMORY ? "ERR_OUT_OF_MEMORY" : "ERR_TOO_LARGE",
        `no bookkeeping for a window of ${bytes(plan.size)} at ${hex(start)} with pages of ${bytes(1n << BigInt(plan.pageShift))}`,
      );
    }
    this.target = { ...owner, window, start, size: plan.size, pageShift: plan.pageShift, forbidden, allowed };
    this.#keeper = keeper;
    this.#span = new Span(start, plan.size, plan.pageShift);
    this.#map = core.windowTables(window);
    for (const hole of forbidden) {
      if (core.windowReserve(window, hole.start, hole.last - hole.start + 1n) === Status.OK) continue;
      core.windowForget(window);
      throw outOfMemory(`what may not be mapped in a window of ${bytes(plan.size)}`);
    }
    tellWindow("created", this);
  }

  get closed(): boolean {
    return !this.#open;
  }

  /**
   * Whether `length` bytes from `iova`, at least one, lie in the window. Also for an end at 2^64, or past it.
   *
   * With numbers about 4 ns and no garbage; both have to be exact: integers up to 2^53 - 1, or multiples of 4096 below 2^64.
   * With bigints about 18 ns, and no garbage but what it costs to have them. One of each will do, as slowly.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` (also for a number that is not exact), `ERR_CLOSED`.
   */
  contains(iova: bigint | number, length: bigint | number): boolean {
    if (typeof iova === "number" && typeof length === "number" && this.#open) return this.#span.contains(iova, length);
    return core.windowContains(this.#handle(), exactly("iova", iova), size("length", length)) === 1;
  }

  /**
   * Which page of the window holds an IOVA: 0 for the first.
   *
   * A number for a number, -1 outside the window: about 3 ns and no garbage, and exact numbers only, as in {@link contains}.
   * A bigint for a bigint, `undefined` outside: about 18 ns and 40 bytes of garbage.
   *
   * @throws as {@link contains}.
   */
  tceIndex(iova: number): number;
  tceIndex(iova: bigint): bigint | undefined;
  tceIndex(iova: bigint | number): bigint | number | undefined {
    if (typeof iova === "number" && this.#open) return this.#span.tceIndex(iova);
    const index = core.windowTceIndex(this.#handle(), exactly("iova", iova));
    return index === NO_ADDRESS ? undefined : index;
  }

  /** Bytes from `iova` to the window's end; 0n outside. */
  headroom(iova: bigint): bigint {
    return core.windowHeadroom(this.#handle(), address("iova", iova));
  }

  /** Bytes that are mapped. */
  get liveBytes(): bigint {
    return core.windowLiveTces(this.#handle()) << BigInt(this.pageShift);
  }

  /** Bytes of the largest run of IOVAs that is neither mapped nor set aside for an attached memory. */
  get largestHole(): bigint {
    return core.windowLargestHole(this.#handle());
  }

  /**
   * Lets the device use memory, and gives the IOVA. In one crossing: on sPAPR one REGISTER (where the memory is not
   * registered yet) and one MAP; on type1 one MAP; without an IOMMU no call, and the physical address of every page is read.
   *
   * @throws before the kernel is asked, with nothing changed: `ERR_OUTSIDE_WINDOW`, `ERR_ALREADY_LIVE`,
   * `ERR_VA_ALREADY_MAPPED`, `ERR_UNALIGNED_VA`, `_IOVA`, `_LENGTH`, `ERR_ZERO_LENGTH`, `ERR_WRAPS`, `ERR_NO_HOLE`,
   * `ERR_RESERVED`, `ERR_PARTLY_REGISTERED`, `ERR_STALE_REGISTRATION`, `ERR_BAD_PERMISSION`, `ERR_FREED`; on type1 also
   * `ERR_OUTSIDE_RANGES` for IOVAs that the IOMMU does not allow (`facts.ranges` has those that it does). All have
   * `facts`: index, count, va, iova, length.
   * @throws without an IOMMU, likewise: `ERR_NOT_CONTIGUOUS` (more facts: physical, expected), `ERR_PHYSICAL_MISMATCH`
   * (physical), `ERR_PHYSICAL_UNKNOWN`, and what the kernel's `physicalAddresses` throws (`ERR_PAGE_NOT_PRESENT`). There `va`,
   * and the `iova` of a mismatch, are those of the page that is wrong; `index` says in which request.
   * @throws `ERR_KERNEL`, `ERR_PINNED_PARTLY` when the kernel said no: everything is undone, or `residue` says what is not. The
   * same facts, and for ENOMEM `lockedMemory` (limit, used, needed). `ERR_INTERFACE` when the kernel interface threw (`cause`).
   * `ERR_BUSY` in the middle of another operation, as in a callback of a kernel interface: this holds of all that changes
   * anything.
   */
  map(request: MapRequest | Segment): bigint {
    const [iova] = this.mapMany([request]);
    return iova as bigint;
  }

  /** Maps all of them, or none, in one crossing: see {@link map}. Gives their IOVAs, in the same order. */
  mapMany(requests: readonly (MapRequest | Segment)[]): bigint[] {
    return exclusively("window.map", () => {
      this.#handle();
      return mapRequests(this, requests);
    });
  }

  /**
   * {@link mapMany} without holding up the event loop: in batches of some 256 MiB, between which the loop runs. All are mapped in the end, or
   * none: where one fails, or it is aborted, those before it are unmapped again, in batches too. Each request is read when its turn comes.
   * Meanwhile devices reach what is mapped by then.
   *
   * @throws as a rejection what {@link map} throws; `ERR_ABORTED` (facts: operation, done, total, in bytes); what `onProgress` throws.
   * `residue` says what could not be unmapped.
   */
  async mapManyAsync(requests: readonly (MapRequest | Segment)[], options: LongWorkOptions = {}): Promise<bigint[]> {
    this.#handle();
    return mapLater(requests, this, options);
  }

  /**
   * Maps from arrays, without an object for any request: all of them, or none, as {@link mapMany} does, and with its errors.
   * Row `i` is the memory at `vas[i]`, `lengths[i]` bytes, for a device that may read (1), write (2) or do both (3), as
   * `permissions[i]` says. `iovas[i]` is where the device shall find it; 2^64 - 1 leaves it open, as a request without `iova`,
   * and becomes the IOVA that it got. Where it throws, the arrays are as they were.
   *
   * Any arrays will do; those of {@link requests} are not copied into the core's memory first. One crossing and one call of the
   * kernel interface for the batch, and no garbage for any request, save where there is no IOMMU and physical addresses are
   * asked for.
   *
   * @param count How many rows. Default: all that `vas` has.
   */
  mapInto(
    vas: BigUint64Array,
    lengths: BigUint64Array,
    iovas: BigUint64Array,
    permissions: Uint32Array,
    count?: number,
  ): void {
    begin("window.mapInto");
    try {
      this.#handle();
      mapArrays(this.target, this.iovaMode, vas, lengths, iovas, permissions, count);
    } catch (error) {
      throw failed("window.mapInto", error);
    } finally {
      end();
    }
  }

  /**
   * Arrays in the core's own memory, `capacity` of each, for batches: `vas`, `iovas`, `lengths`, `permissions`, `indexes`. They
   * end with `close()`, or with the window.
   *
   * @param capacity From 1 to 2^24.
   * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_MEMORY`, `ERR_CLOSED`.
   */
  requests(capacity: number): RequestRows {
    this.#handle();
    return exclusively("window.requests", () => new RequestRows(capacity, this.#rows));
  }

  /**
   * Ends a device's use of memory. One UNMAP, and on sPAPR one UNREGISTER for each registration of which nothing is mapped
   * any more, in one crossing. Without an IOMMU no call: the window forgets it, and the device is not stopped.
   *
   * @throws before the kernel is asked, with nothing changed: `ERR_NOT_LIVE` (also for a hole within), `ERR_VA_MISMATCH`
   * (other memory is there, or memory at different offsets), `ERR_OUTSIDE_WINDOW`, `ERR_UNALIGNED_...`, `ERR_RESERVED`; on
   * type1 also `ERR_CUTS_MAP` for a range that begins or ends inside a map (facts: mapIova, mapLength), `ERR_OUTSIDE_RANGES`.
   * @throws `ERR_KERNEL` when the kernel said no; `residue` says what is still mapped or locked. `ERR_STILL_REGISTERED`
   * when all is unmapped, and only a registration could not be ended. `ERR_UNMAP_SIZE` (type1; facts: iova, length, unmapped)
   * when the kernel unmapped another length than was asked for: all of it is gone, or `residue` says what may not be.
   * `ERR_INTERFACE` when the kernel interface threw: without `residue` all is unmapped, and could be made sure of.
   */
  unmap(request: UnmapRequest): void {
    this.unmapMany([request]);
  }

  /** Unmaps all of them, in order, in one crossing: see {@link unmap}. A failure of the kernel ends it there. */
  unmapMany(requests: readonly UnmapRequest[]): void {
    exclusively("window.unmap", () => {
      this.#handle();
      const leftover = performUnmaps(this.target, writeUnmaps(this.target, requests), Owner.PROGRAM);
      if (leftover) throw leftover;
    });
  }

  /**
   * Unmaps from arrays, as {@link unmapMany} does, and with its errors: `lengths[i]` bytes at `iovas[i]`, behind which the
   * memory at `vas[i]` is expected. 2^64 - 1 there means whatever memory it is; that costs a look-up for the row. The arrays
   * are read only; what else holds of them is said at {@link mapInto}.
   *
   * @param count How many rows. Default: all that `iovas` has.
   */
  unmapFrom(iovas: BigUint64Array, lengths: BigUint64Array, vas: BigUint64Array, count?: number): void {
    begin("window.unmapFrom");
    try {
      this.#handle();
      const leftover = unmapArrays(this.target, iovas, lengths, vas, count);
      if (leftover) throw leftover;
    } catch (error) {
      throw failed("window.unmapFrom", error);
    } finally {
      end();
    }
  }

  /**
   * The IOVA of an address. Any byte, not only the first of a page.
   *
   * A number for a number, -1 when it is not mapped: about 8 ns where the tables are in the processor's caches, no crossing and
   * no garbage. The address has to be exact, as in {@link contains}, and so has the answer: that for a byte within a page of a
   * window above 2^53 is not. Ask with the page.
   *
   * A bigint for a bigint, `undefined` when it is not mapped: about 15 ns and 40 bytes of garbage or more.
   *
   * @throws `ERR_NOT_EXACT` (facts: va, iova) when an answer is not exact as a number; else as {@link contains}.
   */
  translate(va: number): number;
  translate(va: bigint): bigint | undefined;
  translate(va: bigint | number): bigint | number | undefined {
    if (typeof va === "number" && this.#open) return translateByMap(this.#map, va);
    const iova = core.windowTranslate(this.#handle(), exactly("va", va));
    return iova === NO_ADDRESS ? undefined : iova;
  }

  /**
   * What is added to any address of a list's memory for its IOVA: iova - va modulo 2^64, the same for all that is in the list or
   * will come, as long as its memory is attached to this window. Ask once, and add: 1 to 2 ns, where {@link translate} takes 8.
   *
   *     ring[i] = vas[i] + offset                        in BigUint64Arrays, whose elements are modulo 2^64
   *     va + Number(BigInt.asIntN(64, offset))           exact for the first byte of a page, and for an IOVA below 2^53
   *
   * An addition checks nothing: it is for addresses that the program knows to be of that list and mapped. For others, and to
   * learn what is not mapped, there are {@link translate} and {@link translateInto}. In another window a list has another offset,
   * and when its memory is attached anew it may lie elsewhere: ask again. In IOVA mode `va` it is 0n.
   *
   * @throws `ERR_NO_OFFSET` in mode `pa` (so always without an IOMMU), where each page is at an IOVA of its own; `ERR_NOT_ATTACHED`
   * for a list that no memory attached to this window has, or has any more; `ERR_NOT_SERVED` for external memory that is no heap,
   * which its owner maps. These have `facts.list` (base, length, pageSize). `ERR_INVALID_ARG_TYPE`, `ERR_CLOSED`.
   */
  iovaOffset(list: MemsegList): bigint {
    this.#handle();
    return offsetAmong(this.#keeper.attached(this), this.iovaMode, list);
  }

  /** The IOVA of an address that is mapped. @throws `ERR_NOT_LIVE` when it is not. */
  iovaOf(va: bigint): bigint {
    const iova = this.translate(address("va", va));
    if (iova !== undefined) return iova;
    throw new DmaWindowError("ERR_NOT_LIVE", `the memory at ${hex(va)} is not mapped in this window; map it first`, {
      facts: { va },
    });
  }

  /**
   * Where a range of memory lies for the device, as a scatter-gather list wants it: runs of IOVAs, in the order of the memory, from
   * any byte on. Neighbours are one run however they were mapped, and no longer than `maxLength`, nor across a `boundary`, where the
   * device wants that.
   *
   *     window.runs(va, 1 << 20, { maxLength: 65536, boundary: 2 ** 32 }) // [{ iova: 0x200000n, length: 65536n }, ...]
   *
   * Cost: a look for each page of 4 KiB, or for each 2 MiB that are mapped in a row, of about 10 ns, and an object for each run:
   * {@link runsInto} makes none.
   *
   * @param length Bytes: from 1 to 2^52.
   * @throws `ERR_NOT_LIVE` (facts: va) where a byte of it is not mapped; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   */
  runs(va: bigint | number, length: bigint | number, options: RunOptions = {}): DmaRun[] {
    this.#handle();
    return runsOf(this.#map, va, length, options);
  }

  /**
   * The same into arrays, without garbage where `va` and `length` are numbers (exact ones, as in {@link contains}): `iovas[i]` and `lengths[i]`
   * become those of run `i`. Gives how many there are. `lengths` may be of 32 bits: then runs have at most 2^32 - 4096 bytes.
   *
   * @throws as {@link runs}; `ERR_TOO_MANY_RUNS` (facts: needed, room) where the arrays are too short. What they hold then is of no use.
   */
  runsInto(
    va: bigint | number,
    length: bigint | number,
    iovas: BigUint64Array,
    lengths: BigUint64Array | Uint32Array,
    options?: RunOptions,
  ): number {
    this.#handle();
    return runsInto(this.#map, va, length, iovas, lengths, options);
  }

  /** The memory behind an IOVA; `undefined` when nothing is mapped there. */
  vaOf(iova: bigint): bigint | undefined {
    const va = core.windowReverse(this.#handle(), address("iova", iova));
    return va === NO_ADDRESS ? undefined : va;
  }

  /**
   * Translates addresses in bulk, without garbage: `iovas[i]` becomes the IOVA of `vas[i]`, or 2^64 - 1 where it is not
   * mapped. Gives how many are. `iovas` may be `vas`.
   *
   * Arrays of {@link requests} are read and written where they are, in one crossing. Others cost a copy there and back, and
   * a crossing for each 4096 addresses.
   *
   * @param count How many. Default: all that `vas` has.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` (`iovas` too short, an array that is gone, arrays that overlap in
   * part), `ERR_OUT_OF_MEMORY`, `ERR_CLOSED`.
   */
  translateInto(vas: BigUint64Array, iovas: BigUint64Array, count?: number): number {
    return translateColumns(core.windowTranslateMany, this.#handle(), vas, iovas, count);
  }

  /**
   * Holds ranges against the window in bulk, without garbage: `indexes[i]` becomes the page of the window ({@link tceIndex})
   * that `iovas[i]` is in, where `lengths[i]` bytes from there lie in the window ({@link contains}), and 2^64 - 1 where they
   * do not. Gives how many do. `indexes` may be one of the other two; costs and errors are those of {@link translateInto}.
   *
   * @param count How many. Default: all that `iovas` has.
   */
  checkInto(iovas: BigUint64Array, lengths: BigUint64Array, indexes: BigUint64Array, count?: number): number {
    return checkColumns(this.#handle(), iovas, lengths, indexes, count);
  }

  /** Everything that is mapped, by IOVA. Neighbours at one offset from their memory are one run. */
  maps(): Generator<MappedRun, void, void> {
    const take = (from: bigint) => {
      this.#handle();
      return readableEach(runsFrom(this.target, from));
    };
    return runsIn(this.target, (from) => exclusively("window.maps", () => take(from)));
  }

  /**
   * Unmaps everything, detaches what is attached, and removes the window. Only then, so nothing live is ever in a window
   * that goes. The device must be idle. Once more does nothing. `using` closes heaps over it first, whatever is live in them.
   *
   * @throws `ERR_HELD` where a heap is open over its memory (facts: heap, live): nothing is changed. `ERR_WINDOW_IN_USE` when something could not be unmapped: the window stays, and `residue` says what is in it.
   * `ERR_KERNEL` when an attached memory could not be unmapped, or the window not be removed: it stays too.
   * `ERR_STILL_REGISTERED` when it is closed, and only registrations could not be ended; `ERR_INTERFACE` when it is closed,
   * and the kernel interface threw on the way. `residue` says what else there is.
   */
  close(): void {
    if (this.#open) exclusively("window.close", () => this.shut());
  }

  /** @internal */
  override [disposing](): void {
    disposeWith(() => this.#keeper.endHeaps(this), this);
  }

  /** @internal Closes it in the middle of an operation: its container's. */
  shut(): void {
    if (!this.#open) return;
    const leftover = this.#keeper.remove(this);
    this.#end();
    if (leftover) throw leftover;
  }

  /** @internal The container has gone, and with it all that was mapped. */
  forget(): void {
    core.windowForget(this.target.window);
    this.#end();
  }

  #end(): void {
    this.#open = false;
    this.#span = Span.NONE;
    for (const each of this.#rows) each.close();
    tellWindow("closed", this);
  }

  #handle(): number {
    if (this.#open) return this.target.window;
    throw new DmaWindowError("ERR_CLOSED", "the window is closed");
  }
}

markClass(Window, "Window");
inspectable(Window, "Window", shownWindow);
