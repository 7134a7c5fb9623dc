/**
 * Addresses of freed memory that something may still reach: a buffer that the program moved away, or input and output that was under
 * way. Harmless memory lies there until nothing can, and nobody else gets the addresses:
 *
 *     list   | segment | quarantine: ordinary pages, none before a touch | segment | free: nothing, touching it faults |
 *
 * The pages of the segment go back at once. Where the kernel puts no other memory in their place (POWER's hash MMU has one page
 * size in a stretch of address space), they stay until nothing can reach them.
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

/** What is left of lists that are gone. Each thread has its own. */
const leftover = new Set<Kept & { readonly kernel: Syscalls }>();

export class Quarantine {
  readonly #kernel: Syscalls;
  readonly #table: number;
  #kept: Kept[] = [];
  /** How many make it worth while to collect garbage again. */
  #many = MANY;

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
  holds({ index }: Place, va: bigint, length: bigint): boolean {
    return this.#of(index).some((kept) => kept.va < va + length && va < kept.va + kept.length);
  }

  /** The lowest address with so many free pages in a row; NO_ADDRESS where there is none. @throws `ERR_OUT_OF_MEMORY`. */
  room(list: Place, pages: bigint): bigint {
    this.sweep();
    const found = this.#roomBeside(list, this.#of(list.index), pages);
    if (found !== NO_ADDRESS || this.#of(list.index).length === 0) return found;
    this.#collect();
    return this.#roomBeside(list, this.#of(list.index), pages);
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
    if (this.#kept.length < this.#many) return;
    this.#collect();
    this.#many = Math.max(MANY, 2 * this.#kept.length);
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
