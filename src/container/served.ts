/**
 * Which memory an attachment has mapped itself, while it comes and goes in steps. A window tells what is mapped, and not by whom: where
 * IOVAs are physical addresses the program may have the same memory there by a map of its own, which is not to be adopted, nor undone.
 *
 *     memory    [ given up |          mapped in steps          |  a  not yet   a    ]
 *                          from                                to    a: came meanwhile, and was mapped at once
 */
import type { Memseg } from "../memory/types.ts";

const END = 1n << 64n;

export class Served {
  #from = 0n;
  #to = 0n;
  /** Behind `to`, by address. */
  readonly #ahead = new Set<bigint>();
  /** It came when nothing was mapped any more. */
  readonly #passed = new Set<bigint>();

  /** Whether the memory at an address, where a memseg begins, is mapped by the attachment. */
  has(va: bigint): boolean {
    return va >= this.#from && (va < this.#to ? !this.#passed.has(va) : this.#ahead.has(va));
  }

  /** All memory before an address is mapped; left out: all that there is. */
  mappedTo(next = END): void {
    this.#to = next;
  }

  /** All memory before an address is given up. */
  givenUpTo(next = END): void {
    this.#from = next;
  }

  came(memsegs: readonly Memseg[], isMapped: boolean): void {
    for (const { va } of memsegs) {
      if (!isMapped) this.#passed.add(va);
      else if (va >= this.#to) this.#ahead.add(va);
    }
  }

  went(memsegs: readonly Memseg[]): void {
    for (const { va } of memsegs) {
      this.#ahead.delete(va);
      this.#passed.delete(va);
    }
  }
}
