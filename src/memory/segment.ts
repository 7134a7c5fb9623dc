import { bufferOf, freeze, kindOf, lengthOf, OwnMap, startOf } from "../captured.ts";
import { Disposing, disposing, isItself } from "../closable.ts";
import { markClass, nameOfMarked } from "../copies.ts";
import { argumentRangeError, argumentTypeError, coded, DmaWindowError, imitationError } from "../errors.ts";
import { begin, exclusively, end as finish } from "../exclusive.ts";
import { hex, bytes as inBytes } from "../hex.ts";
import { inspectable } from "../inspect.ts";
import { LONGEST_VIEW, type Sight, type Syscalls, sightIn } from "../syscalls.ts";
import { size } from "../validate.ts";
import { type Sights, UnendedView } from "./sights.ts";
import type { MemsegList } from "./types.ts";

/** What only the library does with a segment, out of reach of the programs that have one. */
let make: (...of: Made) => Segment;
let end: (segment: Segment) => Sights;
let together: (segments: readonly Segment[]) => JointView;

/** What a segment is made of; `free`: what `memory.free` does with it. */
type Made = [
  kernel: Syscalls,
  list: MemsegList,
  va: bigint,
  length: bigint,
  sights: Sights,
  free: (segment: Segment) => void,
];

/** A window, as far as a segment asks it. */
interface WindowOfSegment {
  readonly closed: boolean;
  readonly start: bigint;
  translate(va: bigint): bigint | undefined;
  runs(va: bigint, length: bigint): readonly { readonly iova: bigint }[];
}

/** One array over several segments that are neighbours. It ends when the first of them does. */
export interface JointView {
  readonly va: bigint;
  readonly view: Uint8Array;
}

/** Pages that `MemsegTable.allocate` has given. Valid until they are freed: by `memory.free`, or by `using`. */
export class Segment extends Disposing {
  readonly list: MemsegList;
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint;

  readonly #kernel: Syscalls;
  /** What may lead to the memory and is no view of this segment, or not any more. */
  readonly #sights: Sights;
  /** By where they begin and how long they are: a segment of up to 4 GiB has one at most. */
  readonly #views = new OwnMap<string, Uint8Array>();
  /** With the segments that each shows. */
  readonly #joints = new OwnMap<Uint8Array, readonly Segment[]>();
  readonly #free: (segment: Segment) => void;
  #freed = false;

  static {
    make = (...of) => new Segment(make, ...of);
    end = (segment) => segment.#end();
    together = (segments) => (segments[0] as Segment).#together(segments);
  }

  /** @internal Made by `MemsegTable.allocate` alone: memory that is nobody's must not be reached. */
  constructor(key: unknown, ...[kernel, list, va, length, sights, free]: Made) {
    if (key !== make)
      throw coded(new TypeError("segments are made by allocate of a MemsegTable"), "ERR_INVALID_ARG_TYPE");
    super();
    this.#free = free;
    this.#kernel = kernel;
    this.#sights = sights.seen();
    this.list = list;
    this.va = va;
    this.length = length;
    freeze(this); // what it says of itself is what is shown and freed
  }

  get freed(): boolean {
    return this.#freed;
  }

  /**
   * Where a device finds it: its IOVA in a window, exact. It is there until the memory is detached, or the segment freed. Looks at
   * each 2 MiB of it at least: some microseconds for each GiB.
   *
   * @throws `ERR_NOT_LIVE` where it is not mapped in the window, or not all of it (facts: va, length, start of the window);
   * `ERR_NOT_CONTIGUOUS` (facts: va, length, runs) where it is in several runs, as physical addresses may be: `window.runs` has them.
   * `ERR_FREED`, `ERR_CLOSED`, `ERR_INVALID_ARG_TYPE`.
   */
  iova(window: WindowOfSegment): bigint {
    checkWindow(window);
    this.#alive();
    const { va, length } = this;
    const iova = window.translate(va);
    const about = `the segment of ${inBytes(length)} at ${hex(va)}`;
    if (iova === undefined) {
      const { external, heap } = this.list;
      const advice =
        external && !heap
          ? "its list is external, so window.map(segment) does that"
          : "container.attach(memory, window) maps its whole memory, window.map(segment) it alone";
      throw new DmaWindowError(
        "ERR_NOT_LIVE",
        `${about} is not mapped in the window at ${hex(window.start)}: ${advice}`,
        {
          facts: { va, length, start: window.start },
        },
      );
    }
    const runs = window.runs(va, length).length;
    if (runs === 1) return iova;
    throw new DmaWindowError(
      "ERR_NOT_CONTIGUOUS",
      `${about} is ${runs} runs of IOVAs in the window at ${hex(window.start)}, so it has no single one: window.runs(va, length) gives them`,
      { facts: { va, length, runs } },
    );
  }

  /** @internal As `memory.free` does; once it is freed, nothing. */
  override [disposing](): void {
    if (!this.#freed) this.#free(this);
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
    if (this.length <= LONGEST_VIEW) return this.#window(0n, this.length, exclusively);
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
    return this.#part(start, long, exclusively);
  }

  /** Bytes that are known to be the segment's, and no more than a view can have. */
  #part(start: bigint, length: bigint, run: typeof exclusively): Uint8Array {
    // Whole windows, where the part lies in one, so that there are few of them however many parts are asked for.
    const first = start - (start % LONGEST_VIEW);
    const isInOne = start - first + length <= LONGEST_VIEW;
    const from = isInOne && first < this.length ? first : start;
    const to = isInOne && first < this.length ? least(first + LONGEST_VIEW, this.length) : start + length;
    if (from === to) return new Uint8Array(0);
    const whole = this.#window(from, to - from, run);
    return new Uint8Array(bufferOf(whole), startOf(whole) + Number(start - from), Number(length)); // up to 2^32: exact
  }

  /**
   * Copies from the segment into `into`, as many bytes as that has. Works on every engine, and for a segment of any size.
   *
   * @param offset Bytes from the segment's start.
   * @throws `ERR_FREED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_BUSY` in the middle of another operation.
   */
  read(offset: bigint | number, into: Uint8Array): void {
    const { va, array } = this.#place("into", offset, into);
    begin("segment.read");
    try {
      if (this.#kernel.read) this.#kernel.read(va, array);
      else array.set(this.#shown(va, array));
    } finally {
      finish();
    }
  }

  /**
   * Copies `from` into the segment, likewise.
   *
   * @throws `ERR_FREED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_BUSY` in the middle of another operation.
   */
  write(offset: bigint | number, from: Uint8Array): void {
    const { va, array } = this.#place("from", offset, from);
    begin("segment.write");
    try {
      if (this.#kernel.write) this.#kernel.write(va, array);
      else this.#shown(va, array).set(array);
    } finally {
      finish();
    }
  }

  /** The address of as many bytes as `array` has, all of them the segment's; and the array, without what is said in its name. */
  #place(name: string, offset: bigint | number, given: unknown): { readonly va: bigint; readonly array: Uint8Array } {
    const start = size("offset", offset);
    if (kindOf(given) !== "Uint8Array") throw argumentTypeError(name, "a Uint8Array", given);
    const rest = this.length - start;
    if (rest < 0n) throw argumentRangeError("offset", `at most the segment's ${inBytes(this.length)}`, offset);
    const length = lengthOf(given);
    if (BigInt(length) > rest) {
      throw argumentRangeError(`${name}.length`, `at most ${inBytes(rest)}, to the segment's end`, length);
    }
    this.#alive();
    try {
      return { va: this.va + start, array: new Uint8Array(bufferOf(given), startOf(given), length) };
    } catch {
      throw argumentTypeError(name, "an array whose memory is there", given); // detached
    }
  }

  /** The bytes from an address on that are to be copied, for a kernel that does not copy. */
  #shown(va: bigint, { byteLength }: Uint8Array): Uint8Array {
    return this.#part(va - this.va, BigInt(byteLength), (_, make) => make());
  }

  /** Shows a whole window. To make it the kernel is asked, and nobody may free the segment meanwhile: `run` sees to that. */
  #window(offset: bigint, length: bigint, run: typeof exclusively): Uint8Array {
    const key = `${offset}+${length}`;
    const known = this.#views.get(key);
    if (known !== undefined && known.byteLength > 0) return known;
    return run("segment.view", () => {
      this.#alive();
      if (known !== undefined) {
        // Its buffer was moved away: what it was moved into shows the memory too.
        this.#views.delete(key);
        this.#close(known);
      }
      const view = this.#kernel.view(this.va + offset, length);
      this.#views.set(key, view);
      return view;
    });
  }

  /** One array over this segment and those that follow it. */
  #together(segments: readonly Segment[]): JointView {
    const length = segments.reduce((sum, segment) => sum + segment.length, 0n);
    if (length > LONGEST_VIEW) {
      throw new DmaWindowError(
        "ERR_TOO_LARGE",
        `${inBytes(length)} are more than one array shows: ${inBytes(LONGEST_VIEW)}`,
      );
    }
    return exclusively("segment.view", () => {
      for (let i = 0; i < segments.length; i++) (segments[i] as Segment).#alive();
      const view = this.#kernel.view(this.va, length);
      for (let i = 0; i < segments.length; i++) (segments[i] as Segment).#joints.set(view, segments);
      return { va: this.va, view };
    });
  }

  /** Ends a view, and keeps what is left of it, with all that it shows: also the view itself, where it could not be ended. */
  #close(view: Uint8Array, shown?: readonly Segment[]): void {
    let sight: Sight | undefined;
    try {
      sight = sightIn(this.#kernel.unview(view));
    } catch (error) {
      sight = new UnendedView(this.#kernel, view, error);
    }
    for (let i = 0; shown !== undefined && i < shown.length; i++) (shown[i] as Segment).#joints.delete(view);
    if (sight === undefined) return;
    if (shown === undefined) this.#sights.add(sight);
    else for (let i = 0; i < shown.length; i++) (shown[i] as Segment).#sights.add(sight);
  }

  /** Tries each view, whatever becomes of the others. */
  #end(): Sights {
    this.#alive();
    this.#freed = true;
    this.#views.forEach((view) => {
      this.#close(view);
    });
    this.#views.clear();
    this.#joints.forEach((shown, view) => {
      this.#close(view, shown);
    });
    return this.#sights;
  }

  #alive(): void {
    if (this.#freed) throw new DmaWindowError("ERR_FREED", `the segment at ${hex(this.va)} has been freed`);
  }
}

/** A segment of pages that are there; `sights`: what may still reach those that were at its addresses before. */
export function makeSegment(...of: Made): Segment {
  return make(...of);
}

/** This file lies below that of windows: it knows one by its mark. */
function checkWindow(window: WindowOfSegment): void {
  const isOne = typeof window === "object" && window !== null && nameOfMarked(window) === "a Window";
  if (!isOne) throw argumentTypeError("window", "a Window", window);
  if (!isItself(window)) throw imitationError("window", "a Window");
  if (window.closed) throw new DmaWindowError("ERR_CLOSED", `the window at ${hex(window.start)} is closed`);
}

/**
 * Ends all views of a segment: from here on its memory may go, but for what the sights say. Throws before anything is ended, for
 * one that has been freed, and at no other time.
 */
export function endSegment(segment: Segment): Sights {
  return end(segment).seen();
}

/** Of segments that are neighbours, by address. @throws `ERR_TOO_LARGE`, `ERR_NO_EXTERNAL_BUFFERS`, and what the kernel throws. */
export function showTogether(segments: readonly Segment[]): JointView {
  return together(segments);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

markClass(Segment, "Segment");
inspectable(Segment, "Segment", ({ freed, va, length, list }) => ({
  state: freed ? "freed" : undefined,
  va,
  length,
  pageSize: list.pageSize,
}));
