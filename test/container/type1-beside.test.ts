/** Windows of type1 over several ranges, beside others: laid out anew where they fit, and never over another one. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AddressRange } from "../../src/iommu.ts";
import { planWindow } from "../../src/plan/index.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { agreeOnMaps, randomRanges } from "../support/other-iommus.ts";
import { KiB, MiB, Program } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4n * KiB;

/** What most machines have below 4 GiB: a hole for devices in it. */
const AROUND_A_HOLE: readonly AddressRange[] = [
  { start: 0n, last: 0x7b7f_ffffn },
  { start: 0x8000_0000n, last: 0xfedf_ffffn },
];

function withLists(ranges: readonly AddressRange[], sizes: readonly bigint[], more = {}) {
  const program = new Program({ platform: "type1", ranges });
  const memory = program.memory();
  const lists = sizes.map((size) => memory.addList({ pageSize: 2n * MiB, maxBytes: size * MiB }));
  const plan = planWindow({ memory, info: program.container.info(), ...more });
  return { program, memory, lists, plan };
}

test("a window of ours has the first place: two lists around the hole go behind it, and before what is taken at the end", () => {
  const { program, memory, lists, plan } = withLists(AROUND_A_HOLE, [1900n, 1800n]);
  assert.equal(plan.pieces, [
    { length: 1900n * MiB, pageSize: 2n * MiB },
    { length: 1800n * MiB, pageSize: 2n * MiB },
  ]);
  const first = program.window(16n * MiB);
  const window = program.container.createWindow(plan);
  assert.equal([first.start, window.start, window.size], [0n, 16n * MiB, 0x8000_0000n + 1800n * MiB - 16n * MiB]);
  program.container.attach(memory, window);
  const segments = lists.map((list) => memory.allocate(list, Number(list.length / list.pageSize) / 2));
  assert.equal(
    segments.map(({ va }) => window.iovaOf(va)),
    [16n * MiB, 0x8000_0000n],
  );
  agreeOnMaps(program, window);
  const third = program.window(16n * MiB);
  assert.ok(third.start > window.start + window.size - 1n, "and the next one goes behind it");
  program.container.close();
  memory.close();
});

test("a plan for one range is divided where others leave none so long, growTo's part in one piece too", () => {
  const ranges = [
    { start: 0n, last: 1976n * MiB - 1n },
    { start: 2048n * MiB, last: 3000n * MiB - 1n },
  ];
  const { program, memory, plan } = withLists(ranges, [900n, 800n], { growTo: 1900n * MiB });
  assert.equal(
    plan.pieces?.map(({ length }) => length / MiB),
    [900n, 800n, 200n],
  );
  assert.equal(plan.holes, []);
  const first = program.window(512n * MiB);
  const window = program.container.createWindow(plan);
  assert.equal([first.start, window.start, window.size], [0n, 512n * MiB, 2848n * MiB - 512n * MiB]);
  program.container.attach(memory, window);
  memory.addList({ pageSize: 2n * MiB, maxBytes: 200n * MiB });
  program.container.close();
  memory.close();
});

test("what is left does not do: the refusal says that several ranges were looked at", () => {
  const { program, memory, plan } = withLists(AROUND_A_HOLE, [1900n, 1800n]);
  program.window(1024n * MiB);
  const { message } = failure("ERR_NO_WINDOW_SLOT", () => program.container.createWindow(plan));
  assert.match(message, "are free in one piece, nor in several, list by list, beside the windows of 1 GiB at ");
  program.container.close();
  memory.close();
});

test("a plan that was edited: pieces that cannot be are refused, and a stored plan without them is one for one range", () => {
  const { program, memory, plan } = withLists(AROUND_A_HOLE, [1900n, 1800n]);
  for (const pieces of [{}, [1], [{ length: 0n, pageSize: PAGE }], [{ length: PAGE, pageSize: 3n }]]) {
    const error = thrownBy(() => program.container.createWindow({ ...plan, pieces: pieces as [] }));
    assert.match((error as Error).message, "plan.pieces");
  }
  program.window(16n * MiB);
  const { pieces, ...stored } = plan;
  failure("ERR_NO_WINDOW_SLOT", () => program.container.createWindow(stored));
  assert.is(pieces?.length, 2);
  program.container.close();
  memory.close();
});

test("whatever the ranges, lists and windows beside: what is made can be attached, and touches no other window", () => {
  let [made, over] = [0, 0];
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const ranges = randomRanges(random, { count: 5, first: 5, longest: 1500, gap: 300 });
    const program = new Program({ platform: "type1", ranges });
    const { container } = program;
    const memory = program.memory();
    const lists = Array.from({ length: 1 + random.below(4) }, () => {
      const pageSize = random.below(3) === 0 ? 2n * MiB : PAGE;
      return memory.addList({ pageSize, maxBytes: pageSize * BigInt(1 + random.below(pageSize === PAGE ? 700 : 2)) });
    });
    const growTo = random.below(4) === 0 ? { growTo: BigInt(1 + random.below(3000)) * PAGE } : {};
    try {
      const plan = planWindow({ memory, info: container.info(), ...growTo });
      for (let i = random.below(3); i >= 0; i--) program.window(BigInt(1 + random.below(400)) * PAGE);
      const others = container.windows;
      const window = container.createWindow(plan);
      made++;
      if (!ranges.some(({ start, last }) => start <= window.start && window.start + window.size - 1n <= last)) over++;
      for (const other of others)
        assert.ok(other.start + other.size <= window.start || window.start + window.size <= other.start, "apart");
      container.attach(memory, window);
      for (const list of lists) memory.allocate(list, Number(list.length / list.pageSize));
      agreeOnMaps(program, window);
    } catch (error) {
      const { code = "" } = error as { code?: string };
      if (!["ERR_PLAN_IMPOSSIBLE", "ERR_NO_WINDOW_SLOT"].includes(code))
        throw new Error(`seed ${seed}`, { cause: error });
    }
    container.close();
    memory.close();
  }
  assert.ok(made > 80 && over > 20, `${made} made, ${over} of them over holes`);
});

test.run();
