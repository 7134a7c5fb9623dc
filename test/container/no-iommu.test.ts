/** Containers without an IOMMU: no calls, IOVAs that are true physical addresses, and no other. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type PlanRequest, planWindow } from "../../src/plan/index.ts";
import { MapFlag, Protection, type Syscalls } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { type BareMachine, bareMachine, readyWithoutIommu } from "../support/other-iommus.ts";
import { GiB, KiB, MiB, Program } from "../support/program.ts";

const HUGE = 2n * MiB;
const ALL_ONES = (1n << 64n) - 1n;

/** A kernel in front of another, whose physical addresses are what `tell` makes of its own. */
class Telling extends Through {
  readonly #tell: (addresses: BigUint64Array, va: bigint) => void;

  constructor(inner: Syscalls, tell: (addresses: BigUint64Array, va: bigint) => void) {
    super(inner);
    this.#tell = tell;
  }

  protected pass<R extends number | bigint>(_call: Passing, make: () => R): R {
    return make();
  }

  override physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    const addresses = super.physicalAddresses(va, pages, pageSize);
    this.#tell(addresses, va);
    return addresses;
  }
}

const telling = (inner: Syscalls, tell: (addresses: BigUint64Array, va: bigint) => void) => new Telling(inner, tell);

function planOf(machine: BareMachine, request: Partial<PlanRequest> = {}) {
  const lists = [{ base: 0n, length: GiB, pageSize: HUGE }];
  return planWindow({ memory: { lists }, info: machine.container.info(), highestRam: 4n * GiB - 1n, ...request });
}

/** A window over 4 GiB, and `pages` hugepages, one behind the other in this process. */
function ready(pages = 4, wrap?: (kernel: Syscalls) => Syscalls) {
  const machine = bareMachine({}, wrap);
  const window = machine.container.createWindow(planOf(machine));
  const access = Protection.READ | Protection.WRITE;
  const va = machine.model.mmap(0n, BigInt(pages) * HUGE, access, MapFlag.HUGETLB | MapFlag.POPULATE, 21);
  const physical = [...machine.model.physicalAddresses(va, pages, Number(HUGE))];
  machine.record.take();
  return { ...machine, window, va, physical };
}

/** What each page of the window is, one by one. */
function pagesOf(window: Window): (readonly [va: bigint, iova: bigint])[] {
  return [...window.maps()].flatMap(({ va, iova, length }) =>
    Array.from({ length: Number(length / HUGE) }, (_, i) => [va + BigInt(i) * HUGE, iova + BigInt(i) * HUGE] as const),
  );
}

test("what is known of it: every page size, no ranges, and whoever locks memory is not asked for the IOMMU's sake", () => {
  const machine = bareMachine();
  const { hugepages, ...said } = machine.container.info();
  assert.is(hugepages?.length, 2);
  assert.equal(said, {
    kind: "noiommu",
    cpuPageSize: 4096,
    pageSizes: (1n << 64n) - 4096n,
    lockedMemory: machine.model.lockedMemory(),
  });
  assert.equal(machine.record.take(), []);
});

test("a window, maps, unmaps and its end cost no call at all", () => {
  const { window, va, physical, record } = ready();
  assert.equal([window.start, window.size, window.pageShift, window.iovaMode], [0n, 4n * GiB, 21, "pa"]);
  const iova = window.map({ va, length: HUGE });
  assert.is(iova, physical[0]);
  assert.equal([window.translate(va + 77n), window.vaOf(iova + 77n)], [iova + 77n, va + 77n]);
  window.unmap({ iova, length: HUGE });
  window.map({ va, length: HUGE });
  window.close();
  assert.equal(record.take(), []);
});

test("left out, the IOVA is where the memory is; given, it must be just that", () => {
  const { window, va, physical } = ready();
  assert.equal(window.mapMany([0n, 1n, 2n].map((i) => ({ va: va + i * HUGE, length: HUGE }))), physical.slice(0, 3));
  const [, , , fourth = 0n] = physical;
  for (const wrong of [0n, fourth + HUGE, physical[0] ?? 0n]) {
    const request = { va: va + 3n * HUGE, iova: wrong, length: HUGE };
    const error = failure("ERR_PHYSICAL_MISMATCH", () => window.map(request));
    assert.equal(error.facts, {
      index: 0,
      count: 1,
      length: request.length,
      va: request.va,
      iova: wrong,
      physical: fourth,
    });
    assert.match(
      error.message,
      `is at physical 0x${fourth.toString(16)}; IOVA 0x${wrong.toString(16)} is other memory`,
    );
  }
  assert.is(window.liveBytes, 3n * HUGE);
  assert.is(window.map({ va: va + 3n * HUGE, iova: fourth, length: HUGE }), fourth);
});

test("one wrong IOVA refuses the whole batch, and nothing is on record", () => {
  const { window, va } = ready();
  failure("ERR_PHYSICAL_MISMATCH", () =>
    window.mapMany([
      { va, length: HUGE },
      { va: va + HUGE, iova: 0n, length: HUGE },
    ]),
  );
  assert.equal([...window.maps()], []);
});

test("memory that is in several pieces is not one run of IOVAs; where it is in one, it is", () => {
  const upwards = (addresses: BigUint64Array, va: bigint) => {
    for (let i = 0; i < addresses.length; i++) addresses[i] = (va & (GiB - 1n)) + BigInt(i) * 4096n;
  };
  const one = ready(4, (kernel) => telling(kernel, upwards));
  const first = one.va & (GiB - 1n);
  assert.is(one.window.map({ va: one.va, length: 4n * HUGE }), first);
  assert.equal([...one.window.maps()], [{ va: one.va, iova: first, length: 4n * HUGE }]);
  one.window.unmap({ iova: first + HUGE, length: HUGE });

  // The last small page of the third hugepage is elsewhere.
  const torn = (addresses: BigUint64Array, va: bigint) => {
    upwards(addresses, va);
    addresses[3 * 512 - 1] = 0x1000n;
  };
  const other = ready(4, (kernel) => telling(kernel, torn));
  const error = failure("ERR_NOT_CONTIGUOUS", () => other.window.map({ va: other.va, length: 4n * HUGE }));
  const at = 3n * HUGE - 4096n;
  const expected = (other.va & (GiB - 1n)) + at;
  const request = { index: 0, count: 1, length: 4n * HUGE };
  assert.equal(error.facts, { ...request, va: other.va + at, physical: 0x1000n, expected });
  assert.equal([...other.window.maps()], []);
});

test("every page is asked for, also of more memory than is asked for at a time", () => {
  const pages = 160; // of 2 MiB: 81920 small ones
  const upwards = (addresses: BigUint64Array, va: bigint) => {
    for (let i = 0; i < addresses.length; i++) addresses[i] = (va & (GiB - 1n)) + BigInt(i) * 4096n;
  };
  let last = 0n;
  const { window, va } = ready(pages, (kernel) =>
    telling(kernel, (addresses, at) => {
      upwards(addresses, at);
      last = at + BigInt(addresses.length) * 4096n;
      if (at === va) return;
      const end = va + BigInt(pages) * HUGE;
      if (last === end) addresses[addresses.length - 1] = 0n;
    }),
  );
  const length = BigInt(pages) * HUGE;
  const error = failure("ERR_NOT_CONTIGUOUS", () => window.map({ va, length }));
  assert.is(error.facts?.va, va + length - 4096n);
  assert.is(last, va + length);
});

test("memory whose place is not known is refused, by the kernel's word or by its silence", () => {
  const silent = ready(4, (kernel) => telling(kernel, (addresses) => addresses.fill(ALL_ONES, 5, 6)));
  const error = failure("ERR_PHYSICAL_UNKNOWN", () => silent.window.map({ va: silent.va, length: HUGE }));
  const request = { index: 0, count: 1, length: HUGE };
  assert.equal(error.facts, { ...request, va: silent.va + 5n * 4096n });
  const { window, model } = ready();
  const space = model.mmap(0n, HUGE * 2n, Protection.NONE, MapFlag.NORESERVE, 0);
  const aligned = ((space + HUGE - 1n) / HUGE) * HUGE;
  failure("ERR_PAGE_NOT_PRESENT", () => window.map({ va: aligned, length: HUGE }));
  assert.equal([...window.maps()], []);
});

test("what is wrong with a request's shape is said as everywhere, and no address is asked for", () => {
  let asked = 0;
  const { window, va, physical } = ready(4, (kernel) => telling(kernel, () => asked++));
  const [first = 0n] = physical;
  asked = 0;
  for (const [code, request] of [
    ["ERR_ZERO_LENGTH", { va, length: 0 }],
    ["ERR_ZERO_LENGTH", { va, iova: first, length: 0 }],
    ["ERR_UNALIGNED_LENGTH", { va, length: 4096 }],
    ["ERR_UNALIGNED_VA", { va: va + 4096n, length: HUGE }],
    ["ERR_UNALIGNED_VA", { va: va + 4096n, iova: first, length: HUGE }],
    ["ERR_NO_HOLE", { va, length: 8n * GiB }],
    ["ERR_OUTSIDE_WINDOW", { va, iova: 0n, length: 8n * GiB }],
    ["ERR_WRAPS", { va: (1n << 64n) - HUGE, iova: 0n, length: 2n * HUGE }],
  ] as const) {
    failure(code, () => window.map(request));
  }
  assert.is(asked, 0);
  failure("ERR_BAD_PERMISSION", () => window.map({ va, length: HUGE, read: false, write: false }));
  refusesArgument(() => window.map({ va, iova: ALL_ONES, length: HUGE }));
});

test("memory above the window is refused with the window's end", () => {
  const machine = bareMachine({}, (kernel) =>
    telling(kernel, (addresses) =>
      addresses.forEach((_, i) => {
        addresses[i] = 4n * GiB - HUGE + 4096n * BigInt(i);
      }),
    ),
  );
  const window = machine.container.createWindow(planOf(machine));
  const va = machine.model.mmap(0n, 2n * HUGE, 3, MapFlag.HUGETLB | MapFlag.POPULATE, 21);
  const error = failure("ERR_OUTSIDE_WINDOW", () => window.map({ va, length: 2n * HUGE }));
  assert.match(error.message, "the window is 0x0-0xffffffff; 2 MiB are left from there");
  assert.is(window.map({ va, length: HUGE }), 4n * GiB - HUGE);
});

test("parts of a map, and several, can be unmapped: there is nothing that could be cut", () => {
  const { window, va, physical } = ready();
  window.mapMany([0n, 1n, 2n, 3n].map((i) => ({ va: va + i * HUGE, length: HUGE })));
  const [iova = 0n] = physical;
  window.unmap({ iova, length: HUGE });
  failure("ERR_NOT_LIVE", () => window.unmap({ iova, length: HUGE }));
  assert.equal(
    pagesOf(window).sort(([a], [b]) => (a < b ? -1 : 1)),
    [1, 2, 3].map((i) => [va + BigInt(i) * HUGE, physical[i]]),
  );
});

test("there is one window, at 0 and with IOVAs that are physical", () => {
  const machine = bareMachine();
  const plan = planOf(machine);
  const window = machine.container.createWindow(plan);
  failure("ERR_WINDOW_OVERLAPS", () => machine.container.createWindow(plan));
  window.close();
  const rebased = failure("ERR_PLAN_MISFIT", () => machine.container.createWindow({ ...plan, iovaMode: "rebased" }));
  assert.match(rebased.message, "plan with IOVA mode pa");
  const info = new Program().container.info();
  const spapr = planWindow({ memory: { lists: [] }, info, growTo: GiB });
  assert.match(failure("ERR_PLAN_MISFIT", () => machine.container.createWindow(spapr)).message, "without an IOMMU");
  refusesArgument(() => machine.container.createWindow({ ...plan, start: 64n * KiB }));
});

test("closing the container closes the files, whatever is on record", () => {
  const { container, window, va, record, model } = ready();
  window.map({ va, length: HUGE });
  record.take();
  container.close();
  assert.equal(record.takeNames(), ["close", "close"]);
  assert.equal(model.leaks(), []);
  failure("ERR_CLOSED", () => window.map({ va, length: HUGE }));
});

test("an attached memory is where its pages are: allocate, free, detach", () => {
  const { container, window, memory, list, model, record } = readyWithoutIommu();
  const before = memory.allocate(list, 2);
  container.attach(memory);
  const after = memory.allocate(list, 3);
  record.take();
  const truth = [before, after].flatMap(({ va, length }) =>
    [...model.physicalAddresses(va, Number(length / HUGE), Number(HUGE))].map((pa, i) => [va + BigInt(i) * HUGE, pa]),
  );
  const sorted = (pages: readonly (readonly bigint[])[]) =>
    [...pages].sort((a, b) => ((a[0] ?? 0n) < (b[0] ?? 0n) ? -1 : 1));
  assert.equal(sorted(pagesOf(window)), sorted(truth));
  memory.free(before);
  assert.is(window.liveBytes, after.length);
  container.detach(memory);
  assert.is(window.liveBytes, 0n);
  assert.is(window.largestHole, 4n * GiB);
  container.attach(memory);
  assert.is(window.liveBytes, after.length);
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

test("a memory that does not know where its pages are is refused, and what to do about it said", () => {
  const { container, kernel, window } = readyWithoutIommu();
  const blind = new MemsegTable({ kernel });
  const list = blind.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  container.attach(blind);
  const error = failure("ERR_PHYSICAL_UNKNOWN", () => blind.allocate(list, 1));
  assert.match(error.message, "physical: true");
  assert.is(blind.size, 0);
  assert.is(window.liveBytes, 0n);
});

test("a memseg that states another place than its own is refused", () => {
  const { container, kernel, window, model } = readyWithoutIommu();
  const memory = new MemsegTable({ kernel });
  const va = model.mmap(0n, HUGE, 3, MapFlag.HUGETLB | MapFlag.POPULATE, 21);
  const [iova = 0n] = model.physicalAddresses(va, 1, Number(HUGE));
  const list = memory.addList({ pageSize: HUGE, maxBytes: HUGE, base: va });
  container.attach(memory);
  failure("ERR_PHYSICAL_MISMATCH", () => memory.add(list, { va, length: HUGE, iova: iova + HUGE }));
  assert.equal([memory.size, window.liveBytes, window.largestHole], [0, 0n, 4n * GiB]);
  memory.add(list, { va, length: HUGE, iova });
  assert.is(window.iovaOf(va), iova);
});

test.run();
