import { hex } from "../../hex.ts";
import { ModelUnknown } from "../errors.ts";
import { bytesOf } from "../pages.ts";
import type { Range } from "../sorted.ts";
import type { Backing, DeviceMemory } from "./backing.ts";

/** Pages of one backing. */
export interface PinnedPart extends Range {
  readonly backing: Backing;
}

/**
 * Pages that are kept for a device: they stay what they are, and where they are, until {@link release}, whatever the process
 * does at their addresses. (`mm/gup.c: pin_user_pages`, FOLL_LONGTERM)
 */
export class PinnedMemory implements DeviceMemory {
  /** By address, without a hole. */
  readonly #parts: readonly PinnedPart[];

  constructor(parts: readonly PinnedPart[]) {
    this.#parts = parts;
    for (const { backing, start, end } of parts) backing.hold(start, end);
  }

  /** Once. */
  release(): void {
    for (const { backing, start, end } of this.#parts) backing.release(start, end);
  }

  withPage(page: number, use: (bytes: Uint8Array) => void): void {
    this.#backingOf(page).withPage(page, use);
  }

  gone(start: number, end: number): Range[] {
    return this.#parts.flatMap((part) => {
      const [from, to] = [Math.max(part.start, start), Math.min(part.end, end)];
      return from < to ? part.backing.gone(from, to) : [];
    });
  }

  /** What each of its parts is made of, one after the other. */
  get kinds(): readonly string[] {
    return this.#parts.map(({ backing, start, end }) => `${end - start} of ${backing.kind}`);
  }

  /** The size of the page that holds `page`. */
  pageShiftAt(page: number): number {
    return this.#backingOf(page).pageShift;
  }

  /** The sizes of the pages it lies on, one after the other. */
  get pageShifts(): number[] {
    return this.#parts.map(({ backing }) => backing.pageShift);
  }

  #backingOf(page: number): Backing {
    let low = 0;
    let high = this.#parts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#parts[middle] as PinnedPart).end > page) high = middle;
      else low = middle + 1;
    }
    const part = this.#parts[low];
    // A TCE never leads out of what was registered, nor a map out of what it pinned: this would be a mistake of the model.
    if (part === undefined || page < part.start)
      throw new ModelUnknown(`memory at ${hex(bytesOf(page))}, never pinned`);
    return part.backing;
  }
}
