import { pagesPer } from "../pages.ts";
import type { Range } from "../sorted.ts";
import type { AddressSpace } from "./address-space.ts";
import type { Backing } from "./backing.ts";
import { Extents } from "./extents.ts";
import type { FrameRange, Frames } from "./frames.ts";
import type { HugepagePool } from "./hugepage-pool.ts";

/** What simulated memory is made of. */
export interface BackingParts {
  /** Where it is mapped. */
  readonly space: AddressSpace;
  readonly start: number;
  readonly end: number;
  readonly pageShift: number;
  readonly frames: Frames;
  /** Where its hugepages came from, taken already, and go back to. */
  readonly pool: HugepagePool | undefined;
  readonly extents?: Extents;
}

/**
 * Simulated pages: bytes that exist once touched, and frames once asked for. A hugepage goes back to its pool when neither an
 * area nor a pin needs it any more.
 */
export class SimulatedBacking implements Backing {
  readonly start: number;
  readonly end: number;
  readonly pageShift: number;
  readonly extents: Extents;
  readonly #space: AddressSpace;
  readonly #frames: Frames;
  readonly #pool: HugepagePool | undefined;
  /** Areas and pins that need each hugepage of a pool. */
  readonly #holdersOf: Uint32Array | undefined;
  /** All that areas and pins need, in pages of 4 KiB; what two need counts twice. Below 2^53: each is below 2^35. */
  #held = 0;
  #range: FrameRange | undefined;

  constructor({ space, start, end, pageShift, frames, pool, extents }: BackingParts) {
    this.start = start;
    this.end = end;
    this.pageShift = pageShift;
    this.extents = extents ?? new Extents(start, end);
    this.#space = space;
    this.#frames = frames;
    this.#pool = pool;
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

  letGo(start: number, end: number): void {
    this.#held -= end - start;
    if (this.#holdersOf !== undefined) this.#giveBack(this.#holdersOf, start, end);
    if (this.#held > 0 || this.#range === undefined) return;
    this.#frames.giveBack(this.#range);
    this.#range = undefined;
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
  copyFor(child: AddressSpace): SimulatedBacking {
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
      if (holders === 0) this.#pool?.giveBack(this.pageShift, 1);
    }
  }
}
