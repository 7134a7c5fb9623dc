/**
 * Memory whose physical addresses a device may know: all that was ever mapped in a window without an IOMMU, and is there still.
 * Unmapping it tells the device nothing.
 */
import { OrderedSpans, type Span } from "../memory/order.ts";

/** By address; neighbours are one. */
export class Told {
  readonly #spans = new OrderedSpans<Span>();

  /** `length` bytes from `va` on, whole pages. */
  add(va: bigint, length: bigint): void {
    let [start, end] = [va, va + length];
    // One page more on each side: what ends there is a neighbour.
    for (let next = this.#near(start, end); next !== undefined; next = this.#near(start, end)) {
      this.#spans.delete(next);
      if (next.base < start) start = next.base;
      if (next.base + next.length > end) end = next.base + next.length;
    }
    this.#spans.add({ base: start, length: end - start });
  }

  remove(va: bigint, length: bigint): void {
    const end = va + length;
    for (let one = this.#spans.touching(va, length); one !== undefined; one = this.#spans.touching(va, length)) {
      this.#spans.delete(one);
      const last = one.base + one.length;
      if (one.base < va) this.#spans.add({ base: one.base, length: va - one.base });
      if (last > end) this.#spans.add({ base: end, length: last - end });
    }
  }

  /** Whether any of `length` bytes from `va` on is. */
  touches(va: bigint, length: bigint): boolean {
    return this.#spans.touching(va, length) !== undefined;
  }

  #near(start: bigint, end: bigint): Span | undefined {
    const from = start > 0n ? start - 1n : start;
    return this.#spans.touching(from, end + 1n - from);
  }
}
