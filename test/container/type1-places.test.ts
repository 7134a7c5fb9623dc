/** Windows of type1 that are no powers of two, or lie over holes: what was planned is found again by who attaches memory. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AddressRange } from "../../src/iommu.ts";
import { type ListFacts, planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { agreeOnMaps, randomRanges } from "../support/other-iommus.ts";
import { GiB, KiB, MiB, Program } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4n * KiB;

/** QEMU's VT-d: 39 address bits. */
const BITS_39: readonly AddressRange[] = [
  { start: 0n, last: 0xfedf_ffffn },
  { start: 0xfef0_0000n, last: (1n << 39n) - 1n },
];

const onType1 = (ranges: readonly AddressRange[], options = {}) =>
  new Program({ platform: "type1", ranges, ...options });

const planOf = (program: Program, growTo: bigint, more = {}) =>
  planWindow({ memory: { lists: [] }, info: program.container.info(), growTo, ...more });

test("300 GiB of an IOMMU of 39 bits: all of it can be mapped, to the last page, and no IOVA outside of it", () => {
  const program = onType1(BITS_39);
  const memory = program.memory();
  const list = memory.addList({ pageSize: 2n * MiB, maxBytes: 300n * GiB });
  const plan = planWindow({ memory, info: program.container.info() });
  const window = program.container.createWindow(plan);
  assert.equal([window.start, window.size, window.start % (2n * MiB)], [4n * GiB, 300n * GiB, 0n]);
  program.container.attach(memory);
  assert.is(window.largestHole, 0n);
  const segment = memory.allocate(list, 4);
  assert.is(window.iovaOf(segment.va) - window.start, segment.va - list.base);
  const last = window.start + window.size - 1n;
  assert.equal(
    [window.contains(last, 1n), window.contains(last, 2n), window.tceIndex(last), window.headroom(last)],
    [true, false, 300n * 512n - 1n, 1n],
  );
  assert.equal(
    [
      window.contains(Number(last - 4095n), 4096),
      window.contains(Number(last - 4095n), 8192),
      window.tceIndex(Number(last + 1n)),
    ],
    [true, false, -1],
  );
  agreeOnMaps(program, window);
  program.container.close();
  memory.close();
});

test("beside others a window goes where it fits, as large as it was planned or as small as it must be", () => {
  const program = onType1(BITS_39);
  const plan = planOf(program, 200n * GiB);
  assert.is(plan.size, 256n * GiB);
  const [first, second] = [program.container.createWindow(plan), program.container.createWindow(plan)];
  assert.equal([first.start, first.size], [256n * GiB, 256n * GiB]);
  assert.equal([second.start, second.size], [4n * GiB, 200n * GiB]);
  const error = failure("ERR_NO_WINDOW_SLOT", () => program.container.createWindow(plan));
  assert.match(error.message, "no 200 GiB of allowed IOVAs");
  assert.match(error.message, "beside the windows of 256 GiB at 0x4000000000, 200 GiB at 0x100000000");
  first.close();
  assert.is(program.container.createWindow(plan).start, 256n * GiB);
});

test("a window for a device of few address bits goes nowhere that it does not reach", () => {
  const program = onType1(BITS_39);
  const plan = planOf(program, 3n * GiB, { deviceAddressBits: 32 });
  assert.equal([plan.start, plan.size, plan.dmaMaskBits], [0n, 3n * GiB, 32]);
  const window = program.container.createWindow(plan);
  const error = failure("ERR_NO_WINDOW_SLOT", () => program.container.createWindow(plan));
  assert.match(error.message, "the device has 32 address bits");
  window.close();
  program.container.createWindow(planOf(program, GiB, { deviceAddressBits: 32 }));
  assert.is(program.container.createWindow(planOf(program, 2n * GiB, { deviceAddressBits: 32 })).start, GiB);
});

test("two lists that no range holds together are planned around the hole, and attached so", () => {
  const ranges = [
    { start: 0n, last: 0x7b7f_ffffn },
    { start: 0x8000_0000n, last: 0xfedf_ffffn },
  ];
  const program = onType1(ranges);
  const memory = program.memory();
  const lists = [1900n, 1800n].map((size) => memory.addList({ pageSize: 2n * MiB, maxBytes: size * MiB }));
  const plan = planWindow({ memory, info: program.container.info(), deviceAddressBits: 32 });
  assert.equal([plan.start, plan.size, plan.needed], [0n, 2048n * MiB + 1800n * MiB, 3700n * MiB]);
  assert.equal(plan.holes, [{ start: 0x7b80_0000n, last: 0x7fff_ffffn }]);
  const window = program.container.createWindow(plan);
  program.container.attach(memory);
  const segments = lists.map((list) => memory.allocate(list, 2));
  assert.equal(
    segments.map(({ va }) => window.iovaOf(va)),
    [0n, 0x8000_0000n],
  );
  agreeOnMaps(program, window);
  program.container.close();
  memory.close();
});

test("a plan over holes is laid out anew where the kernel allows less by now than it did, and refused where nothing fits", () => {
  const before = onType1([
    { start: 0n, last: 3n * MiB - 1n },
    { start: 4n * MiB, last: 8n * MiB - 1n },
  ]);
  const lists = [2n, 3n].map((size, i): ListFacts => ({ base: BigInt(i) * GiB, length: size * MiB, pageSize: PAGE }));
  const plan = planWindow({ memory: { lists }, info: before.container.info() });
  assert.is(plan.holes.length, 1);
  const after = onType1([
    { start: 0n, last: 3n * MiB - 1n },
    { start: 4n * MiB, last: 5n * MiB - 1n },
    { start: 6n * MiB, last: 8n * MiB - 1n },
  ]);
  assert.equal([plan.start, plan.size], [0n, 6n * MiB]);
  const anew = after.container.createWindow(plan);
  assert.equal([anew.start, anew.size], [0n, 8n * MiB]);
  const less = onType1([{ start: 0n, last: 3n * MiB - 1n }]);
  failure("ERR_NO_WINDOW_SLOT", () => less.container.createWindow(plan));
  assert.is(before.container.createWindow(plan).size, plan.size);
});

test("ranges that adjoin have no hole to mark their border, so nothing is planned over it", () => {
  const program = onType1([
    { start: 0n, last: MiB - 1n },
    { start: MiB, last: 2n * MiB - 1n },
  ]);
  const lists = [0n, 1n].map((i): ListFacts => ({ base: i * GiB, length: MiB, pageSize: PAGE }));
  failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ memory: { lists }, info: program.container.info() }));
});

/** All orders of a few things. */
const ordersOf = <T>(of: readonly T[]): T[][] =>
  of.length < 2
    ? [[...of]]
    : of.flatMap((one, i) => ordersOf([...of.slice(0, i), ...of.slice(i + 1)]).map((more) => [one, ...more]));

type Shape = readonly [pageSize: bigint, maxBytes: bigint];

/** Plans the lists in this order and attaches them; gives the window and each list's region, or undefined where no plan can be. */
function placesOf(ranges: readonly AddressRange[], shapes: readonly Shape[], more = {}) {
  const program = onType1(ranges);
  const memory = program.memory();
  const lists = shapes.map(([pageSize, maxBytes]) => memory.addList({ pageSize, maxBytes }));
  try {
    const plan = planWindow({ memory, info: program.container.info(), ...more });
    const window = program.container.createWindow(plan);
    assert.equal([window.start, window.size], [plan.start, plan.size]);
    program.container.attach(memory);
    const regions = lists.map(
      (list) => `${list.pageSize} ${list.length} at ${window.iovaOf(memory.allocate(list, 1).va)}`,
    );
    return { plan, regions: regions.sort() };
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_PLAN_IMPOSSIBLE") throw error;
    return undefined;
  } finally {
    program.container.close();
    memory.close();
  }
}

test("what no range holds in one piece may be divided, where lists say how: without lists that is said", () => {
  const program = onType1(BITS_39);
  const more = { deviceAddressBits: 32 };
  const { message } = failure("ERR_PLAN_IMPOSSIBLE", () => planOf(program, 600n * GiB));
  assert.match(message, "without lists it is not known how to divide it: state them");
  const memory = { lists: [{ base: 0n, length: 600n * GiB, pageSize: GiB }] };
  const stated = failure("ERR_PLAN_IMPOSSIBLE", () => planWindow({ memory, info: program.container.info(), ...more }));
  assert.match(stated.message, "nor do several, list by list");
});

test("the order of adding does not matter: 3 GiB of 1 GiB pages go before a small list, for a device of 32 bits", () => {
  for (const shapes of ordersOf<Shape>([
    [2n * MiB, 16n * MiB],
    [GiB, 3n * GiB],
    [PAGE, PAGE],
  ])) {
    const placed = placesOf(BITS_39, shapes, { deviceAddressBits: 32 });
    assert.equal(
      placed?.regions,
      [
        `${GiB} ${3n * GiB} at 0`,
        `${2n * MiB} ${16n * MiB} at ${3n * GiB}`,
        `${PAGE} ${PAGE} at ${3n * GiB + 16n * MiB}`,
      ].sort(),
    );
  }
});

test("small pages may lie before the first multiple of the largest page", () => {
  const ranges = [
    { start: 0x1000n, last: 2n * MiB - 1n },
    { start: GiB, last: 2n * GiB - 1n },
  ];
  for (const shapes of ordersOf<Shape>([
    [PAGE, MiB],
    [GiB, GiB],
  ])) {
    const placed = placesOf(ranges, shapes);
    assert.equal([placed?.plan.start, placed?.plan.size], [0n, 2n * GiB]);
    assert.equal(placed?.regions, [`${GiB} ${GiB} at ${GiB}`, `${PAGE} ${MiB} at ${0x1000}`].sort());
  }
});

test("whatever the ranges and lists: every order of them gives the same window and regions, or none does", () => {
  let [planned, over] = [0, 0];
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const ranges = randomRanges(random, { count: 3, first: 600, longest: 2500, gap: 600 });
    const shapes = Array.from({ length: 2 + random.below(2) }, (): Shape => {
      const pageSize = random.below(2) === 0 ? 2n * MiB : PAGE;
      return [pageSize, pageSize * BigInt(1 + random.below(pageSize === PAGE ? 1200 : 3))];
    });
    const all = ordersOf(shapes).map((order) => placesOf(ranges, order));
    const [first] = all;
    for (const one of all) {
      assert.equal(
        [one?.plan.start, one?.plan.size, one?.regions],
        [first?.plan.start, first?.plan.size, first?.regions],
        `seed ${seed}`,
      );
    }
    if (first !== undefined) planned++;
    if (first !== undefined && first.plan.holes.length > 0) over++;
  }
  assert.ok(planned > 20 && over > 5, `${planned} planned, ${over} over holes`);
});

test("whatever the ranges and lists: what is planned can be attached, in any container with nothing else in it", () => {
  let [planned, over, odd] = [0, 0, 0];
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const ranges = randomRanges(random, { count: 5, first: 5, longest: 1500, gap: 300 });
    const program = onType1(ranges);
    const memory = program.memory();
    const count = 1 + random.below(5);
    for (let i = 0; i < count; i++) {
      const pageSize = random.below(3) === 0 ? 2n * MiB : PAGE;
      memory.addList({ pageSize, maxBytes: pageSize * BigInt(1 + random.below(pageSize === PAGE ? 900 : 2)) });
    }
    try {
      const growTo = random.below(4) === 0 ? { growTo: BigInt(1 + random.below(3000)) * PAGE } : {};
      const plan = planWindow({ memory, info: program.container.info(), ...growTo });
      planned++;
      if (plan.holes.length > 0) over++;
      if ((plan.size & (plan.size - 1n)) !== 0n) odd++;
      const window = program.container.createWindow(plan);
      assert.equal([window.start, window.size], [plan.start, plan.size], `seed ${seed}`);
      program.container.attach(memory);
      for (const list of memory.lists) memory.allocate(list, Number(list.length / list.pageSize));
      for (const { va, length } of memory.memsegs()) {
        const iova = window.iovaOf(va);
        assert.ok(
          ranges.some((range) => range.start <= iova && iova + length - 1n <= range.last),
          `seed ${seed}: not in one range`,
        );
      }
      agreeOnMaps(program, window);
    } catch (error) {
      if ((error as { code?: string }).code !== "ERR_PLAN_IMPOSSIBLE")
        throw new Error(`seed ${seed}`, { cause: error });
    }
    program.container.close();
    memory.close();
  }
  assert.ok(planned > 100 && over > 10 && odd > 30, `${planned} planned, ${over} over holes, ${odd} no power of two`);
});

test.run();
