import { bytes, hex } from "../../hex.ts";
import { ModelUnknown } from "../errors.ts";
import { bytesOf, PAGE_BYTES } from "../pages.ts";
import type { Range } from "../sorted.ts";
import type { Addresses, Backing } from "./backing.ts";
import type { MemorySource } from "./source.ts";

export interface RealBackingParts {
  readonly space: Addresses;
  readonly source: MemorySource;
  readonly start: number;
  readonly end: number;
  readonly pageShift: number;
}

/**
 * Real pages of this very process. The operating system knows nothing of the model's pins: after a munmap the pages are
 * gone, or another's, and the model keeps its hands off; unless the source has kept them.
 */
export class RealBacking implements Backing {
  readonly start: number;
  readonly end: number;
  readonly pageShift: number;
  readonly #space: Addresses;
  readonly #source: MemorySource;

  constructor({ space, source, start, end, pageShift }: RealBackingParts) {
    this.#space = space;
    this.#source = source;
    this.start = start;
    this.end = end;
    this.pageShift = pageShift;
  }

  get kind(): string {
    return `real pages of 2^${this.pageShift}`;
  }

  /** Not known: the process touches it without a word. */
  untouched(): Range[] {
    return [];
  }

  hold(): void {}

  release(): void {}

  gone(start: number, end: number): Range[] {
    return this.#space.without(this, start, end);
  }

  withPage(page: number, use: (bytes: Uint8Array) => void): void {
    if (this.gone(page, page + 1).length > 0) {
      const kept = this.#source.kept?.(this, bytesOf(page));
      if (kept !== undefined) {
        use(kept);
        return;
      }
      throw new ModelUnknown(
        `a device's access to ${bytes(PAGE_BYTES)} at ${hex(bytesOf(page))}: real memory that is pinned in the model alone, and ` +
          "that the process has unmapped since",
      );
    }
    const view = this.#source.view(bytesOf(page), BigInt(PAGE_BYTES));
    try {
      use(view);
    } finally {
      this.#source.unview(view);
    }
  }

  copyFor(): Backing {
    throw new ModelUnknown("fork of a process that runs on real memory");
  }
}
