/** The batch check, on more than a million requests at the edges of u64 and of windows. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NO_ADDRESS, Status } from "../../src/core.ts";
import { type Check, signBitsOfThree, tceIndexOf, temptingChecks, type WindowShape } from "../reference/check.ts";
import { Batches, type ColumnKernel, WORDS } from "../support/batches.ts";
import { checkCases } from "../support/check-cases.ts";
import { Random } from "../support/random.ts";
import { eachBuild, show } from "./support.ts";

/** Runs all cases through the kernel that `open` gives for a window, in `memory`, and says how many there were. */
function cross(memory: () => BigUint64Array, open: (window: WindowShape) => ColumnKernel & { close?(): void }): number {
  const batches = new Batches();
  for (const rows of checkCases()) {
    const kernel = open(rows.window);
    batches.cross(memory(), kernel, rows, () => show(rows.window));
    kernel.close?.();
  }
  return batches.cases;
}

/** A kernel that checks one request after the other, on columns of its own; `forgets` the last rows, if it is told to. */
function columnsOf(check: Check, memory: BigUint64Array, forgets = 0): (window: WindowShape) => ColumnKernel {
  return (window) =>
    ([iovas = 0, lengths = 0], indexes, count) => {
      let inside = 0;
      for (let row = 0; row < count - (count % (forgets + 1)); row++) {
        const index = check(window, memory[iovas + row] as bigint, memory[lengths + row] as bigint);
        memory[indexes + row] = index;
        if (index !== NO_ADDRESS) inside++;
      }
      return inside;
    };
}

eachBuild("the batch check", (test, core) => {
  test("gives the TCE of each request that lies in the window, and of no other: a million edge cases", () => {
    const container = core.containerOpen(12, 7);
    const block = core.acquireBytes(WORDS * 8);
    const cases = cross(
      () => core.u64(block, WORDS),
      ({ start, size, pageShift }) => {
        const window = core.windowOpen(container, start, size, pageShift);
        assert.ok(window > 0, show({ start, size, pageShift }));
        const at = (word: number): number => block + word * 8;
        const kernel: ColumnKernel = ([iovas = 0, lengths = 0], indexes, count) =>
          core.windowCheckMany(window, at(iovas), at(lengths), at(indexes), count);
        return Object.assign(kernel, { close: () => assert.is(core.windowClose(window), Status.OK) });
      },
    );
    assert.ok(cases >= 1_000_000, `${cases} cases`);
    core.releaseBytes(block, WORDS * 8);
    assert.is(core.containerClose(container), Status.OK);
  });

  test("agrees with the check of one request, in the same cases", () => {
    const container = core.containerOpen(12, 7);
    for (const { window, inputs, expected } of checkCases()) {
      const handle = core.windowOpen(container, window.start, window.size, window.pageShift);
      const [iovas, lengths] = inputs as [BigUint64Array, BigUint64Array];
      for (let row = 0; row < expected.length; row++) {
        const [iova, length] = [iovas[row] as bigint, lengths[row] as bigint];
        const inside = expected[row] === NO_ADDRESS ? 0 : 1;
        if (core.windowContains(handle, iova, length) !== inside)
          assert.unreachable(show({ ...window, iova, length, inside }));
      }
      assert.is(core.windowClose(handle), Status.OK);
    }
    assert.is(core.containerClose(container), Status.OK);
  });
});

const test = suite("the cases of the batch check");

test("are answered by the twin itself, row by row", () => {
  const memory = new BigUint64Array(WORDS);
  const few = checkCases().filter((_, index) => index % 20 === 0);
  const batches = new Batches();
  const open = columnsOf(tceIndexOf, memory);
  for (const rows of few) batches.cross(memory, open(rows.window), rows, () => show(rows.window));
  assert.ok(batches.cases > 40_000, `${batches.cases} cases`);
});

for (const [name, tempting] of Object.entries(temptingChecks)) {
  test(`catch a check that ${name}`, () => {
    const memory = new BigUint64Array(WORDS);
    assert.throws(() => cross(() => memory, columnsOf(tempting, memory)), /row \d+ \(0x/);
  });
}

test("catch a check that forgets the rows behind the last group of two, of four and of eight", () => {
  for (const forgets of [1, 3, 7]) {
    const memory = new BigUint64Array(WORDS);
    assert.throws(() => cross(() => memory, columnsOf(tceIndexOf, memory, forgets)), /row \d+ \(0x/);
  }
});

test("catch a check that writes a row too many", () => {
  const memory = new BigUint64Array(WORDS);
  const writesOn = (window: WindowShape): ColumnKernel => {
    const kernel = columnsOf(tceIndexOf, memory)(window);
    return (inputs, indexes, count) => {
      const inside = kernel(inputs, indexes, count);
      memory[indexes + count] = NO_ADDRESS;
      return inside;
    };
  };
  assert.throws(() => cross(() => memory, writesOn), /written/);
});

test("are needed: a million random requests in a window and around it agree with the three sign bits", () => {
  // As a program makes them: in and around its window, and not much longer than it. Far from 2^63, where it goes wrong.
  const window: WindowShape = { start: 1n << 59n, size: 1n << 40n, pageShift: 16 };
  const random = new Random(5);
  // Of 42 bits, from two numbers: one has 32.
  const below42 = (): bigint => (BigInt(random.below(2 ** 21)) << 21n) | BigInt(random.below(2 ** 21));
  for (let n = 0; n < 1_000_000; n++) {
    const iova = window.start - (1n << 40n) + below42();
    const length = below42() >> 1n;
    if (signBitsOfThree(window, iova, length) !== tceIndexOf(window, iova, length))
      assert.unreachable(`seed 5: ${show({ iova, length })} tells them apart`);
  }
  // Where it lets a request out of its window: far behind the window's end, and so long that the difference wraps.
  assert.is(signBitsOfThree(window, window.start + (1n << 63n) - 1n, (1n << 63n) - 1n), 0x7fff_ffff_ffffn);
  assert.is(tceIndexOf(window, window.start + (1n << 63n) - 1n, (1n << 63n) - 1n), NO_ADDRESS);
});

test.run();
