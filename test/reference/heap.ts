/**
 * A heap as its users see it, slowly and exactly: for each granule of 64 bytes whose it is, and addresses as bigint, which do not
 * wrap. It does not say where a buffer is put; it says whether that was right.
 */
const GRANULE = 64n;
const INDEX = 0x3fffff;

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

/** Memory that is contiguous in IOVAs and in addresses, as far as it goes. */
interface Run {
  readonly iova: bigint;
  readonly va: bigint;
  /** The handle of each granule; 0: it is free. */
  readonly owners: Int32Array;
}

const bytesOf = (run: Run): bigint => BigInt(run.owners.length) * GRANULE;
const endOf = (run: Run): bigint => run.iova + bytesOf(run);
const granulesIn = (bytes: bigint): number => Number(bytes / GRANULE);

function joined(a: Run, b: Run): Run {
  const owners = new Int32Array(a.owners.length + b.owners.length);
  owners.set(a.owners);
  owners.set(b.owners, a.owners.length);
  return { iova: a.iova, va: a.va, owners };
}

export function alignedUp(value: bigint, shift: number): bigint {
  const unit = 1n << BigInt(shift);
  return ((value + unit - 1n) / unit) * unit;
}

export function granulesFor(bytes: number): number {
  return Math.ceil(bytes / Number(GRANULE));
}

/** The most that is given: up to 64 KiB, wherever they lie, granules are counted in 64ths of the power of two below. */
export function granulesGiven({ bytes, align, boundary }: Asked): number {
  const granules = granulesFor(bytes);
  const isAnywhere = align <= 6 && (boundary <= 6 || boundary >= 64);
  if (!isAnywhere || granules > 1024) return granules;
  let unit = 1;
  while (unit * 128 <= granules) unit *= 2;
  return Math.ceil(granules / unit) * unit;
}

/** Whether `bytes` from an IOVA lie in one block of 2^boundary. */
export function keepsBoundary(iova: bigint, bytes: number, boundary: number): boolean {
  return boundary === 0 || iova >> BigInt(boundary) === (iova + BigInt(bytes) - 1n) >> BigInt(boundary);
}

export type Refusal = "ZERO_LENGTH" | "UNALIGNED" | "WRAPS" | "OVERLAPS" | "NOT_FREE";

export class HeapTwin {
  /** By IOVA. */
  #runs: Run[] = [];
  readonly #live = new Map<number, Placed>();
  /** What each descriptor's live handle is. */
  readonly #atIndex = new Map<number, number>();
  liveBytes = 0n;
  totalBytes = 0n;

  get live(): ReadonlyMap<number, Placed> {
    return this.#live;
  }

  liveAt(index: number): number | undefined {
    return this.#atIndex.get(index);
  }

  get runs(): readonly { readonly iova: bigint; readonly va: bigint; readonly size: bigint }[] {
    return this.#runs.map((run) => ({ iova: run.iova, va: run.va, size: bytesOf(run) }));
  }

  /** Adds memory, or says why not. */
  add(iova: bigint, va: bigint, size: bigint): Refusal | undefined {
    if ((iova | va | size) & 63n) return "UNALIGNED";
    if (size === 0n) return "ZERO_LENGTH";
    if (iova + size > 1n << 64n || va + size > 1n << 64n) return "WRAPS";
    const meet = (a: bigint, b: bigint, length: bigint): boolean => a < b + length && b < a + size;
    if (this.#runs.some((run) => meet(iova, run.iova, bytesOf(run)) || meet(va, run.va, bytesOf(run))))
      return "OVERLAPS";
    const all = [...this.#runs, { iova, va, owners: new Int32Array(granulesIn(size)) }];
    all.sort((a, b) => (a.iova < b.iova ? -1 : 1));
    this.#runs = [];
    for (const run of all) {
      const last = this.#runs.at(-1);
      if (last !== undefined && endOf(last) === run.iova && last.va + bytesOf(last) === run.va)
        this.#runs.splice(-1, 1, joined(last, run));
      else this.#runs.push(run);
    }
    this.totalBytes += size;
    return undefined;
  }

  /** Takes memory away that is wholly free. */
  remove(iova: bigint, size: bigint): Refusal | undefined {
    if ((iova | size) & 63n) return "UNALIGNED";
    if (size === 0n) return "ZERO_LENGTH";
    const run = this.#runs.find((one) => one.iova <= iova && iova + size <= endOf(one));
    if (run === undefined) return "NOT_FREE";
    const [first, end] = [granulesIn(iova - run.iova), granulesIn(iova + size - run.iova)];
    if (run.owners.subarray(first, end).some((owner) => owner !== 0)) return "NOT_FREE";
    const below = { iova: run.iova, va: run.va, owners: run.owners.slice(0, first) };
    const above = { iova: iova + size, va: run.va + (iova + size - run.iova), owners: run.owners.slice(end) };
    const left = [below, above].filter(({ owners }) => owners.length > 0);
    this.#runs.splice(this.#runs.indexOf(run), 1, ...left);
    this.totalBytes -= size;
    return undefined;
  }

  /** Free ranges of at least `least` granules, each as long as it can be. */
  *free(least = 1): Generator<{ from: bigint; to: bigint }> {
    for (const { iova, owners } of this.#runs) {
      let first = 0;
      for (let i = 0; i <= owners.length; i++) {
        if (i < owners.length && owners[i] === 0) continue;
        if (i - first >= least) yield { from: iova + BigInt(first) * GRANULE, to: iova + BigInt(i) * GRANULE };
        first = i + 1;
      }
    }
  }

  /** Whether there is a place for it, wherever. */
  fits({ bytes, align, boundary }: Asked): boolean {
    const granules = granulesFor(bytes);
    for (const { from, to } of this.free(granules)) {
      let at = alignedUp(from, Math.max(align, 6));
      if (!keepsBoundary(at, bytes, boundary)) at = alignedUp(at, boundary);
      if (at + BigInt(granules) * GRANULE <= to) return true;
    }
    return false;
  }

  /** A buffer that was given out: says what is wrong with it. */
  take(handle: number, placed: Placed, asked: Asked): string | undefined {
    const { bytes, align, boundary } = asked;
    const { iova, granules } = placed;
    if (granules !== granulesFor(bytes) && granules !== granulesGiven(asked)) {
      return `${granules} granules for ${bytes} bytes`;
    }
    if (iova % (1n << BigInt(Math.max(align, 6))) !== 0n) return "not aligned";
    if (!keepsBoundary(iova, bytes, boundary)) return "crosses its boundary";
    if (this.#live.has(handle)) return "a handle that is live already";
    if (this.#atIndex.has(handle & INDEX)) return "a descriptor that is in use";
    const owners = this.#ownersOf(placed);
    if (owners === undefined) return "is not memory of the heap, or not what is behind its IOVA";
    for (const owner of owners) if (owner !== 0) return `overlaps ${owner}`;
    owners.fill(handle);
    this.#live.set(handle, placed);
    this.#atIndex.set(handle & INDEX, handle);
    this.liveBytes += BigInt(granules) * GRANULE;
    return undefined;
  }

  release(handle: number): boolean {
    const placed = this.#live.get(handle);
    if (placed === undefined) return false;
    this.#ownersOf(placed)?.fill(0);
    this.#live.delete(handle);
    this.#atIndex.delete(handle & INDEX);
    this.liveBytes -= BigInt(placed.granules) * GRANULE;
    return true;
  }

  #ownersOf({ iova, va, granules }: Placed): Int32Array | undefined {
    const run = this.#runs.find((one) => one.iova <= iova && iova < endOf(one));
    if (run === undefined || va - run.va !== iova - run.iova) return undefined;
    const first = granulesIn(iova - run.iova);
    return first + granules <= run.owners.length ? run.owners.subarray(first, first + granules) : undefined;
  }
}
