import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { GiB, HIGH, KiB, list, MiB, planFor, pseries, reasonsFor, rejectedBy } from "./facts.ts";

test("a window like the default one, up to 1 GiB of 4 KiB pages, is planned at 0", () => {
  for (const size of [4n * KiB, MiB, GiB - 1n, GiB]) {
    const plan = planFor(4n * KiB, size, pseries({ cpuPageSize: 4096 }));
    assert.is(plan.start, 0n, `${size}`);
    assert.is(plan.pageShift, 12);
  }
  assert.is(planFor(4n * KiB, GiB, pseries()).dmaMaskBits, 30);
});

test("one byte more than 1 GiB is planned where firmware puts it, and needs 60 address bits", () => {
  const plan = planFor(4n * KiB, GiB + 1n, pseries({ cpuPageSize: 4096 }));
  assert.is(plan.start, HIGH);
  assert.is(plan.size, 2n * GiB);
  assert.is(plan.dmaMaskBits, 60);
});

test("larger pages are planned at 1 << 59 at any size", () => {
  for (const pageSize of [64n * KiB, 2n * MiB, 16n * MiB]) {
    const plan = planFor(pageSize, pageSize, pseries());
    assert.is(plan.start, HIGH);
    assert.is(1n << BigInt(plan.pageShift), pageSize);
  }
});

test("the charge is 8 bytes a page, once, in one level", () => {
  const plan = planFor(64n * KiB, 64n * GiB, pseries());
  assert.is(plan.levels, 1);
  assert.equal(plan.levelBytes, [8n * MiB]);
  assert.is(plan.tableBytes, 8n * MiB);
  assert.is(plan.chargeBytes, 8n * MiB);
});

test("IOVA mode va is refused where the window would not be at 0, and told to use rebased", () => {
  const memory = { lists: [list(64n * KiB, GiB, 64n * GiB)] };
  const rejected = rejectedBy(() => planWindow({ iovaMode: "va", memory, info: pseries() }));
  const reason = reasonsFor({ rejected }, "64 KiB pages, a window of 128 GiB at 0x800000000000000");
  assert.match(reason, "IOVA mode va needs a window from 0 to 0x103fffffff");
  assert.match(reason, "firmware puts it at 0x800000000000000");
  assert.match(reason, "use IOVA mode rebased");
});

test("IOVA mode va works where all of it is below 1 GiB, in 4 KiB pages though the memory has larger ones", () => {
  const memory = { lists: [list(64n * KiB, 512n * MiB, 64n * MiB)] };
  const plan = planWindow({ iovaMode: "va", memory, info: pseries() });
  assert.is(plan.start, 0n);
  assert.is(plan.pageShift, 12);
  assert.is(plan.size, GiB);
  assert.is(plan.needed, 576n * MiB);
});

test("IOVA mode pa is refused on a machine with more than 1 GiB", () => {
  const lists = [list(64n * KiB, GiB)];
  const request = { iovaMode: "pa" as const, memory: { lists }, highestRam: GiB };
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ ...request, info: pseries() }));
  assert.match(error.message, "IOVA mode pa needs a window from 0 to 0x40000000");
  assert.is(planWindow({ ...request, highestRam: GiB - 1n, info: pseries() }).start, 0n);
});

test("a device with too few address bits gets the window at 0, if one at 0 is large enough", () => {
  const memory = { lists: [list(64n * KiB, GiB)] };
  const plan = planWindow({ memory, info: pseries(), deviceAddressBits: 30 });
  assert.is(plan.start, 0n);
  const reason = reasonsFor(plan, "64 KiB pages, a window of 1 GiB at 0x800000000000000");
  assert.is(reason, "its last IOVA needs 60 address bits; the device has 30");
  const large = { lists: [list(64n * KiB, 2n * GiB)] };
  const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ memory: large, info: pseries(), deviceAddressBits: 59 }),
  );
  assert.match(error.message, "needs 60 address bits; the device has 59");
  assert.is(planWindow({ memory: large, info: pseries(), deviceAddressBits: 60 }).start, HIGH);
});

test("windows of 2^62 bytes and more are refused, as the kernel refuses them", () => {
  const info = pseries({ pageSizes: 1n << 34n });
  assert.is(planFor(1n << 34n, 1n << 61n, info).size, 1n << 61n);
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => planFor(1n << 34n, (1n << 61n) + 1n, info));
  assert.match(error.message, "2^62 bytes; pSeries windows are smaller than 2^62");
});

test("a default window of another size moves the border", () => {
  const info = pseries({ cpuPageSize: 4096, defaultWindow: { start: 0n, size: 2n * GiB } });
  assert.is(planFor(4n * KiB, 2n * GiB, info).start, 0n);
  assert.is(planFor(4n * KiB, 2n * GiB + 1n, info).start, HIGH);
});

test.run();
