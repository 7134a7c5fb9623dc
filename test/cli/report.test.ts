import { suite } from "uvu";
import * as assert from "uvu/assert";
import { headToJson, planToJson, systemToJson, toJson } from "../../src/cli/json.ts";
import type { Machine } from "../../src/cli/machine.ts";
import { doMainJob, type MainJobResult, type OtherResult } from "../../src/cli/main-job.ts";
import { machineLines, planLines, resultLines } from "../../src/cli/report.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { planWindow } from "../../src/plan/index.ts";
import { MiB, Program } from "../support/program.ts";
import { shapeOfPlan, shapeOfRun } from "./contract.ts";
import { makeMachine } from "./machine.ts";

const options = { iovaMode: "rebased", steps: 200, seed: 1 } as const;
const machine = makeMachine();
const result = doMainJob(machine, options);
const dynamic = result.dynamicScheme as OtherResult;

const withoutWindows = [
  ["type1", "rebased"],
  ["noiommu", "pa"],
] as const;

const json = suite("the JSON document");

json("has the keys that were promised, in their types, and no others", () => {
  shapeOfRun(JSON.parse(toJson(machine, result, options)));
});

json("is one line", () => {
  assert.not.match(toJson(machine, result, options), "\n");
});

json("has the figures of the result, addresses in hexadecimal", () => {
  const document = JSON.parse(toJson(machine, result, options));
  assert.is(document.kernel, "model");
  assert.is(BigInt(document.plan.start), result.window.start);
  assert.is(BigInt(document.plan.size), result.plan.size);
  assert.is(document.plan.pageShift, 12);
  assert.is(BigInt(document.plan.tableBytes), result.plan.tableBytes);
  assert.is(BigInt(document.plan.chargeBytes), result.plan.chargeBytes);
  assert.equal(document.plan.rejected, result.plan.rejected);
  assert.equal(document.system, {
    highestRam: "0x1ffffffff",
    ramBytes: "0x13ff00000",
    ramRanges: [
      { start: "0x100000", last: "0x3fffffff" },
      { start: "0x100000000", last: "0x1ffffffff" },
    ],
    ramUnknownBecause: null,
  });
  assert.equal([document.platform, document.noIommu, document.plan.kind], ["powernv", false, "spapr"]);
  assert.equal(document.memory, {
    kind: "simulated pages",
    pages: 1024,
    pageSize: 4096,
    simulatedBecause: "the shim is not there",
  });
  assert.is(BigInt(document.plan.needed), result.plan.needed);
  assert.is(BigInt(document.plan.tces), result.plan.tces);
  assert.equal(document.plan.levelBytes.map(BigInt), result.plan.levelBytes);
  assert.is(BigInt(document.plan.fullGrowth.memoryBytes), result.plan.fullGrowth.memoryBytes);
  assert.is(BigInt(document.plan.fullGrowth.maps), result.plan.fullGrowth.maps);
  assert.equal(document.grown, { ...result.grown, bytes: Number(result.grown.bytes) });
  assert.equal(document.mapped, { segments: 4, bytes: 64 * 4096 });
  const { allocations, frees, failures } = result.storm;
  assert.equal(document.storm, { steps: 200, seed: 1, allocations, frees, failures, firstFailure: null });
  assert.equal([document.resizes, document.liveIovasInterrupted, document.leaks], [0, 0, 0]);
  for (const [shown, { resizes, liveIovasInterrupted, storm, nanosecondsPerStep }] of [
    [document.heap, result.heap as OtherResult],
    [document.dynamicScheme, dynamic],
  ]) {
    assert.equal(shown, { resizes, liveIovasInterrupted, failures: storm.failures, nanosecondsPerStep });
  }
});

json("says where the window is, also where the plan expected another place", () => {
  const elsewhere: MainJobResult = { ...result, window: { start: 1n << 59n, size: result.plan.size } };
  const { plan, window } = JSON.parse(toJson(machine, elsewhere, options));
  assert.equal([plan.start, window.start], ["0x800000000000000", "0x800000000000000"]);
  assert.is(BigInt(window.size), result.window.size);
});

json("says what was left behind, and the first failure", () => {
  const bad: MainJobResult = {
    ...result,
    leaks: ["a", "b"],
    storm: { allocations: 1, frees: 0, failures: 2, firstFailure: new Error("no") },
  };
  const document = JSON.parse(toJson(machine, bad, options));
  assert.is(document.leaks, 2);
  assert.equal(document.leftBehind, ["a", "b"]);
  const storm = { steps: 200, seed: 1, allocations: 1, frees: 0, failures: 2, firstFailure: "Error: no" };
  assert.equal(document.storm, storm);
  shapeOfRun(document);
});

json("has the same fields without windows, and null for the scheme that does not exist there", () => {
  for (const [platform, iovaMode] of withoutWindows) {
    const here = makeMachine({}, { platform });
    const document = JSON.parse(toJson(here, doMainJob(here, { ...options, iovaMode }), options));
    shapeOfRun(document);
    assert.is(document.dynamicScheme, null);
    assert.equal([document.plan.levels, document.plan.tableBytes, document.plan.chargeBytes], [0, 0, 0]);
    assert.equal([document.resizes, document.liveIovasInterrupted, document.leaks], [0, 0, 0]);
  }
});

json("has the holes of a range on type1, in the plan as in words", () => {
  const here = makeMachine({}, { platform: "type1" });
  const { plan } = doMainJob(here, options);
  const holes = [{ start: 0xfee00000n, last: 0xfeefffffn }];
  const document = headToJson(here, { ...plan, holes }) as { plan: { holes: unknown; alignment: unknown } };
  shapeOfPlan(document);
  assert.equal(document.plan.holes, [{ start: "0xfee00000", last: "0xfeefffff" }]);
  assert.is(document.plan.alignment, "0x1000");
});

json("says null for RAM that the machine does not tell of, and no ranges", () => {
  assert.equal(systemToJson({ ...machine, iomem: undefined, highestRam: undefined }), {
    highestRam: null,
    ramBytes: null,
    ramRanges: [],
    ramUnknownBecause: "no /proc/iomem",
  });
  assert.equal(systemToJson({ ...machine, iomem: undefined, highestRam: 0xffffn }), {
    highestRam: "0xffff",
    ramBytes: null,
    ramRanges: [],
    ramUnknownBecause: "no /proc/iomem",
  });
});

json("has exact numbers for the largest window that can be planned", () => {
  const { container } = new Program();
  const lists = [{ base: 0n, length: 1n << 30n, pageSize: 4096n }];
  const plan = planWindow({ memory: { lists }, info: container.info(), growTo: 1n << 48n });
  const shown = planToJson(plan) as { tableBytes: number; chargeBytes: number };
  assert.is(BigInt(shown.tableBytes), plan.tableBytes);
  assert.is(BigInt(shown.chargeBytes), plan.chargeBytes);
  assert.ok(Number.isSafeInteger(shown.chargeBytes));
  container.close();
});

json.run();

const words = suite("the report in words");

words("names the kernel, the machine's RAM and the memory that is worked with", () => {
  assert.equal(machineLines(machine), [
    "  kernel   the software model of Linux's VFIO on POWER",
    "  RAM      5 GiB in 2 ranges, the highest ends at 0x1ffffffff",
    "  memory   1024 simulated pages of 4 KiB (the shim is not there)",
  ]);
});

words("says of real memory that it is what it is", () => {
  const real: Machine = {
    ...machine,
    kernelName: "linux",
    platform: undefined,
    simulatedBecause: undefined,
    pool: { pageSize: 2n * MiB, pages: 32, kind: "hugepages" },
  };
  const [kernel, , memory] = machineLines(real);
  assert.is(kernel, "  kernel   this machine's VFIO");
  assert.is(memory, "  memory   32 hugepages of 2 MiB");
});

words("names the IOMMU of a software kernel, and that a machine's own is not there", () => {
  const kernel = (changes: Partial<Machine>) => machineLines({ ...machine, ...changes })[0];
  const software = "  kernel   the software model of Linux's VFIO";
  assert.is(kernel({ platform: "pseries" }), `${software} on POWER`);
  assert.is(kernel({ platform: "type1" }), `${software} with type1 (x86, Arm)`);
  assert.is(kernel({ platform: "noiommu", noIommu: true }), `${software} without an IOMMU`);
  const linux = { kernelName: "linux", platform: undefined } as const;
  assert.is(kernel({ ...linux, noIommu: true }), "  kernel   this machine's VFIO without an IOMMU");
});

words("says why the RAM is not known, and what was stated in its place", () => {
  const iomemProblem = new DmaWindowError("ERR_IOMEM_HIDDEN", "hidden");
  const hidden: Machine = { ...machine, iomem: undefined, iomemProblem, highestRam: undefined };
  assert.equal(machineLines(hidden).slice(1, -1), [
    "  RAM      not known (ERR_IOMEM_HIDDEN); only IOVA mode pa needs it",
  ]);
  assert.equal(machineLines({ ...hidden, highestRam: 0x7fff_ffffn }).slice(2, -1), [
    "           stated: it ends at 0x7fffffff",
  ]);
});

words("says which end of RAM was stated where another one is known", () => {
  const [, ram = "", stated = ""] = machineLines({ ...machine, highestRam: 0xf_ffff_ffffn });
  assert.match(ram, "the highest ends at 0x1ffffffff");
  assert.is(stated, "           stated: it ends at 0xfffffffff");
  assert.is(machineLines(machine).length, machineLines({ ...machine, highestRam: 0xf_ffff_ffffn }).length - 1);
});

words("shows the plan: window, pages, tables, the device's address bits, and every choice that was not taken", () => {
  assert.equal(planLines(result.plan).slice(0, 4), [
    `  window   16 MiB at 0x0, for 16 MiB in IOVA mode rebased`,
    "  pages    4 KiB, so 4096 TCEs in 1 level",
    "  tables   32 KiB of TCEs; 64 KiB count against RLIMIT_MEMLOCK",
    "  device   needs 24 address bits",
  ]);
  const not = planLines(result.plan).slice(4);
  assert.is(not.length, result.plan.rejected.length);
  result.plan.rejected.forEach(({ choice, reason }, i) => {
    assert.is(not[i], `  not      ${choice}: ${reason}`);
  });
});

words("shows of a plan for type1 its IOVAs and their holes, and neither windows nor TCEs nor tables", () => {
  const { container } = new Program({ platform: "type1" });
  const lists = [{ base: 1n << 32n, length: 1n << 20n, pageSize: 4096n }];
  const plan = planWindow({ memory: { lists }, info: container.info(), iovaMode: "va" });
  assert.equal(planLines(plan).slice(0, 4), [
    "  IOVAs    8 GiB at 0x0, for 4 GiB in IOVA mode va",
    "           but 0xfee00000-0xfeefffff, which the IOMMU keeps",
    "  pages    4 KiB",
    "  device   needs 33 address bits",
  ]);
  assert.not.match(planLines(plan).join("\n"), /window|TCE|table|MEMLOCK/);
  container.close();
});

words("says of a machine without an IOMMU that hugepages are all there is, and how far the device reaches", () => {
  const { plan } = doMainJob(makeMachine({}, { platform: "noiommu" }), { ...options, iovaMode: "pa" });
  assert.equal(planLines(plan), [
    "  IOVAs    8 GiB at 0x0, for 8 GiB in IOVA mode pa",
    "  pages    2 MiB: nothing pins memory here, and of all pages hugepages alone stay where they are",
    "  device   needs 33 address bits, and reaches all memory",
  ]);
});

words("says why there is one scheme where the kernel has no windows, and speaks of none", () => {
  for (const [platform, iovaMode] of withoutWindows) {
    const found = doMainJob(makeMachine({}, { platform }), { ...options, iovaMode });
    const lines = resultLines(found, options);
    assert.match(lines[0] ?? "", /^ {2}taken {4}IOVAs 0x0-0x[0-9a-f]+$/);
    assert.not.match(lines.join("\n"), /window resized|dynamic scheme|created|TCE/);
    assert.match(lines.join("\n"), "There is no third column");
    assert.is(
      lines.some((one) => one.includes("live pages interrupted")),
      platform === "type1",
    );
    assert.is(lines.at(-1), "  Nothing was left behind.");
    for (const one of lines) assert.ok(one.length <= 120, one);
  }
});

words("has a row for both schemes, and says that nothing was left behind", () => {
  const lines = resultLines(result, options);
  assert.is(lines[0], "  created  at 0x0-0xffffff");
  assert.is(lines[1], "  mapped   4 segments, 256 KiB");
  assert.match(lines[2] ?? "", /^ {2}storm {4}200 steps \(seed 1\): \d+ allocations, \d+ frees, 0 failures$/);
  const row = (label: string) =>
    lines
      .find((line) => line.includes(label))
      ?.split(/ {2,}/)
      .slice(-2);
  assert.equal(row("window resized"), ["0", String(dynamic.resizes)]);
  assert.equal(row("interrupted"), ["0", String(dynamic.liveIovasInterrupted)]);
  assert.equal(row("failed steps"), ["0", "0"]);
  assert.is(lines.at(-1), "  Nothing was left behind.");
});

words("names everything that was left behind, and the first failure", () => {
  const storm = { allocations: 1, frees: 0, failures: 2, firstFailure: new Error("no room") };
  const lines = resultLines({ ...result, leaks: ["a window", "a page"], storm }, options);
  assert.equal(lines.slice(-3), [
    "  Left behind: a window",
    "  Left behind: a page",
    "  First failure: Error: no room",
  ]);
});

words("draws the window: the darker a cell, the more of it is mapped, and a blank only where nothing is", () => {
  const share = Array.from({ length: 64 }, () => 0);
  [0.001, 0.3, 0.6, 0.8, 1].forEach((part, i) => {
    share[i] = part;
  });
  const lines = resultLines({ ...result, grown: { ...result.grown, share } }, options);
  assert.is(lines[4], `           [░▒▓██${" ".repeat(59)}]`);
});

words.run();
