import { test } from "uvu";
import * as assert from "uvu/assert";
import type { NoIommuInfo } from "../../src/iommu.ts";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { GiB, KiB, list, MiB, TiB, unlimited } from "./facts.ts";

const bare = (changes: Partial<NoIommuInfo> = {}): NoIommuInfo => ({
  kind: "noiommu",
  cpuPageSize: 4096,
  pageSizes: (1n << 64n) - 4096n,
  lockedMemory: unlimited,
  ...changes,
});

const memory = (...pageSizes: bigint[]) => ({ lists: pageSizes.map((size, i) => list(size, GiB, BigInt(i) * GiB)) });

test("the window is the physical addresses up to the highest RAM, in the lists' own pages, and costs nothing", () => {
  assert.equal(planWindow({ memory: memory(2n * MiB), info: bare(), highestRam: 5n * GiB }), {
    kind: "noiommu",
    iovaMode: "pa",
    start: 0n,
    size: 8n * GiB,
    needed: 5n * GiB + 1n,
    pageShift: 21,
    levels: 0,
    tces: 4096n,
    levelBytes: [],
    tableBytes: 0n,
    chargeBytes: 0n,
    dmaMaskBits: 33,
    holes: [],
    fullGrowth: {
      memoryBytes: GiB,
      lockedBytes: 0n,
      lockable: null,
      maps: 0n,
      mapsAvailable: null,
      hugepages: [{ pageSize: 2n * MiB, needed: 512n, available: null }],
    },
    warnings: [],
    rejected: [],
  });
});

test("the smallest page of the lists is the window's; growTo takes the place of the highest RAM", () => {
  const plan = planWindow({ memory: memory(GiB, 2n * MiB, 16n * MiB), info: bare(), growTo: 64n * GiB });
  assert.equal([plan.pageShift, plan.size], [21, 64n * GiB]);
  assert.is(planWindow({ memory: memory(GiB), info: bare(), growTo: 64n * GiB }).pageShift, 30);
});

test("lists of ordinary pages are refused, because nothing pins them", () => {
  for (const [info, pageSize] of [
    [bare(), 4n * KiB],
    [bare({ cpuPageSize: 65536 }), 64n * KiB],
    [bare({ cpuPageSize: 65536 }), 4n * KiB],
  ] as const) {
    const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
      planWindow({ memory: memory(2n * MiB, pageSize), info, highestRam: GiB }),
    );
    assert.match(error.message, `list 1 at 0x40000000 has ${pageSize / KiB} KiB pages, no larger than the CPU's`);
    assert.match(error.message, "nothing pins memory here");
  }
  planWindow({ memory: memory(64n * KiB), info: bare(), highestRam: GiB });
});

test("lists that are not mapped with the memory are passed over; without any other there is nothing to plan for", () => {
  const external = { ...list(4n * KiB, GiB), external: true };
  const plan = planWindow({ memory: { lists: [external, list(2n * MiB, GiB, GiB)] }, info: bare(), highestRam: GiB });
  assert.is(plan.pageShift, 21);
  const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ memory: { lists: [external] }, info: bare(), highestRam: GiB }),
  );
  assert.match(error.message, "no list says that memory comes in hugepages");
});

test("IOVAs that are not physical addresses cannot be", () => {
  for (const iovaMode of ["rebased", "va"] as const) {
    const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
      planWindow({ memory: memory(2n * MiB), info: bare(), highestRam: GiB, iovaMode }),
    );
    assert.match(error.message, "Use IOVA mode pa");
  }
  assert.is(planWindow({ memory: memory(2n * MiB), info: bare(), highestRam: GiB, iovaMode: "pa" }).start, 0n);
});

test("a device that does not reach all RAM is refused, with both numbers", () => {
  const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ memory: memory(2n * MiB), info: bare(), highestRam: TiB - 1n, deviceAddressBits: 32 }),
  );
  assert.match(error.message, "needs 40 address bits; the device has 32");
  planWindow({ memory: memory(2n * MiB), info: bare(), highestRam: 4n * GiB - 1n, deviceAddressBits: 32 });
});

test("the highest RAM has to be stated", () => {
  assert.throws(() => planWindow({ memory: memory(2n * MiB), info: bare() }), /highestRam/);
});

test("RLIMIT_MEMLOCK is nothing to it", () => {
  const lockedMemory = { limit: 0n, used: 0n, privileged: false };
  planWindow({ memory: { ...memory(2n * MiB), bytes: GiB }, info: bare({ lockedMemory }), highestRam: GiB });
});

test.run();
