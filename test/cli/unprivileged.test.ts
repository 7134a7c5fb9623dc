/** What a user sees who is not root: the kernel hides physical addresses from them. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shimAvailable } from "../../src/linux/index.ts";
import { dmaWindow, type Ended, readableByAll, WITHOUT_SHIM, withoutProgress } from "./command.ts";

const where = readableByAll();
test.after(() => rmSync(where, { recursive: true }));

/** "nobody"; undefined where the tests are run by somebody unprivileged, or by a root who may not become another. */
const uid = spawnSync("true", { uid: 65534, gid: 65534 }).error === undefined ? 65534 : undefined;

/** What is said of the RAM where this machine's memory is used, and nobody may know where it lies. */
const HIDDEN = { highestRam: null, ramRanges: [], ramBytes: null, ramUnknownBecause: "ERR_IOMEM_HIDDEN" };

/** And where memory is simulated, as it is without the shim. */
const SIMULATED = {
  highestRam: "0xfffffffff",
  ramRanges: [{ start: "0x1000", last: "0xfffffffff" }],
  ramBytes: "0xffffff000",
  ramUnknownBecause: null,
};

function asNobody(args: string, env: Readonly<Record<string, string>> = {}): Ended {
  return dmaWindow(args, { where, env, ...(uid === undefined ? {} : { uid }) });
}

test("without privileges the main job is done all the same, in the default mode and with virtual addresses", () => {
  for (const args of ["run --json --steps 200", "run --json --steps 200 --iova va"]) {
    const { code, out, err } = asNobody(args);
    assert.is(withoutProgress(err), "");
    assert.is(code, 0, out);
    const { storm, resizes, liveIovasInterrupted, leaks, system } = JSON.parse(out);
    assert.equal([storm.failures, resizes, liveIovasInterrupted, leaks], [0, 0, 0, 0]);
    assert.equal(system, shimAvailable() ? HIDDEN : SIMULATED);
  }
});

test("without privileges the report says that the RAM is not known, and who needs it", () => {
  const { out } = asNobody("plan");
  const hidden = /RAM +not known \(ERR_IOMEM_HIDDEN\); only IOVA mode pa needs it/;
  assert.match(out, shimAvailable() ? hidden : /RAM +64 GiB in 1 range/);
  const stated = asNobody("plan --highest-ram 0x7fffffff").out;
  if (shimAvailable()) assert.match(stated, /stated: it ends at 0x7fffffff/);
});

test("without privileges IOVAs are physical addresses of the software machine, whose RAM nobody hides", () => {
  for (const args of [
    "--iova pa",
    "--platform noiommu",
    "--platform type1 --iova pa",
    "--platform pseries --iova pa",
  ]) {
    const planned = asNobody(`plan ${args} --json`);
    if (args.startsWith("--platform pseries")) {
      assert.match(planned.err, /IOVA mode pa needs a window from 0 to 0xfffffffff/);
      continue;
    }
    assert.equal([planned.err, planned.code], ["", 0]);
    assert.equal(JSON.parse(planned.out).system, SIMULATED);
    const { code, out, err } = asNobody(`run --steps 200 --json ${args}`);
    assert.equal([withoutProgress(err), code], ["", 0]);
    assert.equal([JSON.parse(out).storm.failures, JSON.parse(out).leaks], [0, 0]);
  }
  const words = asNobody("plan --iova pa").out;
  assert.match(words, /RAM +64 GiB in 1 range, the highest ends at 0xfffffffff/);
  if (shimAvailable())
    assert.match(words, /simulated pages of .*\(the kernel hides physical addresses from this user\)/);
});

test("without privileges a plan for physical addresses needs no more than the RAM that is stated", () => {
  const { code, out } = asNobody("plan --iova pa --highest-ram 0x7fffffff --json");
  assert.is(code, 0);
  assert.is(JSON.parse(out).plan.size, "0x80000000");
});

test("without privileges, on simulated memory, physical addresses lie in the RAM that was stated", () => {
  for (const stated of [
    "--iova pa --highest-ram 0x7fffffff",
    "--iova pa --grow-to 1G",
    "--platform type1 --iova pa --grow-to 1G",
    "--platform noiommu --grow-to 1G",
  ]) {
    const { code, out, err } = asNobody(`run --json --steps 200 ${stated}`, WITHOUT_SHIM);
    assert.is(withoutProgress(err), "");
    assert.is(code, 0, out);
    assert.equal([JSON.parse(out).storm.failures, JSON.parse(out).leaks], [0, 0]);
  }
});

test("a storm that met with failures ends with 1, and its account is given all the same", () => {
  // Simulated memory has room in 8 MiB for what is there at first, and not for what comes.
  const args = "run --steps 200 --iova pa --highest-ram 0x7fffff";
  const { code, out, err } = asNobody(`${args} --json`, WITHOUT_SHIM);
  assert.is(withoutProgress(err), "");
  assert.is(code, 1);
  const { storm, resizes, liveIovasInterrupted, leaks } = JSON.parse(out);
  assert.ok(storm.failures > 0);
  assert.equal([resizes, liveIovasInterrupted, leaks], [0, 0, 0]);
  assert.match(asNobody(args, WITHOUT_SHIM).out, /First failure: DmaWindowError: .* the window is 0x0-0x7fffff/);
});

test.run();
