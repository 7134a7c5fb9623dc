/** Windows of type1: parts of the IOVAs that are allowed, apart from each other, for which the kernel is not asked. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { core, Status } from "../../src/core.ts";
import type { WindowPlan } from "../../src/plan/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { agreeOnMaps, readyOnType1 } from "../support/other-iommus.ts";
import { GiB, KiB, MiB, Program, TiB } from "../support/program.ts";

const PAGE = 4n * KiB;
/** What VT-d leaves out: where devices write their interrupts. */
const HOLE = { start: 0xfee0_0000n, last: 0xfeef_ffffn };

const onType1 = (options = {}) => new Program({ platform: "type1", ...options });

/** A plan for a window over addresses up to `growTo`, in IOVA mode `va`. */
const planVa = (program: Program, growTo: bigint): WindowPlan =>
  planWindow({ memory: { lists: [] }, info: { ...program.container.info(), pageSizes: PAGE }, iovaMode: "va", growTo });

test("a window costs no call but that for the ranges, and so does its end", () => {
  const program = onType1();
  const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), growTo: GiB });
  program.record.take();
  const window = program.container.createWindow(plan);
  assert.equal(new Set(program.record.takeNames()), new Set(["TCE_GET_INFO"]));
  assert.equal(
    [window.start, window.size, window.pageShift, window.levels, window.iovaMode, window.dmaMaskBits],
    [0n, GiB, 12, 0, "rebased", 30],
  );
  assert.equal([window.largestHole, window.liveBytes], [GiB, 0n]);
  window.close();
  assert.equal(program.record.take(), []);
  assert.equal(program.container.windows, []);
});

test("rebased: each goes to the lowest multiple of its size that is allowed and free, and one that ends makes room", () => {
  const program = onType1();
  const first = program.window(GiB);
  const second = program.window(GiB);
  const large = program.window(4n * GiB);
  const small = program.window(16n * MiB);
  assert.equal([first.start, second.start, large.start, small.start], [0n, GiB, 4n * GiB, 2n * GiB]);
  first.close();
  assert.is(program.window(512n * MiB).start, 0n);
  assert.is(program.window(512n * MiB).start, 512n * MiB);
  // 2 GiB at 2 GiB would have the hole in it, and 0 is taken.
  assert.is(program.window(2n * GiB).start, 8n * GiB);
  // The last GiB below 4 GiB has the hole too.
  assert.is(program.window(GiB).start, 10n * GiB);
});

test("rebased: a window fits beside any number of others, where their sizes leave its multiple free", () => {
  const program = onType1({ ranges: [{ start: 0x5000n, last: 0x1_ffffn }] });
  const starts = [PAGE, PAGE, 4n * PAGE, 2n * PAGE, PAGE, 8n * PAGE].map((size) => program.window(size).start / PAGE);
  assert.equal(starts, [5n, 6n, 8n, 12n, 7n, 16n]);
});

test("rebased: when nothing is left, the ranges and the windows that are open are named", () => {
  const program = onType1({ ranges: [{ start: 0n, last: 2n * MiB - 1n }] });
  program.window(MiB);
  program.window(MiB);
  const error = failure("ERR_NO_WINDOW_SLOT", () => program.window(MiB));
  assert.match(error.message, "beside the windows of 1 MiB at 0x0, 1 MiB at 0x100000");
  assert.match(error.message, "allowed are 0x0-0x1fffff");
  assert.equal(error.facts?.open, [0n, MiB]);
  assert.is(program.container.windows.length, 2);
});

test("va: a window that would overlap another is refused, with both, and nothing changes", () => {
  const program = onType1();
  program.window(16n * MiB);
  const other = program.container.windows[0];
  program.record.take();
  const error = failure("ERR_WINDOW_OVERLAPS", () => program.container.createWindow(planVa(program, GiB)));
  assert.match(error.message, "a window of 1 GiB at 0x0 would overlap the one of 16 MiB at 0x0");
  assert.equal(error.facts, { start: 0n, size: GiB, other: 0n });
  assert.equal(program.container.windows, [other]);
  other?.close();
  assert.is(program.container.createWindow(planVa(program, GiB)).size, GiB);
});

test("va: the hole of the interrupts is free for nobody, and says which IOVAs are allowed", () => {
  const program = onType1();
  const window = program.container.createWindow(planVa(program, 4n * GiB));
  assert.is(window.largestHole, HOLE.start);
  const va = program.allocate(16n * PAGE);
  program.record.take();
  for (const [iova, length] of [
    [HOLE.start, PAGE],
    [HOLE.last + 1n - PAGE, PAGE],
    [HOLE.start - PAGE, 2n * PAGE],
    [HOLE.last + 1n - PAGE, 2n * PAGE],
    [HOLE.start + 16n * PAGE, 4n * PAGE],
  ] as const) {
    const error = failure("ERR_OUTSIDE_RANGES", () => window.map({ va, iova, length }));
    assert.match(error.message, "allowed are 0x0-0xfedfffff, 0xfef00000-0xffffffffffff");
    assert.equal(error.facts?.ranges, (program.container.info() as { ranges?: unknown }).ranges);
    assert.equal([error.facts?.iova, error.facts?.length], [iova, length]);
    failure("ERR_OUTSIDE_RANGES", () => window.unmap({ iova, length }));
    program.record.take();
  }
  assert.equal(program.record.take(), [], "the kernel was not asked");
  window.map({ va, iova: HOLE.start - PAGE, length: PAGE });
  window.map({ va: va + PAGE, iova: HOLE.last + 1n, length: PAGE });
  agreeOnMaps(program, window);
});

test("a hole is left out in whole pages of the window", () => {
  const program = onType1();
  const plan = planWindow({
    memory: { lists: [] },
    info: { ...program.container.info(), cpuPageSize: Number(2n * MiB), pageSizes: 2n * MiB },
    iovaMode: "va",
    growTo: 4n * GiB,
  });
  assert.is(plan.pageShift, 21);
  const window = program.container.createWindow(plan);
  const va = program.allocate(4n * MiB, 21);
  for (const iova of [0xfee0_0000n, 0xfec0_0000n + MiB]) {
    const code = iova % (2n * MiB) === 0n ? "ERR_OUTSIDE_RANGES" : "ERR_UNALIGNED_IOVA";
    failure(code, () => window.map({ va, iova, length: 2n * MiB }));
  }
  window.map({ va, iova: 0xfec0_0000n, length: 2n * MiB });
  window.map({ va: va + 2n * MiB, iova: 0xff00_0000n, length: 2n * MiB });
  agreeOnMaps(program, window);
});

test("the first that is free is never in a hole", () => {
  const ranges = [
    { start: 0n, last: 0x1fffn },
    { start: 0x4000n, last: 0x4fffn },
    { start: 0x8000n, last: 0xfffffn },
  ];
  const program = onType1({ ranges });
  const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), iovaMode: "va", growTo: MiB });
  const window = program.container.createWindow({ ...plan, pageShift: 12 });
  const va = program.allocate(8n * PAGE);
  // Mode `va` takes the address itself; where it is left open is asked of the core by lists, which this stands for.
  const free = [0x0n, 0x1000n, 0x4000n, 0x8000n].map((iova, i) =>
    window.map({ va: va + BigInt(i) * PAGE, iova, length: PAGE }),
  );
  assert.is(free.length, 4);
  for (const iova of [0x2000n, 0x3000n, 0x5000n, 0x7000n]) {
    failure("ERR_OUTSIDE_RANGES", () => window.map({ va: va + 5n * PAGE, iova, length: PAGE }));
  }
  agreeOnMaps(program, window);
});

test("holes that a plan holds back besides are held back, whole and in part, in any order", () => {
  const { program } = readyOnType1();
  const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), iovaMode: "va", growTo: 32n * MiB });
  for (const window of program.container.windows) window.close();
  const holes = [
    { start: 0x9800n, last: 0xa7ffn },
    { start: 0x3000n, last: 0x3000n },
    { start: 0xa000n, last: 0xbfffn },
    { start: 1n << 40n, last: (1n << 40n) + 1n },
    { start: 32n * MiB - 1n, last: TiB },
  ];
  const window = program.container.createWindow({ ...plan, pageShift: 12, holes });
  const va = program.allocate(64n * PAGE);
  const refused = (iova: bigint) => failure("ERR_OUTSIDE_RANGES", () => window.map({ va, iova, length: PAGE }));
  for (const iova of [0x3000n, 0x9000n, 0xa000n, 0xb000n, 32n * MiB - PAGE]) refused(iova);
  for (const [i, iova] of [0x2000n, 0x4000n, 0x8000n, 0xc000n, 32n * MiB - 2n * PAGE].entries()) {
    window.map({ va: va + BigInt(i) * PAGE, iova, length: PAGE });
  }
  agreeOnMaps(program, window);
});

test("rebased: what a plan holds back at another place is not held back here", () => {
  const program = onType1();
  program.window(16n * MiB);
  const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), growTo: 16n * MiB });
  const holes = [0n, 16n * MiB].map((start) => ({ start, last: start + PAGE - 1n }));
  const window = program.container.createWindow({ ...plan, pageShift: 12, holes });
  assert.equal([window.start, window.largestHole], [16n * MiB, 16n * MiB]);
});

test("a plan for another IOMMU, or for pages that this one has not, is refused before the kernel is asked for more than its info", () => {
  const program = onType1({ pageSize: 65536 });
  const powernv = new Program().container.info();
  const spapr = planWindow({ memory: { lists: [] }, info: powernv, growTo: GiB });
  const error = failure("ERR_PLAN_MISFIT", () => program.container.createWindow(spapr));
  assert.match(error.message, "the plan is for spapr, and this container is type1");
  const info = { ...program.container.info(), pageSizes: PAGE };
  const small = planWindow({ memory: { lists: [] }, info, growTo: GiB });
  const pages = failure("ERR_PLAN_MISFIT", () => program.container.createWindow(small));
  assert.match(pages.message, "pages of 4 KiB; the smallest of this IOMMU have 64 KiB");
  const mine = planWindow({ memory: { lists: [] }, info: program.container.info(), growTo: GiB });
  assert.match(failure("ERR_PLAN_MISFIT", () => new Program().container.createWindow(mine)).message, "sPAPR TCE v2");
});

test("a plan that is none is refused argument by argument", () => {
  const program = onType1();
  const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), growTo: GiB });
  program.record.take();
  const wrong: [keyof WindowPlan, unknown][] = [
    ...badValues("an array").map(([, value]): [keyof WindowPlan, unknown] => ["holes", value]),
    ...badValues().map(([, value]): [keyof WindowPlan, unknown] => ["holes", [value]]),
    ...badValues().map(([, value]): [keyof WindowPlan, unknown] => ["holes", [{ start: value, last: 5n }]]),
    ...badValues().map(([, value]): [keyof WindowPlan, unknown] => ["holes", [{ start: 0n, last: value }]]),
    ["holes", [{ start: 6n, last: 5n }]],
    ["start", PAGE / 2n],
    ["start", (1n << 64n) - GiB / 2n],
    ["start", 4096],
    ["size", GiB + PAGE / 2n],
    ["size", 0n],
    ["needed", 0n],
    ["needed", 4096],
    ["alignment", PAGE / 2n],
    ["alignment", 3n * PAGE],
    ["alignment", 4096],
    ["deviceAddressBits", 0],
    ["deviceAddressBits", 65],
    ["deviceAddressBits", 48n],
  ];
  for (const [name, value] of wrong) refusesArgument(() => program.container.createWindow({ ...plan, [name]: value }));
  assert.equal(program.record.take(), []);
  // The device does not get there, as the plan itself says; at the last place that it reaches it does.
  const edited = (start: bigint) => ({ ...plan, start, deviceAddressBits: 41 });
  refusesArgument(() => program.container.createWindow(edited(1n << 41n)));
  refusesArgument(() => program.container.createWindow(edited((1n << 41n) - GiB + PAGE)));
  assert.equal(program.record.take(), []);
  assert.is(program.container.createWindow(edited((1n << 41n) - GiB)).start, (1n << 41n) - GiB);
});

test("IOVAs beside a hole that belong to a list are a list's, and not outside the ranges", () => {
  const program = onType1();
  const window = program.container.createWindow(planVa(program, 4n * GiB));
  const memory = program.memory();
  program.container.attach(memory);
  memory.addList({ pageSize: PAGE, maxBytes: 2n * PAGE, base: HOLE.start - 2n * PAGE });
  memory.addList({ pageSize: PAGE, maxBytes: PAGE, base: HOLE.last + 1n });
  const va = program.allocate(4n * PAGE);
  for (const [iova, length, code] of [
    [HOLE.start - PAGE, PAGE, "ERR_RESERVED"],
    [HOLE.last + 1n, PAGE, "ERR_RESERVED"],
    [HOLE.start - PAGE, 2n * PAGE, "ERR_OUTSIDE_RANGES"],
  ] as const) {
    failure(code, () => window.map({ va, iova, length }));
  }
});

test("where the core has no room for what may not be mapped, there is no window", () => {
  const program = onType1();
  const plan = planVa(program, 4n * GiB);
  const inUse = core.bytesInUse();
  const { windowReserve } = core;
  try {
    core.windowReserve = () => Status.OUT_OF_MEMORY;
    failure("ERR_OUT_OF_MEMORY", () => program.container.createWindow(plan));
  } finally {
    core.windowReserve = windowReserve;
  }
  assert.equal([program.container.windows, core.bytesInUse()], [[], inUse]);
  program.container.createWindow(plan);
  program.container.close();
});

test("a kernel that does not give its ranges makes no window", () => {
  const program = onType1();
  const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), growTo: GiB });
  program.kernel.fail({ call: "GET_INFO", answer: no.EIO });
  failure("ERR_KERNEL", () => program.container.createWindow(plan));
  assert.equal(program.container.windows, []);
  program.container.createWindow(plan);
});

test.run();
