/**
 * Workers that are terminated at a random instant, in the middle of gets and puts, while another one goes on: what recovers them
 * finds all that they had.
 *
 * `DMA_WINDOW_TERMINATIONS=500` terminates so many.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Random } from "../support/random.ts";
import { instance, sharedMemory, sharedWasm } from "./modules.ts";
import { begin, said, table } from "./threads.ts";

const test = suite("workers that are terminated");
const terminations = Number(process.env.DMA_WINDOW_TERMINATIONS ?? 12);
const seed = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);

test(`${terminations} of them lose nothing, and leave nothing twice (DMA_WINDOW_SEED=${seed})`, async () => {
  const random = new Random(seed);
  const wasm = sharedWasm();
  const memory = sharedMemory();
  const module = instance(wasm, memory);
  const counts = [20, 300, 3000];
  let held = 0;
  for (let done = 0; done < terminations; done += 2) {
    const all = table(wasm, memory, module, counts[(done / 2) % counts.length] as number, 3);
    const data = () => ({ seed: random.below(2 ** 31), most: Math.ceil(all.audit.count / 2) });
    const pair = [begin(all, "endless", data()), begin(all, "endless", data())] as const;
    const ended = pair.map(([worker]) => said(worker));
    await Promise.all(pair.map(([worker]) => new Promise((resolve) => worker.once("message", resolve))));
    for (const [worker, self] of pair) {
      await sleep(random.below(15) + random.below(1000) / 1000);
      await worker.terminate();
      // The other one is in the middle of its work when the first is recovered.
      held += module.sharedRecover(self);
    }
    await Promise.all(ended);
    assert.equal(all.audit.problems(), []);
    assert.is(module.sharedHeld(all.pool, 0), 0);
    assert.is(module.sharedClose(all.pool), 0);
  }
  assert.ok(held > 0, "none of them held anything");
});

test.run();
