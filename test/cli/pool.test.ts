import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linuxPool, modelMemory, modelPageSizes, type OwnMemory, ownMemory } from "../../src/cli/pool.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { HugepagePool } from "../../src/system/hugepages.ts";

const MiB = 1n << 20n;

/** A pool of hugepages with so many that can be had. */
function hugepages(pageShift: number, available: number): HugepagePool {
  const counts = { total: available, free: available, reserved: 0, surplus: 0, available };
  return { pageSize: 1n << BigInt(pageShift), pageShift, ...counts };
}

/** A machine with memory of its own; a software one's serves. */
function machine(pools: readonly HugepagePool[], pageSize = 4096): OwnMemory {
  return { pageSize, hugepages: pools, source: modelKernel() };
}

const own = suite("the memory that is worked with");

own("is hugepages where enough of a size are free that a demonstration can do with, and no more than 64 MiB", () => {
  const pools = [hugepages(21, 1000), hugepages(30, 8)];
  assert.equal(linuxPool(machine(pools), false), { pageSize: 2n * MiB, pages: 32, kind: "hugepages" });
  assert.equal(linuxPool(machine([hugepages(21, 16)]), false).pages, 16);
  assert.equal(modelMemory("type1", machine(pools)).pool, linuxPool(machine(pools), false));
});

own("is ordinary pages where there are none of them, or fewer than it takes, or only larger ones", () => {
  for (const pools of [[], [hugepages(21, 15)], [hugepages(24, 100), hugepages(30, 100)]]) {
    for (const pool of [linuxPool(machine(pools), false), modelMemory("powernv", machine(pools)).pool]) {
      assert.equal([pool.pageSize, pool.kind], [4096n, "ordinary pages"]);
      assert.ok(pool.pages >= 16 && pool.pages <= 16384);
    }
  }
});

own("is this machine's", () => {
  const { pageSize, hugepages: pools } = ownMemory();
  assert.ok(modelPageSizes("type1").includes(pageSize));
  assert.ok(Array.isArray(pools));
});

own.run();

const bare = suite("without an IOMMU, memory");

bare("is hugepages on a real kernel, free or not: whoever runs it is told that none is free", () => {
  const pool = linuxPool(machine([hugepages(21, 0), hugepages(30, 0)]), true);
  assert.equal(pool, { pageSize: 2n * MiB, pages: 16, kind: "hugepages" });
});

bare("is ordinary pages where the kernel has no hugepages at all, which the plan refuses in words", () => {
  assert.is(linuxPool(machine([]), true).kind, "ordinary pages");
});

bare("is this machine's hugepages under a software kernel, or simulated ones where too few are free", () => {
  const free = modelMemory("noiommu", machine([hugepages(21, 20)]));
  assert.equal([free.simulatedBecause, free.pool.pages, free.pool.kind], [undefined, 20, "hugepages"]);
  assert.ok(free.memory);
  const none = modelMemory("noiommu", machine([hugepages(21, 0)]));
  assert.is(none.memory, undefined);
  assert.is(none.simulatedBecause, "fewer than 16 hugepages are free");
  assert.equal(none.pool, { pageSize: 2n * MiB, pages: 32, kind: "simulated hugepages" });
});

bare.run();

const simulated = suite("simulated memory");

simulated("stands in where the shim is not there, with the CPU's pages", () => {
  const { pageSize, memory, pool, simulatedBecause } = modelMemory("type1", {
    pageSize: 16384,
    hugepages: [hugepages(21, 100)],
    source: undefined,
  });
  assert.equal([pageSize, memory, simulatedBecause], [16384, undefined, "the shim is not there"]);
  assert.equal([pool.pageSize, pool.kind], [16384n, "simulated pages"]);
});

simulated("stands in, with pages of 4 KiB, where the platform has no pages like this machine's", () => {
  const onArm = machine([], 16384);
  assert.is(modelMemory("pseries", onArm).simulatedBecause, "POWER has no pages of 16 KiB, as this machine has");
  assert.is(modelMemory("pseries", onArm).pageSize, 4096);
  assert.is(modelMemory("type1", onArm).simulatedBecause, undefined);
  const strange = modelMemory("type1", machine([], 8192)).simulatedBecause;
  assert.is(strange, "the software kernel has no pages of 8 KiB, as this machine has");
});

simulated.run();
