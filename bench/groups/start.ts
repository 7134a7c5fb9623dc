/** The core's size, and how long it takes from its bytes to an answer. */
import { readCore } from "../../src/core.ts";
import { plainRow } from "../harness/goals.ts";
import { type Bench, figures, type Group, type Outcome } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";
import { fresh } from "../tables/fresh.ts";

const BUILDS = ["core", "core.scalar"] as const;

function starting(name: string, bytes: Uint8Array): Contender {
  return {
    name,
    time: (repeats) => {
      let took = 0;
      for (let i = 0; i < repeats; i++) {
        const unseen = fresh(bytes);
        const begun = performance.now();
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(unseen), {});
        const handle = (exports.tableOpen as () => number)();
        took += performance.now() - begun;
        if (handle <= 0) throw new Error(`${name} does not answer`);
      }
      return took * 1e6;
    },
  };
}

async function run(bench: Bench): Promise<Outcome> {
  const contenders = BUILDS.map((build) => starting(`${build}.wasm`, readCore(build)));
  const timings = await bench.compete("start", contenders);
  const found = figures(timings, 1e6);
  return {
    figures: found,
    rows: [plainRow("core-bytes", readCore("core").length), plainRow("core-start-ms", found[0]?.minimum ?? Number.NaN)],
    notes: BUILDS.map((build) => `${build}.wasm: ${readCore(build).length} bytes`),
  };
}

export const start: Group = {
  name: "start",
  title: "From the core's bytes to an answer: compiled, instantiated, one call",
  unit: "ms",
  rows: ["core-bytes", "core-start-ms"],
  run,
};
