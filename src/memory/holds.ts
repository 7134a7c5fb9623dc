/** Who holds memory of a table, and what may not be done to it for as long as it is held. */
import { OwnSet } from "../captured.ts";
import { DmaWindowError } from "../errors.ts";
import { hex, bytes as inBytes } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import type { Listeners } from "./listeners.ts";
import { checkReach } from "./reach.ts";
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

/** The table, as far as its memory's end needs it. */
export interface HeldTable {
  readonly kernel: Syscalls | undefined;
  readonly asksPhysical: boolean;
  readonly listeners: Listeners;
}

/** The holders of one table's memory, and the devices that reach it. Each refusal comes before anything is changed. */
export class Holds {
  readonly #table: HeldTable;
  readonly #holders = new OwnSet<Holder>();

  constructor(table: HeldTable) {
    this.#table = table;
  }

  add(holder: Holder): void {
    this.#holders.add(holder);
  }

  remove(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** @throws `ERR_HELD` for a segment that somebody holds, and as {@link checkReach}. */
  checkSegment(segment: Segment): void {
    this.#refuse(
      (holder) => holder.holds(segment),
      () => `the segment of ${inBytes(segment.length)} at ${hex(segment.va)}`,
      "a heap frees its segments itself: free its blocks and call its trim()",
    );
    this.checkReach(segment);
  }

  /** @throws `ERR_DEVICE_RUNNING`, `ERR_STILL_MAPPED` for a segment that a device may reach when it has gone back to the system. */
  checkReach({ va, length }: Segment): void {
    const { kernel, asksPhysical, listeners } = this.#table;
    if (kernel === undefined) return;
    checkReach(kernel, {
      va,
      length,
      what: `the segment of ${inBytes(length)} at ${hex(va)}`,
      isPhysical: asksPhysical,
      isServedBy: (window) => listeners.some((listener) => listener.window === window),
    });
  }

  /** The same for all of them. */
  checkReachOf(segments: OwnSet<Segment>): void {
    segments.forEach((segment) => {
      this.checkReach(segment);
    });
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
