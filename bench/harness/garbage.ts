/** How much garbage a call makes. */
import { getHeapStatistics } from "node:v8";
import type { Work } from "./loop.ts";
import { median } from "./statistics.ts";

const CALLS = 4096;
const TRIES = 15;

/** Bytes of the heap that `calls` calls take, and what reading the figure takes too. */
function taken(run: (calls: number) => unknown, calls: number): number {
  const before = getHeapStatistics().used_heap_size;
  run(calls);
  return getHeapStatistics().used_heap_size - before;
}

/**
 * Bytes for each call of what `run` calls as often as it is told to. Needs `--expose-gc`. The median of many tries: what V8 itself
 * leaves on the heap now and then, such as a function that it has just optimised, is nobody's garbage, and a collection in
 * between would hide some. It is told `calls` each time.
 */
export function garbagePerCall(run: (calls: number) => unknown, calls: number = CALLS): number {
  if (globalThis.gc === undefined) throw new Error("garbage is measured with node --expose-gc only");
  for (let done = 0; done < 200 * CALLS; done += calls) run(calls); // until it is optimised
  const bytes: number[] = [];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    globalThis.gc();
    const nothing = taken(run, 0);
    bytes.push((taken(run, calls) - nothing) / calls);
  }
  return Math.max(0, Math.round(median(bytes) * 10) / 10);
}

/** Bytes for each of the `operations` that the work does once. */
export function garbageOf({ once, scope }: Pick<Work, "once" | "scope">, operations: number): number {
  const loop = new Function(
    ...Object.keys(scope),
    `return function garbage(calls) { let sum = 0; for (let n = 0; n < calls; n += ${operations}) { ${once} } return sum; }`,
  )(...Object.values(scope)) as (calls: number) => number;
  return garbagePerCall(loop, Math.max(CALLS, operations));
}
