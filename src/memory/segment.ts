import { markClass } from "../copies.ts";
import { argumentRangeError, argumentTypeError, coded, DmaWindowError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { hex, bytes as inBytes } from "../hex.ts";
import { LONGEST_VIEW, type Sight, type Syscalls, sightIn } from "../syscalls.ts";
import { kindOf } from "../typed-arrays.ts";
import { size } from "../validate.ts";
import type { MemsegList } from "./types.ts";

/** Of every typed array, whatever its class or its own properties say: no code of a program runs when it is asked. */
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const lengthOf = Object.getOwnPropertyDescriptor(typedArray, "byteLength")?.get as (this: unknown) => number;
const startOf = Object.getOwnPropertyDescriptor(typedArray, "byteOffset")?.get as (this: unknown) => number;
const bufferOf = Object.getOwnPropertyDescriptor(typedArray, "buffer")?.get as (this: unknown) => ArrayBuffer;

/** What only the library does with a segment, out of reach of the programs that have one. */
let make: (kernel: Syscalls, list: MemsegList, va: bigint, length: bigint, sights: readonly Sight[]) => Segment;
let end: (segment: Segment) => Sight[];

/** Pages that `MemsegTable.allocate` has given. Valid until they are freed. */
export class Segment {
  readonly list: MemsegList;
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint;

  readonly #kernel: Syscalls;
  /** What may lead to the memory and is no view of this segment, or not any more. */
  readonly #sights: Sight[];
  /** By where they begin and how long they are: a segment of up to 4 GiB has one at most. */
  readonly #views = new Map<string, Uint8Array>();
  #freed = false;

  static {
    make = (...parts) => new Segment(make, ...parts);
    end = (segment) => segment.#end();
  }

  /** @internal Made by `MemsegTable.allocate` alone: memory that is nobody's must not be reached. */
  constructor(key: unknown, kernel: Syscalls, list: MemsegList, va: bigint, length: bigint, sights: readonly Sight[]) {
    if (key !== make)
      throw coded(new TypeError("segments are made by allocate of a MemsegTable"), "ERR_INVALID_ARG_TYPE");
    this.#kernel = kernel;
    this.#sights = [...sights];
    this.list = list;
    this.va = va;
    this.length = length;
    Object.freeze(this); // what it says of itself is what is shown and freed
  }

  get freed(): boolean {
    return this.#freed;
  }

  /**
   * The memory itself, without a copy: what is written here the device reads. Has length 0 once the segment is freed. The same
   * array each time; another one after its buffer was moved away (`transfer`), which then shows harmless memory once the segment
   * is freed.
   *
   * @throws `ERR_FREED`; `ERR_TOO_LARGE` for a segment of more than 4 GiB (facts: length, longest): see {@link view};
   * `ERR_NO_EXTERNAL_BUFFERS` on engines that cannot show memory (Electron): see {@link read} and {@link write}.
   */
  get bytes(): Uint8Array {
    this.#alive();
    if (this.length <= LONGEST_VIEW) return this.#window(0n, this.length);
    throw new DmaWindowError(
      "ERR_TOO_LARGE",
      `the segment has ${inBytes(this.length)}, and one array shows at most ${inBytes(LONGEST_VIEW)}: take its parts with view(offset, length)`,
      { facts: { length: this.length, longest: LONGEST_VIEW } },
    );
  }

  /**
   * A part of the memory itself, as {@link bytes} is all of it.
   *
   * @param offset Bytes from the segment's start.
   * @param length Bytes, up to 4 GiB. Default: up to the segment's end.
   * @throws as `bytes`; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  view(offset: bigint | number = 0n, length?: bigint | number): Uint8Array {
    const start = size("offset", offset);
    if (start > this.length)
      throw argumentRangeError("offset", `at most the segment's ${inBytes(this.length)}`, offset);
    const rest = this.length - start;
    const long = length === undefined ? rest : size("length", length);
    if (long > rest) throw argumentRangeError("length", `at most ${inBytes(rest)}, to the segment's end`, length);
    this.#alive();
    if (long > LONGEST_VIEW) {
      throw argumentRangeError("length", `at most ${inBytes(LONGEST_VIEW)}, the longest array`, length ?? long);
    }
    // Whole windows, where the part lies in one, so that there are few of them however many parts are asked for.
    const first = start - (start % LONGEST_VIEW);
    const isInOne = start - first + long <= LONGEST_VIEW;
    const from = isInOne && first < this.length ? first : start;
    const to = isInOne && first < this.length ? least(first + LONGEST_VIEW, this.length) : start + long;
    if (from === to) return new Uint8Array(0);
    const { buffer, byteOffset } = this.#window(from, to - from);
    return new Uint8Array(buffer, byteOffset + Number(start - from), Number(long)); // up to 2^32: exact
  }

  /**
   * Copies from the segment into `into`, as many bytes as that has. Works on every engine, and for a segment of any size.
   *
   * @param offset Bytes from the segment's start.
   * @throws `ERR_FREED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  read(offset: bigint | number, into: Uint8Array): void {
    const [va, array] = this.#place("into", offset, into);
    if (this.#kernel.read) this.#kernel.read(va, array);
    else array.set(this.view(offset, array.byteLength));
  }

  /**
   * Copies `from` into the segment, likewise.
   *
   * @throws `ERR_FREED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  write(offset: bigint | number, from: Uint8Array): void {
    const [va, array] = this.#place("from", offset, from);
    if (this.#kernel.write) this.#kernel.write(va, array);
    else this.view(offset, array.byteLength).set(array);
  }

  /** The address of as many bytes as `array` has, all of them the segment's; and the array, without what is said in its name. */
  #place(name: string, offset: bigint | number, array: unknown): [va: bigint, plain: Uint8Array] {
    const start = size("offset", offset);
    if (kindOf(array) !== "Uint8Array") throw argumentTypeError(name, "a Uint8Array", array);
    const rest = this.length - start;
    if (rest < 0n) throw argumentRangeError("offset", `at most the segment's ${inBytes(this.length)}`, offset);
    const length = lengthOf.call(array);
    if (BigInt(length) > rest) {
      throw argumentRangeError(`${name}.length`, `at most ${inBytes(rest)}, to the segment's end`, length);
    }
    this.#alive();
    try {
      return [this.va + start, new Uint8Array(bufferOf.call(array), startOf.call(array), length)];
    } catch {
      throw argumentTypeError(name, "an array whose memory is there", array); // detached
    }
  }

  #window(offset: bigint, length: bigint): Uint8Array {
    const key = `${offset}+${length}`;
    const known = this.#views.get(key);
    if (known !== undefined) {
      if (known.byteLength > 0) return known;
      // Its buffer was moved away: what it was moved into shows the memory too.
      this.#views.delete(key);
      this.#close(known);
    }
    const view = exclusively("segment.view", () => this.#kernel.view(this.va + offset, length));
    this.#views.set(key, view);
    return view;
  }

  /** Ends a view, and keeps what is left of it. */
  #close(view: Uint8Array): void {
    const sight = sightIn(this.#kernel.unview(view));
    if (sight !== undefined) this.#sights.push(sight);
  }

  #end(): Sight[] {
    this.#freed = true;
    const views = [...this.#views.values()];
    this.#views.clear();
    for (const view of views) this.#close(view);
    return this.#sights.filter((sight) => sight.seen());
  }

  #alive(): void {
    if (this.#freed) throw new DmaWindowError("ERR_FREED", `the segment at ${hex(this.va)} has been freed`);
  }
}

/** A segment of pages that are there; `sights`: what may still reach those that were at its addresses before. */
export function makeSegment(...parts: Parameters<typeof make>): Segment {
  return make(...parts);
}

/** Ends all views of a segment: from here on its memory may go, but for what the sights say. */
export function endSegment(segment: Segment): Sight[] {
  return end(segment);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

markClass(Segment, "Segment");
