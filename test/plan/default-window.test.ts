import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { GiB, HIGH, KiB, list, MiB, powernv, pseries, type1 } from "./facts.ts";

const memory = { lists: [list(2n * MiB, GiB)] };

test("asked for, the default window is planned as it is: pages of 4 KiB, one level, and its table is charged", () => {
  const plan = planWindow({ memory, info: pseries(), window: "default" });
  assert.equal(
    [plan.window, plan.start, plan.size, plan.needed, plan.pageShift, plan.levels, plan.tces, plan.dmaMaskBits],
    ["default", 0n, GiB, GiB, 12, 1, 1n << 18n, 30],
  );
  assert.equal([plan.tableBytes, plan.chargeBytes, plan.levelBytes], [2n * MiB, 2n * MiB, [2n * MiB]]);
  const bare = planWindow({ memory, info: powernv({ cpuPageSize: 4096 }), window: "default" });
  assert.equal([bare.size, bare.tableBytes, bare.chargeBytes], [2n * GiB, 4n * MiB, 8n * MiB]);
});

test("where the kernel makes no windows the default one is taken without asking, and that is said", () => {
  for (const info of [powernv({ dynamicWindows: false }), pseries({ dynamicWindows: false })]) {
    const plan = planWindow({ memory, info });
    assert.is(plan.window, "default");
    assert.match(plan.rejected[0]?.reason ?? "", "no dynamic windows (DDW)");
  }
  assert.is(planWindow({ memory, info: pseries() }).window, undefined);
  assert.is(planWindow({ memory, info: pseries(), window: "new" }).window, undefined);
});

test("what it cannot hold, reach or pay for is refused with the numbers", () => {
  const lockedMemory = { limit: MiB, used: 0n, privileged: false };
  for (const [request, words] of [
    [{ info: pseries(), growTo: GiB + 1n }, "1073741825 bytes are needed, and it has 1 GiB"],
    [{ info: pseries(), deviceAddressBits: 29 }, "its last IOVA needs 30 address bits; the device has 29"],
    [{ info: pseries({ lockedMemory }) }, "2 MiB of tables and 0 bytes of memory would be locked"],
    [
      { info: pseries(), iovaMode: "va", memory: { lists: [list(4n * KiB, MiB, GiB)] } },
      "are needed, and it has 1 GiB",
    ],
    [{ info: pseries({ defaultWindow: { start: HIGH, size: GiB } }), iovaMode: "va" }, "at 0x800000000000000: use"],
  ] as const) {
    const error = failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ memory, window: "default", ...request }));
    assert.match(error.message, words);
    assert.match(error.message, "the default window, 1 GiB at");
  }
});

test("only sPAPR has one", () => {
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ memory, info: type1(), window: "default" }));
  assert.match(error.message, "only sPAPR has one, and the info is of type1");
});

test.run();
