/** Kernels that do not say which IOVAs may be mapped: what the machine says instead, and what is left out where it says nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import type { Type1Info } from "../../src/iommu.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import type { MachineFiles, Syscalls } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { GiB, MiB, Program } from "../support/program.ts";

const TOP = (1n << 64n) - 1n;
const X86 = { start: 0xfee0_0000n, last: 0xfeef_ffffn };
const ARM = { start: 0x800_0000n, last: 0x80f_ffffn };

/** As before Linux 5.4. */
const OLD: ModelOptions = { platform: "type1", infoCapabilities: false };

function infoOf(kernel: Syscalls, groups: readonly number[] = [26]): Type1Info {
  const container = openContainer({ kernel, groups });
  try {
    return container.info() as Type1Info;
  } finally {
    container.close();
  }
}

/** What the ranges leave out. */
function holesOf({ ranges }: Type1Info) {
  const holes = ranges.slice(1).map(({ start }, i) => ({ start: (ranges[i]?.last ?? 0n) + 1n, last: start - 1n }));
  return [ranges[0]?.start, ranges.at(-1)?.last, holes];
}

/** A model whose files say this. */
function saying(text: (path: string) => string | number | undefined, options: ModelOptions = OLD): Syscalls {
  const model = modelKernel(options);
  const files: MachineFiles = { ...model.files, text: (path) => text(path) ?? model.files.text(path) };
  return new Proxy(model, {
    get(target, name) {
      if (name === "files") return files;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("the groups' own reserved regions are left out, but for those that end when a driver takes over", () => {
  const reservedRegions = [
    { start: 0x1000n, last: 0x1fffn, kind: "direct" },
    { start: 0x3000n, last: 0x3fffn, kind: "direct-relaxable" },
    { ...X86, kind: "msi" },
    { start: 0xfd_0000_0000n, last: 0xff_ffff_ffffn, kind: "reserved" },
  ] as const;
  const info = infoOf(modelKernel({ ...OLD, reservedRegions }));
  assert.is(info.rangesFrom, "reserved_regions");
  assert.equal(holesOf(info), [
    0n,
    TOP,
    [{ start: 0x1000n, last: 0x1fffn }, X86, { start: 0xfd_0000_0000n, last: 0xff_ffff_ffffn }],
  ]);
});

test("regions that overlap, in any order, and at both ends of the address space", () => {
  const reservedRegions = [
    { start: 1n << 63n, last: TOP, kind: "reserved" },
    { start: X86.start + 0x1000n, last: X86.last, kind: "msi" },
    { start: X86.start, last: X86.start + 0x1fffn, kind: "direct" },
    { start: 0n, last: 0xfffn, kind: "reserved" },
  ] as const;
  const info = infoOf(modelKernel({ ...OLD, reservedRegions }));
  assert.equal(holesOf(info), [0x1000n, (1n << 63n) - 1n, [X86]]);
});

test("where nothing is said, an x86's interrupts are left out on x86, and an Arm's on Arm", () => {
  for (const [options, hole] of [
    [{ ...OLD, reservedRegions: false }, X86],
    [{ ...OLD, reservedRegions: [] }, X86],
    [{ ...OLD, reservedRegions: false, pageSize: 65536 }, ARM],
    [{ ...OLD, reservedRegions: false, pageSize: 16384 }, ARM],
  ] as const) {
    const info = infoOf(modelKernel(options));
    assert.equal([info.rangesFrom, holesOf(info)], ["architecture", [0n, TOP, [hole]]]);
  }
});

test("a machine that names no interrupts keeps them for itself all the same, beside what it names", () => {
  const reservedRegions = [{ start: 0x1000n, last: 0x1fffn, kind: "direct" }] as const;
  const info = infoOf(modelKernel({ ...OLD, reservedRegions }));
  assert.equal([info.rangesFrom, holesOf(info)[2]], ["architecture", [{ start: 0x1000n, last: 0x1fffn }, X86]]);
});

test("where not even the architecture is known, both places are left out; pages of 64 KiB are no x86's", () => {
  const silent = (options: ModelOptions) => saying(() => -2, options);
  assert.equal(holesOf(infoOf(silent(OLD)))[2], [ARM, X86]);
  assert.equal(holesOf(infoOf(silent({ ...OLD, pageSize: 65536 })))[2], [ARM]);
  const without = saying(() => -2);
  Object.defineProperty(without, "files", { value: undefined });
  const none = new Proxy(without, {
    get: (target, name) => (name === "files" ? undefined : Reflect.get(target, name)),
  });
  assert.equal(holesOf(infoOf(none))[2], [ARM, X86]);
  const arm = saying((path) => (path === "/proc/cpuinfo" ? "processor\t: 0\nCPU implementer\t: 0x41\n" : -2));
  assert.equal(holesOf(infoOf(arm))[2], [ARM]);
});

test("what one group of several does not say is not taken to be allowed", () => {
  const own = saying((path) => (path === "/sys/kernel/iommu_groups/3/reserved_regions" ? -13 : undefined), {
    ...OLD,
    groups: [26, 3],
    reservedRegions: [{ start: 0x5000n, last: 0x5fffn, kind: "msi" }],
  });
  const info = infoOf(own, [26, 3]);
  assert.equal([info.rangesFrom, holesOf(info)[2]], ["architecture", [{ start: 0x5000n, last: 0x5fffn }, X86]]);
});

test("a line that the kernel would not write is an error, not a hole less", () => {
  for (const line of [
    "0x1000 msi",
    "0x2000 0x1000 msi",
    "1000 2000 msi",
    "0x1000 0x2000",
    "0x10000000000000000 0x2 msi",
    "no",
  ]) {
    const kernel = saying((path) => (path.endsWith("/reserved_regions") ? `0x0 0xfff msi\n${line}\n` : undefined));
    const error = failure("ERR_RESERVED_REGIONS_MALFORMED", () => infoOf(kernel));
    assert.match(error.message, "line 2 of /sys/kernel/iommu_groups/26/reserved_regions");
    assert.equal(error.facts, { path: "/sys/kernel/iommu_groups/26/reserved_regions", line: 2, text: line });
  }
});

test("a kernel that names its ranges is believed, and no group's file is read", () => {
  const kernel = saying(
    (path) => {
      if (path.includes("iommu_groups")) throw new Error(`${path} was read`);
      return undefined;
    },
    { platform: "type1" },
  );
  assert.is(infoOf(kernel).rangesFrom, "kernel");
});

test("nothing is mapped over the interrupts, in no IOVA mode, and not at an IOVA that is asked for", () => {
  for (const iovaMode of ["rebased", "va", "pa"] as const) {
    const program = new Program({ ...OLD, reservedRegions: false, hugepages: { 21: 4096 } });
    const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), iovaMode, growTo: 4n * GiB });
    const window = program.container.createWindow(iovaMode === "rebased" ? { ...plan, start: 0n, holes: [X86] } : plan);
    assert.is(window.start, 0n);
    const va = program.allocate(2n * MiB);
    for (const iova of [X86.start, X86.last - 4095n, X86.start - 4096n]) {
      const error = failure("ERR_OUTSIDE_RANGES", () => window.map({ va, iova, length: 8192 }));
      assert.match(error.message, "allowed are 0x0-0xfedfffff, 0xfef00000-0xffffffffffffffff");
    }
    window.map({ va, iova: X86.start - 4096n, length: 4096 });
    program.container.close();
  }
});

test("where nobody says how far the IOMMU reaches, a window goes as low as it can", () => {
  const ranges = [
    { start: 0n, last: 0xfedf_ffffn },
    { start: 0xfef0_0000n, last: (1n << 39n) - 1n },
  ];
  const program = new Program({ ...OLD, ranges });
  const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), growTo: 300n * GiB });
  assert.equal([plan.start, plan.size], [4n * GiB, 300n * GiB]);
  const window = program.container.createWindow(plan);
  const va = program.allocate(4096n);
  const iova = window.start + window.size - 4096n;
  assert.is(window.map({ va, iova, length: 4096 }), iova);
  const small = planWindow({ memory: { lists: [] }, info: program.container.info(), growTo: 3n * GiB });
  assert.equal([small.start, small.size], [0n, 3n * GiB]);
  program.container.createWindow(small);
  const next = program.container.createWindow({ ...small, needed: 100n * 4096n });
  assert.equal([next.start, next.size], [3n * GiB, 128n * 4096n]);
  program.container.close();
});

test("8 GiB of memory find their IOVAs above the interrupts", () => {
  const program = new Program({ ...OLD, hugepages: { 21: 4096 } });
  const memory = program.memory();
  const list = memory.addList({ pageSize: 2n * MiB, maxBytes: 8n * GiB });
  const window = program.container.createWindow(planWindow({ memory, info: program.container.info() }));
  program.container.attach(memory);
  memory.allocate(list, 2048);
  for (const { iova, length } of window.maps()) assert.ok(iova > X86.last || iova + length <= X86.start);
  program.container.close();
  memory.close();
});

test.run();
