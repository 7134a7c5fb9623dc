/**
 * How the memory of a heap is shown, and copied: one array for each 4 GiB of a segment, made when it is asked for, and smaller ones
 * over its buffer. A block lies in one segment; where neighbours have become one, an array that shows them together.
 */
import { bufferOf, lengthOf, startOf } from "../captured.ts";
import { DmaWindowError } from "../errors.ts";
import type { JointView } from "../memory/segment.ts";
import type { Ground, Piece } from "./ground.ts";
import { type Held, type HeldSegments, outside } from "./held.ts";

/** Up to here addresses are exact as numbers. */
const EXACT = 1n << 53n;
const WINDOW_SHIFT = 32n;
const WINDOW_MASK = (1n << WINDOW_SHIFT) - 1n;

const NOTHING = { from: 0, to: 0, view: new Uint8Array(0) };

export class Shown {
  readonly #ground: Ground;
  readonly #held: HeldSegments;
  #joints: JointView[] = [];
  /** What was shown last: up to 4 GiB. A view that has ended has length 0. */
  #last: { readonly from: number; readonly to: number; readonly view: Uint8Array } = NOTHING;

  constructor(ground: Ground, held: HeldSegments) {
    this.#ground = ground;
    this.#held = held;
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
    const held = this.#held.of(va);
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
    this.#each(va, lengthOf(into), (segment, offset, from, to) => segment.read(offset, partOf(into, from, to)));
  }

  /** Copies into the heap. */
  write(va: bigint, bytes: Uint8Array): void {
    this.#each(va, lengthOf(bytes), (segment, offset, from, to) => segment.write(offset, partOf(bytes, from, to)));
  }

  /** Whether one array shows all segments of a range, or none can be had at all. */
  canShow(va: bigint, end: bigint): boolean {
    const together = this.#held.touching(va, end).map(({ segment }) => segment);
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
    if (!this.canShow(va, end)) throw outside(va, length);
    const joint = this.#jointOf(va, end);
    if (joint === undefined) return (this.#held.of(va) as Held).segment.view(0n, 1n); // which throws: no array can be had
    return new Uint8Array(joint.view.buffer, joint.view.byteOffset + Number(va - joint.va), length);
  }

  /** The parts of a range, by segment: with how many bytes of the range came before, and come with it. */
  #each(va: bigint, length: number, use: (segment: Piece, offset: bigint, from: number, to: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = va + BigInt(done);
      const held = this.#held.of(at);
      if (held === undefined) throw outside(at, length - done);
      const rest = held.end - at;
      const part = rest < BigInt(length - done) ? Number(rest) : length - done;
      use(held.segment, at - held.segment.va, done, done + part);
      done += part;
    }
  }
}

/** A part of an array as it is, whatever properties of it say: else a copy could go beyond a block. */
function partOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bufferOf(bytes), startOf(bytes) + from, to - from);
}
