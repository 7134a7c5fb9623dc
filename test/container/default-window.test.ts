/** The window that is there at first, used as it is: all that an LPAR has whose firmware has no TCEs left. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GiB, HIGH, KiB, MiB, Program } from "../support/program.ts";

const SIZES = { powernv: 2n * GiB, pseries: GiB } as const;

/** A program with a list of hugepages. */
function withList(options: ConstructorParameters<typeof Program>[0], maxBytes = 512n * MiB) {
  const program = new Program(options);
  const memory = program.memory();
  const list = memory.addList({ pageSize: 2n * MiB, maxBytes });
  const planFor = (window?: "default") =>
    planWindow({ memory, info: program.container.info(), ...(window === undefined ? {} : { window }) });
  return { program, memory, list, planFor };
}

for (const platform of ["powernv", "pseries"] as const) {
  test(`${platform}: the default window is neither made nor removed, maps memory, and stays`, () => {
    const { program, memory, list, planFor } = withList({ platform });
    const plan = planFor("default");
    program.record.take();
    const window = program.container.createWindow(plan);
    assert.equal(program.record.takeNames(), ["TCE_GET_INFO"]);
    assert.equal(
      [window.start, window.size, window.pageShift, window.levels, window.dmaMaskBits],
      [0n, SIZES[platform], 12, 1, platform === "powernv" ? 31 : 30],
    );
    program.container.attach(memory);
    const segment = memory.allocate(list, 2);
    assert.equal(program.model.device(26).write(window.iovaOf(segment.va), Uint8Array.of(42)), { bytes: 1 });
    assert.is(segment.bytes[0], 42);
    agree(program, window);
    assert.is(program.model.lockedMemory().used, plan.chargeBytes + 4n * MiB);
    window.close();
    assert.not(program.record.takeNames().includes("TCE_REMOVE"));
    assert.equal(
      program.seen.windows.map(({ start, size, liveTces }) => [start, size, liveTces]),
      [[0n, SIZES[platform], 0]],
    );
    // It can be used again, and after that be replaced.
    program.container.createWindow(plan).close();
    assert.is(program.window(4n * GiB).size, 4n * GiB);
    program.container.close();
    assert.equal(program.model.leaks(), []);
    memory.close();
  });
}

test("firmware without TCEs: the refusal says that the default window would do, and it does", () => {
  const { program, memory, list, planFor } = withList({ platform: "pseries", firmwareLargestBlock: 0n });
  const error = failure("ERR_KERNEL", () => program.container.createWindow(planFor()));
  assert.match(error.message, "1 GiB at 0x0 in 4 KiB pages, and would hold the 512 MiB that are needed");
  assert.match(error.message, 'plan with window: "default"');
  assert.equal([error.errno, error.syscall, error.residue], [no.EINVAL, "VFIO_IOMMU_SPAPR_TCE_CREATE", undefined]);
  assert.equal([error.facts?.needed, error.facts?.defaultWindow], [512n * MiB, { start: 0n, size: GiB }]);
  const window = program.container.createWindow(planFor("default"));
  program.container.attach(memory);
  memory.allocate(list, 4);
  agree(program, window);
  program.container.close();
  assert.equal(program.model.leaks(), []);
  memory.close();
});

test("an LPAR's refusal is explained by its firmware, and PowerNV's by what PowerNV makes", () => {
  const refusalOf = (options: ConstructorParameters<typeof Program>[0], answer?: number) => {
    const { program, memory, planFor } = withList(options, 2n * GiB);
    if (answer !== undefined) program.kernel.fail({ call: "TCE_CREATE", answer });
    const error = failure("ERR_KERNEL", () => program.container.createWindow(planFor()));
    program.container.close();
    memory.close();
    return { message: error.message, causes: error.facts?.causes as readonly { id: string; source: string }[] };
  };
  const few = refusalOf({ platform: "pseries", firmwareLargestBlock: 0n });
  assert.is(few.causes[0]?.id, "firmware");
  assert.match(few.message, "fewer TCEs, which larger pages or less memory need");
  for (const answer of [no.EINVAL, no.ENODEV, no.ENOMEM]) {
    const { causes } = refusalOf({ platform: "pseries" }, answer);
    assert.not(causes.some(({ source }) => source.includes("powernv")));
  }
  for (const answer of [no.EINVAL, no.ENOMEM]) {
    const { causes } = refusalOf({ platform: "powernv" }, answer);
    assert.not(causes.some(({ source }) => source.includes("pseries")));
  }
});

test("the default window is not offered where it would not do", () => {
  const offered = (message: string) => message.includes("default window is there");
  const large = withList({ platform: "pseries", firmwareLargestBlock: 0n }, 2n * GiB);
  assert.not(offered(failure("ERR_KERNEL", () => large.program.container.createWindow(large.planFor())).message));
  const few = withList({ platform: "powernv" });
  const plan = planWindow({ memory: few.memory, info: few.program.container.info(), deviceAddressBits: 30 });
  few.program.kernel.fail({ call: "TCE_CREATE", answer: no.ENOMEM });
  assert.not(offered(failure("ERR_KERNEL", () => few.program.container.createWindow(plan)).message));
  // It could not be put back.
  const gone = withList({ platform: "powernv" });
  gone.program.kernel.fail({ call: "TCE_CREATE", answer: no.ENOMEM, times: 2 });
  const error = failure("ERR_KERNEL", () => gone.program.container.createWindow(gone.planFor()));
  assert.not(offered(error.message));
  assert.match(error.residue?.left[0] ?? "", "not put back");
});

test("a large window beside the default one: the default one is not removed for it", () => {
  for (const platform of ["powernv", "pseries"] as const) {
    const { program, memory, list, planFor } = withList({ platform });
    const small = program.container.createWindow(planFor("default"));
    program.container.attach(memory, small);
    const { va } = memory.allocate(list, 1);
    program.kernel.fail({ call: "TCE_CREATE", answer: no.ENOMEM });
    program.record.take();
    const error = failure("ERR_KERNEL", () => program.window(MiB));
    assert.not(error.message.includes("default window"), "it is in use");
    assert.not(program.record.takeNames().includes("TCE_CREATE"), "nothing is put back that was not taken away");
    const large = program.window(4n * GiB);
    assert.not(program.record.takeNames().includes("TCE_REMOVE"));
    assert.equal([small.start, large.start], [0n, HIGH]);
    agree(program, small);
    assert.is(small.iovaOf(va), 0n);
    failure("ERR_NO_WINDOW_SLOT", () => program.window(4n * GiB));
    program.record.take();
    small.close();
    assert.not(program.record.takeNames().includes("TCE_REMOVE"));
    assert.is(program.seen.windows.length, 2);
    program.container.close();
    memory.close();
    assert.equal(program.model.leaks(), []);
  }
});

test("there is one: a second plan for it is refused, and so is one while a window of ours is at its place", () => {
  const { program, planFor } = withList({ platform: "powernv" });
  const first = program.container.createWindow(planFor("default"));
  failure("ERR_WINDOW_OVERLAPS", () => program.container.createWindow(planFor("default")));
  first.close();
  const own = program.window(16n * MiB);
  failure("ERR_WINDOW_OVERLAPS", () => program.container.createWindow(planFor("default")));
  own.close();
  // It is gone since, so one like it is made.
  const plan = planFor("default");
  program.record.take();
  const again = program.container.createWindow(plan);
  assert.equal(program.record.takeNames(), ["TCE_GET_INFO", "TCE_CREATE"]);
  assert.equal([again.start, again.size], [0n, 2n * GiB]);
  again.close();
  assert.equal(program.seen.windows, []);
});

test("where it was removed, one like it is made at its place, also beside another window", () => {
  const { program, planFor } = withList({ platform: "powernv" });
  const [first, second] = [program.window(16n * MiB), program.window(16n * MiB)];
  first.close();
  assert.equal([program.container.createWindow(planFor("default")).start, second.start], [0n, HIGH]);
});

test("a plan for another machine's default window is refused, with both", () => {
  const { planFor } = withList({ platform: "powernv" });
  const error = failure("ERR_PLAN_MISFIT", () =>
    new Program({ platform: "pseries" }).container.createWindow(planFor("default")),
  );
  assert.match(error.message, "a default window of 2 GiB at 0x0 in pages of 4 KiB; this one has 1 GiB at 0x0");
});

test("a window that lands where the device does not reach is refused, and undone", () => {
  const program = new Program({ platform: "pseries" });
  program.window(GiB);
  const lists = [{ base: 0n, length: 64n * KiB, pageSize: 4n * KiB }];
  const plan = planWindow({ memory: { lists }, info: program.container.info(), deviceAddressBits: 32 });
  assert.is(plan.start, 0n);
  const error = failure("ERR_WINDOW_ELSEWHERE", () => program.container.createWindow(plan));
  assert.match(error.message, "needs 60 address bits; the device has 32");
  assert.is(program.container.windows.length, 1);
  assert.is(program.seen.windows.length, 1);
});

test("the default window is offered for what firmware or memory does not give, and for nothing else", () => {
  for (const [answer, isOffered] of [
    [no.ENODEV, true],
    [no.ENOMEM, true],
    [no.EINVAL, true],
    [no.EPERM, false],
    [no.EFAULT, false],
    [no.ENOSPC, false],
  ] as const) {
    const { program, planFor } = withList({ platform: "powernv" });
    program.kernel.fail({ call: "TCE_CREATE", answer });
    const error = failure("ERR_KERNEL", () => program.container.createWindow(planFor()));
    assert.is(error.errno, answer);
    assert.is(error.message.includes('window: "default"'), isOffered, error.message);
  }
});

test.run();
