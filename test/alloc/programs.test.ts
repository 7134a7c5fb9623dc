/**
 * Random programs: heaps and pools on one memory, each operation held against the slow twin, and from time to time all that lies in
 * the allocator's own bytes looked at.
 *
 *     DMA_WINDOW_OPERATIONS=100000000   as many operations on each build; 10^6 on the one that is shipped otherwise
 *     DMA_WINDOW_SEED=17                others
 */
import { suite } from "uvu";
import { Program } from "./program.ts";
import { type Build, builds } from "./support.ts";

const test = suite("random programs");

const wanted = Number(process.env.DMA_WINDOW_OPERATIONS ?? 0);
const seed = Number(process.env.DMA_WINDOW_SEED ?? 1);
/** In npm test. */
const operations: Readonly<Record<Build, number>> = { alloc: 1_000_000, "alloc.asserts": 100_000 };

/** A memory serves so many; then come another one and the next seed. */
const EACH = 100_000;

for (const build of builds) {
  const all = wanted || operations[build];
  test(`${all} operations, each held against the twin (${build})`, () => {
    for (let done = 0, run = 0; done < all; done += EACH, run++) {
      try {
        new Program(build, seed + run).run(Math.min(EACH, all - done));
      } catch (error) {
        if (error instanceof Error) error.message = `DMA_WINDOW_SEED=${seed + run}: ${error.message}`;
        throw error;
      }
    }
  });
}

test.run();
