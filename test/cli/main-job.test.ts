import { test } from "uvu";
import * as assert from "uvu/assert";
import { doMainJob, type OtherResult } from "../../src/cli/main-job.ts";
import { Witness } from "../../src/cli/witness.ts";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import type { IovaMode } from "../../src/plan/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { makeMachine } from "./machine.ts";

const MiB = 1n << 20n;
const options = { iovaMode: "rebased", steps: 300, seed: 1 } as const;

const machines: readonly (readonly [string, ModelOptions, { pageSize: bigint; pages: number }])[] = [
  ["bare metal with ordinary pages", { platform: "powernv" }, { pageSize: 4096n, pages: 1024 }],
  ["bare metal with pages of 64 KiB", { platform: "powernv", pageSize: 65536 }, { pageSize: 65536n, pages: 512 }],
  ["bare metal with hugepages of 2 MiB", { platform: "powernv", pageSize: 65536 }, { pageSize: 2n * MiB, pages: 32 }],
  ["an LPAR with ordinary pages", { platform: "pseries" }, { pageSize: 4096n, pages: 1024 }],
  ["an LPAR with pages of 64 KiB", { platform: "pseries", pageSize: 65536 }, { pageSize: 65536n, pages: 512 }],
  ["an LPAR with hugepages of 16 MiB", { platform: "pseries", pageSize: 65536 }, { pageSize: 16n * MiB, pages: 64 }],
];

for (const [name, model, { pageSize, pages }] of machines) {
  test(`on ${name} the static window is never touched, and the dynamic scheme interrupts what is live`, () => {
    const machine = makeMachine({ pool: { pageSize, pages, kind: "pages" } }, model);
    const result = doMainJob(machine, options);
    assert.is(result.resizes, 0);
    assert.is(result.liveIovasInterrupted, 0);
    assert.equal(result.leaks, []);
    assert.is(result.storm.failures, 0, String(result.storm.firstFailure));
    assert.is(result.storm.allocations + result.storm.frees, options.steps);
    const dynamic = result.dynamicScheme as OtherResult;
    assert.ok(dynamic.resizes > 0);
    assert.ok(dynamic.liveIovasInterrupted > 0);
    assert.equal(dynamic.storm, result.storm, "both met the same storm");
    const heap = result.heap as OtherResult;
    assert.equal(heap.storm, result.storm, "the heap too");
    assert.equal([heap.resizes, heap.liveIovasInterrupted], [0, 0]);
    for (const kernel of machine.kernels) assert.equal(kernel.leaks(), [], "neither left anything behind");
  });
}

const withoutWindows: readonly (readonly [string, ModelOptions, IovaMode])[] = [
  ["type1", { platform: "type1" }, "rebased"],
  ["type1, version 1", { platform: "type1", iommuVersion: 1 }, "rebased"],
  ["type1 of an Arm with pages of 64 KiB", { platform: "type1", pageSize: 65536 }, "rebased"],
  ["type1 with virtual addresses", { platform: "type1" }, "va"],
  ["type1 with physical addresses", { platform: "type1" }, "pa"],
  ["no IOMMU", { platform: "noiommu" }, "pa"],
  ["no IOMMU and pages of 16 KiB", { platform: "noiommu", pageSize: 16384 }, "pa"],
];

for (const [name, model, iovaMode] of withoutWindows) {
  test(`on ${name} the same storm goes through, and there is no scheme to compare with`, () => {
    const machine = makeMachine({}, model);
    const result = doMainJob(machine, { ...options, iovaMode });
    assert.is(result.plan.kind, model.platform);
    assert.is(result.dynamicScheme, undefined);
    const heap = result.heap as OtherResult;
    assert.equal([heap.resizes, heap.liveIovasInterrupted, heap.storm], [0, 0, result.storm]);
    assert.is(machine.kernels.length, 4, "one to look at, and one for the storm; and again for the heap");
    assert.equal([result.resizes, result.liveIovasInterrupted, result.leaks], [0, 0, []]);
    assert.is(result.storm.failures, 0, String(result.storm.firstFailure));
    assert.is(result.storm.allocations + result.storm.frees, options.steps);
    for (const kernel of machine.kernels) assert.equal(kernel.leaks(), []);
  });
}

test("on a machine's own VFIO the container says which IOMMU it is; to have none has to be asked for", () => {
  const linux = { kernelName: "linux", platform: undefined } as const;
  for (const [model, iovaMode, noIommu] of [
    [{ platform: "powernv" }, "rebased", false],
    [{ platform: "type1" }, "rebased", false],
    [{ platform: "noiommu" }, "pa", true],
  ] as const) {
    const { plan, storm } = doMainJob(makeMachine({ ...linux, noIommu }, model), { ...options, iovaMode });
    assert.equal([plan.kind, storm.failures], [model.platform === "powernv" ? "spapr" : model.platform, 0]);
  }
  const unasked = makeMachine({ ...linux, noIommu: false }, { platform: "noiommu" });
  assert.match(
    failure("ERR_KERNEL", () => doMainJob(unasked, { ...options, iovaMode: "pa" })).message,
    "noIommu: true",
  );
});

test("without an IOMMU another IOVA mode than pa is refused by the plan, and nothing stays open", () => {
  const machine = makeMachine({}, { platform: "noiommu" });
  const error = failure("ERR_PLAN_IMPOSSIBLE", () => doMainJob(machine, options));
  assert.match(error.message, "Use IOVA mode pa");
  for (const kernel of machine.kernels) assert.equal(kernel.leaks(), []);
});

test("what is mapped before the storm, and after it, is what the memory held", () => {
  const { mapped, grown, window, plan } = doMainJob(makeMachine(), options);
  assert.equal(mapped, { segments: 4, bytes: 64n * 4096n });
  assert.ok(grown.bytes > mapped.bytes && grown.bytes <= 1024n * 4096n);
  assert.is(grown.share.length, 64);
  const bytes = grown.share.reduce((sum, part) => sum + (part * Number(window.size)) / 64, 0);
  assert.ok(Math.abs(bytes - Number(grown.bytes)) < Number(grown.bytes) / 50, "the picture shows all of it");
  assert.is(window.size, plan.size);
});

test("the same seed gives the same account, another seed another", () => {
  const account = (seed: number) => {
    const { storm, dynamicScheme, grown } = doMainJob(makeMachine(), { ...options, seed });
    const { nanosecondsPerStep: _, ...dynamic } = dynamicScheme as OtherResult;
    return { storm, dynamic, grown };
  };
  assert.equal(account(7), account(7));
  assert.not.equal(account(7), account(8));
});

test("IOVAs that are addresses are as exact: va and pa on bare metal", () => {
  for (const iovaMode of ["va", "pa"] as const) {
    const result = doMainJob(makeMachine(), { ...options, iovaMode });
    assert.is(result.plan.iovaMode, iovaMode);
    assert.equal(
      [result.resizes, result.liveIovasInterrupted, result.storm.failures, result.leaks],
      [0, 0, 0, []],
      String(result.storm.firstFailure),
    );
  }
});

test("a window may be larger than the memory, as large as the program says that memory may become", () => {
  const { plan, window } = doMainJob(makeMachine({}, { platform: "pseries" }), { ...options, growTo: 64n << 30n });
  assert.is(plan.size, 64n << 30n);
  assert.is(window.start, 1n << 59n);
});

test("in IOVA mode pa a machine that does not say where its RAM is stops it, with the reader's own reason", () => {
  const problem = thrownBy(() => failure("ERR_X", () => {}));
  const machine = makeMachine({ iomem: undefined, highestRam: undefined, iomemProblem: problem as never });
  assert.is(
    thrownBy(() => doMainJob(machine, { ...options, iovaMode: "pa" })),
    problem,
  );
  assert.is(doMainJob(machine, options).storm.failures, 0, "the other modes do not ask");
  for (const kernel of machine.kernels) assert.equal(kernel.leaks(), []);
});

test("a storm with failures is told with the first of them, and leaves nothing behind", () => {
  const machine = makeMachine();
  const refusing = { times: 3, nth: 20, answer: no.ENOMEM, call: "REGISTER_MEMORY" };
  const result = doMainJob({ ...machine, makeKernel: () => faulty(machine.makeKernel(), refusing) }, options);
  assert.is(result.storm.failures, 3);
  assert.match(String(result.storm.firstFailure), /REGISTER_MEMORY.*ENOMEM/);
  assert.equal([result.resizes, result.liveIovasInterrupted], [0, 0]);
  for (const kernel of machine.kernels) assert.equal(kernel.leaks(), []);
});

test("what the kernel leaks is found, although the library cannot help it", () => {
  const machine = makeMachine();
  const kernels: ModelKernel[] = [];
  const leaking = () => {
    const kernel = machine.makeKernel() as ModelKernel;
    kernels.push(kernel);
    kernel.open("/dev/vfio/vfio");
    return kernel;
  };
  const { leaks } = doMainJob({ ...machine, makeKernel: leaking }, options);
  assert.is(leaks.length, 2, "of both runs");
  for (const leak of leaks) assert.match(leak, /descriptor \d+ is open/);
});

test("locked memory that is left behind is found on a kernel that can be asked for nothing else", () => {
  const model = modelKernel();
  let opened = false;
  // One kernel for everything, as the real one is; it forgets to give a page back.
  const { kernel } = new Witness(model);
  const forgetful: Syscalls = {
    ...kernel,
    open: (path) => {
      opened = true;
      return kernel.open(path);
    },
    lockedMemory: () => ({ ...kernel.lockedMemory(), used: kernel.lockedMemory().used + (opened ? 4096n : 0n) }),
  };
  assert.equal(doMainJob(makeMachine({ makeKernel: () => kernel }), options).leaks, []);
  assert.equal(doMainJob(makeMachine({ makeKernel: () => forgetful }), options).leaks, ["4096 bytes of locked memory"]);
});

test.run();
