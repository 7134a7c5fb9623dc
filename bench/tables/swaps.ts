/** A workload's steps as a loop in JavaScript: what the rivals' `swap` in allocators.c does. */
import type { Work } from "../harness/loop.ts";
import { OPERATIONS, type Workload } from "./workload.ts";

/** How an allocator is called: expressions, made of other expressions and the words of the scope. */
export interface Calls {
  /** A statement. */
  readonly free: (handle: string) => string;
  /** An expression: a handle above 0, or anything else where there is no room. */
  readonly alloc: (size: string) => string;
  readonly scope: Readonly<Record<string, unknown>>;
}

export interface Swaps extends Pick<Work, "once" | "scope"> {
  /** The blocks that are live, by slot. */
  readonly handles: Int32Array;
  /** Their sizes, as they are after what the loop has done so far. */
  readonly catchUp: () => Uint32Array;
}

/** The next {@link OPERATIONS} steps each time. Where all sizes are one, it stands in the source, as a program has it. */
export function swaps(workload: Workload, { free, alloc, scope }: Calls): Swaps {
  const { live, steps, sizes, stepCount } = workload;
  const handles = new Int32Array(live);
  const now = Uint32Array.from(sizes);
  const one = sizes.every((size) => size === sizes[0]) && steps.every((word, i) => i % 2 === 0 || word === sizes[0]);
  // Where the loop is, in words of `steps`, and how many repeats it has done; and the same of `now`.
  const place = new Int32Array(2);
  let seen = 0;
  let repeats = 0;
  const words = 2 * OPERATIONS;
  const next = (at: number): number => (at + 2 * words > 2 * stepCount ? 0 : at + words);
  const once = `const begin = place[0];
    const end = begin + ${words};
    place[0] = end + ${words} > ${2 * stepCount} ? 0 : end;
    place[1]++;
    for (let at = begin; at < end; at += 2) {
      const slot = steps[at];
      ${free("handles[slot]")}
      const handle = ${alloc(one ? String(sizes[0]) : "steps[at + 1]")};
      handles[slot] = handle;
      sum += handle > 0 ? 1 : 0;
    }`;
  const catchUp = (): Uint32Array => {
    if (!one) {
      for (; repeats < (place[1] as number); repeats++) {
        for (let at = seen; at < seen + words; at += 2) now[steps[at] as number] = steps[at + 1] as number;
        seen = next(seen);
      }
    }
    return now;
  };
  return { once, scope: { ...scope, handles, steps, place }, handles, catchUp };
}
