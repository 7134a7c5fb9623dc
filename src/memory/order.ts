/**
 * Ranges that do not touch each other, in order of addresses, in chunks of a few hundred: what a new one would touch is found
 * by two binary searches, and room for it is made in its chunk alone, however many there are.
 *
 *     chunks    | a b c d | e f g | h i j k |      each in order, and before the next one; none is empty
 */
export interface Span {
  readonly base: bigint;
  /** Bytes: more than none. base + length is at most 2^64, which a bigint holds. */
  readonly length: bigint;
}

/** A chunk of so many is cut in two. */
const MOST = 512;

export class OrderedSpans<S extends Span> {
  readonly #chunks: S[][] = [];

  /** The first that ends behind `address`; `undefined` when none does. */
  at(address: bigint): S | undefined {
    const chunk = this.#chunks[this.#chunkOf(address)];
    return chunk?.[placeIn(chunk, address)];
  }

  /** One that has addresses from `base` on, `length` bytes; `undefined` when none has. */
  touching(base: bigint, length: bigint): S | undefined {
    const found = this.at(base);
    return found !== undefined && found.base < base + length ? found : undefined;
  }

  /** Puts one in that touches none. */
  add(span: S): void {
    // Behind all others it goes into the last chunk.
    const index = Math.min(this.#chunkOf(span.base), this.#chunks.length - 1);
    const chunk = this.#chunks[index];
    if (chunk === undefined) {
      this.#chunks.push([span]);
      return;
    }
    chunk.splice(placeIn(chunk, span.base), 0, span);
    if (chunk.length === MOST) this.#chunks.splice(index + 1, 0, chunk.splice(MOST / 2));
  }

  /** Takes out one that is in. */
  delete(span: S): void {
    const index = this.#chunkOf(span.base);
    const chunk = this.#chunks[index] as S[];
    chunk.splice(placeIn(chunk, span.base), 1);
    if (chunk.length === 0) this.#chunks.splice(index, 1);
  }

  clear(): void {
    this.#chunks.length = 0;
  }

  /** The first chunk of which the last one ends behind `address`. */
  #chunkOf(address: bigint): number {
    return firstWhere(this.#chunks.length, (i) => endsBehind((this.#chunks[i] as S[]).at(-1) as S, address));
  }
}

function placeIn(chunk: readonly Span[], address: bigint): number {
  return firstWhere(chunk.length, (i) => endsBehind(chunk[i] as Span, address));
}

function endsBehind({ base, length }: Span, address: bigint): boolean {
  return base + length > address;
}

/** The first index of which `holds`; all before it do not, all behind it do. */
function firstWhere(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
