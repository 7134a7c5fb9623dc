import { test } from "uvu";
import * as assert from "uvu/assert";
import type { WindowPlan } from "../../src/plan/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GiB, HIGH, KiB, MiB, Program } from "../support/program.ts";

const planFor = (program: Program, size = 64n * MiB): WindowPlan =>
  planWindow({
    memory: { lists: [{ base: 0n, length: 64n * KiB, pageSize: 64n * KiB }] },
    info: { ...program.container.info(), pageSizes: 0x10000n },
    growTo: size,
  });

/** The windows that the kernel has. */
const windowsOf = (program: Program) =>
  program.seen.windows.map(({ start, size, pageShift }) => ({ start, size, pageShift }));

const defaultOf = { powernv: 2n * GiB, pseries: GiB };

test("the default window goes, and the planned one comes in its place", () => {
  const program = new Program();
  const plan = planFor(program);
  program.record.take();
  const window = program.container.createWindow(plan);
  assert.equal(program.record.takeNames(), ["TCE_GET_INFO", "TCE_REMOVE", "TCE_CREATE"]);
  assert.equal(windowsOf(program), [{ start: 0n, size: 64n * MiB, pageShift: 16 }]);
  assert.equal(program.container.windows, [window]);
  assert.equal(
    [window.start, window.size, window.pageShift, window.levels, window.iovaMode, window.dmaMaskBits],
    [0n, 64n * MiB, 16, 1, "rebased", 26],
  );
  assert.equal([window.liveBytes, window.largestHole, window.closed], [0n, 64n * MiB, false]);
});

test("CREATE is asked for exactly what was planned", () => {
  const program = new Program();
  const plan = planFor(program, 1n << 40n);
  program.record.take();
  program.container.createWindow(plan);
  const create = program.record.take().find(({ call }) => call === "TCE_CREATE");
  assert.equal(
    {
      argsz: create?.argsz,
      flags: create?.flags,
      shift: create?.pageShift,
      size: create?.size,
      levels: create?.levels,
    },
    { argsz: 40, flags: 0, shift: 16, size: 1n << 40n, levels: 2 },
  );
});

for (const platform of ["powernv", "pseries"] as const) {
  test(`${platform}: whatever CREATE answers, the default window is put back and nothing else is left`, () => {
    const answers = [no.EINVAL, no.ENOMEM, no.ENOSPC, no.EPERM, no.ENODEV, no.ENOTTY, no.EFAULT, no.EBADF, no.EIO, 1];
    for (const answer of answers) {
      const program = new Program({ platform });
      const plan = planFor(program);
      program.kernel.fail({ call: "TCE_CREATE", answer });
      const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
      assert.is(error.syscall, "VFIO_IOMMU_SPAPR_TCE_CREATE");
      assert.is(error.errno, answer < 0 ? answer : undefined);
      assert.is(error.residue, undefined);
      assert.match(error.message, "64 MiB, pages of 64 KiB, 1 level");
      assert.equal(windowsOf(program), [{ start: 0n, size: defaultOf[platform], pageShift: 12 }]);
      assert.equal(program.container.windows, []);
      // What is charged is the default window's own table, which the kernel had only put off.
      assert.is(program.model.lockedMemory().used, platform === "powernv" ? 8n * MiB : 2n * MiB);
      // The next try takes it away again.
      const window = program.container.createWindow(plan);
      assert.equal(windowsOf(program), [{ start: window.start, size: 64n * MiB, pageShift: 16 }]);
      program.container.close();
      assert.equal(program.model.leaks(), []);
    }
  });
}

test("when the default window cannot be put back either, the error says so, and the next try does without it", () => {
  const program = new Program();
  const plan = planFor(program);
  program.kernel.fail({ call: "TCE_CREATE", answer: no.ENOMEM, times: 2 });
  const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
  assert.equal(error.residue?.left.length, 1);
  assert.match(error.residue?.left[0] ?? "", "default window is not put back (ENOMEM");
  assert.match(error.message, "left behind");
  assert.equal(windowsOf(program), []);
  program.record.take();
  program.container.createWindow(plan);
  assert.equal(program.record.takeNames(), ["TCE_GET_INFO", "TCE_CREATE"]);
});

test("when the default window cannot be removed, nothing is created and nothing has changed", () => {
  const program = new Program();
  const plan = planFor(program);
  const before = program.model.snapshot();
  program.kernel.fail({ call: "TCE_REMOVE", answer: no.EINVAL });
  const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
  assert.is(error.syscall, "VFIO_IOMMU_SPAPR_TCE_REMOVE");
  assert.equal(program.model.snapshot(), before);
  program.container.createWindow(plan);
});

test("a refusal for the locked-memory limit leaves the charge as it was", () => {
  const limits = { limit: 9n * MiB, privileged: false };
  const program = new Program({ lockedMemory: limits });
  const plan = { ...planFor(program), size: 64n * GiB };
  const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
  assert.is(error.errno, no.ENOMEM);
  assert.match(error.message, "ulimit -l");
  assert.is(program.model.snapshot().charges.leakedBytes, 0n);
  program.container.close();
  assert.is(program.model.lockedMemory().used, 0n);
});

test("a plan for addresses as IOVAs whose window lands elsewhere is refused, and undone", () => {
  const program = new Program({ platform: "pseries" });
  const plan: WindowPlan = { ...planFor(program), iovaMode: "va", start: 0n };
  const error = failure("ERR_WINDOW_ELSEWHERE", () => program.container.createWindow(plan));
  assert.match(error.message, "0x800000000000000");
  assert.match(error.message, "use rebased");
  assert.equal(error.facts, { start: HIGH, planned: 0n });
  assert.is(error.residue, undefined);
  assert.equal(windowsOf(program), [{ start: 0n, size: GiB, pageShift: 12 }]);
  assert.equal(program.container.windows, []);
});

test("when the misplaced window cannot be removed, the error says where it is", () => {
  const program = new Program({ platform: "pseries" });
  const plan: WindowPlan = { ...planFor(program), iovaMode: "va", start: 0n };
  program.kernel.fail({ call: "TCE_REMOVE", nth: 1, answer: 1 });
  const error = failure("ERR_WINDOW_ELSEWHERE", () => program.container.createWindow(plan));
  assert.match(error.residue?.left.join("; ") ?? "", "the window at 0x800000000000000");
  assert.match(error.residue?.left.join("; ") ?? "", "the answer was 1");
  program.container.close();
  assert.equal(program.model.leaks(), []);
});

test("a window that cannot be kept track of is removed from the kernel again", () => {
  const program = new Program();
  const plan = { ...planFor(program), size: 1n << 50n, pageShift: 12, levels: 4 };
  failure("ERR_TOO_LARGE", () => program.container.createWindow(plan));
  assert.equal(windowsOf(program), [{ start: 0n, size: 2n * GiB, pageShift: 12 }]);
  program.container.close();
  assert.equal(program.model.leaks(), []);
});

test("a plan that is for another IOMMU, or for no window, is refused before the kernel is asked", () => {
  const program = new Program();
  const plan = planFor(program);
  program.record.take();
  failure("ERR_PLAN_MISFIT", () => program.container.createWindow({ ...plan, kind: "type1" }));
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    kind: ["smmu"],
    iovaMode: ["VA"],
    start: [4096],
    size: [4096, 0n, 3n * MiB, 32n * KiB],
    pageShift: [11, 41, 16n],
    levels: [1n],
  };
  for (const [, value] of badValues()) refusesArgument(() => program.container.createWindow(value as never));
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of [...values, ...badValues().map(([, bad]) => bad)]) {
      refusesArgument(() => program.container.createWindow({ ...plan, [field]: value } as never));
    }
  }
  assert.equal(program.record.calls, []);
});

test("a closed container creates nothing", () => {
  const program = new Program();
  const plan = planFor(program);
  program.container.close();
  program.record.take();
  failure("ERR_CLOSED", () => program.container.createWindow(plan));
  assert.equal(program.record.calls, []);
});

test.run();
