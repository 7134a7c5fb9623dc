import { markClass } from "../copies.ts";
import { DmaWindowError, leftBy } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { bytes, hex } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import type { MemsegList } from "./types.ts";

/** Pages that `MemsegTable.allocate` has given. Valid until they are freed. */
export class Segment {
  readonly list: MemsegList;
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint;

  readonly #kernel: Syscalls;
  #view: Uint8Array | undefined;
  #freed = false;

  /** @internal */
  constructor(kernel: Syscalls, list: MemsegList, va: bigint, length: bigint) {
    this.#kernel = kernel;
    this.list = list;
    this.va = va;
    this.length = length;
  }

  get freed(): boolean {
    return this.#freed;
  }

  /**
   * The memory itself, without a copy: what is written here the device reads. Has length 0 once the segment is freed.
   * @throws `ERR_FREED`; RangeError for a segment that is larger than an ArrayBuffer can be.
   */
  get bytes(): Uint8Array {
    if (this.#freed) throw new DmaWindowError("ERR_FREED", `the segment at ${hex(this.va)} has been freed`);
    this.#view ??= exclusively("segment.bytes", () => this.#kernel.view(this.va, this.length));
    return this.#view;
  }

  /** @internal Ends the view: from here on the memory may go. */
  end(): void {
    if (this.#view !== undefined) this.#kernel.unview(this.#view);
    this.#view = undefined;
    this.#freed = true;
  }
}

markClass(Segment, "Segment");

/** Ends the views of segments. `viewed` are the lists of those whose view may be left: their memory must not go. */
export function endAll(segments: Iterable<Segment>): { readonly left: string[]; readonly viewed: Set<MemsegList> } {
  const left: string[] = [];
  const viewed = new Set<MemsegList>();
  for (const segment of segments) {
    const about = `a view of ${bytes(segment.length)} of memory at ${hex(segment.va)} may be left, and its list is not given back`;
    const more = leftBy(() => segment.end(), about);
    if (more.length > 0) viewed.add(segment.list);
    left.push(...more);
  }
  return { left, viewed };
}
