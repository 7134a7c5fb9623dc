/**
 * Two copies of this package in one process, as when two packages bring one each: each has a core and tables of its own, and
 * an object of one is nothing to the other. `instanceof` says only that it is not the right one; here it is told why.
 */

/** The version of this copy: that of package.json. */
export const VERSION = "0.1.0";

/** The same in every copy, and in all versions to come. */
const MARK = Symbol.for("dma-window.class");

interface Mark {
  readonly name: string;
  readonly version: string;
  /** One object for each copy. */
  readonly copy: object;
}

const thisCopy = {};

/** Marks a class of this copy, so that any copy knows its objects. `name` is what messages call them. */
export function markClass(made: { readonly prototype: object }, name: string): void {
  const mark: Mark = { name, version: VERSION, copy: thisCopy };
  Object.defineProperty(made.prototype, MARK, { value: mark });
}

/** What an object of a marked class is: `a Segment of another copy of dma-window (...)`. Undefined for all else. */
export function nameOfMarked(value: object): string | undefined {
  const mark = (value as Record<symbol, unknown>)[MARK] as Partial<Mark> | undefined;
  if (typeof mark !== "object" || mark === null || typeof mark.name !== "string") return undefined;
  if (mark.copy === thisCopy) return `a ${mark.name}`;
  const versions = mark.version === VERSION ? `both ${VERSION}` : `${mark.version}; this one is ${VERSION}`;
  return `a ${mark.name} of another copy of dma-window (${versions}): let all of the program import the same one`;
}
