import { Closable } from "../closable.ts";
import { core, ListFlag, NO_ADDRESS, Status } from "../core.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import { address, boolean, count, object, pageShift, size, syscalls } from "../validate.ts";
import { translateColumns } from "./arrays.ts";
import { Listeners } from "./listeners.ts";
import { nodeFor } from "./node.ts";
import type { ListOptions, MemsegTableOptions } from "./options.ts";
import { populate, release, reserveSpace, vacate } from "./pages.ts";
import { type PhysicalResolver, physicalRuns } from "./physical.ts";
import { refused } from "./refusals.ts";
import { Segment } from "./segment.ts";
import type { MemoryListener, Memseg, MemsegList } from "./types.ts";
import { translateByTable } from "./walk.ts";

/** A list and its address space, as the table keeps them. */
interface OwnList extends MemsegList {
  readonly index: number;
  readonly pageShift: number;
  readonly kept: boolean;
}

/**
 * Memory, as lists of address space and the pages in them. The record itself is the core's; containers that a table is
 * attached to map what comes and unmap what goes, in the same call.
 */
export class MemsegTable extends Closable {
  readonly #kernel: Syscalls | undefined;
  readonly #physical: PhysicalResolver | undefined;
  readonly #handle: number;
  /** Where the core keeps it: the same place as long as it is open. */
  readonly #tables: number;
  readonly #lists = new Map<number, OwnList>();
  readonly #segments = new Set<Segment>();
  readonly #listeners = new Listeners();
  #open = true;

  constructor(options: MemsegTableOptions = {}) {
    super();
    object("options", options);
    const { physical } = options;
    if (physical !== undefined && typeof physical !== "boolean" && typeof physical !== "function") {
      throw argumentTypeError("physical", "a function, true, or false", physical);
    }
    this.#kernel = options.kernel === undefined ? undefined : syscalls("kernel", options.kernel);
    if (typeof physical === "function") this.#physical = physical;
    else this.#physical = physical ? (...asked) => this.#needKernel().physicalAddresses(...asked) : undefined;
    this.#handle = core.tableOpen();
    if (this.#handle <= 0) throw new DmaWindowError("ERR_OUT_OF_MEMORY", "no room for a table in the core's memory");
    this.#tables = core.tableTables(this.#handle);
  }

  /** The lists, in the order in which they came. */
  get lists(): readonly MemsegList[] {
    return [...this.#lists.values()];
  }

  /** Bytes of all memsegs. */
  get bytes(): bigint {
    return core.memsegBytes(this.#core());
  }

  /** How many memsegs there are. */
  get size(): number {
    return core.memsegCount(this.#core());
  }

  /** Memsegs whose IOVA is known, and their bytes. */
  get valid(): { readonly count: number; readonly bytes: bigint } {
    const table = this.#core();
    return { count: core.knownCount(table), bytes: core.knownBytes(table) };
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
    const table = this.#core();
    object("options", options);
    const shift = pageShift("pageSize", options.pageSize);
    const pageSize = 1n << BigInt(shift);
    const length = size("maxBytes", options.maxBytes);
    const external = options.external !== undefined && boolean("external", options.external);
    const heap = options.heap !== undefined && boolean("heap", options.heap);
    if (length === 0n || length % pageSize !== 0n) {
      throw argumentRangeError(
        "maxBytes",
        `a multiple of the page size ${bytes(pageSize)}, and not 0`,
        options.maxBytes,
      );
    }
    const kept = options.base === undefined;
    if (kept && pageSize < BigInt(this.#needKernel().pageSize)) {
      const least = bytes(this.#needKernel().pageSize);
      throw argumentRangeError("pageSize", `at least the CPU's, ${least}, without base`, options.pageSize);
    }
    const near = options.near === undefined ? 0n : address("near", options.near);
    const node = options.node === undefined ? {} : { node: nodeFor(this.#needKernel(), options.node, kept) };
    const base =
      options.base === undefined
        ? reserveSpace(this.#needKernel(), length, shift, near)
        : address("base", options.base);
    const flags = (external ? ListFlag.EXTERNAL : 0) | (heap ? ListFlag.HEAP : 0);
    const index = core.listAdd(table, base, length, shift, flags);
    if (index < 0) {
      const refusal = refused(-index, `list of ${bytes(length)} at ${hex(base)} with pages of ${bytes(pageSize)}`);
      throw withResidue(refusal, kept ? leftBy(() => release(this.#needKernel(), base, length)) : []);
    }
    const list: OwnList = Object.freeze({
      index,
      base,
      length,
      pageSize,
      pageShift: shift,
      external,
      heap,
      kept,
      ...node,
    });
    try {
      this.#listeners.tell(
        (listener) => listener.listAdded(list),
        (listener) => listener.listRemoved(list),
        () => `IOVAs stay set aside for the list at ${hex(base)}`,
      );
    } catch (error) {
      core.listRemove(table, index);
      throw withResidue(error, kept ? leftBy(() => release(this.#needKernel(), base, length)) : []);
    }
    this.#lists.set(index, list);
    return list;
  }

  /**
   * Removes a list without memsegs, and gives its address space back.
   *
   * @throws `ERR_BUSY`, `ERR_NOT_FOUND`; `ERR_KERNEL` when the list is gone, and only its address space was not taken back.
   */
  removeList(list: MemsegList): void {
    const own = this.#own(list);
    const status = core.listRemove(this.#core(), own.index);
    if (status !== Status.OK) throw refused(status, `list at ${hex(own.base)}`);
    this.#listeners.tell(
      (listener) => listener.listRemoved(own),
      (listener) => listener.listAdded(own),
      () => `no IOVAs are set aside for the list at ${hex(own.base)}`,
    );
    this.#lists.delete(own.index);
    if (!own.kept) return;
    try {
      release(this.#needKernel(), own.base, own.length);
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
  add(list: MemsegList, memseg: Memseg): void {
    const own = this.#own(list);
    object("memseg", memseg);
    address("memseg.va", memseg.va);
    address("memseg.length", memseg.length);
    if (memseg.iova !== undefined && address("memseg.iova", memseg.iova) === NO_ADDRESS) {
      throw argumentRangeError("memseg.iova", "the first byte of a page; left out where it is not known", memseg.iova);
    }
    this.#record(own, [memseg]);
  }

  /**
   * Unmaps the memseg that begins at `va`, and forgets it. @throws `ERR_NOT_FOUND`; what unmapping throws: the memseg
   * then stays. `ERR_SEGMENT` for memory of `allocate`, which is `free`'s.
   */
  remove(va: bigint): void {
    address("va", va);
    for (const segment of this.#segments) {
      if (va >= segment.va && va < segment.va + segment.length) {
        throw new DmaWindowError("ERR_SEGMENT", `${hex(va)} belongs to an allocated segment: free it instead`);
      }
    }
    const memseg = this.find(va);
    if (memseg === undefined || memseg.va !== va) throw refused(Status.NOT_FOUND, `memseg at ${hex(va)}`);
    const leftover = this.#forget(memseg.list, [memseg]);
    if (leftover) throw leftover;
  }

  /**
   * `pages` pages in a row from a list of the table's own, present, and mapped wherever the table is attached.
   *
   * @throws `ERR_LIST_FULL`; `ERR_NODE_FULL`; `ERR_KERNEL` when there is no memory; what mapping it throws. Nothing is left behind.
   */
  allocate(list: MemsegList, pages: number): Segment {
    const own = this.#own(list);
    const wanted = count("pages", pages);
    if (wanted === 0) throw argumentRangeError("pages", "at least 1", pages);
    const kernel = this.#needKernel();
    if (!own.kept) throw argumentTypeError("list", "a list of the table's own, added without base", list);
    const va = core.listFreePages(this.#core(), own.index, BigInt(wanted));
    if (va === NO_ADDRESS) {
      const about = `${wanted} pages of ${bytes(own.pageSize)} in a row`;
      throw new DmaWindowError(
        "ERR_LIST_FULL",
        `the list at ${hex(own.base)} has no ${about} free; it holds ${bytes(own.length)}`,
      );
    }
    const length = BigInt(wanted) * own.pageSize;
    populate(kernel, va, length, own.pageShift, own.node);
    try {
      this.#record(own, this.#memsegsOf(own, va, wanted));
    } catch (error) {
      throw withResidue(
        error,
        leftBy(() => vacate(kernel, va, length, own.pageShift)),
      );
    }
    const segment = new Segment(kernel, own, va, length);
    this.#segments.add(segment);
    return segment;
  }

  /**
   * Unmaps a segment wherever the table is attached, and gives its pages back to the operating system. Of what was pinned for
   * sPAPR the kernel lets go a moment later (arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_release, by call_rcu): hugepages
   * are in their pool again only then, and an `allocate` that needs the last of them may meet with ENOMEM until they are.
   *
   * @throws `ERR_FREED`; what unmapping throws: the segment then stays as it was. `ERR_STILL_REGISTERED` when all that
   * failed was to end its registration: the segment is gone, and its pages stay locked until the container tries again.
   * `ERR_KERNEL` of mmap when the segment is gone, and only its pages could not be given back.
   */
  free(segment: Segment): void {
    if (!(segment instanceof Segment)) throw argumentTypeError("segment", "a Segment of this table", segment);
    if (segment.freed) throw new DmaWindowError("ERR_FREED", `the segment at ${hex(segment.va)} has been freed`);
    if (!this.#segments.has(segment)) throw argumentTypeError("segment", "a Segment of this table", segment);
    const own = this.#own(segment.list);
    const leftover = this.#forget(own, [...this.memsegs(segment.va, segment.length)]);
    segment.end();
    this.#segments.delete(segment);
    try {
      vacate(this.#needKernel(), segment.va, segment.length, own.pageShift);
    } catch (error) {
      const pages = `${bytes(segment.length)} of memory at ${hex(segment.va)} are not given back`;
      throw withResidue(error, [pages, ...(leftover?.residue?.left ?? [])]);
    }
    if (leftover) throw leftover;
  }

  /** The memseg that holds an address, and its list; `undefined` when none does. */
  find(va: bigint): (Memseg & { readonly list: MemsegList }) | undefined {
    const number = core.memsegFind(this.#core(), address("va", va));
    return number < 0 ? undefined : this.#read(number);
  }

  /**
   * The IOVA that the memory's own memseg states: for that of a window see `window.translate`.
   *
   * A number for a number, -1 where there is none: about 12 ns where the tables are in the processor's caches, and no garbage.
   * The address has to be exact, an integer up to 2^53 - 1 or a multiple of 4096 below 2^64, and so has the answer. A bigint
   * for a bigint, `undefined` where there is none: about 18 ns and 40 bytes of garbage or more.
   *
   * @throws `ERR_NOT_EXACT` (facts: va, iova), `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_CLOSED`.
   */
  translate(va: number): number;
  translate(va: bigint): bigint | undefined;
  translate(va: bigint | number): bigint | number | undefined {
    if (typeof va === "number" && this.#open) return translateByTable(this.#tables, va);
    const iova = core.memsegTranslate(this.#core(), address("va", va));
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
  memsegs(va = 0n, length?: bigint): Generator<Memseg & { readonly list: MemsegList }, void, void> {
    this.#core();
    const start = address("va", va);
    if (length === undefined) return this.#walk(start, NO_ADDRESS);
    const last = start + address("length", length) - 1n;
    if (last > NO_ADDRESS) throw argumentRangeError("length", "such that the range ends by 2^64", length);
    return this.#walk(start, last);
  }

  *#walk(start: bigint, last: bigint): Generator<Memseg & { readonly list: MemsegList }, void, void> {
    for (let at = start; at <= last; ) {
      const number = core.memsegNext(this.#core(), at, last);
      if (number < 0) return;
      const memseg = this.#read(number);
      yield memseg;
      at = memseg.va + memseg.length;
    }
  }

  /**
   * Frees every segment and gives all address space back. Containers must have let go of it. Once more does nothing.
   *
   * @throws `ERR_ATTACHED`; `ERR_CLOSE` when the kernel did not take all of the address space: the table is closed all
   * the same, and `residue` says what is left.
   */
  close(): void {
    if (!this.#open) return;
    if (this.#listeners.size > 0)
      throw new DmaWindowError("ERR_ATTACHED", "the memory is attached: detach it, or close its containers");
    for (const segment of this.#segments) segment.end();
    this.#segments.clear();
    const kept = this.lists.filter((list) => (list as OwnList).kept);
    const left = kept.flatMap(({ base, length }) => leftBy(() => release(this.#needKernel(), base, length)));
    this.#lists.clear();
    core.tableClose(this.#handle);
    this.#open = false;
    if (left.length > 0) {
      throw withResidue(
        new DmaWindowError("ERR_CLOSE", "the table is closed, and address space was not given back"),
        left,
      );
    }
  }

  /** @internal */
  listen(listener: MemoryListener): void {
    this.#listeners.add(listener);
  }

  /** @internal */
  unlisten(listener: MemoryListener): void {
    this.#listeners.remove(listener);
  }

  #record(list: OwnList, memsegs: readonly Memseg[]): void {
    const recorded: Memseg[] = [];
    try {
      for (const memseg of memsegs) {
        const status = core.memsegAdd(this.#core(), list.index, memseg.va, memseg.iova ?? NO_ADDRESS, memseg.length);
        if (status !== Status.OK) throw refused(status, `memseg of ${bytes(memseg.length)} at ${hex(memseg.va)}`);
        recorded.push(memseg);
      }
      this.#listeners.tell(
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
    const leftovers = this.#listeners.tell(
      (listener) => listener.removing(list, memsegs),
      (listener) => listener.added(list, memsegs),
      () => `${nameOf(memsegs)} are not mapped again`,
    );
    for (const memseg of memsegs) core.memsegRemove(this.#core(), memseg.va);
    const [first, ...more] = leftovers.filter((leftover) => leftover !== undefined);
    const left = more.flatMap(({ residue }) => residue?.left ?? []);
    return first && (withResidue(first, left) as DmaWindowError);
  }

  /** One memseg, or, where physical addresses are wanted, one for each run of pages that follow each other there too. */
  #memsegsOf(list: OwnList, va: bigint, pages: number): Memseg[] {
    if (this.#physical) return physicalRuns(this.#physical, va, pages, list.pageSize);
    return [{ va, length: BigInt(pages) * list.pageSize }];
  }

  #read(number: number): Memseg & { readonly list: MemsegList } {
    const table = this.#core();
    const iova = core.memsegIova(table, number);
    return {
      va: core.memsegVa(table, number),
      length: core.memsegLength(table, number),
      ...(iova === NO_ADDRESS ? {} : { iova }),
      list: this.#lists.get(core.memsegList(table, number)) as OwnList,
    };
  }

  #own(list: MemsegList): OwnList {
    this.#core();
    object("list", list);
    const own = list as OwnList;
    if (this.#lists.get(own.index) !== own)
      throw new DmaWindowError("ERR_NOT_FOUND", "the list is not one of this table's");
    return own;
  }

  #needKernel(): Syscalls {
    if (this.#kernel) return this.#kernel;
    throw new DmaWindowError("ERR_NO_KERNEL", "this table was made without a kernel: it cannot get memory of its own");
  }

  #core(): number {
    if (this.#open) return this.#handle;
    throw new DmaWindowError("ERR_CLOSED", "the table is closed");
  }
}

/** Memsegs of one call lie one behind the other. */
function nameOf(memsegs: readonly Memseg[]): string {
  const length = memsegs.reduce((sum, memseg) => sum + memseg.length, 0n);
  return `${bytes(length)} of memory at ${hex(memsegs[0]?.va ?? NO_ADDRESS)}`;
}
