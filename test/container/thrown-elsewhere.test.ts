/** The kernel interface throws where single calls are made: opening, windows, memory, closing. Files, windows and memory are as they were, or named. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import type { DmaWindowError } from "../../src/errors.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type Fault, faulty, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { agree } from "../support/agreement.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { GiB, MiB, Program, ready } from "../support/program.ts";

const broke = (): never => {
  throw new Error("the interface broke");
};
const ALWAYS = Number.POSITIVE_INFINITY;
const WHEN = ["before", "after"] as const;

const machines: readonly (ModelOptions & { noIommu?: boolean })[] = [
  { platform: "powernv" },
  { platform: "pseries", pageSize: 4096 },
  { platform: "type1" },
  { platform: "noiommu", lockedMemory: { limit: null, privileged: true }, noIommu: true },
];

process.removeAllListeners("warning"); // noIommu is meant here

const left = (error: unknown): readonly string[] => (error as DmaWindowError).residue?.left ?? [];

for (const { noIommu = false, ...options } of machines) {
  test(`${options.platform}: wherever opening is broken off, the files are closed, or named`, () => {
    const names: string[] = [];
    const groups = options.platform === "pseries" ? [26] : [26, 27];
    const of = (...faults: readonly Fault[]) => {
      const model = modelKernel({ ...options, groups: [26, 27] });
      return { model, kernel: faulty(model, ...faults) };
    };
    openContainer({
      kernel: of({ times: ALWAYS, before: ({ name }) => void names.push(name) }).kernel,
      groups,
      noIommu,
    });
    for (const [nth, name] of names.entries()) {
      for (const when of WHEN) {
        const { model, kernel } = of({ nth, [when]: broke });
        const error = failure("ERR_INTERFACE", () => openContainer({ kernel, groups, noIommu }));
        assert.match(error.message, "the interface broke");
        const known = left(error).filter((one) => one.includes("under a descriptor that nobody knows"));
        assert.is(known.length, name === "open" ? 1 : 0, left(error).join("; "));
        assert.is(model.snapshot().descriptors.length, name === "open" && when === "after" ? 1 : 0, `${name} ${when}`);
        if (name !== "open") openContainer({ kernel, groups, noIommu }).close();
      }
    }
    for (const when of WHEN) {
      // And from there on for good: descriptors that could not be closed are named one by one.
      const { model, kernel } = of(
        { call: "SET_IOMMU", times: ALWAYS, [when]: broke },
        { call: "close", times: ALWAYS, [when]: broke },
      );
      const error = failure("ERR_INTERFACE", () => openContainer({ kernel, groups, noIommu }));
      assert.is(left(error).length, groups.length + 1);
      for (const one of left(error)) assert.match(one, /^descriptor \d+ may still be open \(/);
      assert.is(model.snapshot().descriptors.length, when === "before" ? groups.length + 1 : 0);
    }
  });

  test(`${options.platform}: a close that throws does not keep the other files open`, () => {
    for (const when of WHEN) {
      for (const times of [1, ALWAYS]) {
        const model = modelKernel({ ...options });
        const kernel = faulty(model);
        const container = openContainer({ kernel, groups: [26], noIommu });
        kernel.fail({ call: "close", times, [when]: broke });
        const error = failure("ERR_CLOSE", () => container.close());
        assert.is(container.closed, true);
        const open = model.snapshot().descriptors.length;
        assert.is(open, when === "after" ? 0 : times === 1 ? 1 : 2);
        assert.is(
          left(error).filter((one) => /^descriptor \d+ may still be open$/.test(one)).length,
          times === 1 ? 1 : 2,
        );
        container.close();
      }
    }
  });
}

/** A program whose window is still to be made, its plan, and what the kernel has of windows. */
function planned(options: ModelOptions) {
  const program = new Program(options);
  const lists = [{ base: 0n, length: 4096n, pageSize: 4096n }];
  const info = { ...program.container.info(), pageSizes: 4096n };
  const plan = planWindow({ memory: { lists }, info, growTo: 64n * MiB });
  const windows = () => program.seen.windows.map(({ start, size }) => `${start}+${size}`).sort();
  return { program, plan, windows };
}

for (const platform of ["powernv", "pseries"] as const) {
  const options: ModelOptions = { platform, pageSize: 4096 };
  const isDefault = (windows: readonly string[]) =>
    assert.equal(windows, [platform === "powernv" ? `0+${2n * GiB}` : `0+${GiB}`]);

  test(`${platform}: a window whose making throws is not there, and the default window is`, () => {
    for (const call of ["TCE_REMOVE", "TCE_CREATE"]) {
      for (const when of WHEN) {
        const { program, plan, windows } = planned(options);
        program.kernel.fail({ call, [when]: broke });
        const error = failure("ERR_INTERFACE", () => program.container.createWindow(plan));
        assert.is(error.residue, undefined, `${call} ${when}: ${error.message}`);
        isDefault(windows());
        const window = program.container.createWindow(plan);
        assert.equal(windows(), [`${window.start}+${window.size}`]);
        program.container.close();
        assert.equal(program.model.leaks(), []);
      }
    }
  });

  test(`${platform}: from some call on it throws for good: what may be there is named, and found out later`, () => {
    for (const nth of [0, 1, 2, 3, 4]) {
      for (const when of WHEN) {
        const { program, plan, windows } = planned(options);
        const faults = { nth: nth + 1, times: ALWAYS, [when]: broke }; // behind GET_INFO
        program.kernel.fail(faults);
        if (nth >= 2) program.kernel.fail({ call: "TCE_CREATE", [when]: broke });
        const error = thrownBy(() => program.container.createWindow(plan)) as DmaWindowError;
        if (error.code !== "ERR_INTERFACE") continue;
        const told = left(error).join("; ");
        program.kernel.heal();
        const found = windows();
        if (found.length !== 1 || !found[0]?.startsWith("0+"))
          assert.match(told, /may be gone|put back|may (still )?be there/);
        const window = program.container.createWindow(plan);
        assert.equal(windows(), [`${window.start}+${window.size}`], `${nth} ${when}: ${told}`);
        program.container.close();
        assert.equal(program.model.leaks(), []);
      }
    }
  });

  test(`${platform}: a window whose removal throws has gone, or stays and is named until it has`, () => {
    for (const when of WHEN) {
      const { program, plan, windows } = planned(options);
      const window = program.container.createWindow(plan);
      program.kernel.fail({ call: "TCE_REMOVE", times: ALWAYS, [when]: broke });
      const error = failure("ERR_INTERFACE", () => window.close());
      assert.match(
        left(error)[0] ?? "",
        `the window at 0x${window.start.toString(16)} may still be there, with nothing in it`,
      );
      assert.is(window.closed, false);
      program.kernel.heal();
      program.kernel.fail({ call: "TCE_REMOVE", [when]: broke });
      assert.is(failure("ERR_INTERFACE", () => window.close()).residue, undefined);
      assert.is(window.closed, true);
      assert.equal(windows(), []);
      program.container.createWindow(plan);
      program.container.close();
      assert.equal(program.model.leaks(), []);
    }
  });
}

test("address space that nobody was told of is named, and pages are taken out again", () => {
  for (const when of WHEN) {
    const { program } = ready();
    const memory = program.memory();
    program.kernel.fail({ call: "mmap", [when]: broke });
    const error = failure("ERR_INTERFACE", () => memory.addList({ pageSize: 4096n, maxBytes: 65536n }));
    assert.equal(left(error), ["64 KiB of address space may be kept, at an address that nobody knows"]);
    assert.equal(memory.lists, []);
    const list = memory.addList({ pageSize: 4096n, maxBytes: 65536n });
    const before = program.model.hash();
    program.kernel.fail({ call: "mmap", [when]: broke });
    assert.is(failure("ERR_INTERFACE", () => memory.allocate(list, 2)).residue, undefined);
    assert.equal([memory.size, program.model.hash()], [0, before]);
    const segment = memory.allocate(list, 2);
    program.kernel.fail({ call: "mmap", [when]: broke });
    assert.match(left(failure("ERR_INTERFACE", () => memory.free(segment)))[0] ?? "", "8 KiB of memory at");
    assert.is(segment.freed, true);
    program.kernel.fail({ call: "munmap", [when]: broke });
    assert.match(left(failure("ERR_INTERFACE", () => memory.removeList(list)))[0] ?? "", "64 KiB of address space at");
    assert.equal(memory.lists, []);
  }
});

for (const options of [
  { platform: "powernv" },
  { platform: "type1" },
  { platform: "type1", iommuVersion: 1 },
] as const) {
  test(`${options.platform}: memory of an attached table that may be mapped still does not keep other memory from its place`, () => {
    const { program, window } = ready(options);
    const memory = program.memory();
    const page = BigInt(program.model.pageSize);
    const list = memory.addList({ pageSize: page, maxBytes: 16n * page });
    program.container.attach(memory, window);
    for (const call of ["MAP_DMA", "UNMAP_DMA"]) program.kernel.fail({ call, times: ALWAYS, before: broke });
    const error = failure("ERR_INTERFACE", () => memory.allocate(list, 3));
    assert.match(left(error)[0] ?? "", "may still be mapped");
    assert.is(memory.size, 0);
    failure("ERR_ALREADY_LIVE", () => memory.allocate(list, 1));
    program.kernel.heal();
    const segment = memory.allocate(list, 1);
    assert.is(program.model.tceAt(program.group, window.iovaOf(segment.va))?.va, segment.va);
    assert.is(window.liveBytes, page);
    memory.free(segment);
    assert.equal(program.model.live(program.group), []);
    program.container.close();
    memory.close();
    assert.equal(program.model.leaks(), []);
  });
}

test("views, physical addresses and limits that throw change nothing", () => {
  const { program, window } = ready();
  const { kernel, container } = program;
  const memory = program.memory();
  const list = memory.addList({ pageSize: 4096n, maxBytes: 65536n });
  container.attach(memory, window);
  const segment = memory.allocate(list, 1);
  const [view, unview] = [kernel.view.bind(kernel), kernel.unview.bind(kernel)];
  kernel.view = broke;
  failure("ERR_INTERFACE", () => segment.bytes);
  kernel.view = view;
  segment.bytes.fill(1);
  kernel.unview = broke;
  const error = failure("ERR_INTERFACE", () => memory.free(segment));
  assert.match(left(error)[0] ?? "", "4 KiB of memory at");
  assert.is(window.liveBytes, 0n);
  kernel.unview = unview;
  kernel.lockedMemory = broke;
  failure("ERR_INTERFACE", () => container.info());
  const physical = new MemsegTable({ kernel, physical: true });
  const own = physical.addList({ pageSize: 4096n, maxBytes: 65536n });
  kernel.physicalAddresses = broke;
  const hash = program.model.hash();
  failure("ERR_INTERFACE", () => physical.allocate(own, 1));
  assert.equal([physical.size, program.model.hash()], [0, hash]);
  agree(program, window);
  const boom = new Error("the program's own");
  const mine = new MemsegTable({
    kernel,
    physical: () => {
      throw boom;
    },
  });
  assert.is(
    thrownBy(() => mine.allocate(mine.addList({ pageSize: 4096n, maxBytes: 4096n }), 1)),
    boom,
  );
});

test("opens that answer nonsense are failures, and what they may have opened is named", () => {
  for (const answer of [undefined, Number.NaN, "3", 3n, {}]) {
    const model = modelKernel();
    const kernel = faulty(model);
    kernel.open = () => answer as number;
    const error = failure("ERR_INTERFACE", () => openContainer({ kernel, groups: [26] }));
    assert.match(error.message, "which is no answer of a kernel");
    assert.equal(left(error), ["/dev/vfio/vfio may be open, under a descriptor that nobody knows"]);
  }
});

test.run();
