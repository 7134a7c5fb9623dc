/**
 * Addresses of freed memory that something may still reach: a buffer that the program moved away, a socket that reads into it, or
 * input and output that may be under way. Harmless memory lies there until nothing can, and nobody else gets the addresses:
 *
 *     list   | segment | quarantine: ordinary pages, none before a touch | segment | free: nothing, touching it faults |
 *
 * The pages of the segment go back at once. Where the kernel puts no other memory in their place (POWER's hash MMU has one page
 * size in a stretch of address space), they stay until nothing can reach them.
 *
 * What requests alone may reach (a file's, the thread pool's) is given out again when a list has no other room. Whether any is really under way nobody
 * can say: a program that waits for its own before it frees must not be told that its list is full.
 *
 * Of a list that is gone these addresses remain, and are given back as soon as anything is done with a table and they can be.
 */
import { bareArray, OwnSet, sort } from "../captured.ts";
import { core, NO_ADDRESS, Status } from "../core.ts";
import { bytes } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import { release, replace, vacate } from "./pages.ts";
import { refused } from "./refusals.ts";
import { Sights } from "./sights.ts";
import type { Place } from "./types.ts";

interface Kept {
  readonly list: Place;
  readonly va: bigint;
  readonly length: bigint;
  readonly sights: Sights;
}

/** From so many ranges on garbage is collected: to keep more costs more than that does. */
const MANY = 256;

/** What is left of lists that are gone. Each thread has its own. */
const leftover = new OwnSet<Kept & { readonly kernel: Syscalls }>();

export class Quarantine {
  readonly #kernel: Syscalls;
  readonly #table: number;
  readonly #kept = new OwnSet<Kept>();
  /** How many the last collection of garbage left. */
  #left = 0;

  /** `table`: the core's. */
  constructor(kernel: Syscalls, table: number) {
    this.#kernel = kernel;
    this.#table = table;
  }

  /** What of a list waits for the collector of garbage, or for input and output. */
  rangesOf({ index }: Place): readonly { readonly va: bigint; readonly length: bigint }[] {
    const ranges: Kept[] = [];
    this.#kept.forEach((kept) => {
      if (kept.list.index === index) ranges.push(kept);
    });
    return ranges;
  }

  /** Whether a range touches one that is kept. */
  holds({ index }: Pick<Place, "index">, va: bigint, length: bigint): boolean {
    let isHeld = false;
    this.#kept.forEach((kept) => {
      isHeld ||= kept.list.index === index && kept.va < va + length && va < kept.va + kept.length;
    });
    return isHeld;
  }

  /** The lowest address with so many free pages in a row; NO_ADDRESS where there is none. @throws `ERR_OUT_OF_MEMORY`. */
  room(list: Place, pages: bigint): bigint {
    this.sweep();
    let found = this.#roomBeside(list, () => true, pages);
    if (found !== NO_ADDRESS || !this.holds(list, list.base, list.length)) return found;
    // To collect garbage takes milliseconds, so not for a few ranges again that the last time left.
    const isWorthWhile = this.#kept.size > 2 * this.#left;
    if (isWorthWhile) {
      this.#collect();
      found = this.#roomBeside(list, () => true, pages);
    }
    if (found === NO_ADDRESS) found = this.#roomBeside(list, isMoved, pages);
    if (found !== NO_ADDRESS || isWorthWhile) return found;
    this.#collect();
    return this.#roomBeside(list, isMoved, pages);
  }

  /** Takes a range out of the quarantine for a new segment, which inherits what may still reach it. */
  take({ index }: Place, va: bigint, length: bigint): Sights {
    const sights = new Sights();
    this.#kept.forEach((kept) => {
      const end = kept.va + kept.length;
      if (kept.list.index !== index || end <= va || kept.va >= va + length) return;
      this.#kept.delete(kept);
      sights.addAll(kept.sights);
      if (kept.va < va) this.#kept.add({ ...kept, length: va - kept.va });
      if (va + length < end) this.#kept.add({ ...kept, va: va + length, length: end - (va + length) });
    });
    return sights;
  }

  /**
   * Keeps a range for pages that come to it a part at a time: nobody else gets it meanwhile, also when its list and its table have gone.
   * Gives what ends that: whether the list is still there to have it.
   */
  hold(list: Place, va: bigint, length: bigint): () => boolean {
    let isHeld = true;
    const sights = new Sights();
    sights.add({ moved: true, seen: () => isHeld });
    const kept = { list, va, length, sights };
    this.#kept.add(kept);
    return () => {
      isHeld = false;
      const isThere = this.#kept.delete(kept);
      if (!isThere) this.sweep(); // of a list that has gone
      return isThere;
    };
  }

  /** Gives the pages back; the addresses where nothing may reach them any more. @throws `ERR_KERNEL`: they are kept all the same. */
  giveBack(list: Place, va: bigint, length: bigint, sights: Sights): void {
    if (sights.size === 0) {
      vacate(this.#kernel, va, length, list.pageShift);
      return;
    }
    // Whatever the kernel says: where it is refused the pages are what is harmless, and they are nobody else's.
    this.#kept.add({ list, va, length, sights });
    replace(this.#kernel, va, length);
    if (this.#kept.size > MANY && this.#kept.size > 2 * this.#left) this.#collect();
  }

  /** Gives the address space of a list back, but for what is kept. @throws `ERR_KERNEL`, after all else went back. */
  release(list: Place): void {
    this.sweep();
    const kept = this.#of(list.index);
    sort(kept, (a, b) => (a.va < b.va ? -1 : 1));
    let failure: { readonly error: unknown } | undefined;
    let at = list.base;
    for (let i = 0; i <= kept.length; i++) {
      const one = kept[i] ?? { va: list.base + list.length, length: 0n };
      try {
        if (at < one.va) release(this.#kernel, at, one.va - at);
      } catch (error) {
        failure ??= { error };
      }
      at = one.va + one.length;
    }
    for (let i = 0; i < kept.length; i++) {
      const one = kept[i] as Kept;
      this.#kept.delete(one);
      leftover.add({ ...one, kernel: this.#kernel });
    }
    if (failure) throw failure.error;
  }

  /** Ends what nothing can reach any more. What the kernel does not take back is tried again. */
  sweep(): void {
    this.#kept.forEach((one) => {
      const { list, va, length, sights } = one;
      if (sights.isSeen) return;
      if (succeeds(() => vacate(this.#kernel, va, length, list.pageShift))) this.#kept.delete(one);
    });
    leftover.forEach((one) => {
      const { kernel, va, length, sights } = one;
      if (!sights.isSeen && succeeds(() => release(kernel, va, length))) leftover.delete(one);
    });
  }

  /** Sees what is still held once garbage is gone. A buffer that another thread had, or had last, is known a turn later. */
  #collect(): void {
    let isDone = false;
    this.#kept.forEach(({ sights }) => {
      if (!isDone) isDone = sights.collect();
    });
    this.sweep();
    this.#left = this.#kept.size;
  }

  #of(index: number): Kept[] {
    const found = bareArray<Kept>();
    this.#kept.forEach((kept) => {
      if (kept.list.index === index) found[found.length] = kept;
    });
    return found;
  }

  /** The core looks for room between memsegs: so what is kept is one for as long as it looks. */
  #roomBeside(list: Place, isInTheWay: (kept: Kept) => boolean, pages: bigint): bigint {
    const added = new OwnSet<bigint>();
    try {
      this.#kept.forEach((kept) => {
        if (kept.list.index !== list.index || !isInTheWay(kept)) return;
        const status = core.memsegAdd(this.#table, list.index, kept.va, NO_ADDRESS, kept.length);
        if (status !== Status.OK) throw refused(status, `${bytes(kept.length)} that are kept`);
        added.add(kept.va);
      });
      return core.listFreePages(this.#table, list.index, pages);
    } finally {
      added.forEach((va) => {
        core.memsegRemove(this.#table, va);
      });
    }
  }
}

function isMoved({ sights }: Kept): boolean {
  return sights.isMoved;
}

function succeeds(call: () => void): boolean {
  try {
    call();
    return true;
  } catch {
    return false;
  }
}
