import { suite } from "uvu";
import * as assert from "uvu/assert";
import { core, Shape } from "../../src/core.ts";
import { planWindow } from "../../src/plan/index.ts";
import { GiB, KiB, list, MiB, planFor, powernv, reasonsFor, rejectedBy, TiB } from "./facts.ts";

const only = (shift: number) => powernv({ pageSizes: 1n << BigInt(shift) });

const bare = suite("plans for PowerNV, CPU pages of 64 KiB");

bare("2 GiB in 64 KiB pages takes one level and half a MiB of tables", () => {
  const { fullGrowth, warnings, ...plan } = planFor(64n * KiB, 1n << 31n, only(16));
  assert.equal([fullGrowth.lockedBytes, warnings], [(1n << 31n) + 512n * KiB, []]);
  assert.equal(plan, {
    kind: "spapr",
    iovaMode: "rebased",
    start: 0n,
    size: 1n << 31n,
    needed: 1n << 31n,
    pageShift: 16,
    levels: 1,
    tces: 1n << 15n,
    levelBytes: [256n * KiB],
    tableBytes: 256n * KiB,
    chargeBytes: 512n * KiB,
    dmaMaskBits: 31,
    holes: [],
    rejected: [],
  });
});

bare("1 TiB in 64 KiB pages takes two levels, because one is a table of 128 MiB in one piece", () => {
  const plan = planFor(64n * KiB, TiB, only(16));
  assert.is(plan.levels, 2);
  assert.equal(plan.levelBytes, [128n * MiB, 64n * KiB]);
  assert.is(plan.chargeBytes, 256n * MiB + 128n * KiB);
  const reason = reasonsFor(plan, "64 KiB pages, 1 level");
  assert.match(reason, "128 MiB in one piece");
  assert.match(reason, "at most 16 MiB");
});

bare("4 TiB in 2 MiB pages takes one level of 16 MiB, the most there can be in one piece", () => {
  const plan = planFor(2n * MiB, 1n << 42n, powernv());
  assert.is(plan.pageShift, 21);
  assert.is(plan.levels, 1);
  assert.equal(plan.levelBytes, [16n * MiB]);
  assert.is(plan.chargeBytes, 32n * MiB);
});

bare("32 TiB in 2 MiB pages takes two levels", () => {
  const plan = planFor(2n * MiB, 1n << 45n, powernv());
  assert.is(plan.pageShift, 21);
  assert.is(plan.levels, 2);
  assert.is(plan.chargeBytes, 256n * MiB + 128n * KiB);
  assert.match(reasonsFor(plan, "2 MiB pages, 1 level"), "128 MiB in one piece");
});

bare("32 TiB in 16 MiB pages takes one level, where the IOMMU has such pages", () => {
  const plan = planFor(16n * MiB, 1n << 45n, only(24));
  assert.is(plan.levels, 1);
  assert.is(plan.chargeBytes, 32n * MiB);
});

bare("1 PiB in 1 GiB pages takes one level", () => {
  const plan = planFor(GiB, 1n << 50n, powernv());
  assert.is(plan.pageShift, 30);
  assert.is(plan.levels, 1);
  assert.is(plan.chargeBytes, 16n * MiB);
});

bare("4 PiB in 1 GiB pages cannot be: one level is not contiguous, and two reach too far", () => {
  const rejected = rejectedBy(() => planFor(GiB, 1n << 52n, only(30)));
  assert.match(reasonsFor({ rejected }, "1 GiB pages, 1 level"), "32 MiB in one piece");
  assert.match(reasonsFor({ rejected }, "1 GiB pages, 2 levels"), "(16 - 3) * 2 + 30 = 56 bits");
  assert.match(reasonsFor({ rejected }, "1 GiB pages, 2 levels"), "less than 55");
});

bare("three levels of 64 KiB pages reach 55 bits and are never planned, whatever the window", () => {
  for (let shift = 16; shift <= 52; shift++) {
    const { levels } = planFor(64n * KiB, 1n << BigInt(shift), only(16));
    assert.ok(levels < 3, `${levels} levels for 2^${shift}`);
    assert.is(core.powernvShape(shift, 16, 3, 16), Shape.REACH, `2^${shift}`);
  }
});

bare("a level more than the kernel names is not planned", () => {
  const info = powernv({ pageSizes: 1n << 16n, levels: 1 });
  assert.equal(
    rejectedBy(() => planFor(64n * KiB, TiB, info)).map(({ choice }) => choice),
    ["64 KiB pages, 1 level"],
  );
});

bare("without memory in large pages, small pages are taken, and the larger ones say why not", () => {
  const plan = planWindow({ memory: { lists: [list(64n * KiB, GiB)] }, info: powernv() });
  assert.is(plan.pageShift, 16);
  assert.equal(
    plan.rejected.map(({ choice }) => choice),
    ["1 GiB pages", "2 MiB pages"],
  );
  for (const { reason } of plan.rejected) assert.match(reason, "list 0 at 0x0 has 64 KiB pages");
});

bare.run();

const small = suite("plans for PowerNV, CPU pages of 4 KiB");
const info = (shift: number) => powernv({ cpuPageSize: 4096, pageSizes: 1n << BigInt(shift) });

/** Window, pages and levels as VmLck was seen to grow on POWER9. Those that are chosen: levels are the fewest that work. */
const observed: readonly [size: bigint, pageSize: bigint, levels: number, charge: bigint][] = [
  [GiB, 4n * KiB, 1, 4n * MiB],
  [8n * GiB, 4n * KiB, 1, 32n * MiB],
  [16n * GiB, 4n * KiB, 2, 64n * MiB + 32n * KiB],
  [64n * GiB, 4n * KiB, 2, 256n * MiB + 64n * KiB],
  [TiB, 4n * KiB, 2, 4n * GiB + 256n * KiB],
  [64n * GiB, 64n * KiB, 1, 16n * MiB],
  [TiB, 64n * KiB, 2, 256n * MiB + 64n * KiB],
  [64n * GiB, 2n * MiB, 1, 512n * KiB],
  [TiB, 2n * MiB, 1, 8n * MiB],
  [4n * TiB, 2n * MiB, 1, 32n * MiB],
  [16n * TiB, 2n * MiB, 2, 128n * MiB + 64n * KiB],
  [64n * GiB, GiB, 1, 8n * KiB],
  [TiB, GiB, 1, 16n * KiB],
];

small("charges are those that were seen on the machine", () => {
  for (const [size, pageSize, levels, charge] of observed) {
    const shift = pageSize.toString(2).length - 1;
    const plan = planFor(pageSize, size, info(shift));
    assert.equal([plan.levels, plan.chargeBytes], [levels, charge], `${size} in ${pageSize}`);
  }
});

small("one level ends at 2^21 pages: 8 GiB of 4 KiB pages have one, 16 GiB have two", () => {
  assert.is(planFor(4n * KiB, 8n * GiB, info(12)).levels, 1);
  assert.is(planFor(4n * KiB, 8n * GiB + 1n, info(12)).levels, 2);
});

small.run();
