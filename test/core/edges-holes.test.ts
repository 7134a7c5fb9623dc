/**
 * Where the first hole is, and how long the largest: in maps in which what is live and what is reserved begins and ends
 * around words, blocks of 128 bytes and chunks.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NO_ADDRESS } from "../../src/core.ts";
import {
  any,
  firstFit,
  type Holes,
  holes,
  largestHole,
  type Span,
  type Spans,
  temptingHoles,
} from "../reference/spans.ts";
import { ALIGN_SHIFTS, background, LARGE, LENGTHS, SMALL, searchSpans } from "../support/bitmap-cases.ts";
import { bytes, PAGE_SHIFT, pagesOf, START, TceMap } from "../support/tce-map.ts";
import { agree, eachBuild, show } from "./support.ts";

/** A map in which at most one span is live and at most one is reserved. */
interface Searched {
  setLive(span: Span | undefined): void;
  setReserved(span: Span | undefined): void;
  firstFit(length: number, alignShift: number): number;
  largestHole(): number;
  close(): void;
}

/** A window of the core's. */
class SearchedWindow extends TceMap implements Searched {
  #live: Span | undefined;
  #reserved: Span | undefined;

  setLive(span: Span | undefined): void {
    if (this.#live !== undefined) this.unmap(pagesOf(this.#live));
    this.#live = span;
    if (span !== undefined) this.map(pagesOf(span));
  }

  setReserved(span: Span | undefined): void {
    if (this.#reserved !== undefined) this.unreserve(pagesOf(this.#reserved));
    this.#reserved = span;
    if (span !== undefined) this.reserve(pagesOf(span));
  }

  firstFit(length: number, alignShift: number): number {
    const iova = this.core.windowFirstFit(this.window, bytes(length), PAGE_SHIFT + alignShift);
    return iova === NO_ADDRESS ? -1 : Number((iova - START) >> BigInt(PAGE_SHIFT));
  }

  largestHole(): number {
    return Number(this.core.windowLargestHole(this.window) >> BigInt(PAGE_SHIFT));
  }
}

/** The twin's, with its own idea of the holes. */
class SearchedHoles implements Searched {
  readonly #size: number;
  readonly #holes: Holes;
  #live: Spans = [];
  #reserved: Spans = [];
  #found: Spans | undefined;

  constructor(size: number, found: Holes) {
    this.#size = size;
    this.#holes = found;
  }

  setLive(span: Span | undefined): void {
    this.#live = span === undefined ? [] : [span];
    this.#found = undefined;
  }

  setReserved(span: Span | undefined): void {
    this.#reserved = span === undefined ? [] : [span];
    this.#found = undefined;
  }

  get #clear(): Spans {
    this.#found ??= this.#holes(this.#live, this.#reserved, this.#size);
    return this.#found;
  }

  firstFit(length: number, alignShift: number): number {
    return firstFit(this.#clear, length, 2 ** alignShift);
  }

  largestHole(): number {
    return largestHole(this.#clear);
  }

  close(): void {}
}

type Open = (size: number) => Searched;

/** Plays every map of a size, one after the other: each span of `live` with each of `reserved` that leaves it alone. */
function play(map: Searched, live: readonly (Span | undefined)[], reserved: readonly Span[], search: () => void): void {
  for (const first of live) {
    map.setLive(first);
    for (const second of reserved) {
      if (first !== undefined && any([first], second)) continue;
      map.setReserved(second);
      search();
    }
    map.setReserved(undefined);
  }
  map.setLive(undefined);
}

/** Every search of every map, in an order of its own; `found` hears what each found. */
function searchAll(open: Open, found: { firstFit(at: number): void; largestHole(length: number): void }): void {
  const large = open(LARGE);
  play(large, searchSpans(), searchSpans(), () => {
    const largest = large.largestHole();
    found.largestHole(largest);
    for (const length of new Set([...LENGTHS, largest, largest + 1]))
      for (const shift of ALIGN_SHIFTS) found.firstFit(large.firstFit(length, shift));
  });
  large.close();
  for (const size of SMALL) {
    const small = open(size);
    const starts = Array.from({ length: size }, (_, first) => first);
    const every = starts.flatMap((first) => starts.slice(first).map((last) => ({ first, end: last + 1 })));
    play(small, background(size), every, () => found.largestHole(small.largestHole()));
    small.close();
  }
}

interface Found {
  readonly firstFits: number[];
  readonly largestHoles: number[];
}

let twin: Found | undefined;

/** What the twin finds; worked out once for all builds. */
function expected(): Found {
  if (twin === undefined) {
    const [firstFits, largestHoles]: [number[], number[]] = [[], []];
    searchAll((size) => new SearchedHoles(size, holes), {
      firstFit: (at) => firstFits.push(at),
      largestHole: (length) => largestHoles.push(length),
    });
    twin = { firstFits, largestHoles };
  }
  return twin;
}

/** Thrown where a search finds something else than the twin. Not an assertion, which uvu would never catch. */
class ToldApart extends Error {}

/** Fails where a search finds something else than the twin. How many searches there were. */
function compare(open: Open): { firstFits: number; largestHoles: number } {
  const right = expected();
  let [firstFits, largestHoles] = [0, 0];
  const same = (kind: string, index: number, actual: number, wanted: number | undefined): void => {
    if (actual !== wanted) throw new ToldApart(`${kind} ${index} found ${actual}, not ${wanted}`);
  };
  searchAll(open, {
    firstFit: (at) => same("first fit", firstFits, at, right.firstFits[firstFits++]),
    largestHole: (length) => same("largest hole", largestHoles, length, right.largestHoles[largestHoles++]),
  });
  return { firstFits, largestHoles };
}

eachBuild("the searches for holes", (test, core) => {
  test("find the first hole and the largest: a million searches each", () => {
    const cases = compare((size) => new SearchedWindow(core, size));
    agree(cases.firstFits, expected().firstFits.length, () => "first fits");
    agree(cases.largestHoles, expected().largestHoles.length, () => "largest holes");
    assert.ok(Math.min(cases.firstFits, cases.largestHoles) >= 1_000_000, show(cases));
  });
});

const test = suite("the cases of the searches for holes");

for (const [name, tempting] of Object.entries(temptingHoles)) {
  test(`catch a search that ${name}`, () => {
    assert.throws(
      () => compare((size) => new SearchedHoles(size, tempting)),
      (error: unknown) => error instanceof ToldApart,
    );
  });
}

test.run();
