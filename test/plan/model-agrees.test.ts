/** A plan says what the kernel will do. The model, which computes tables and charges in its own way, does it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { Program } from "../support/program.ts";
import { GiB, KiB, list, MiB, TiB } from "./facts.ts";

const needs: readonly (readonly [pageSize: bigint, length: bigint])[] = [
  [64n * KiB, 64n * KiB],
  [64n * KiB, GiB],
  [64n * KiB, 64n * GiB],
  [64n * KiB, TiB],
  [2n * MiB, 64n * GiB],
  [2n * MiB, 4n * TiB],
  [2n * MiB, 32n * TiB],
  [16n * MiB, TiB],
  [GiB, TiB],
];

for (const platform of ["powernv", "pseries"] as const) {
  for (const pageSize of [4096, 65536]) {
    test(`${platform}, ${pageSize} byte CPU pages: start, size, levels and charge are as planned`, () => {
      for (const [listPage, length] of needs) {
        const program = new Program({ platform, pageSize });
        const plan = planWindow({ memory: { lists: [list(listPage, length)] }, info: program.container.info() });
        const window = program.container.createWindow(plan);
        const [seen] = program.seen.windows;
        assert.is(window.start, plan.start);
        assert.is(window.dmaMaskBits, plan.dmaMaskBits);
        assert.is(seen?.start, plan.start, "start");
        assert.is(seen?.pageShift, plan.pageShift, "page shift");
        assert.is(seen?.levels, plan.levels, "levels");
        assert.is(program.model.lockedMemory().used, plan.chargeBytes, `charge of ${plan.size} in 2^${plan.pageShift}`);
        // A table fills at least one page of the CPU: PowerNV may make a window larger than asked for.
        assert.ok((seen?.size ?? 0n) >= plan.size, "size");
        program.container.close();
        assert.equal(program.model.leaks(), []);
      }
    });
  }
}

test("a plan that is exactly what may be locked is made, and nothing more could be locked", () => {
  const limits = { limit: 16n * MiB, privileged: false };
  const program = new Program({ pageSize: 65536, lockedMemory: limits });
  const memory = { lists: [list(64n * KiB, 64n * GiB)] };
  const window = program.container.createWindow(planWindow({ memory, info: program.container.info() }));
  assert.is(program.model.lockedMemory().used, limits.limit);
  window.close();
  program.container.close();
});

test.run();
