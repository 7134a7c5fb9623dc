/**
 * The memory of a pool: slots side by side in blocks of a heap, as few blocks as there can be. None of them crosses a boundary:
 *
 *     boundary     |                       |                       |
 *     block        [slot|slot|slot|        |slot|slot|slot|        |slot]
 *
 * The heap refuses the handles of these blocks: nobody has them, and who guesses one must not free a pool's memory.
 */
import { HANDLE_INDEX_MASK, LIVE, STATES } from "../alloc.ts";
import { BLOCK_MAX, rounded } from "./block.ts";
import type { Blocks } from "./blocks.ts";
import { wasm } from "./wasm.ts";

export interface SlotsWanted {
  readonly size: number;
  readonly count: number;
  /** Shifts, as the allocator takes them. */
  readonly align: number;
  readonly boundary: number;
  /** Bytes behind each slot that are nobody's. */
  readonly guard: number;
}

export interface Slots {
  readonly iovas: BigUint64Array;
  readonly vas: BigUint64Array;
  /** The blocks that they lie in. */
  readonly runs: readonly { readonly va: bigint; readonly iova: bigint; readonly length: bigint }[];
  /** Bytes of the heap that they take. */
  readonly bytes: bigint;
  /** Gives the memory back to the heap. */
  release(): void;
}

/** Slots, or `undefined` where the heap has no room for them; then it is as it was, but for what it grew by. */
export function takeSlots(blocks: Blocks, wanted: SlotsWanted): Slots | undefined {
  const layout = new Layout(wanted);
  const iovas = new BigUint64Array(wanted.count);
  const vas = new BigUint64Array(wanted.count);
  const taken: number[] = [];
  const runs: { va: bigint; iova: bigint; length: bigint }[] = [];
  let bytes = 0n;
  const release = () => {
    for (const { va, length } of runs) asFree(blocks, va, length);
    for (const handle of taken.splice(0)) giveBack(blocks, handle);
    wasm.heapFlush(blocks.heap); // nobody asks for blocks of these sizes again
  };
  growFor(blocks, layout, wanted.count);
  let piece = layout.most(wanted.count);
  for (let done = 0; done < wanted.count; ) {
    piece = Math.min(piece, wanted.count - done);
    const handle = takePiece(blocks, layout, piece);
    if (handle > 0) {
      lend(blocks, handle);
      taken.push(handle);
      const at = (handle & HANDLE_INDEX_MASK) * 4;
      const [iova, va] = [wasm.iovas[at] as bigint, wasm.vas[at] as bigint];
      const length = BigInt(wasm.sizes[at * 2] as number) << 6n;
      layout.place(iova, iovas, done, piece);
      layout.place(va, vas, done, piece);
      runs.push({ va, iova, length });
      bytes += length;
      done += piece;
    } else if (piece > 1) {
      piece = layout.less(piece);
    } else {
      release();
      return undefined;
    }
  }
  return { iovas, vas, runs, bytes, release };
}

/** In a heap with guards free memory has a pattern, whatever those wrote who still had slots. */
function asFree(blocks: Blocks, va: bigint, length: bigint): void {
  try {
    blocks.prepare(va, length);
  } catch {
    // Nobody can see it now, as in the middle of another operation. It goes back all the same, and may be found written to.
  }
}

/** All that is missing at once, so that it is one segment, and one map. */
function growFor(blocks: Blocks, layout: Layout, count: number): void {
  if (layout.total(count) > wasm.heapLargest(blocks.heap)) blocks.collect();
  const missing = layout.total(count) - wasm.heapLargest(blocks.heap);
  if (missing > 0n && layout.total(count) > wasm.heapFreeBytes(blocks.heap)) blocks.growth.tryBy(layout.total(count));
}

/** The last piece of all may have the heap grow once more; larger ones come in parts instead. */
function takePiece(blocks: Blocks, layout: Layout, count: number): number {
  const [bytes, align, boundary] = layout.block(count);
  if (count === 1) return blocks.take(bytes, align, boundary);
  return wasm.heapAllocAligned(blocks.heap, bytes, align, boundary);
}

/** A block is taken, and its handle is nobody's. */
function lend(blocks: Blocks, handle: number): void {
  blocks.lent++;
  const at = (handle & HANDLE_INDEX_MASK) + STATES;
  wasm.words[at] = (wasm.words[at] as number) & ~LIVE;
}

function giveBack(blocks: Blocks, handle: number): void {
  blocks.lent--;
  const at = (handle & HANDLE_INDEX_MASK) + STATES;
  wasm.words[at] = (wasm.words[at] as number) | LIVE;
  blocks.give(handle);
}

/** Where slots lie in a block. */
class Layout {
  readonly #size: number;
  readonly #stride: number;
  readonly #align: number;
  readonly #boundary: number;
  /** Slots between two boundaries. */
  readonly #each: number;

  constructor({ size, align, boundary, guard }: SlotsWanted) {
    const unit = 2 ** align;
    this.#size = rounded(size) + guard;
    this.#stride = Math.ceil(this.#size / unit) * unit;
    this.#align = align;
    this.#boundary = boundary;
    this.#each =
      boundary === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor((2 ** boundary - size) / this.#stride) + 1);
  }

  /** Where a slot begins in its block. */
  #offset(slot: number): number {
    if (slot < this.#each) return slot * this.#stride;
    return Math.floor(slot / this.#each) * this.#window + (slot % this.#each) * this.#stride;
  }

  /** From the first slot between two boundaries to the first between the next: where one slot with its guard is longer, more. */
  get #window(): number {
    const window = 2 ** this.#boundary;
    return Math.ceil(((this.#each - 1) * this.#stride + this.#size) / window) * window;
  }

  /** Bytes, alignment and boundary of a block of `count` slots. */
  block(count: number): [number, number, number] {
    const bytes = this.#offset(count - 1) + this.#size;
    if (this.#boundary === 0) return [bytes, this.#align, 0];
    if (bytes <= 2 ** this.#boundary) return [bytes, this.#align, this.#boundary];
    return [bytes, Math.max(this.#align, this.#boundary), 0];
  }

  /** What that many take, wherever the block begins that they get. */
  total(count: number): bigint {
    const [bytes, align, boundary] = this.block(Math.min(count, this.most(count)));
    const slack = 2 ** Math.max(align, boundary) - 64;
    return BigInt(Math.ceil(count / this.most(count))) * BigInt(bytes + slack);
  }

  /** How many of `count` slots one block can hold. */
  most(count: number): number {
    let most = count;
    while (most > 1 && this.block(most)[0] > BLOCK_MAX) most = Math.ceil(most / 2);
    return most;
  }

  /** Fewer, and between two boundaries all that there can be. */
  less(count: number): number {
    const half = Math.floor(count / 2);
    return half <= this.#each ? half : Math.floor(half / this.#each) * this.#each;
  }

  /** Writes where each of `count` slots is, from `first` on. */
  place(start: bigint, into: BigUint64Array, first: number, count: number): void {
    for (let i = 0; i < count; i++) into[first + i] = start + BigInt(this.#offset(i));
  }
}
