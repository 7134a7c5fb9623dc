/** Who holds memory of a table, and what may not be done to it for as long as it is held. */
import { OwnSet } from "../captured.ts";
import { DmaWindowError } from "../errors.ts";
import { hex, bytes as inBytes } from "../hex.ts";
import type { Segment } from "./segment.ts";
import type { MemsegList } from "./types.ts";

/** What gives out parts of a list's segments, by the IOVAs that one window has for them: a heap. It holds its list from its first day. */
export interface Holder {
  /** As errors call it: `heap "rx"`. */
  readonly title: string;
  readonly list: MemsegList;
  readonly window: object;
  /** How many parts somebody has. */
  readonly liveCount: number;
  /** What else stands against it, in words. */
  readonly about?: string | undefined;
  holds(segment: Segment): boolean;
  /** Ends it, whatever is live: what `using` does to what lies over it. */
  shut(): void;
}

/** The holders of one table's memory. Each refusal comes before anything is changed. */
export class Holds {
  readonly #holders = new OwnSet<Holder>();

  add(holder: Holder): void {
    this.#holders.add(holder);
  }

  remove(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** @throws `ERR_HELD` for a segment that somebody holds. */
  checkSegment(segment: Segment): void {
    this.#refuse(
      (holder) => holder.holds(segment),
      () => `the segment of ${inBytes(segment.length)} at ${hex(segment.va)}`,
      "a heap frees its segments itself: free its blocks and call its trim()",
    );
  }

  /** @throws `ERR_HELD` for a list that somebody holds, also one without memory. */
  checkList(list: MemsegList): void {
    this.#refuse(
      (holder) => holder.list === list,
      () => `the list at ${hex(list.base)}`,
      "close the heap first",
    );
  }

  /** @throws `ERR_HELD` where somebody holds memory by IOVAs of `window`, or, without it, any. */
  check(what: string, window?: object): void {
    this.#refuse(
      (holder) => window === undefined || holder.window === window,
      () => what,
      "close the heap first",
    );
  }

  /** Ends those that hold memory by IOVAs of `window`, or, without it, all. @throws the first of what they throw, after all. */
  end(window?: object): void {
    let failure: { readonly error: unknown } | undefined;
    this.#holders.forEach((holder) => {
      if (window !== undefined && holder.window !== window) return;
      try {
        holder.shut();
      } catch (error) {
        failure ??= { error };
      }
    });
    if (failure) throw (failure as { readonly error: unknown }).error;
  }

  #refuse(isMeant: (holder: Holder) => boolean, what: () => string, advice: string): void {
    let found: Holder | undefined;
    this.#holders.forEach((holder) => {
      if (found === undefined && isMeant(holder)) found = holder;
    });
    if (found !== undefined) throw held(found, what(), advice);
  }
}

function held({ title, liveCount, about }: Holder, what: string, advice: string): DmaWindowError {
  const live = liveCount === 1 ? "1 block of it is live" : `${liveCount} blocks of it are live`;
  const more = about === undefined ? "" : `; it has ${about}`;
  return new DmaWindowError("ERR_HELD", `${what} is held by ${title}, and ${live}${more}: ${advice}`, {
    facts: { heap: title, live: liveCount },
  });
}
