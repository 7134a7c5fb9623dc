/**
 * The segments of a heap: pages of its list, and what of them the allocator has. A segment comes and goes as a whole:
 *
 *     ground    | segment |        | segment | segment |            pages, from memory.allocate; or a loan
 *     window    | run     |        | run     | run     |            IOVAs; several for a segment where they are physical addresses
 *     allocator | blocks  |        | blocks  | blocks  |
 *
 * Blocks lie in one segment each, also where segments are neighbours, so that one array can show a block and each segment can go
 * back by itself. Only a block that fits nowhere else makes neighbours one: see {@link Segments.join}.
 */
import { AllocStatus } from "../alloc.ts";
import { DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { hex, bytes as inBytes } from "../hex.ts";
import type { Ground, Piece, Run } from "./ground.ts";
import { type Held, HeldSegments, outside } from "./held.ts";
import { Searched } from "./searched.ts";
import { Shown } from "./shown.ts";
import { wasm } from "./wasm.ts";

const PART = 1n << 30n;
/** Bits of what memory is no part of, below it and above. */
const BELOW = 1;
const ABOVE = 2;

export class Segments {
  readonly #ground: Ground;
  /** The allocator's. */
  readonly #heap: number;
  readonly #held = new HeldSegments();
  /** The memory of all of them, as a program sees it. */
  readonly shown: Shown;
  /** Whether any two are neighbours for program and device. */
  #hasBorders = false;
  /** What was looked for between neighbours in vain, since blocks last came back. */
  readonly #searched = new Searched();
  /** What is being freed, and therefore is not held. */
  #leaving: Piece | undefined;

  constructor(ground: Ground, heap: number) {
    this.#ground = ground;
    this.#heap = heap;
    this.shown = new Shown(ground, this.#held);
  }

  get count(): number {
    return this.#held.count;
  }

  holds(segment: Piece): boolean {
    return segment !== this.#leaving && this.#held.all.some((held) => held.segment === segment);
  }

  /**
   * Gets a segment of `length` bytes, whole pages, maps it, and hands it to the allocator after `prepare`.
   * @throws what `memory.allocate` throws, `ERR_NOT_ATTACHED`, `ERR_OUT_OF_MEMORY`; nothing is left, or the residue says what is.
   */
  grow(length: bigint, prepare: (va: bigint, length: bigint) => void): void {
    this.add(this.#ground.take(length), prepare);
  }

  /** Hands a segment to the allocator after `prepare`. @throws likewise: then the segment is freed. */
  add(segment: Piece, prepare: (va: bigint, length: bigint) => void): void {
    try {
      const { runs } = this.#hold(segment);
      prepare(segment.va, segment.length);
      this.#give(runs);
    } catch (error) {
      throw this.#undone(segment, error);
    }
  }

  #hold(segment: Piece): Held {
    const runs = this.#ground.runsOf(segment);
    const held = { segment, runs, end: segment.va + segment.length, views: [], wasLent: false };
    this.#insert(held);
    return held;
  }

  #undone(segment: Piece, error: unknown): unknown {
    this.#drop(segment);
    const left = `${nameOf(segment)} stays in the memory, and in no heap`;
    return withResidue(
      error,
      leftBy(() => this.#ground.free(segment), left),
    );
  }

  /** A new segment, which the allocator does not get. @throws as {@link grow}. */
  lendNew(length: bigint): Held {
    const segment = this.#ground.take(length);
    try {
      return this.#hold(segment);
    } catch (error) {
      throw this.#undone(segment, error);
    }
  }

  /** One that was lent before, and of which nothing is live, taken from the allocator: of `bytes` at least, and not of much more. */
  lendAgain(bytes: bigint): Held | undefined {
    const fit = this.#held.all.filter(
      ({ wasLent, segment: { length } }) => wasLent && length >= bytes && length < 2n * bytes,
    );
    if (fit.length > 0) wasm.heapFlush(this.#heap);
    const held = fit.find(({ runs }) => this.#take(runs));
    if (held) held.wasLent = false;
    return held;
  }

  /** The allocator gets what was lent, after `prepare`. @throws `ERR_OUT_OF_MEMORY`, `ERR_BUSY`; it can be tried again. */
  takeBack(held: Held, prepare: (va: bigint, length: bigint) => void): void {
    prepare(held.segment.va, held.segment.length);
    this.#give(held.runs);
    held.wasLent = true;
  }

  /** Frees what the allocator does not have. @throws what `memory.free` throws. */
  discard({ segment }: Held): void {
    this.#leaving = segment;
    try {
      this.#ground.free(segment);
    } finally {
      this.#leaving = undefined;
      if (segment.freed) this.#drop(segment);
    }
  }

  /**
   * Gives segments back to the memory of which nothing is live, and bytes that went. The allocator's magazines are empty.
   * @throws what `memory.free` throws, after all others were tried; what could not go stays in the heap.
   */
  trim(): { readonly segments: number; readonly bytes: bigint } {
    let segments = 0;
    let bytes = 0n;
    const errors: unknown[] = [];
    for (const held of this.#held.all) {
      if (!this.#take(held.runs)) continue;
      try {
        this.#giveUp(held);
      } catch (error) {
        errors.push(error);
      }
      if (!held.segment.freed) continue;
      segments++;
      bytes += held.segment.length;
    }
    if (errors.length > 0) throw errors[0];
    return { segments, bytes };
  }

  /** @throws where a device may reach one of them when it has gone back to the system. */
  checkEnd(): void {
    for (const { segment } of this.#held.all) this.#ground.checkFree(segment);
  }

  /** Gives all back, whatever is live; the allocator has closed the heap. Gives what each that failed says. */
  end(): string[] {
    const left: string[] = [];
    for (const { segment } of this.#held.dropAll()) {
      left.push(...leftBy(() => this.#ground.free(segment), nameOf(segment)));
    }
    return left;
  }

  /** The memory behind an IOVA of the heap. */
  #vaOf(iova: bigint): bigint {
    for (const { runs } of this.#held.all) {
      for (const run of runs) if (iova >= run.iova && iova < run.iova + run.size) return run.va + (iova - run.iova);
    }
    throw outside(iova, 0);
  }

  /**
   * Makes neighbours one where free memory lies on both sides of their border, and there is room for a block with that; `align` and
   * `boundary` are shifts. Gives whether it did. Only where one array can show both, or none can be had at all: a block there is
   * like any other.
   */
  join(bytes: number, align: number, boundary: number): boolean {
    if (!this.#hasBorders || wasm.heapFreeBytes(this.#heap) < BigInt(bytes)) return false;
    // Whoever asks again and again, with nothing freed meanwhile, is not to wait for a search each time.
    wasm.heapFlush(this.#heap);
    if (!this.#searched.mayHelp(wasm.heapReturns(this.#heap), bytes, align, boundary)) return false;
    if (this.#joinFor(bytes, align, boundary)) return true;
    this.#searched.failed(wasm.heapReturns(this.#heap), bytes, align, boundary);
    return false;
  }

  #joinFor(bytes: number, align: number, boundary: number): boolean {
    for (const [first, ...rest] of this.#freeRows()) {
      const last = rest.at(-1);
      if (first === undefined || last === undefined) continue;
      const size = last.iova + last.size - first.iova;
      if (!fits(first.iova, size, BigInt(bytes), align, boundary) || !this.shown.canShow(first.va, last.va + last.size))
        continue;
      if (!this.#take([first, ...rest])) continue;
      const apart =
        (this.begins(first.va) ? BELOW : 0) | (this.#held.of(last.va)?.end === last.va + last.size ? ABOVE : 0);
      if (wasm.heapAddSegment(this.#heap, first.iova, first.va, size, apart) === AllocStatus.OK) return true;
      this.#give([first, ...rest]);
    }
    return false;
  }

  /** Whether a segment does. */
  begins(va: bigint): boolean {
    return this.#held.of(va)?.segment.va === va;
  }

  /** What is free, by IOVA; of more than 1 GiB several parts. The allocator's magazines are empty then. */
  free(): { readonly iova: bigint; readonly va: bigint; readonly size: number }[] {
    const parts: { readonly iova: bigint; readonly va: bigint; readonly size: number }[] = [];
    for (const { iova, va, size } of this.#free()) {
      for (let done = 0n; done < size; done += PART) {
        parts.push({ iova: iova + done, va: va + done, size: Number(size - done < PART ? size - done : PART) });
      }
    }
    return parts;
  }

  #free(): Run[] {
    wasm.heapFlush(this.#heap);
    const free: Run[] = [];
    for (let at = wasm.heapNextFree(this.#heap, 0, 0n); at !== 0; at = wasm.heapNextFree(this.#heap, at, 0n)) {
      const iova = wasm.iovas[at * 4] as bigint;
      free.push({ iova, va: this.#vaOf(iova), size: BigInt(wasm.sizes[at * 8] as number) << 6n });
    }
    return free.sort((a, b) => (a.iova < b.iova ? -1 : 1));
  }

  /** Free blocks that are neighbours, by IOVA. */
  #freeRows(): Run[][] {
    const rows: Run[][] = [];
    for (const one of this.#free()) {
      const row = rows.at(-1);
      const before = row?.at(-1);
      const isNext = before && before.iova + before.size === one.iova && before.va + before.size === one.va;
      if (row && isNext) row.push(one);
      else rows.push([one]);
    }
    return rows;
  }

  /** Hands runs to the allocator: all or none. */
  #give(runs: readonly Run[]): void {
    for (const [index, { iova, va, size }] of runs.entries()) {
      const status = wasm.heapAddSegment(this.#heap, iova, va, size, BELOW | ABOVE);
      if (status === AllocStatus.OK) continue;
      for (const given of runs.slice(0, index)) wasm.heapRemove(this.#heap, given.iova, given.size);
      throw new DmaWindowError(
        status === AllocStatus.OVERLAPS ? "ERR_OVERLAPS" : "ERR_OUT_OF_MEMORY",
        `the allocator has no room for a segment of ${inBytes(size)} at IOVA ${hex(iova)} (status ${status})`,
        { facts: { iova, va, length: size } },
      );
    }
  }

  /** Takes runs from the allocator: all, or, where something in one is not free, none. */
  #take(runs: readonly Run[]): boolean {
    for (const [index, { iova, size }] of runs.entries()) {
      if (wasm.heapRemove(this.#heap, iova, size) === AllocStatus.OK) continue;
      this.#give(runs.slice(0, index));
      return false;
    }
    return true;
  }

  /** Frees what the allocator has let go of; or gives it back to it. */
  #giveUp(held: Held): void {
    try {
      this.discard(held);
    } catch (error) {
      if (!held.segment.freed) this.#give(held.runs);
      throw error;
    }
  }

  #insert(held: Held): void {
    this.#held.insert(held);
    this.#lookForBorders();
  }

  #drop(segment: Piece): void {
    this.#held.drop(segment);
    this.#lookForBorders();
  }

  #lookForBorders(): void {
    this.#searched.clear();
    this.#hasBorders = this.#held.all.some(({ runs }, i) => {
      const [run, next] = [runs.at(-1), this.#held.all[i + 1]?.runs[0]];
      return run && next && run.va + run.size === next.va && run.iova + run.size === next.iova;
    });
  }
}

/** Whether a block has room in `size` bytes from `iova` on. */
function fits(iova: bigint, size: bigint, bytes: bigint, align: number, boundary: number): boolean {
  let start = up(iova, align);
  if (boundary > 0 && start >> BigInt(boundary) !== (start + bytes - 1n) >> BigInt(boundary))
    start = up(start, boundary);
  return start + bytes <= iova + size;
}

function up(iova: bigint, shift: number): bigint {
  const mask = (1n << BigInt(shift)) - 1n;
  return (iova + mask) & ~mask;
}

function nameOf({ va, length }: Piece): string {
  return `a segment of ${inBytes(length)} at ${hex(va)}`;
}
