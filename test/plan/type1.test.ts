import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { GiB, interruptHole, KiB, list, MiB, planFor, reasonsFor, rejectedBy, TiB, type1 } from "./facts.ts";

const memory = (length: bigint, base = 0n, pageSize = 2n * MiB) => ({ lists: [list(pageSize, length, base)] });

test("the window is a stretch of allowed IOVAs, with no levels and no charge: the IOMMU keeps its own tables", () => {
  assert.equal(planWindow({ memory: memory(GiB), info: type1() }), {
    kind: "type1",
    iovaMode: "rebased",
    start: 0n,
    size: GiB,
    needed: GiB,
    pageShift: 21,
    levels: 0,
    tces: 512n,
    levelBytes: [],
    tableBytes: 0n,
    chargeBytes: 0n,
    dmaMaskBits: 30,
    holes: [],
    alignment: 2n * MiB,
    fullGrowth: {
      memoryBytes: GiB,
      lockedBytes: GiB,
      lockable: null,
      maps: 512n,
      mapsAvailable: null,
      hugepages: [{ pageSize: 2n * MiB, needed: 512n, available: null }],
    },
    warnings: [],
    rejected: [
      { choice: "1 GiB pages", reason: "list 0 at 0x0 has 2 MiB pages: one IOMMU page would span several of them" },
    ],
  });
});

test("rebased: a window that would have the interrupt hole in it is put above it, at a multiple of its size", () => {
  assert.is(planWindow({ memory: memory(2n * GiB), info: type1() }).start, 0n);
  const plan = planWindow({ memory: memory(4n * GiB), info: type1() });
  assert.equal([plan.start, plan.size, plan.dmaMaskBits], [4n * GiB, 4n * GiB, 33]);
  assert.equal(plan.holes, []);
  const large = planWindow({ memory: memory(TiB), info: type1() });
  assert.equal([large.start, large.dmaMaskBits], [TiB, 41]);
});

test("rebased: a device of 32 bits is refused what lies above the hole, with both numbers", () => {
  const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ memory: memory(4n * GiB), info: type1({ pageSizes: 1n << 21n }), deviceAddressBits: 32 }),
  );
  assert.match(error.message, "its last IOVA needs 33 address bits; the device has 32");
  assert.match(error.message, "the largest that it reaches is 0x0-0xfedfffff, 4276092928 bytes");
});

test("rebased: no range is large enough, and all ranges are shown", () => {
  const ranges = [
    { start: 0x1000n, last: GiB - 1n },
    { start: GiB + 4096n, last: 4n * GiB - 1n },
  ];
  const fits = planWindow({ memory: memory(GiB), info: type1({ ranges }) });
  assert.is(fits.start, 2n * GiB);
  const rejected = rejectedBy(() => planWindow({ memory: memory(4n * GiB), info: type1({ ranges }) }));
  const reason = reasonsFor({ rejected }, "2 MiB pages, 4 GiB of IOVAs");
  assert.match(reason, "0x1000-0x3fffffff, 0x40001000-0xffffffff");
});

test("rebased: a range that begins too high to be rounded up does not wrap to 0", () => {
  const ranges = [{ start: (1n << 64n) - MiB, last: (1n << 64n) - 1n }];
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ memory: memory(2n * MiB), info: type1({ ranges }) }));
  assert.match(error.message, "no range that the IOMMU allows");
  // A range may end with the address space all the same.
  const top = [{ start: (1n << 64n) - 2n * MiB, last: (1n << 64n) - 1n }];
  const plan = planWindow({ memory: memory(2n * MiB), info: type1({ ranges: top }) });
  assert.equal([plan.start, plan.dmaMaskBits], [(1n << 64n) - 2n * MiB, 64]);
});

test("va: the window is from 0, and the interrupt hole is named", () => {
  const plan = planWindow({ iovaMode: "va", memory: memory(GiB, 64n * GiB), info: type1() });
  assert.equal([plan.start, plan.size], [0n, 128n * GiB]);
  assert.equal(plan.holes, [{ start: 0xfee00000n, last: 0xfeefffffn }]);
});

test("va: what lies behind the last range is a hole too", () => {
  const ranges = [{ start: MiB, last: 3n * GiB - 1n }];
  const plan = planWindow({ iovaMode: "va", memory: memory(GiB, 2n * GiB), info: type1({ ranges }) });
  assert.equal(plan.holes, [
    { start: 0n, last: MiB - 1n },
    { start: 3n * GiB, last: 4n * GiB - 1n },
  ]);
});

test("va: a list that crosses a hole is refused; one that ends before it, or begins behind it, is not", () => {
  const crossing = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ iovaMode: "va", memory: memory(2n * GiB, 3n * GiB), info: type1() }),
  );
  assert.match(crossing.message, "the list 0xc0000000-0x13fffffff is not in one of the ranges");
  const before = memory(0xfee00000n - 0xfe000000n, 0xfe000000n);
  assert.is(planWindow({ iovaMode: "va", memory: before, info: type1() }).needed, 0xfee00000n);
  const behind = { lists: [list(4n * KiB, MiB, 0xfef00000n)] };
  assert.is(planWindow({ iovaMode: "va", memory: behind, info: type1() }).needed, 0xff000000n);
  const within = { lists: [list(4n * KiB, 8n * KiB, 0xfedff000n)] };
  failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ iovaMode: "va", memory: within, info: type1() }));
});

test("va and pa: an address above the last range is refused", () => {
  const info = type1({ ranges: [{ start: 0n, last: (1n << 39n) - 1n }], pageSizes: 0x1000n });
  const va = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ iovaMode: "va", memory: memory(GiB), info, growTo: (1n << 39n) + 1n }),
  );
  assert.match(va.message, "the highest address 0x8000000000 is above the ranges");
  const pa = { iovaMode: "pa" as const, memory: memory(GiB), info };
  assert.is(planWindow({ ...pa, highestRam: (1n << 39n) - 1n }).size, 1n << 39n);
  failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ ...pa, highestRam: 1n << 39n }));
});

test("no ranges at all: nothing can be mapped, and that is said", () => {
  for (const iovaMode of ["rebased", "va"] as const) {
    const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
      planWindow({ iovaMode, memory: memory(GiB), info: type1({ ranges: [] }) }),
    );
    assert.match(error.message, "none");
  }
});

test("memory that is there counts against RLIMIT_MEMLOCK, though the window costs nothing", () => {
  const info = type1({ lockedMemory: { limit: GiB, used: MiB, privileged: false } });
  const there = (bytes: bigint) => ({ ...memory(2n * GiB), bytes });
  assert.is(planWindow({ memory: there(GiB - MiB), info }).chargeBytes, 0n);
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ memory: there(GiB - MiB + 4096n), info }));
  assert.match(error.message, "RLIMIT_MEMLOCK is 1 GiB, 1 MiB used, 1023 MiB left");
});

test("a plan for the largest page of the IOMMU where all lists have it", () => {
  const plan = planFor(GiB, 8n * GiB, type1({ ranges: interruptHole }));
  assert.equal([plan.pageShift, plan.start, plan.tces], [30, 8n * GiB, 8n]);
});

test.run();
