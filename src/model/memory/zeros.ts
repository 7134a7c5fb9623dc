import { PAGE_BYTES } from "../pages.ts";
import type { Backing } from "./backing.ts";
import type { PinnedPart } from "./pinned.ts";

/**
 * The page of zeros, wherever it stands for memory that nobody had touched: what the process writes there later goes to a page
 * of its own, and the device goes on reading zeros. (`mm/memory.c: do_anonymous_page`)
 */
class Zeros implements Backing {
  readonly start: number;
  readonly end: number;
  readonly pageShift: number;
  readonly kind = "zeros";

  constructor(start: number, end: number, pageShift: number) {
    this.start = start;
    this.end = end;
    this.pageShift = pageShift;
  }

  /** Nobody may write to it. */
  withPage(_page: number, use: (bytes: Uint8Array) => void): void {
    use(new Uint8Array(PAGE_BYTES));
  }

  gone(): [] {
    return [];
  }

  untouched(): [] {
    return [];
  }

  hold(): void {}

  release(): void {}

  copyFor(): Zeros {
    return this;
  }
}

/** A part cut up: zeros where nobody has touched it, and itself elsewhere. */
export function withZeros({ start, end, backing }: PinnedPart): PinnedPart[] {
  const parts: PinnedPart[] = [];
  let at = start;
  for (const piece of backing.untouched(start, end)) {
    if (piece.start > at) parts.push({ start: at, end: piece.start, backing });
    parts.push({ ...piece, backing: new Zeros(piece.start, piece.end, backing.pageShift) });
    at = piece.end;
  }
  if (at < end) parts.push({ start: at, end, backing });
  return parts;
}
