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
import type { JointView } from "../memory/segment.ts";
import type { Ground, Piece, Run } from "./ground.ts";
import { wasm } from "./wasm.ts";

interface Held {
  readonly segment: Piece;
  readonly runs: readonly Run[];
  readonly end: bigint;
  /** Arrays over it, 4 GiB each, made when they are asked for. */
  readonly views: Uint8Array[];
}

/** Up to here addresses are exact as numbers. */
const EXACT = 1n << 53n;
const WINDOW_SHIFT = 32n;
const WINDOW_MASK = (1n << WINDOW_SHIFT) - 1n;
const PART = 1n << 30n;
/** Bits of what memory is no part of, below it and above. */
const BELOW = 1;
const ABOVE = 2;

const NOTHING = { from: 0, to: 0, view: new Uint8Array(0) };

export class Segments {
  readonly #ground: Ground;
  /** The allocator's. */
  readonly #heap: number;
  /** By address. */
  #all: Held[] = [];
  #joints: JointView[] = [];
  /** What was shown last: up to 4 GiB. A view that has ended has length 0. */
  #last: { readonly from: number; readonly to: number; readonly view: Uint8Array } = NOTHING;
  /** Whether any two are neighbours for program and device. */
  #hasBorders = false;
  /** What was last looked for between neighbours in vain, and how much was free then. */
  #searched = { free: 0n, bytes: 0 };
  /** What is being freed, and therefore is not held. */
  #leaving: Piece | undefined;

  constructor(ground: Ground, heap: number) {
    this.#ground = ground;
    this.#heap = heap;
  }

  get count(): number {
    return this.#all.length;
  }

  holds(segment: Piece): boolean {
    return segment !== this.#leaving && this.#all.some((held) => held.segment === segment);
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
      const runs = this.#hold(segment);
      prepare(segment.va, segment.length);
      this.#give(runs);
    } catch (error) {
      this.#drop(segment);
      throw withResidue(
        error,
        leftBy(() => this.#ground.free(segment), `${nameOf(segment)} stays in the memory, and in no heap`),
      );
    }
  }

  #hold(segment: Piece): readonly Run[] {
    const runs = this.#ground.runsOf(segment);
    this.#insert({ segment, runs, end: segment.va + segment.length, views: [] });
    return runs;
  }

  /**
   * Gives segments back to the memory of which nothing is live, and bytes that went. The allocator's magazines are empty.
   * @throws what `memory.free` throws, after all others were tried; what could not go stays in the heap.
   */
  trim(): { readonly segments: number; readonly bytes: bigint } {
    let segments = 0;
    let bytes = 0n;
    const errors: unknown[] = [];
    for (const held of [...this.#all]) {
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

  /** Gives all back, whatever is live; the allocator has closed the heap. Gives what each that failed says. */
  end(): string[] {
    const left: string[] = [];
    for (const { segment } of this.#all.splice(0)) {
      left.push(...leftBy(() => this.#ground.free(segment), nameOf(segment)));
    }
    this.#joints = [];
    return left;
  }

  /**
   * The memory at an address that is exact as a number, where it lies in the segment that was shown last, and is shown as one array:
   * as almost always. `undefined`: ask {@link show}.
   */
  showQuickly(va: number, length: number): Uint8Array | undefined {
    const { from, to, view } = this.#last;
    if (va < from || va + length > to || view.byteLength === 0) return undefined;
    return new Uint8Array(view.buffer, view.byteOffset + (va - from), length);
  }

  /** The memory itself. @throws `ERR_NO_EXTERNAL_BUFFERS`, `ERR_BUSY`, and for what is not in the heap. */
  show(va: bigint, length: number): Uint8Array {
    const held = this.#of(va);
    if (held === undefined || length === 0) throw outside(va, length);
    const last = va + BigInt(length) - 1n;
    if (last >= held.end) return this.#showAcross(va, length);
    const { segment, views } = held;
    const offset = va - segment.va;
    if (offset >> WINDOW_SHIFT !== (last - segment.va) >> WINDOW_SHIFT) return segment.view(offset, length);
    const index = Number(offset >> WINDOW_SHIFT); // few
    let view = views[index];
    if (view === undefined || view.byteLength === 0) {
      const start = BigInt(index) << WINDOW_SHIFT;
      const rest = segment.length - start;
      view = segment.view(start, rest > WINDOW_MASK ? WINDOW_MASK + 1n : rest);
      views[index] = view;
    }
    if (held.end <= EXACT && index === 0) {
      this.#last = { from: Number(segment.va), to: Number(segment.va) + view.byteLength, view };
    }
    return new Uint8Array(view.buffer, view.byteOffset + Number(offset & WINDOW_MASK), length);
  }

  /** Copies out of the heap. */
  read(va: bigint, into: Uint8Array): void {
    this.#each(va, into.byteLength, (segment, offset, from, to) => segment.read(offset, into.subarray(from, to)));
  }

  /** Copies into the heap. */
  write(va: bigint, bytes: Uint8Array): void {
    this.#each(va, bytes.byteLength, (segment, offset, from, to) => segment.write(offset, bytes.subarray(from, to)));
  }

  /** The memory behind an IOVA of the heap. */
  #vaOf(iova: bigint): bigint {
    for (const { runs } of this.#all) {
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
    // Whoever asks again and again, with nothing freed meanwhile, is not to wait for a search each time.
    const free = wasm.heapFreeBytes(this.#heap);
    if (!this.#hasBorders || free < BigInt(bytes)) return false;
    if (free === this.#searched.free && bytes >= this.#searched.bytes) return false;
    this.#searched = { free, bytes };
    for (const [first, ...rest] of this.#freeRows()) {
      const last = rest.at(-1);
      if (first === undefined || last === undefined) continue;
      const size = last.iova + last.size - first.iova;
      if (!fits(first.iova, size, BigInt(bytes), align, boundary) || !this.#canShow(first.va, last.va + last.size))
        continue;
      if (!this.#take([first, ...rest])) continue;
      const apart = (this.begins(first.va) ? BELOW : 0) | (this.#of(last.va)?.end === last.va + last.size ? ABOVE : 0);
      if (wasm.heapAddSegment(this.#heap, first.iova, first.va, size, apart) === AllocStatus.OK) return true;
      this.#give([first, ...rest]);
    }
    return false;
  }

  /** Whether a segment does. */
  begins(va: bigint): boolean {
    return this.#of(va)?.segment.va === va;
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

  /** Whether one array shows all segments of a range, or none can be had at all. */
  #canShow(va: bigint, end: bigint): boolean {
    const together = this.#all.filter((held) => held.segment.va < end && va < held.end).map(({ segment }) => segment);
    const [first, last] = [together[0] as Piece, together.at(-1) as Piece];
    if (first === last || this.#jointOf(first.va, last.va + last.length)) return true;
    try {
      this.#joints.push(this.#ground.together(together));
      return true;
    } catch (error) {
      return error instanceof DmaWindowError && error.code === "ERR_NO_EXTERNAL_BUFFERS";
    }
  }

  #jointOf(va: bigint, end: bigint): JointView | undefined {
    this.#joints = this.#joints.filter(({ view }) => view.byteLength > 0);
    return this.#joints.find((joint) => joint.va <= va && joint.va + BigInt(joint.view.byteLength) >= end);
  }

  #showAcross(va: bigint, length: number): Uint8Array {
    const end = va + BigInt(length);
    if (!this.#canShow(va, end)) throw outside(va, length);
    const joint = this.#jointOf(va, end);
    if (joint === undefined) return (this.#of(va) as Held).segment.view(0n, 1n); // which throws: no array can be had
    return new Uint8Array(joint.view.buffer, joint.view.byteOffset + Number(va - joint.va), length);
  }

  /** The parts of a range, by segment: with how many bytes of the range came before, and come with it. */
  #each(va: bigint, length: number, use: (segment: Piece, offset: bigint, from: number, to: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = va + BigInt(done);
      const held = this.#of(at);
      if (held === undefined) throw outside(at, length - done);
      const rest = held.end - at;
      const part = rest < BigInt(length - done) ? Number(rest) : length - done;
      use(held.segment, at - held.segment.va, done, done + part);
      done += part;
    }
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
    const { segment } = held;
    this.#leaving = segment;
    try {
      this.#ground.free(segment);
    } catch (error) {
      if (!segment.freed) this.#give(held.runs);
      throw error;
    } finally {
      this.#leaving = undefined;
      if (segment.freed) this.#drop(segment);
    }
  }

  #insert(held: Held): void {
    const at = this.#all.findIndex(({ segment }) => segment.va > held.segment.va);
    this.#all.splice(at < 0 ? this.#all.length : at, 0, held);
    this.#lookForBorders();
  }

  #drop(segment: Piece): void {
    this.#all = this.#all.filter((held) => held.segment !== segment);
    this.#lookForBorders();
  }

  #lookForBorders(): void {
    this.#searched = { free: 0n, bytes: 0 };
    this.#hasBorders = this.#all.some(({ runs }, i) => {
      const [run, next] = [runs.at(-1), this.#all[i + 1]?.runs[0]];
      return run && next && run.va + run.size === next.va && run.iova + run.size === next.iova;
    });
  }

  #of(va: bigint): Held | undefined {
    let low = 0;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#all[middle] as Held).end <= va) low = middle + 1;
      else high = middle;
    }
    const held = this.#all[low];
    return held !== undefined && held.segment.va <= va ? held : undefined;
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

/** What the columns say is checked, since a program can write to them. */
function outside(va: bigint, length: number): DmaWindowError {
  return new DmaWindowError(
    "ERR_NOT_FOUND",
    `${length} bytes at ${hex(va)} are not in the heap: were the columns of addresses written to?`,
    { facts: { va, length } },
  );
}
