import type { OwnSet } from "../captured.ts";
import { NO_ADDRESS } from "../core.ts";
import { leftBy, messageOf, withoutResidue, withResidue } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import { checkRoom, populate } from "./pages.ts";
import { Quarantine } from "./quarantine.ts";
import { forgetReach } from "./reach.ts";
import { listFull } from "./refusals.ts";
import { endSegment, makeSegment, type Segment } from "./segment.ts";
import type { Memseg, MemsegList, Place } from "./types.ts";

/** Pages in lists of a table's own: from the operating system to a segment, and back. */
export class OwnPages {
  readonly #kernel: Syscalls;
  readonly #quarantine: Quarantine;
  readonly #free: (segment: Segment) => void;

  /** `table`: the core's; `free`: what a program has for it. */
  constructor(kernel: Syscalls, table: number, free: (segment: Segment) => void) {
    this.#kernel = kernel;
    this.#free = free;
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
      forgetReach(this.#kernel, va, length);
      const left = leftBy(() => this.#quarantine.giveBack(list, va, length, sights));
      throw withResidue(error, left);
    }
    return makeSegment(this.#kernel, list, va, length, sights, this.#free);
  }

  /**
   * Ends a segment's views, and gives its pages back. Where a view may be alive the addresses are kept, as after `close`.
   * @throws `ERR_KERNEL`, and what ending a view threw: the segment is gone all the same, and the residue says what is left.
   */
  giveBack(list: Place, segment: Segment): void {
    const { va, length } = segment;
    const sights = endSegment(segment);
    const { problem } = sights;
    const left = problem === undefined ? [] : [viewLeft(segment, problem)];
    forgetReach(this.#kernel, va, length);
    try {
      this.#quarantine.giveBack(list, va, length, sights);
    } catch (error) {
      throw withResidue(error, [`${bytes(length)} of memory at ${hex(va)} are not given back`, ...left]);
    }
    if (problem !== undefined) throw withResidue(problem, left);
  }

  /**
   * Ends the views of segments, and gives lists back. Gives a sentence for what is left: where a view may be there still, the
   * addresses must not go.
   */
  end(segments: OwnSet<Segment>, lists: OwnSet<Place & { readonly kept: boolean }>): string[] {
    const left: string[] = [];
    segments.forEach((segment) => {
      const { va, length, list } = segment;
      const sights = endSegment(segment);
      forgetReach(this.#kernel, va, length);
      // Before its list is released as a whole, but for what is kept.
      if (sights.size > 0) {
        left.push(...leftBy(() => this.#quarantine.giveBack(list as MemsegList & Place, va, length, sights)));
      }
      if (sights.problem !== undefined) left.push(viewLeft(segment, sights.problem));
    });
    lists.forEach((list) => {
      if (list.kept) left.push(...leftBy(() => this.release(list)));
    });
    return left;
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

function viewLeft({ va, length }: Segment, problem: unknown): string {
  const why = messageOf(withoutResidue(problem));
  return `a view of ${bytes(length)} of memory at ${hex(va)} may be left, and its addresses are kept until it can be ended (${why})`;
}
