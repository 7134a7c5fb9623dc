/** The core's size, and how long it takes from its bytes to an answer. */
import { readCore } from "../../src/core.ts";
import { plainRow } from "../harness/goals.ts";
import { type Bench, figures, type Group, type Outcome } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";

const BUILDS = ["core", "core.scalar"] as const;

/** An empty section of the module's own, whose name is `number`: 0, length, length of the name, name. */
function customSection(number: number): Uint8Array {
  const name = Buffer.from(`bench ${number}`);
  return Uint8Array.from([0, name.length + 1, name.length, ...name]);
}

/**
 * V8 keeps compiled modules and knows their bytes again, so each start gets bytes that it has never seen: the core's own, and a
 * section behind them that means nothing.
 */
function starting(name: string, bytes: Uint8Array): Contender {
  let started = 0;
  return {
    name,
    time: (repeats) => {
      let took = 0;
      for (let i = 0; i < repeats; i++) {
        const fresh = Buffer.concat([bytes, customSection(started++)]);
        const begun = performance.now();
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(fresh), {});
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
