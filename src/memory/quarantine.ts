/**
 * Addresses of freed memory that something may still reach: a buffer that the program moved away, or input and output that may be
 * under way. Harmless memory lies there until nothing can, and nobody else gets the addresses:
 *
 *     list   | segment | quarantine: ordinary pages, none before a touch | segment | free: nothing, touching it faults |
 *
 * The pages of the segment go back at once. Where the kernel puts no other memory in their place (POWER's hash MMU has one page
 * size in a stretch of address space), they stay until nothing can reach them.
 *
 * What input and output alone may reach is given out again when a list has no other room. Whether any is really under way nobody
 * can say: a program that waits for its own before it frees must not be told that its list is full.
 *
 * Of a list that is gone these addresses remain, and are given back as soon as anything is done with a table and they can be.
 */
import { core, NO_ADDRESS, Status } from "../core.ts";
import { bytes } from "../hex.ts";
import type { Sight, Syscalls } from "../syscalls.ts";
import { release, replace, vacate } from "./pages.ts";
import { refused } from "./refusals.ts";
import type { Place } from "./types.ts";

interface Kept {
  readonly list: Place;
  readonly va: bigint;
  readonly length: bigint;
  readonly sights: readonly Sight[];
}

/** From so many ranges on garbage is collected: to keep more costs more than that does. */
const MANY = 256;

/** What a range was taken with, as {@link Quarantine.take} gives it. */
const NONE: readonly Sight[] = [];

/** What is left of lists that are gone. Each thread has its own. */
const leftover = new Set<Kept & { readonly kernel: Syscalls }>();

export class Quarantine {
  readonly #kernel: Syscalls;
  readonly #table: number;
  #kept: Kept[] = [];
  /** How many the last collection of garbage left. */
  #left = 0;

  /** `table`: the core's. */
  constructor(kernel: Syscalls, table: number) {
    this.#kernel = kernel;
    this.#table = table;
  }

  /** What of a list waits for the collector of garbage, or for input and output. */
  rangesOf({ index }: Place): readonly { readonly va: bigint; readonly length: bigint }[] {
    return this.#of(index);
  }

  /** Whether a range touches one that is kept. */
  holds({ index }: Pick<Place, "index">, va: bigint, length: bigint): boolean {
    return this.#of(index).some((kept) => kept.va < va + length && va < kept.va + kept.length);
  }

  /** The lowest address with so many free pages in a row; NO_ADDRESS where there is none. @throws `ERR_OUT_OF_MEMORY`. */
  room(list: Place, pages: bigint): bigint {
    this.sweep();
    const beside = (isInTheWay: (kept: Kept) => boolean) =>
      this.#roomBeside(list, this.#of(list.index).filter(isInTheWay), pages);
    let found = beside(() => true);
    if (found !== NO_ADDRESS || this.#of(list.index).length === 0) return found;
    // To collect garbage takes milliseconds, so not for a few ranges again that the last time left.
    const isWorthWhile = this.#kept.length > 2 * this.#left;
    if (isWorthWhile) {
      this.#collect();
      found = beside(() => true);
    }
    if (found === NO_ADDRESS) found = beside(isMoved);
    if (found !== NO_ADDRESS || isWorthWhile) return found;
    this.#collect();
    return beside(isMoved);
  }

  /** Takes a range out of the quarantine for a new segment, which inherits what may still reach it. */
  take({ index }: Place, va: bigint, length: bigint): readonly Sight[] {
    if (!this.holds({ index }, va, length)) return NONE;
    const sights: Sight[] = [];
    this.#kept = this.#kept.flatMap((kept) => {
      const end = kept.va + kept.length;
      if (kept.list.index !== index || end <= va || kept.va >= va + length) return [kept];
      sights.push(...kept.sights);
      const pieces = [
        { ...kept, length: va - kept.va },
        { ...kept, va: va + length, length: end - (va + length) },
      ];
      return pieces.filter((piece) => piece.length > 0n);
    });
    return sights;
  }

  /** Gives the pages back; the addresses where nothing may reach them any more. @throws `ERR_KERNEL`. */
  giveBack(list: Place, va: bigint, length: bigint, sights: readonly Sight[]): void {
    if (sights.length === 0) {
      vacate(this.#kernel, va, length, list.pageShift);
      return;
    }
    // Where it is refused the pages are what is harmless: they are nobody else's.
    replace(this.#kernel, va, length);
    this.#kept.push({ list, va, length, sights });
    if (this.#kept.length > Math.max(MANY, 2 * this.#left)) this.#collect();
  }

  /** Gives the address space of a list back, but for what is kept. @throws `ERR_KERNEL`, after all else went back. */
  release(list: Place): void {
    this.sweep();
    const kept = this.#of(list.index).sort((a, b) => (a.va < b.va ? -1 : 1));
    this.#kept = this.#kept.filter((one) => !kept.includes(one));
    const failures: unknown[] = [];
    let at = list.base;
    for (const { va, length } of [...kept, { va: list.base + list.length, length: 0n }]) {
      try {
        if (at < va) release(this.#kernel, at, va - at);
      } catch (error) {
        failures.push(error);
      }
      at = va + length;
    }
    for (const one of kept) leftover.add({ ...one, kernel: this.#kernel });
    if (failures.length > 0) throw failures[0];
  }

  /** Ends what nothing can reach any more. What the kernel does not take back is tried again. */
  sweep(): void {
    this.#kept = this.#kept.filter(
      ({ list, va, length, sights }) =>
        isSeen(sights) || !succeeds(() => vacate(this.#kernel, va, length, list.pageShift)),
    );
    for (const one of leftover) {
      const { kernel, va, length, sights } = one;
      if (!isSeen(sights) && succeeds(() => release(kernel, va, length))) leftover.delete(one);
    }
  }

  /** Sees what is still held once garbage is gone. A buffer that another thread had, or had last, is known a turn later. */
  #collect(): void {
    this.#kept[0]?.sights[0]?.collect?.();
    this.sweep();
    this.#left = this.#kept.length;
  }

  #of(index: number): Kept[] {
    return this.#kept.filter(({ list }) => list.index === index);
  }

  /** The core looks for room between memsegs: so what is kept is one for as long as it looks. */
  #roomBeside(list: Place, kept: readonly Kept[], pages: bigint): bigint {
    const added: bigint[] = [];
    try {
      for (const { va, length } of kept) {
        const status = core.memsegAdd(this.#table, list.index, va, NO_ADDRESS, length);
        if (status !== Status.OK) throw refused(status, `${bytes(length)} that are kept`);
        added.push(va);
      }
      return core.listFreePages(this.#table, list.index, pages);
    } finally {
      for (const va of added) core.memsegRemove(this.#table, va);
    }
  }
}

function isMoved({ sights }: Kept): boolean {
  return sights.some(({ moved }) => moved);
}

function isSeen(sights: readonly Sight[]): boolean {
  return sights.some((sight) => sight.seen());
}

function succeeds(call: () => void): boolean {
  try {
    call();
    return true;
  } catch {
    return false;
  }
}
