/**
 * A heap as its users see it, slowly and exactly: for each granule of 64 bytes whose it is, and addresses as bigint, which do not
 * wrap. It does not say where a buffer is put; it says whether that was right.
 */
const GRANULE = 64n;

/** What was asked for; shifts as the allocator takes them, `boundary` 0: none. */
export interface Asked {
  readonly bytes: number;
  readonly align: number;
  readonly boundary: number;
}

export interface Placed {
  readonly iova: bigint;
  readonly va: bigint;
  readonly granules: number;
}

/** Memory that is contiguous in IOVAs and in addresses. */
interface Piece {
  readonly iova: bigint;
  readonly va: bigint;
  /** The handle of each granule; 0: it is free. */
  readonly owners: Int32Array;
}

const bytesOf = (piece: Piece): bigint => BigInt(piece.owners.length) * GRANULE;
const endOf = (piece: Piece): bigint => piece.iova + bytesOf(piece);

export function alignedUp(value: bigint, shift: number): bigint {
  const unit = 1n << BigInt(shift);
  return ((value + unit - 1n) / unit) * unit;
}

export function granulesFor(bytes: number): number {
  return Math.ceil(bytes / Number(GRANULE));
}

/** Whether `bytes` from an IOVA lie in one block of 2^boundary. */
export function keepsBoundary(iova: bigint, bytes: number, boundary: number): boolean {
  return boundary === 0 || iova >> BigInt(boundary) === (iova + BigInt(bytes) - 1n) >> BigInt(boundary);
}

export type Refusal = "ZERO_LENGTH" | "UNALIGNED" | "WRAPS" | "OVERLAPS" | "NOT_FREE";

export class HeapTwin {
  /** By IOVA. Two that meet are one run all the same. */
  #pieces: Piece[] = [];
  readonly #live = new Map<number, Placed>();
  /** What each descriptor's live handle is. */
  readonly #atIndex = new Map<number, number>();
  liveBytes = 0n;
  totalBytes = 0n;

  get live(): ReadonlyMap<number, Placed> {
    return this.#live;
  }

  get handles(): number[] {
    return [...this.#live.keys()];
  }

  liveAt(index: number): number | undefined {
    return this.#atIndex.get(index);
  }

  /** Adds memory, or says why not. */
  add(iova: bigint, va: bigint, size: bigint): Refusal | undefined {
    if ((iova | va | size) & 63n) return "UNALIGNED";
    if (size === 0n) return "ZERO_LENGTH";
    if (iova + size > 1n << 64n || va + size > 1n << 64n) return "WRAPS";
    const hits = (a: bigint, b: bigint, length: bigint): boolean => a < b + length && b < a + size;
    if (this.#pieces.some((piece) => hits(iova, piece.iova, bytesOf(piece)) || hits(va, piece.va, bytesOf(piece))))
      return "OVERLAPS";
    this.#pieces.push({ iova, va, owners: new Int32Array(Number(size / GRANULE)) });
    this.#pieces.sort((a, b) => (a.iova < b.iova ? -1 : 1));
    this.totalBytes += size;
    return undefined;
  }

  remove(iova: bigint, size: bigint): Refusal | undefined {
    if ((iova | size) & 63n) return "UNALIGNED";
    if (size === 0n) return "ZERO_LENGTH";
    const run = this.runs().find(({ from, to }) => from <= iova && iova + size <= to);
    if (run === undefined || !this.#isFree(iova, size)) return "NOT_FREE";
    const left: Piece[] = [];
    for (const piece of this.#pieces) {
      const [from, to] = [piece.iova, endOf(piece)];
      const cut = (start: bigint, end: bigint): void => {
        if (start >= end) return;
        const first = Number((start - from) / GRANULE);
        const owners = piece.owners.slice(first, first + Number((end - start) / GRANULE));
        left.push({ iova: start, va: piece.va + (start - from), owners });
      };
      if (to <= iova || iova + size <= from) {
        left.push(piece);
        continue;
      }
      cut(from, iova > from ? iova : from);
      cut(iova + size < to ? iova + size : to, to);
    }
    this.#pieces = left;
    this.totalBytes -= size;
    return undefined;
  }

  /** What is contiguous in both, from and to IOVAs. */
  runs(): { from: bigint; to: bigint; va: bigint }[] {
    const runs: { from: bigint; to: bigint; va: bigint }[] = [];
    for (const piece of this.#pieces) {
      const last = runs.at(-1);
      if (last !== undefined && last.to === piece.iova && last.va + (last.to - last.from) === piece.va)
        last.to = endOf(piece);
      else runs.push({ from: piece.iova, to: endOf(piece), va: piece.va });
    }
    return runs;
  }

  /** Free ranges that are as long as they can be. */
  *free(): Generator<{ from: bigint; to: bigint }> {
    let open: { from: bigint; to: bigint; va: bigint } | undefined;
    for (const piece of this.#pieces) {
      for (let i = 0; i < piece.owners.length; ) {
        let end = i;
        while (end < piece.owners.length && piece.owners[end] === 0) end++;
        if (end > i) {
          const [from, va] = [piece.iova + BigInt(i) * GRANULE, piece.va + BigInt(i) * GRANULE];
          const to = piece.iova + BigInt(end) * GRANULE;
          if (open !== undefined && open.to === from && open.va + (open.to - open.from) === va) open.to = to;
          else {
            if (open !== undefined) yield open;
            open = { from, to, va };
          }
        }
        i = end;
        while (i < piece.owners.length && piece.owners[i] !== 0) i++;
      }
    }
    if (open !== undefined) yield open;
  }

  /** Whether there is a place for it, wherever. */
  fits({ bytes, align, boundary }: Asked): boolean {
    const size = BigInt(granulesFor(bytes)) * GRANULE;
    for (const { from, to } of this.free()) {
      let at = alignedUp(from, Math.max(align, 6));
      if (!keepsBoundary(at, bytes, boundary)) at = alignedUp(at, boundary);
      if (at + size <= to) return true;
    }
    return false;
  }

  /** A buffer that was given out: says what is wrong with it. */
  take(handle: number, placed: Placed, { bytes, align, boundary }: Asked): string | undefined {
    const { iova, va, granules } = placed;
    if (granules !== granulesFor(bytes)) return `${granules} granules for ${bytes} bytes`;
    if (iova % (1n << BigInt(Math.max(align, 6))) !== 0n) return "not aligned";
    if (!keepsBoundary(iova, bytes, boundary)) return "crosses its boundary";
    if (this.#live.has(handle)) return "a handle that is live already";
    const index = handle & 0x3fffff;
    if (this.#atIndex.has(index)) return "a descriptor that is in use";
    for (const { owners, first, count } of this.#slices(iova, va, granules)) {
      for (let i = first; i < first + count; i++) if (owners[i] !== 0) return `overlaps ${owners[i]}`;
      owners.fill(handle, first, first + count);
      this.liveBytes += BigInt(count) * GRANULE;
    }
    if (this.#marked !== granules) return "is not memory of the heap, or not behind its IOVA";
    this.#live.set(handle, placed);
    this.#atIndex.set(index, handle);
    return undefined;
  }

  release(handle: number): boolean {
    const placed = this.#live.get(handle);
    if (placed === undefined) return false;
    for (const { owners, first, count } of this.#slices(placed.iova, placed.va, placed.granules)) {
      owners.fill(0, first, first + count);
      this.liveBytes -= BigInt(count) * GRANULE;
    }
    this.#live.delete(handle);
    this.#atIndex.delete(handle & 0x3fffff);
    return true;
  }

  #marked = 0;

  /** The parts of pieces that a range has, as far as their memory is that at `va`. */
  *#slices(
    iova: bigint,
    va: bigint,
    granules: number,
  ): Generator<{ owners: Int32Array; first: number; count: number }> {
    const end = iova + BigInt(granules) * GRANULE;
    this.#marked = 0;
    for (const piece of this.#pieces) {
      const from = piece.iova > iova ? piece.iova : iova;
      const to = endOf(piece) < end ? endOf(piece) : end;
      if (from >= to || va + (from - iova) !== piece.va + (from - piece.iova)) continue;
      const count = Number((to - from) / GRANULE);
      this.#marked += count;
      yield { owners: piece.owners, first: Number((from - piece.iova) / GRANULE), count };
    }
  }

  #isFree(iova: bigint, size: bigint): boolean {
    for (const { from, to } of this.free()) if (from <= iova && iova + size <= to) return true;
    return false;
  }
}
