import { NO_ADDRESS } from "../core.ts";
import { leftBy, withResidue } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import { checkRoom, populate } from "./pages.ts";
import { Quarantine } from "./quarantine.ts";
import { listFull } from "./refusals.ts";
import { endSegment, makeSegment, type Segment } from "./segment.ts";
import type { Memseg, MemsegList, Place } from "./types.ts";

/** Pages in lists of a table's own: from the operating system to a segment, and back. */
export class OwnPages {
  readonly #kernel: Syscalls;
  readonly #quarantine: Quarantine;

  /** `table`: the core's. */
  constructor(kernel: Syscalls, table: number) {
    this.#kernel = kernel;
    this.#quarantine = new Quarantine(kernel, table);
  }

  /**
   * Puts pages into the lowest room, and hands their address to `record`. Where either throws nothing is left. `memsegs` are
   * those of the list, by address: asked for where there is no room.
   * @throws `ERR_LIST_FULL`, and as `checkRoom`, `populate` and `record` do.
   */
  provide(
    list: Place & MemsegList,
    pages: number,
    record: (va: bigint) => void,
    memsegs: () => Iterable<Memseg>,
  ): Segment {
    const va = this.#quarantine.room(list, BigInt(pages));
    if (va === NO_ADDRESS) throw listFull(list, BigInt(pages), memsegs(), this.#quarantine.rangesOf(list));
    const length = BigInt(pages) * list.pageSize;
    checkRoom(this.#kernel, length, list.pageShift, list.node);
    const sights = this.#quarantine.take(list, va, length);
    try {
      populate(this.#kernel, va, length, list.pageShift, list.node);
      record(va);
    } catch (error) {
      // Also where mmap itself failed: one at a FIXED address may have unmapped what was there before.
      const left = leftBy(() => this.#quarantine.giveBack(list, va, length, sights));
      throw withResidue(error, left);
    }
    return makeSegment(this.#kernel, list, va, length, sights);
  }

  /** Ends a segment's views, and gives its pages back. @throws `ERR_KERNEL`: its views are ended all the same. */
  giveBack(list: Place, segment: Segment): void {
    this.#quarantine.giveBack(list, segment.va, segment.length, endSegment(segment));
  }

  /**
   * Ends the views of segments, and gives lists back. Gives a sentence for what is left: of a list whose view may be there still,
   * the memory must not go.
   */
  end(segments: Iterable<Segment>, lists: Iterable<Place & { readonly kept: boolean }>): string[] {
    const left: string[] = [];
    const viewed = new Set<unknown>();
    for (const segment of segments) {
      const { va, length, list } = segment;
      const about = `a view of ${bytes(length)} of memory at ${hex(va)} may be left, and its list is not given back`;
      const more = leftBy(() => this.#end(list as MemsegList & Place, segment), about);
      if (more.length > 0) viewed.add(list);
      left.push(...more);
    }
    for (const list of lists) if (list.kept && !viewed.has(list)) left.push(...leftBy(() => this.release(list)));
    return left;
  }

  /** Before its list is released as a whole. */
  #end(list: Place, segment: Segment): void {
    const sights = endSegment(segment);
    if (sights.length > 0) this.#quarantine.giveBack(list, segment.va, segment.length, sights);
  }

  /** Gives a list's address space back, but for what something may still reach. @throws `ERR_KERNEL`. */
  release(list: Place): void {
    this.#quarantine.release(list);
  }

  /** Whether a range touches freed memory that something may still reach. */
  holds(list: Place, va: bigint, length: bigint): boolean {
    return this.#quarantine.holds(list, va, length);
  }

  /** Gives back what nothing can reach any more. */
  sweep(): void {
    this.#quarantine.sweep();
  }
}
