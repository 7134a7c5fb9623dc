/** The memsegs of a table as the core has recorded them, made objects when somebody asks. */
import { core, NO_ADDRESS } from "../core.ts";
import type { Memseg, MemsegList, OwnList } from "./types.ts";

/** A memseg, and its list. */
export type Listed = Memseg & { readonly list: MemsegList };

export class Recorded {
  /** The core's number of the table. @throws `ERR_CLOSED`. */
  readonly #core: () => number;
  /** The lists by the core's numbers. */
  readonly #listAt: readonly OwnList[];

  constructor(core: () => number, listAt: readonly OwnList[]) {
    this.#core = core;
    this.#listAt = listAt;
  }

  /** One that the core has just named. */
  read(number: number): Listed {
    const table = this.#core();
    const iova = core.memsegIova(table, number);
    return {
      va: core.memsegVa(table, number),
      length: core.memsegLength(table, number),
      ...(iova === NO_ADDRESS ? {} : { iova }),
      list: this.#listAt[core.memsegList(table, number)] as OwnList,
    };
  }

  /** Those that touch a range, by address. */
  *within(start: bigint, last: bigint): Generator<Listed, void, void> {
    for (let at = start; at <= last; ) {
      const number = core.memsegNext(this.#core(), at, last);
      if (number < 0) return;
      const memseg = this.read(number);
      yield memseg;
      at = memseg.va + memseg.length;
    }
  }
}

/** For whoever looks at them. */
export function* shownEach<T>(memsegs: Iterable<T>, show: (memseg: T) => T): Generator<T, void, void> {
  for (const memseg of memsegs) yield show(memseg);
}
