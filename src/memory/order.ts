/**
 * Ranges that do not touch each other, in order of addresses, in chunks of a few dozen: what a new one would touch is found
 * by two binary searches, and room for it is made in its chunk alone, however many there are.
 *
 *     chunks    | a b c d | e f g | h i j k |      each in order, and before the next one; none is empty
 */
export interface Span {
  /** A page's first byte, of 4 KiB or more. */
  readonly base: bigint;
  /** Bytes: whole pages, more than none. base + length is at most 2^64, which a bigint holds. */
  readonly length: bigint;
}

/** A chunk of so many is cut in two. */
const MOST = 64;

/** Page numbers as numbers: 2^52 at most, so exact. They lie in one array, and no bigint is made on the way of a search. */
interface Chunk<S> {
  readonly ends: number[];
  readonly spans: S[];
}

export class OrderedSpans<S extends Span> {
  readonly #chunks: Chunk<S>[] = [];

  /** The first that ends behind `address`; `undefined` when none does. */
  at(address: bigint): S | undefined {
    const page = pageOf(address);
    const chunk = this.#chunks[this.#chunkOf(page)];
    return chunk?.spans[placeIn(chunk.ends, page)];
  }

  /** One that has addresses from `base` on, `length` bytes; `undefined` when none has. */
  touching(base: bigint, length: bigint): S | undefined {
    const found = this.at(base);
    return found !== undefined && found.base < base + length ? found : undefined;
  }

  /** Puts one in that touches none. */
  add(span: S): void {
    const page = pageOf(span.base);
    // Behind all others it goes into the last chunk.
    const index = Math.min(this.#chunkOf(page), this.#chunks.length - 1);
    const chunk = this.#chunks[index];
    const end = pageOf(span.base + span.length);
    if (chunk === undefined) {
      this.#chunks.push({ ends: [end], spans: [span] });
      return;
    }
    const place = placeIn(chunk.ends, page);
    chunk.ends.splice(place, 0, end);
    chunk.spans.splice(place, 0, span);
    if (chunk.ends.length < MOST) return;
    this.#chunks.splice(index + 1, 0, { ends: chunk.ends.splice(MOST / 2), spans: chunk.spans.splice(MOST / 2) });
  }

  /** Takes out one that is in. */
  delete(span: S): void {
    const page = pageOf(span.base);
    const index = this.#chunkOf(page);
    const { ends, spans } = this.#chunks[index] as Chunk<S>;
    const place = placeIn(ends, page);
    ends.splice(place, 1);
    spans.splice(place, 1);
    if (ends.length === 0) this.#chunks.splice(index, 1);
  }

  clear(): void {
    this.#chunks.length = 0;
  }

  /** The first chunk of which the last one ends behind a page's first byte. */
  #chunkOf(page: number): number {
    let [low, high] = [0, this.#chunks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { ends } = this.#chunks[middle] as Chunk<S>;
      if ((ends[ends.length - 1] as number) > page) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The first of them that ends behind a page's first byte. */
function placeIn(ends: readonly number[], page: number): number {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] as number) > page) high = middle;
    else low = middle + 1;
  }
  return low;
}

function pageOf(address: bigint): number {
  return Number(address >> 12n);
}
