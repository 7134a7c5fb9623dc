/** A range of addresses, and what is known of it. `end` is outside. */
export interface Span<T> {
  readonly start: bigint;
  readonly end: bigint;
  readonly value: T;
}

/**
 * Ranges that do not overlap, by address. What is set later takes the place of what was there:
 *
 *     |-------- 1 --------|                      set [a, d) to 1
 *     |-- 1 --|-- 2 --|-1-|                      set [b, c) to 2
 *     a       b       c   d
 *
 * Cost: a look-up takes log2(n) steps; `set` and `clear` also move what lies behind them in an array.
 */
export class Spans<T> implements Iterable<Span<T>> {
  readonly #spans: Span<T>[] = [];

  [Symbol.iterator](): Iterator<Span<T>> {
    return this.#spans[Symbol.iterator]();
  }

  /** The one that `address` is in. */
  at(address: bigint): Span<T> | undefined {
    const span = this.#spans[this.#after(address)];
    return span !== undefined && span.start <= address ? span : undefined;
  }

  /** An empty range sets nothing. */
  set(start: bigint, end: bigint, value: T): void {
    if (end <= start) return;
    this.clear(start, end);
    this.#spans.splice(this.#after(start), 0, { start, end, value });
  }

  /** Forgets a range, and cuts what reaches into it. */
  clear(start: bigint, end: bigint): void {
    if (end <= start) return;
    const first = this.#after(start);
    let last = first;
    const kept: Span<T>[] = [];
    for (let span = this.#spans[last]; span !== undefined && span.start < end; span = this.#spans[++last]) {
      if (span.start < start) kept.push({ ...span, end: start });
      if (span.end > end) kept.push({ ...span, start: end });
    }
    this.#spans.splice(first, last - first, ...kept);
  }

  /** Those that have an address of the range, ascending. */
  *within(start: bigint, end: bigint): Generator<Span<T>, void, void> {
    for (let i = this.#after(start); ; i++) {
      const span = this.#spans[i];
      if (span === undefined || span.start >= end) return;
      yield span;
    }
  }

  /** Whether every address of the range is in one of them. */
  covers(start: bigint, end: bigint): boolean {
    for (let at = start; at < end; ) {
      const span = this.at(at);
      if (span === undefined) return false;
      at = span.end;
    }
    return true;
  }

  /** The parts of the range that are in none of them, ascending. */
  gaps(start: bigint, end: bigint): { readonly start: bigint; readonly end: bigint }[] {
    const found: { start: bigint; end: bigint }[] = [];
    let at = start;
    for (let i = this.#after(start); at < end; i++) {
      const span = this.#spans[i];
      const stop = span === undefined || span.start > end ? end : span.start;
      if (stop > at) found.push({ start: at, end: stop });
      if (span === undefined) break;
      at = span.end;
    }
    return found;
  }

  /** The one that overlaps the range or lies nearest to it, the lower one of two; and how many bytes lie between. */
  nearest(start: bigint, end: bigint): { readonly span: Span<T>; readonly distance: bigint } | undefined {
    const index = this.#after(start);
    const [below, above] = [this.#spans[index - 1], this.#spans[index]];
    const down = below === undefined ? undefined : { span: below, distance: start - below.end };
    const up = above === undefined ? undefined : { span: above, distance: above.start > end ? above.start - end : 0n };
    if (down === undefined || up === undefined) return down ?? up;
    return down.distance <= up.distance && up.span.start >= end ? down : up;
  }

  /** The index of the first one that ends behind `address`. */
  #after(address: bigint): number {
    let [low, high] = [0, this.#spans.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#spans[middle] as Span<T>).end > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
