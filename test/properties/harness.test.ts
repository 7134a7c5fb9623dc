/** The programs can fail: a kernel that lies is found out, and the program that finds it out is a short one. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { type Fault, faulty } from "../../src/model/faults.ts";
import { modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { MapFlag, Protection, VfioCall } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { no } from "../support/faulty.ts";
import { Choices } from "./choices.ts";
import { Guard } from "./guard.ts";
import { Pagemap } from "./pagemap.ts";
import { readResidue, sizeOf } from "./residue.ts";
import { findFailure, programAt, report } from "./search.ts";
import { Space } from "./space.ts";
import { mapStep } from "./steps/maps.ts";
import { createWindowStep, openStep } from "./steps/windows.ts";
import { addressOf } from "./twins.ts";
import { type Between, type Kind, World } from "./world.ts";

const kind: Kind = { platform: "powernv", pageSize: 4096 };
const always = { times: Number.POSITIVE_INFINITY };

/** What the kernel does, and the sentence that must come of it. */
const lies: readonly (readonly [string, Fault, RegExp])[] = [
  [
    "unmaps nothing",
    { call: "UNMAP_DMA", ...always, answer: 0 },
    /live TCEs in the kernel|while mapped|live TCEs in it/,
  ],
  ["maps nothing", { call: "MAP_DMA", ...always, answer: 0 }, /live TCEs in the kernel/],
  [
    "maps, and says that it did not",
    { call: "MAP_DMA", ...always, answer: no.EIO, made: true },
    /while mapped|live TCEs/,
  ],
  ["ends no registration", { call: "UNREGISTER_MEMORY", ...always, answer: 0 }, /are registered for nothing/],
  ["removes no window", { call: "TCE_REMOVE", nth: 1, ...always, answer: 0 }, /the kernel has/],
  [
    "makes windows, and says that it did not",
    { call: "TCE_CREATE", nth: 1, ...always, answer: no.EIO, made: true },
    /window/,
  ],
  ["closes nothing", { call: "close", ...always, answer: 0 }, /is still in a container|what is left/],
  ["gives back no address space", { call: "munmap", nth: 1, ...always, answer: 0 }, /address space that is left/],
];

for (const [what, fault, sentence] of lies) {
  test(`a kernel that ${what} is found out, by a program of a few steps`, () => {
    const found = findFailure(kind, { seed: 1, runs: 60, between: (kernel) => faulty(kernel, fault) });
    assert.ok(found, "no program found it");
    assert.match(found.failure.error.message, sentence);
    assert.ok(found.program.length <= 4, `${found.program.length} steps`);
  });
}

/** Says of each page where the next one lies. */
class Elsewhere extends Through {
  protected pass<R extends number | bigint>(_: Passing, make: () => R): R {
    return make();
  }

  override physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    return this.inner.physicalAddresses(va, pages, pageSize).map((address) => address + (2n << 20n));
  }
}

test("a kernel that says of memory that it lies elsewhere is found out, where no IOMMU stands in between", () => {
  const between: Between = (kernel) => new Elsewhere(kernel);
  const found = findFailure({ platform: "noiommu", pageSize: 4096 }, { seed: 1, runs: 60, between });
  assert.ok(found, "no program found it");
  assert.match(found.failure.error.message, /device reaches/);
  assert.ok(found.program.length <= 2, `${found.program.length} steps`);
});

test("what is reported of a failing program is its steps, its calls, and how to run it again", () => {
  const between: Between = (kernel) => faulty(kernel, { call: "UNMAP_DMA", ...always, answer: 0 });
  const found = findFailure(kind, { seed: 2, runs: 60, between });
  assert.ok(found, "no program found it");
  assert.throws(
    () => report(found),
    ({ message }: Error) => {
      for (const line of [
        /^ {2}map into the window of group 26/m,
        /^ {2}.*"call":"UNMAP_DMA"/m,
        /DMA_WINDOW_SEED=2 DMA_WINDOW_PATH=[\d:/]+ DMA_WINDOW_KIND=powernv-4096 node/,
        /steps and \d when shortened/,
      ])
        assert.match(message, line);
      return true;
    },
  );
});

test("seed and path are that very program, through all the stages in which it was shortened", () => {
  const between: Between = (kernel) => faulty(kernel, { call: "UNREGISTER_MEMORY", ...always, answer: 0 });
  const found = findFailure(kind, { seed: 3, runs: 60, between });
  assert.ok(found, "no program found it");
  assert.match(found.path, /^\d+:.*\/0:/);
  assert.equal(programAt(3, found.path), found.program);
  const [first = ""] = found.path.split(":");
  assert.is(programAt(3, first).length, found.steps);
  assert.not.equal(programAt(4, first), programAt(3, first));
});

test("shortening ends when its time is over, with what it has", () => {
  const between: Between = (kernel) => faulty(kernel, { call: "UNREGISTER_MEMORY", ...always, answer: 0 });
  const found = findFailure(kind, { seed: 3, runs: 60, between, shortening: 0 });
  assert.ok(found, "no program found it");
  assert.is(found.program.length, found.steps);
  assert.equal(programAt(3, found.path), found.program);
});

test("rows that run out go on with 0", () => {
  const choices = new Choices([5]);
  assert.equal([choices.below(3), choices.below(3), choices.once(2), choices.pick(["a", "b"])], [2, 0, false, "a"]);
});

test("a residue is read back from its sentence, and one that says nothing exact is an error", () => {
  assert.equal(readResidue(["4 KiB at IOVA 0x1000 is still mapped"]), [
    { what: "mapped", iova: 0x1000n, length: 4096n },
  ]);
  const left = [
    "1.5 MiB of memory at 0x2000 are still registered (locked)",
    "3 ranges of memory from 0x2000 on are still mapped (VFIO_IOMMU_UNMAP_DMA: EIO)",
    "the default window is not put back (ENOMEM)",
    "the window at 0x800000000000000 stays, with nothing in it",
    "munmap of 8 KiB at 0x3000: EIO",
    "128 MiB still count as locked memory, for a window that was not made",
  ];
  assert.equal(readResidue(left), [
    { what: "registered", va: 0x2000n, length: 1536n << 10n },
    { what: "memory mapped", va: 0x2000n },
    { what: "no default window" },
    { what: "window", start: 1n << 59n },
    { what: "space", va: 0x3000n, length: 8192n },
    { what: "charged", length: 128n << 20n },
  ]);
  assert.throws(() => readResidue(["something may be left"]), /says nothing exact/);
  assert.equal(["1 byte", "65537 bytes", "256.125 MiB"].map(sizeOf), [1n, 65537n, (256n << 20n) + (128n << 10n)]);
});

test("address space is added and taken away in parts", () => {
  const space = new Space();
  space.add(10, 10);
  space.add(20, 5);
  space.add(40, 5);
  space.remove(12, 3);
  assert.equal(space.ranges, [
    { start: 10, end: 12 },
    { start: 15, end: 25 },
    { start: 40, end: 45 },
  ]);
});

test("calls that should never reach the kernel are seen by the guard, each for its own reason", () => {
  const guard = new Guard(modelKernel());
  const container = openContainer({ kernel: guard, groups: [26] });
  const info = container.info();
  const window = container.createWindow(planWindow({ memory: { lists: [] }, info, growTo: 1n << 20n }));
  const va = guard.model.mmap(0n, 4096n, Protection.READ | Protection.WRITE, 0, 0);
  window.map({ va, length: 4096n, iova: 0x2000n });
  const containerFd = guard.model.snapshot().containers[0]?.fd ?? -1;
  const ask = (call: "MAP" | "UNMAP" | "REMOVE", iova: bigint, size = 0n) => {
    const memory = new Uint8Array(64);
    const view = new DataView(memory.buffer);
    const at = call === "MAP" ? 16 : 8;
    // An argsz of 0: the kernel refuses it, but the guard has looked.
    view.setBigUint64(at, iova, true);
    view.setBigUint64(at + 8, size, true);
    const number = {
      MAP: VfioCall.IOMMU_MAP_DMA,
      UNMAP: VfioCall.IOMMU_UNMAP_DMA,
      REMOVE: VfioCall.IOMMU_SPAPR_TCE_REMOVE,
    };
    guard.ioctlStruct(containerFd, number[call], memory, 0);
    return guard.wrong.splice(0).join("; ");
  };
  const { start, size } = window;
  assert.is(ask("MAP", start + 0x5000n, 0x1000n), "");
  assert.is(ask("UNMAP", start + 0x2000n, 0x1000n), "");
  assert.match(ask("MAP", start + size - 0x1000n, 0x2000n), /runs past its window's end/);
  assert.match(ask("UNMAP", start + size - 0x1000n, 0x2000n), /runs past its window's end/);
  assert.match(ask("MAP", start + size, 0x1000n), /begins in no window/);
  assert.match(ask("MAP", start + 0x1000n), /is empty/);
  assert.match(ask("MAP", start + 0x1000n, 0x2000n), /meets a page that is live: 0x2000/);
  assert.match(ask("UNMAP", start + 0x2000n, 0x2000n), /meets a page that is not live: 0x3000/);
  assert.match(ask("REMOVE", start), /with 1 live TCEs in it/);
});

test("memory that goes while a device can reach it is seen by the guard, and so is a call about maps without an IOMMU", () => {
  for (const one of [kind, { platform: "noiommu", pageSize: 4096 } as const]) {
    const world = new World(one);
    const [seat] = world.seats;
    const plainest = new Choices([]);
    for (const step of [openStep, createWindowStep, mapStep]) assert.ok(step(world, plainest)?.done);
    const [iovaPage, { vaPage }] = [...seat.live][0] ?? [0, { vaPage: 0 }];
    const va = addressOf(vaPage);
    world.kernel.munmap(va, world.ownPage);
    assert.match(
      world.guard.wrong.splice(0).join(),
      /^munmap of 0x[0-9a-f]+\+0x[0-9a-f]+ while 0x[0-9a-f]+ is mapped$/,
    );
    seat.windows[0]?.window.unmap({ iova: addressOf(iovaPage), length: addressOf(seat.windows[0].unit) });
    world.kernel.mmap(va, world.ownPage, Protection.NONE, MapFlag.FIXED, 0);
    assert.equal(world.guard.wrong, [], "it is unmapped");
    const fd = world.model.snapshot().containers[0]?.fd ?? -1;
    world.kernel.ioctlStruct(fd, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, new Uint8Array(64), 0);
    assert.equal(world.guard.wrong.splice(0).length, world.isBare ? 1 : 0);
  }
});

test("a pagemap says where memory lies as often as it should, and then that it is not known", () => {
  const model = modelKernel();
  const va = model.mmap(0n, 8192n, Protection.READ | Protection.WRITE, 0, 0);
  const pagemap = new Pagemap(model);
  const truth = model.physicalAddresses(va, 2, 4096);
  assert.equal(pagemap.physicalAddresses(va, 2, 4096), truth);
  pagemap.timesLeft = 1;
  assert.equal(pagemap.physicalAddresses(va, 2, 4096), truth);
  for (let i = 0; i < 2; i++) assert.equal([...pagemap.physicalAddresses(va, 1, 4096)], [(1n << 64n) - 1n]);
});

test.run();
