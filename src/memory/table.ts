import { asked } from "../asked.ts";
import { bareArray, freeze, OwnSet } from "../captured.ts";
import { Closable, disposing } from "../closable.ts";
import { disposeWith } from "../closing.ts";
import { markClass } from "../copies.ts";
import { core, ListFlag, NO_ADDRESS, Status } from "../core.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { bytes, hex } from "../hex.ts";
import { inspectable, readable } from "../inspect.ts";
import { known } from "../known.ts";
import { endWatched, keepsSites, type Leak, Sites, watchEnd } from "../leaks.ts";
import type { MappedFacts } from "../plan/index.ts";
import type { Syscalls } from "../syscalls.ts";
import { address, count, object, size, syscalls } from "../validate.ts";
import { translateColumns } from "./arrays.ts";
import { exactly } from "./exact.ts";
import { Holds } from "./holds.ts";
import { Listeners } from "./listeners.ts";
import { type ListOptions, type MemsegTableOptions, type NewMemseg, TABLE_KEYS } from "./options.ts";
import { OrderedSpans } from "./order.ts";
import { OwnPages } from "./own-pages.ts";
import { release, reserveSpace } from "./pages.ts";
import { memsegsOf, type PhysicalResolver, resolverOf } from "./physical.ts";
import { readList, readMemseg } from "./read.ts";
import { Recorded, shownEach } from "./recorded.ts";
import { nameOf, refused } from "./refusals.ts";
import { Segment } from "./segment.ts";
import { segmentLeaks, tellList, tellTable } from "./told.ts";
import type { Memseg, MemsegList, OwnList } from "./types.ts";
import { translateByMap } from "./walk.ts";

/**
 * Memory, as lists of address space and the pages in them. The record itself is the core's; containers that a table is
 * attached to map what comes and unmap what goes, in the same call.
 */
export class MemsegTable extends Closable {
  readonly #kernel: Syscalls | undefined;
  readonly #physical: PhysicalResolver | undefined;
  readonly #handle: number;
  /** Where the core keeps va -> IOVA, as memsegs state it: the same place as long as it is open. */
  readonly #map: number;
  /** A map's key that comes and goes finds all of its removed entries each time: so by number in arrays, and by themselves. */
  readonly #lists = new OwnSet<OwnList>();
  readonly #listAt = bareArray<OwnList>();
  /** The same lists by address: no two share any of it. */
  readonly #spans = new OrderedSpans<OwnList>();
  readonly #segments = new OwnSet<Segment>();
  /** The segment of a memseg that was allocated, by the core's number; one that is not in `#segments` has gone. */
  readonly #segmentOf = bareArray<Segment>();
  readonly #pages: OwnPages | undefined;
  /** @internal */
  readonly recorded = new Recorded(() => this.#core(), this.#listAt);
  /** @internal Attachments to containers. */
  readonly listeners = new Listeners();
  /** @internal Heaps. */
  readonly holds = new Holds(this);
  readonly #sites: Sites | undefined;
  #open = true;

  constructor(options: MemsegTableOptions = {}) {
    super();
    known("options", object("options", options), TABLE_KEYS);
    this.#kernel = options.kernel === undefined ? undefined : asked(syscalls("kernel", options.kernel));
    this.#physical = resolverOf(options.physical, () => this.#needKernel());
    this.#handle = exclusively("new MemsegTable", () => core.tableOpen());
    if (this.#handle <= 0) throw new DmaWindowError("ERR_OUT_OF_MEMORY", "no room for a table in the core's memory");
    this.#map = core.tableTables(this.#handle);
    this.#sites = keepsSites(options.callSites) ? new Sites() : undefined;
    if (this.#sites !== undefined) watchEnd(this, "the memory");
    this.#pages = this.#kernel && new OwnPages(this.#kernel, this.#handle, (segment) => this.free(segment));
  }

  get closed(): boolean {
    return !this.#open;
  }

  /** The lists, in the order in which they came. */
  get lists(): readonly MemsegList[] {
    return [...this.#lists.values()];
  }

  /** Bytes of all memsegs. */
  get bytes(): bigint {
    return core.memsegBytes(this.#core());
  }

  /** What containers have mapped of it, each of those that it is attached to: `planWindow` does not count that again. */
  get mapped(): readonly MappedFacts[] {
    this.#core();
    return this.listeners.mapped();
  }

  /** How many memsegs there are. */
  get size(): number {
    return core.memsegCount(this.#core());
  }

  /** Memsegs whose IOVA is known, and their bytes. */
  get valid(): { readonly count: number; readonly bytes: bigint } {
    return { count: core.knownCount(this.#core()), bytes: core.knownBytes(this.#handle) };
  }

  /** The highest address of a memseg, and the page size of its list; `undefined` when there is none. */
  get highest(): { readonly last: bigint; readonly pageSize: bigint } | undefined {
    if (core.walkHighestMemseg(this.#core()) === 0) return undefined;
    return { last: core.walkLast(), pageSize: 1n << BigInt(core.walkPageShift()) };
  }

  /** The smallest page size of the lists that are mapped with the table; `undefined` when there is none. */
  get smallestPageSize(): bigint | undefined {
    const shift = core.walkSmallestPage(this.#core());
    return shift === 0 ? undefined : 1n << BigInt(shift);
  }

  /**
   * Adds a list: address space that is free for the table's own use, or, with `base`, the program's.
   *
   * @throws `ERR_OVERLAPS`, `ERR_UNALIGNED_VA`, `ERR_UNALIGNED_LENGTH`, `ERR_WRAPS`, `ERR_TOO_LARGE`; `ERR_KERNEL`
   * where the kernel has no address space left, or no pages of that size; and what an attached container says of a list for
   * which its window has no room. `ERR_NO_NODE`, `ERR_NO_NODE_BINDING` for a NUMA node. Nothing is left behind.
   */
  addList(options: ListOptions): MemsegList {
    return exclusively("memory.addList", () => this.#addList(options));
  }

  #addList(options: ListOptions): MemsegList {
    const table = this.#core();
    const { given, node, ...wanted } = readList(options, () => this.#needKernel());
    const { pageSize, pageShift, length, external, heap } = wanted;
    const kept = given === undefined;
    this.#pages?.sweep();
    const base = given ?? reserveSpace(this.#needKernel(), length, pageShift, wanted.near);
    const flags = (external ? ListFlag.EXTERNAL : 0) | (heap ? ListFlag.HEAP : 0);
    let index = core.listAdd(table, base, length, pageShift, flags);
    if (index >= 0 && this.#spans.touching(base, length) !== undefined) {
      core.listRemove(table, index);
      index = -Status.OVERLAPS;
    }
    if (index < 0) {
      const refusal = refused(-index, `list of ${bytes(length)} at ${hex(base)} with pages of ${bytes(pageSize)}`);
      throw withResidue(refusal, kept ? leftBy(() => release(this.#needKernel(), base, length)) : []);
    }
    const own = { index, base, length, pageSize, pageShift, external, heap, kept };
    const list: OwnList = freeze(readable(node === undefined ? own : { ...own, node }, "MemsegList", tellList));
    try {
      this.listeners.tell(
        (listener) => listener.listAdded(list),
        (listener) => listener.listRemoved(list),
        () => `IOVAs stay set aside for the list at ${hex(base)}`,
      );
    } catch (error) {
      core.listRemove(table, index);
      throw withResidue(error, kept ? leftBy(() => release(this.#needKernel(), base, length)) : []);
    }
    this.#lists.add(list);
    this.#listAt[index] = list;
    this.#spans.add(list);
    return list;
  }

  /**
   * Removes a list without memsegs, and gives its address space back. @throws `ERR_BUSY`, `ERR_NOT_FOUND`; `ERR_HELD` for the list
   * of a heap that is open; `ERR_KERNEL` when the list is gone, and only its address space was not taken back.
   */
  removeList(list: MemsegList): void {
    exclusively("memory.removeList", () => this.#removeList(list));
  }

  #removeList(list: MemsegList): void {
    const own = this.#own(list);
    this.holds.checkList(own);
    const status = core.listRemove(this.#core(), own.index);
    if (status !== Status.OK) throw refused(status, `list at ${hex(own.base)}`);
    this.listeners.tell(
      (listener) => listener.listRemoved(own),
      (listener) => listener.listAdded(own),
      () => `no IOVAs are set aside for the list at ${hex(own.base)}`,
    );
    this.#lists.delete(own);
    this.#spans.delete(own);
    if (!own.kept) return;
    try {
      this.#needPages().release(own);
    } catch (error) {
      throw withResidue(error, [`${bytes(own.length)} of address space at ${hex(own.base)} are not given back`]);
    }
  }

  /**
   * Records memory that the program has put into a list, and maps it wherever the table is attached.
   *
   * @throws `ERR_OVERLAPS`, `ERR_OUTSIDE_LIST`, `ERR_UNALIGNED_VA`, `_IOVA`, `_LENGTH`, `ERR_ZERO_LENGTH`, `ERR_WRAPS`,
   * and what mapping it throws. Nothing is left behind.
   */
  add(list: MemsegList, memseg: NewMemseg): void {
    exclusively("memory.add", () => this.#add(list, memseg));
  }

  #add(list: MemsegList, memseg: NewMemseg): void {
    const own = this.#own(list);
    const given = readMemseg(memseg);
    const { va, length } = given;
    if (this.#pages?.holds(own, va, length)) throw refused(Status.OVERLAPS, `memseg of ${bytes(length)} at ${hex(va)}`);
    this.#record(own, [given]);
  }

  /**
   * Unmaps the memseg that begins at `va`, and forgets it. @throws `ERR_NOT_FOUND`; what unmapping throws: the memseg
   * then stays. `ERR_SEGMENT` for memory of `allocate`, which is `free`'s.
   */
  remove(va: bigint): void {
    exclusively("memory.remove", () => this.#remove(va));
  }

  #remove(va: bigint): void {
    const memseg = this.find(va);
    if (memseg !== undefined && this.segmentAt(va) !== undefined) {
      throw new DmaWindowError("ERR_SEGMENT", `${hex(va)} belongs to an allocated segment: free it instead`);
    }
    if (memseg === undefined || memseg.va !== va) throw refused(Status.NOT_FOUND, `memseg at ${hex(va)}`);
    const leftover = this.#forget(memseg.list, [memseg]);
    if (leftover) throw leftover;
  }

  /**
   * `pages` pages in a row from a list of the table's own, present, and mapped wherever the table is attached.
   *
   * @throws `ERR_LIST_FULL` (facts: wanted, free, longest, list; waiting: bytes that are free only when garbage has been collected);
   * `ERR_KERNEL` when there is no memory, or fewer pages than pool and cgroup let be present; `ERR_MEMORY_LIMIT`; `ERR_NODE_FULL`;
   * what mapping it throws. Nothing is left behind.
   */
  allocate(list: MemsegList, pages: number): Segment {
    return exclusively("memory.allocate", () => this.#allocate(list, pages));
  }

  #allocate(list: MemsegList, pages: number): Segment {
    const own = this.#own(list);
    const wanted = count("pages", pages);
    if (wanted === 0) throw argumentRangeError("pages", "at least 1", pages);
    const from = this.#needPages();
    if (!own.kept) throw argumentTypeError("list", "a list of the table's own, added without base", list);
    let memsegs: readonly Memseg[] = [];
    const segment = from.provide(
      own,
      wanted,
      (va) => {
        memsegs = memsegsOf(this.#physical, own, va, wanted);
        this.#record(own, memsegs);
      },
      () => this.recorded.within(own.base, own.base + own.length - 1n),
    );
    this.#segments.add(segment);
    this.#sites?.note(segment);
    for (let i = 0; i < memsegs.length; i++)
      this.#segmentOf[core.memsegFind(this.#handle, (memsegs[i] as Memseg).va)] = segment;
    return segment;
  }

  /**
   * Unmaps a segment wherever the table is attached, and gives its pages back to the operating system. Of what was pinned for
   * sPAPR the kernel lets go a moment later (arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_release, by call_rcu): hugepages
   * are in their pool again only then, and an `allocate` that needs the last of them may meet with ENOMEM until they are.
   *
   * Its views have length 0 from then on. A buffer that was moved out of one shows harmless memory, and a
   * socket that reads into one (`onread`) reads into that, and keeps the addresses until it is destroyed; see shim/README.md.
   *
   * @throws `ERR_FREED`; `ERR_HELD` for a segment of a heap (facts: heap, live), which frees it itself. `ERR_DEVICE_RUNNING` (facts: devices)
   * without an IOMMU, `ERR_STILL_MAPPED` (facts: va, iova) for what `window.map` mapped: a device would reach what comes there. What unmapping throws: the segment then stays as it was, but for `residue`. `ERR_STILL_REGISTERED` when all that failed was to end its registration: the segment is gone, and its pages stay locked until the container tries again.
   * `ERR_KERNEL` of mmap when it is gone, and its pages could not be given back; `ERR_INTERFACE` when a view may be alive.
   */
  free(segment: Segment): void {
    exclusively("memory.free", () => this.#free(segment));
  }

  #free(segment: Segment): void {
    if (!(segment instanceof Segment)) throw argumentTypeError("segment", "a Segment of this table", segment);
    if (segment.freed) throw new DmaWindowError("ERR_FREED", `the segment at ${hex(segment.va)} has been freed`);
    if (!this.#segments.has(segment)) throw argumentTypeError("segment", "a Segment of this table", segment);
    this.holds.checkSegment(segment);
    const own = this.#own(segment.list);
    const memsegs = [...this.recorded.within(segment.va, segment.va + segment.length - 1n)];
    const leftover = this.#forget(own, memsegs);
    this.#segments.delete(segment);
    try {
      this.#needPages().giveBack(own, segment);
    } catch (error) {
      throw withResidue(error, leftover?.residue?.left ?? []);
    }
    if (leftover) throw leftover;
  }

  /** The memseg that holds an address, and its list; `undefined` when none does. */
  find(va: bigint): (Memseg & { readonly list: MemsegList }) | undefined {
    const number = core.memsegFind(this.#core(), address("va", va));
    return number < 0 ? undefined : readable(this.recorded.read(number));
  }

  /**
   * The IOVA that the memory's own memseg states: for that of a window see `window.translate`.
   *
   * A number for a number, -1 where there is none: about 8 ns where the tables are in the processor's caches, and no garbage.
   * The address has to be exact, an integer up to 2^53 - 1 or a multiple of 4096 below 2^64, and so has the answer. A bigint
   * for a bigint, `undefined` where there is none: about 18 ns and 40 bytes of garbage or more.
   *
   * @throws `ERR_NOT_EXACT` (facts: va, iova), `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   */
  translate(va: number): number;
  translate(va: bigint): bigint | undefined;
  translate(va: bigint | number): bigint | number | undefined {
    if (typeof va === "number" && this.#open) return translateByMap(this.#map, va);
    const iova = core.memsegTranslate(this.#core(), exactly("va", va));
    return iova === NO_ADDRESS ? undefined : iova;
  }

  /**
   * Translates addresses in bulk, without garbage: `iovas[i]` becomes what {@link translate} says of `vas[i]`, or 2^64 - 1
   * where there is none. Gives how many there are. `iovas` may be `vas`. Arrays of `window.requests` are used where they are.
   *
   * @param count How many. Default: all that `vas` has.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_OUT_OF_MEMORY`, `ERR_CLOSED`.
   */
  translateInto(vas: BigUint64Array, iovas: BigUint64Array, count?: number): number {
    return translateColumns(core.memsegTranslateMany, this.#core(), vas, iovas, count);
  }

  /** The memsegs, by address: all, or those that touch `length` bytes from `va`. */
  memsegs(va = 0n, length?: bigint | number): Generator<Memseg & { readonly list: MemsegList }, void, void> {
    this.#core();
    const start = address("va", va);
    const last = length === undefined ? NO_ADDRESS : start + size("length", length) - 1n;
    if (last > NO_ADDRESS) throw argumentRangeError("length", "such that the range ends by 2^64", length);
    return shownEach(this.recorded.within(start, last), readable);
  }

  /**
   * Frees every segment and gives all address space back. Heaps must be closed (`using` does that), and containers have let go of
   * it. Once more does nothing.
   *
   * @throws `ERR_HELD` (facts: heap, live), `ERR_ATTACHED`, as {@link free} `ERR_DEVICE_RUNNING` and `ERR_STILL_MAPPED`; `ERR_CLOSE` when the kernel did not take all of the address space: the table is closed all
   * the same, and `residue` says what is left.
   */
  close(): void {
    if (this.#open) endWatched(this, () => exclusively("memory.close", () => this.#close()));
  }

  /**
   * Its segments that are not freed, with the option `callSites` each with the call that allocated it. With that option `close` warns of
   * those that it has to free (`DMA_WINDOW_LEAKS`), and so does a process that ends without it.
   */
  leaks(): readonly Leak[] {
    return segmentLeaks(this.#segments, this.#sites);
  }

  /** @internal */
  override [disposing](): void {
    disposeWith(() => this.holds.end(), this);
  }

  #close(): void {
    this.holds.check("the memory of the table");
    if (this.listeners.size > 0)
      throw new DmaWindowError("ERR_ATTACHED", "the memory is attached: detach it, or close its containers");
    this.holds.checkReachOf(this.#segments);
    const left = this.#pages?.end(this.#segments, this.#lists) ?? [];
    this.#segments.clear();
    this.#segmentOf.length = 0;
    this.#lists.clear();
    this.#spans.clear();
    core.tableClose(this.#handle);
    this.#open = false;
    if (left.length === 0) return;
    throw withResidue(new DmaWindowError("ERR_CLOSE", "the table is closed; address space was not given back"), left);
  }

  /** @internal Whether it asks where its own memory lies. */
  get asksPhysical(): boolean {
    return this.#physical !== undefined;
  }

  /** @internal The kernel that its addresses mean something to; `undefined`: they may to any. */
  get kernel(): Syscalls | undefined {
    return this.#kernel;
  }

  /** @internal The segment that a memseg is a part of, by an address in it: memsegs of one come and go together. */
  segmentAt(va: bigint): Segment | undefined {
    const segment = this.#segmentOf[core.memsegFind(this.#handle, va)];
    return segment && this.#segments.has(segment) ? segment : undefined;
  }

  #record(list: OwnList, memsegs: readonly Memseg[]): void {
    const recorded: Memseg[] = [];
    try {
      for (let i = 0; i < memsegs.length; i++) {
        const memseg = memsegs[i] as Memseg;
        const status = core.memsegAdd(this.#core(), list.index, memseg.va, memseg.iova ?? NO_ADDRESS, memseg.length);
        if (status !== Status.OK) throw refused(status, `memseg of ${bytes(memseg.length)} at ${hex(memseg.va)}`);
        recorded.push(memseg);
      }
      this.listeners.tell(
        (listener) => listener.added(list, memsegs),
        (listener) => listener.removing(list, memsegs),
        () => `${nameOf(memsegs)} are still mapped`,
      );
    } catch (error) {
      for (const memseg of recorded) core.memsegRemove(this.#core(), memseg.va);
      throw error;
    }
  }

  /** Unmaps memsegs everywhere, and forgets them. Gives an error for the registrations that could not be ended. */
  #forget(list: MemsegList, memsegs: readonly Memseg[]): DmaWindowError | undefined {
    const leftovers = this.listeners.tell(
      (listener) => listener.removing(list, memsegs),
      (listener) => listener.added(list, memsegs),
      () => `${nameOf(memsegs)} are not mapped again`,
    );
    const [first, ...more] = leftovers.filter((leftover) => leftover !== undefined);
    const left = more.flatMap(({ residue }) => residue?.left ?? []);
    const leftover = first && (withResidue(first, left) as DmaWindowError);
    for (const { va } of memsegs) core.memsegRemove(this.#core(), va); // last: nothing throws any more
    return leftover;
  }

  #own(list: MemsegList): OwnList {
    this.#core();
    const own = object("list", list) as OwnList;
    if (!this.#lists.has(own)) throw new DmaWindowError("ERR_NOT_FOUND", "the list is not one of this table's");
    return own;
  }

  #needKernel(): Syscalls {
    if (this.#kernel) return this.#kernel;
    throw new DmaWindowError("ERR_NO_KERNEL", "this table was made without a kernel: it cannot get memory of its own");
  }

  #needPages(): OwnPages {
    this.#needKernel();
    return this.#pages as OwnPages;
  }

  #core(): number {
    if (this.#open) return this.#handle;
    throw new DmaWindowError("ERR_CLOSED", "the table is closed");
  }
}

markClass(MemsegTable, "MemsegTable");
inspectable(MemsegTable, "MemsegTable", tellTable);
