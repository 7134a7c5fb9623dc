import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import type { LockedMemory } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { GiB, KiB, list, MiB, powernv, pseries, rejectedBy } from "./facts.ts";

/** 64 GiB in 64 KiB pages: tables of 8 MiB, charged twice on PowerNV and once on an LPAR. */
const lists = [list(64n * KiB, 64n * GiB)];
const there = 32n * MiB;
const plan = (lockedMemory: LockedMemory, bytes?: bigint) =>
  planWindow({
    memory: { lists, ...(bytes === undefined ? {} : { bytes }) },
    info: powernv({ pageSizes: 1n << 16n, lockedMemory }),
  });

test("tables and memory exactly at the limit are planned; one page over is refused with all the numbers", () => {
  const limit = 16n * MiB + there + MiB;
  assert.is(plan({ limit, used: MiB, privileged: false }, there).chargeBytes, 16n * MiB);
  for (const [what, run] of [
    ["one byte less of limit", () => plan({ limit: limit - 1n, used: MiB, privileged: false }, there)],
    ["one byte more used", () => plan({ limit, used: MiB + 1n, privileged: false }, there)],
    ["one byte more of memory", () => plan({ limit, used: MiB, privileged: false }, there + 1n)],
  ] as const) {
    const [rejection] = rejectedBy(run);
    assert.is(rejection?.choice, "64 KiB pages, 1 level", what);
    assert.match(rejection?.reason ?? "", "16 MiB of tables and", what);
    assert.match(rejection?.reason ?? "", "RLIMIT_MEMLOCK is", what);
    assert.match(rejection?.reason ?? "", /keeps one user from locking.*ulimit -l/, what);
  }
});

test("memory that is not there yet costs nothing", () => {
  assert.is(plan({ limit: 16n * MiB, used: 0n, privileged: false }).chargeBytes, 16n * MiB);
  failure("ERR_PLAN_IMPOSSIBLE", () => plan({ limit: 16n * MiB - 1n, used: 0n, privileged: false }));
});

test("with CAP_IPC_LOCK, and without a limit, nothing is refused", () => {
  assert.is(plan({ limit: 0n, used: 0n, privileged: true }, there).chargeBytes, 16n * MiB);
  assert.is(plan({ limit: null, used: 1n << 50n, privileged: false }, there).chargeBytes, 16n * MiB);
});

test("more used than the limit is no room, not a negative one", () => {
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => plan({ limit: MiB, used: 2n * MiB, privileged: false }));
  assert.match(error.message, "RLIMIT_MEMLOCK is 1 MiB, 2 MiB used, 0 bytes left");
});

test("the limit is against small pages only: larger ones, if the memory has them, make smaller tables", () => {
  const lockedMemory = { limit: MiB, used: 0n, privileged: false };
  const large = { lists: [list(2n * MiB, 64n * GiB)] };
  assert.is(planWindow({ memory: large, info: powernv({ lockedMemory }) }).pageShift, 21);
  failure("ERR_PLAN_IMPOSSIBLE", () =>
    planWindow({ memory: large, info: powernv({ lockedMemory, pageSizes: 1n << 16n }) }),
  );
});

test("an LPAR is charged once", () => {
  const lockedMemory = { limit: 8n * MiB, used: 0n, privileged: false };
  const info = pseries({ lockedMemory, pageSizes: 1n << 16n });
  assert.is(planWindow({ memory: { lists }, info }).chargeBytes, 8n * MiB);
  failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ memory: { lists, bytes: 65536n }, info }));
});

test.run();
