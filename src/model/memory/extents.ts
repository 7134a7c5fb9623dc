import { ModelUnknown } from "../errors.ts";
import { PAGE_BYTES } from "../pages.ts";
import { type Range, SortedRanges } from "../sorted.ts";

/** A piece of storage; `start` is the page of 4 KiB that its first byte belongs to. */
export interface Store {
  bytes: ArrayBuffer;
  readonly start: number;
  /** Views of it that have not been ended: until then it stays where it is. */
  views: number;
}

/** Pages whose bytes are in `store`, which may hold those of neighbours too. */
interface Extent extends Range {
  readonly store: Store;
}

/** How much is made when a device touches a page of which no byte exists yet: 1 MiB. */
const TOUCHED_PAGES = 256;

/**
 * The bytes of a stretch of simulated memory, in the pieces that were needed so far. What nobody has touched is zero and
 * costs nothing.
 *
 *     pages    |start ................................ end)
 *     extents        [ .... )   [ . )        [ .......... )
 */
export class Extents {
  readonly #start: number;
  readonly #end: number;
  readonly #extents = new SortedRanges<Extent>();

  constructor(start: number, end: number) {
    this.#start = start;
    this.#end = end;
  }

  /** The 4096 bytes of `page`, made if need be. They are a view: keep it for the moment only. */
  page(page: number): Uint8Array {
    const { store } = this.#extents.at(page) ?? this.#make(page);
    return new Uint8Array(shownBy(store), (page - store.start) * PAGE_BYTES, PAGE_BYTES);
  }

  /** The one store that holds all of [start, end); `undefined` when there are several, or bytes that do not exist yet. */
  storeOf(start: number, end: number): Store | undefined {
    const extent = this.#extents.at(start);
    return extent !== undefined && extent.end >= end ? extent.store : undefined;
  }

  /** Whether somebody looks at bytes of [start, end), which then cannot move. */
  isViewed(start: number, end: number): boolean {
    return this.#within(start, end).some(({ store }) => store.views > 0);
  }

  /** The pieces of [start, end) of which no byte exists. */
  missing(start: number, end: number): Range[] {
    const pieces: Range[] = [];
    let at = start;
    for (const extent of this.#within(start, end)) {
      if (extent.start > at) pieces.push({ start: at, end: extent.start });
      at = extent.end;
    }
    if (at < end) pieces.push({ start: at, end });
    return pieces;
  }

  /** Moves the bytes of [start, end) into `store`. Trusted: nobody is looking at them. */
  moveTo(store: Store, start: number, end: number): void {
    for (const extent of this.#within(start, end)) {
      const from = Math.max(extent.start, start);
      const to = Math.min(extent.end, end);
      bytesIn(store, from, to).set(bytesIn(extent.store, from, to));
      this.#extents.remove(extent);
      if (extent.start < start) this.#extents.insert({ ...extent, end: start });
      if (extent.end > end) this.#extents.insert({ ...extent, start: end });
    }
    this.#extents.insert({ start, end, store });
  }

  /** The same bytes once more. */
  copy(): Extents {
    const copy = new Extents(this.#start, this.#end);
    for (const { start, end, store } of this.#extents) {
      const bytes = bytesIn(store, start, end).slice().buffer;
      copy.#extents.insert({ start, end, store: { bytes, start, views: 0 } });
    }
    return copy;
  }

  #within(start: number, end: number): Extent[] {
    const found: Extent[] = [];
    for (let at = start; ; ) {
      const extent = this.#extents.overlapping(at, end);
      if (extent === undefined) return found;
      found.push(extent);
      at = extent.end;
    }
  }

  /** The block around `page`, as far as its neighbours leave room. */
  #make(page: number): Extent {
    let start = Math.max(Math.floor(page / TOUCHED_PAGES) * TOUCHED_PAGES, this.#start);
    let end = Math.min(Math.floor(page / TOUCHED_PAGES) * TOUCHED_PAGES + TOUCHED_PAGES, this.#end);
    for (const { start: from, end: to } of this.#within(start, end)) {
      if (to <= page) start = to;
      else end = Math.min(end, from);
    }
    const store = { bytes: new ArrayBuffer((end - start) * PAGE_BYTES), start, views: 0 };
    const extent = { start, end, store };
    this.#extents.insert(extent);
    return extent;
  }
}

function bytesIn(store: Store, start: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(shownBy(store), (start - store.start) * PAGE_BYTES, (end - start) * PAGE_BYTES);
}

/**
 * The bytes of a piece of storage. @throws ModelUnknown where the program has moved them out of a view (`transfer`): real memory
 * is still there then, and this one is the program's alone.
 */
export function shownBy({ bytes }: Store): ArrayBuffer {
  if (bytes.byteLength > 0) return bytes;
  throw new ModelUnknown("memory whose bytes the program has moved out of a view of it (transfer)");
}
