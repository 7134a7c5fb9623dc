/** Random calls on the real kernel and on the model, which has to answer every one of them as the kernel does. */
import * as assert from "uvu/assert";
import { openContainer } from "../../../src/container/open.ts";
import { linuxKernel } from "../../../src/linux/index.ts";
import { modelKernel } from "../../../src/model/index.ts";
import { vfioCallName } from "../../../src/syscalls.ts";
import { runningLinuxText } from "../../conformance/linux-target.ts";
import type { RandomCalls } from "./random-calls.ts";
import { SpaprCalls } from "./random-spapr.ts";
import { Type1Calls } from "./random-type1.ts";
import { report, say, test } from "./say.ts";
import { Site } from "./site.ts";
import { Twins } from "./twins.ts";

const SEEDS = [1, 2, 3, 4];
const CALLS = 5500;
/** Sessions are short, so that what only happens in a new container happens often. */
const CALLS_OF_A_SESSION = 700;
/** A run in which every call is refused would be easy to agree on. */
const MANY = 15;
/** Once the two have parted, everything differs. */
const ENOUGH = 5;

/** What type1's IOMMU is like is the machine's: the model is told. */
function rangesOf({ kernel, devices }: Site) {
  const container = openContainer({ kernel, groups: devices.slice(0, 1).map(({ group }) => group) });
  const info = container.info();
  container.close();
  return info.kind === "type1" ? info.ranges : [];
}

export function random(): void {
  const site = new Site();
  const ranges = site.isSpapr ? [] : rangesOf(site);
  for (const seed of SEEDS) {
    const { limit, privileged } = site.kernel.lockedMemory();
    const kernel = linuxKernel();
    const model = modelKernel({
      ...(site.isSpapr ? { platform: site.machine.machine as "pseries" | "powernv" } : { platform: "type1", ranges }),
      pageSize: kernel.pageSize,
      groups: site.devices.map(({ group }) => group),
      lockedMemory: { limit, privileged },
      memory: kernel,
      linux: runningLinuxText(),
    });
    const twins = new Twins(kernel, model);
    const calls = site.isSpapr ? new SpaprCalls(site, twins, seed) : new Type1Calls(site, twins, seed);
    let threw: unknown;
    try {
      run(twins, calls);
    } catch (error) {
      threw = error;
    }
    for (const { at, call, real, model: modelled } of twins.differences) {
      say(`seed ${seed}, call ${at}: ${call}: the kernel ${real}; the model ${modelled}`);
    }
    for (const [call, answers] of twins.answers)
      say(`seed ${seed}: ${call}: ${[...answers].map(([word, count]) => `${count} ${word}`).join(", ")}`);
    report({ kind: "random", operations: twins.calls, differences: twins.differences.length });
    test(`seed ${seed}: the model answers ${CALLS} random calls as the kernel does`, () => {
      if (threw !== undefined) throw threw;
      assert.is(twins.differences.length, 0);
      assert.ok(twins.calls >= CALLS, `${twins.calls} calls`);
      for (const call of calls.essential) {
        assert.ok(twins.count(call, "0") >= MANY, `${vfioCallName(call)} went well ${twins.count(call, "0")} times`);
      }
    });
    calls.leave();
  }
}

function run(twins: Twins, calls: RandomCalls): void {
  while (twins.calls < CALLS) {
    const end = twins.calls + CALLS_OF_A_SESSION;
    calls.begin();
    while (twins.calls < end) {
      calls.step();
      if (twins.differences.length >= ENOUGH) return;
    }
    calls.end();
  }
}
