/** The allocator's size, and how long it takes from its bytes to a first allocation. */
import { plainRow } from "../harness/goals.ts";
import { type Bench, figures, type Group, type Outcome } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";
import { fresh } from "../tables/fresh.ts";
import { firstAllocation, moduleBytes } from "../tables/ours.ts";

const SEGMENT = 2 << 20;

function starting(name: string, bytes: Uint8Array): Contender {
  return {
    name,
    time: (repeats) => {
      let took = 0;
      for (let i = 0; i < repeats; i++) {
        const unseen = fresh(bytes);
        const begun = performance.now();
        const handle = firstAllocation(unseen, SEGMENT);
        took += performance.now() - begun;
        if (!(handle > 0)) throw new Error(`${name} does not allocate`);
      }
      return took * 1e6;
    },
  };
}

async function run(bench: Bench): Promise<Outcome> {
  const bytes = moduleBytes();
  const found = figures(await bench.compete("alloc-start", [starting("alloc.wasm", bytes)]), 1e6);
  return {
    figures: found,
    rows: [plainRow("alloc-bytes", bytes.length), plainRow("alloc-start-ms", found[0]?.minimum ?? Number.NaN)],
    notes: [`alloc.wasm: ${bytes.length} bytes`],
  };
}

export const allocStart: Group = {
  name: "alloc-start",
  title:
    "From the allocator's bytes to a first allocation: compiled, a memory of its own, instantiated, a heap with a segment",
  unit: "ms",
  rows: ["alloc-bytes", "alloc-start-ms"],
  run,
};
