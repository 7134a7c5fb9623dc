import { pagesPer } from "../pages.ts";
import type { Range } from "../sorted.ts";
import type { Addresses, Backing } from "./backing.ts";
import { Extents } from "./extents.ts";
import type { FrameRange, Frames } from "./frames.ts";
import type { HugepagePool } from "./hugepage-pool.ts";

/** What simulated memory is made of. */
export interface BackingParts {
  /** Where it is mapped. */
  readonly space: Addresses;
  readonly start: number;
  readonly end: number;
  readonly pageShift: number;
  readonly frames: Frames;
  /** Where its hugepages came from, taken already, and go back to: which node each is from. */
  readonly pool: HugepagePool | undefined;
  readonly nodes?: Uint16Array | undefined;
  /** Whether they are there for good: those that are not may still come from another node. */
  readonly present?: boolean;
  /** Its hugepages were promised and cannot be had: a cgroup allows no more. */
  readonly absent?: boolean;
  readonly extents?: Extents;
}

/** In the place of a page's node: it could not be had from the one that it is bound to. */
const NOWHERE = 0xffff;

/**
 * Simulated pages: bytes that exist once touched, and frames once asked for. A hugepage goes back to its pool when neither an
 * area nor a pin needs it any more.
 */
export class SimulatedBacking implements Backing {
  readonly start: number;
  readonly end: number;
  readonly pageShift: number;
  readonly extents: Extents;
  readonly #space: Addresses;
  readonly #frames: Frames;
  readonly #pool: HugepagePool | undefined;
  readonly #absent: boolean;
  /** Areas and pins that need each hugepage of a pool. */
  readonly #holdersOf: Uint32Array | undefined;
  /** The node of each of them, or NOWHERE. */
  readonly #nodes: Uint16Array | undefined;
  /** Where those have to come from that are not present yet, by page; only where somebody said so. */
  readonly #boundTo = new Map<number, number>();
  #present: boolean;
  /** All that areas and pins need, in pages of 4 KiB; what two need counts twice. Below 2^53: each is below 2^35. */
  #held = 0;
  #range: FrameRange | undefined;

  constructor({ space, start, end, pageShift, frames, pool, nodes, ...more }: BackingParts) {
    const { present = true, absent = false, extents } = more;
    this.start = start;
    this.end = end;
    this.pageShift = pageShift;
    this.extents = extents ?? new Extents(start, end);
    this.#space = space;
    this.#frames = frames;
    this.#pool = pool;
    this.#nodes = nodes;
    this.#present = present;
    this.#absent = absent;
    if (pool !== undefined) this.#holdersOf = new Uint32Array((end - start) / pagesPer(pageShift));
  }

  get kind(): string {
    return `pages of 2^${this.pageShift}${this.#pool === undefined ? "" : " from the pool"}`;
  }

  /** What has no bytes. A hugepage is never the page of zeros. */
  untouched(start: number, end: number): Range[] {
    return this.#pool === undefined ? this.extents.missing(start, end) : [];
  }

  hold(start: number, end: number): void {
    this.#held += end - start;
    if (this.#holdersOf === undefined) return;
    for (let index = this.#hugepageOf(start); index <= this.#hugepageOf(end - 1); index++) {
      this.#holdersOf[index] = (this.#holdersOf[index] as number) + 1;
    }
  }

  release(start: number, end: number): void {
    this.#held -= end - start;
    if (this.#holdersOf !== undefined) this.#giveBack(this.#holdersOf, start, end);
    if (this.#held > 0 || this.#range === undefined) return;
    this.#frames.giveBack(this.#range);
    this.#range = undefined;
  }

  /**
   * Pages of [start, end) that are not present yet come from one node: what the node does not have is not there. Pages that are
   * present stay where they are. (`mm/mempolicy.c: do_mbind`)
   */
  bind(start: number, end: number, node: number): void {
    if (this.#pool === undefined || this.#nodes === undefined || this.#present) return;
    for (let index = this.#hugepageOf(start); index <= this.#hugepageOf(end - 1); index++) {
      this.#boundTo.set(index, node);
      this.#fetch(index, node);
    }
  }

  /** Makes all of [start, end) present; false where a page cannot be had. Where a part is, the whole counts as present. */
  populate(start: number, end: number): boolean {
    if (this.#nodes === undefined) return true;
    for (let index = this.#hugepageOf(start); index <= this.#hugepageOf(end - 1); index++) {
      if (this.#nodes[index] === NOWHERE && !this.#fetch(index, this.#boundTo.get(index) ?? 0)) return false;
    }
    this.#present = true;
    return true;
  }

  /** Exchanges a page for one of `node`. */
  #fetch(index: number, node: number): boolean {
    const [pool, nodes] = [this.#pool, this.#nodes];
    if (pool === undefined || nodes === undefined || nodes[index] === node) return true;
    if (nodes[index] !== NOWHERE) pool.giveBack(this.pageShift, nodes[index] as number);
    const isThere = pool.take(this.pageShift, 1, node) !== undefined;
    nodes[index] = isThere ? node : NOWHERE;
    return isThere;
  }

  withPage(page: number, use: (bytes: Uint8Array) => void): void {
    use(this.extents.page(page));
  }

  gone(start: number, end: number): Range[] {
    return this.#space.without(this, start, end);
  }

  /**
   * The frame of a page. Neighbouring pages lie in reverse order, so that nobody takes them for contiguous who has not
   * looked; inside a hugepage they are.
   */
  frameOf(page: number): number {
    this.#range ??= this.#place();
    return this.#mirrored(page, this.start, this.#range.start);
  }

  /** A child takes no hugepages from the pool until it writes, which the model does not see. */
  copyFor(child: Addresses): SimulatedBacking {
    const { start, end, pageShift } = this;
    const extents = this.extents.copy();
    return new SimulatedBacking({
      space: child,
      start,
      end,
      pageShift,
      frames: this.#frames,
      pool: undefined,
      extents,
    });
  }

  #place(): FrameRange {
    const count = this.end - this.start;
    const start = this.#frames.place(count, pagesPer(this.pageShift));
    const pageOf = (frame: number) => this.#mirrored(frame, start, this.start);
    const range = { start, end: start + count, backing: this, pageOf };
    this.#frames.take(range);
    return range;
  }

  /** What lies at `at` in a line of pages from `from` on lies here in the line from `to` on that has them in reverse order. */
  #mirrored(at: number, from: number, to: number): number {
    const unit = pagesPer(this.pageShift);
    const last = (this.end - this.start) / unit - 1;
    const index = Math.floor((at - from) / unit);
    return to + (last - index) * unit + ((at - from) % unit);
  }

  #hugepageOf(page: number): number {
    return Math.floor((page - this.start) / pagesPer(this.pageShift));
  }

  #giveBack(holdersOf: Uint32Array, start: number, end: number): void {
    for (let index = this.#hugepageOf(start); index <= this.#hugepageOf(end - 1); index++) {
      const holders = (holdersOf[index] as number) - 1;
      holdersOf[index] = holders;
      if (holders > 0) continue;
      const node = this.#nodes?.[index] ?? 0;
      if (node !== NOWHERE) this.#pool?.giveBack(this.pageShift, node);
      if (!this.#absent) this.#pool?.makeAbsent(this.pageShift, 1);
    }
  }
}
