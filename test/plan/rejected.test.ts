import { test } from "uvu";
import * as assert from "uvu/assert";
import { type PlanRequest, planWindow, type Rejection } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { GiB, KiB, list, MiB, powernv, pseries, TiB, type1 } from "./facts.ts";

const tight = { limit: MiB, used: 0n, privileged: false };

/** Requests that have something rejected, feasible or not: each reason that there is comes up at least once. */
const requests: readonly PlanRequest[] = [
  { memory: { lists: [list(64n * KiB, TiB)] }, info: powernv() },
  { memory: { lists: [list(4n * KiB, TiB)] }, info: powernv({ cpuPageSize: 4096 }) },
  { memory: { lists: [list(GiB, 1n << 52n)] }, info: powernv() },
  { memory: { lists: [list(2n * MiB, 1n << 59n)] }, info: powernv() },
  { memory: { lists: [list(2n * MiB, GiB)] }, info: powernv({ dynamicWindows: false }) },
  { memory: { lists: [] }, growTo: GiB, info: powernv({ pageSizes: 0x40211800n }) },
  { memory: { lists: [list(64n * KiB, TiB)] }, info: powernv({ lockedMemory: tight }) },
  { memory: { lists: [list(64n * KiB, TiB)] }, info: powernv({ levels: 6 }), deviceAddressBits: 32 },
  { memory: { lists: [list(2n * MiB, GiB, GiB)] }, iovaMode: "va", info: pseries() },
  { memory: { lists: [list(16n * MiB, 1n << 62n)] }, info: pseries() },
  { memory: { lists: [list(16n * MiB, GiB)] }, info: pseries(), deviceAddressBits: 32 },
  { memory: { lists: [list(2n * MiB, 1n << 49n)] }, info: type1() },
  { memory: { lists: [list(2n * MiB, 4n * GiB)] }, iovaMode: "va", info: type1() },
  { memory: { lists: [list(2n * MiB, GiB)], bytes: GiB }, info: type1({ lockedMemory: tight }) },
];

function rejectedOf(request: PlanRequest): readonly Rejection[] {
  try {
    return planWindow(request).rejected;
  } catch (error) {
    return (error as { facts: { rejected: readonly Rejection[] } }).facts.rejected;
  }
}

test("every rejection says what was rejected and why, with a number in the reason", () => {
  for (const request of requests) {
    const rejected = rejectedOf(request);
    assert.ok(rejected.length > 0);
    for (const { choice, reason } of rejected) {
      assert.ok(choice.length > 0);
      assert.match(reason, /\d/, `${choice}: ${reason}`);
      assert.not.match(reason, /NaN|undefined|null|\[object/, `${choice}: ${reason}`);
    }
  }
});

test("when nothing is left, the message has every choice with its reason, and what was needed", () => {
  const request: PlanRequest = { memory: { lists: [list(2n * MiB, GiB, GiB)] }, iovaMode: "va", info: pseries() };
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => planWindow(request));
  const rejected = error.facts?.rejected as Rejection[];
  assert.is(rejected.length, 4);
  for (const { choice, reason } of rejected) assert.match(error.message, `${choice}: ${reason}`);
  assert.match(error.message, "no window can hold 2 GiB in IOVA mode va");
  assert.is(error.facts?.needed, 2n * GiB);
  assert.is(error.facts?.iovaMode, "va");
});

test("without dynamic windows there is no plan for more than the default window holds, and that one is named", () => {
  const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ memory: { lists: [list(64n * KiB, 3n * GiB)] }, info: powernv({ dynamicWindows: false }) }),
  );
  assert.match(error.message, "DDW");
  assert.match(error.message, "2 GiB at 0x0");
});

test("an IOMMU that names no page size is told so", () => {
  const error = failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ memory: { lists: [list(64n * KiB, GiB)] }, info: powernv({ pageSizes: 0n }) }),
  );
  assert.match(error.message, "the IOMMU names no page size");
});

test("the list that keeps pages small is named by its number and address among those that are mapped", () => {
  const lists = [{ ...list(4n * KiB, MiB, TiB), external: true }, list(2n * MiB, GiB), list(64n * KiB, MiB, GiB)];
  const plan = planWindow({ memory: { lists }, info: powernv() });
  assert.equal(
    plan.rejected.map(({ choice }) => choice),
    ["1 GiB pages", "2 MiB pages"],
  );
  assert.match(plan.rejected[1]?.reason ?? "", "list 2 at 0x40000000 has 64 KiB pages");
});

test.run();
