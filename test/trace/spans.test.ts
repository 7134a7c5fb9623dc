import { test } from "uvu";
import * as assert from "uvu/assert";
import { Spans } from "../../src/trace/spans.ts";
import { Random } from "../support/random.ts";

const END = 60;

test("what is set later takes the place of what was there, and what is cleared is gone", () => {
  const spans = new Spans<string>();
  spans.set(0n, 30n, "a");
  spans.set(10n, 20n, "b");
  spans.clear(25n, 40n);
  spans.set(5n, 5n, "nothing");
  assert.equal(
    [...spans],
    [
      { start: 0n, end: 10n, value: "a" },
      { start: 10n, end: 20n, value: "b" },
      { start: 20n, end: 25n, value: "a" },
    ],
  );
});

test("the nearest one overlaps, or lies next to the range: the lower of two at one distance", () => {
  const spans = new Spans<string>();
  assert.is(spans.nearest(0n, 9n), undefined);
  spans.set(10n, 20n, "low");
  spans.set(40n, 50n, "high");
  const nearest = (start: bigint, end: bigint) => {
    const { span, distance } = spans.nearest(start, end) ?? {};
    return [span?.value, distance];
  };
  assert.equal(nearest(0n, 5n), ["low", 5n]);
  assert.equal(nearest(20n, 40n), ["low", 0n]);
  assert.equal(nearest(25n, 35n), ["low", 5n]);
  assert.equal(nearest(30n, 38n), ["high", 2n]);
  assert.equal(nearest(20n, 45n), ["high", 0n], "it overlaps; the lower one only touches");
  assert.equal(nearest(15n, 45n), ["low", 0n]);
  assert.equal(nearest(60n, 70n), ["high", 10n]);
});

for (const seed of [1, 2, 3]) {
  test(`they say what an array with an entry for each address says (seed ${seed})`, () => {
    const random = new Random(seed);
    const spans = new Spans<number>();
    const naive = new Array<number | undefined>(END).fill(undefined);
    for (let step = 0; step < 600; step++) {
      const start = random.below(END);
      const end = start + random.below(END - start + 1);
      const value = random.once(3) ? undefined : step;
      if (value === undefined) spans.clear(BigInt(start), BigInt(end));
      else spans.set(BigInt(start), BigInt(end), value);
      naive.fill(value, start, end);
      const [from, to] = [random.below(END), random.below(END)].sort((a, b) => a - b) as [number, number];
      const part = naive.slice(from, to);
      const where = `seed ${seed}, step ${step}, ${from} to ${to}`;
      const values = naive.map((_, at) => spans.at(BigInt(at))?.value);
      assert.equal(values, naive, where);
      assert.is(spans.covers(BigInt(from), BigInt(to)), !part.includes(undefined), where);
      const gaps = spans.gaps(BigInt(from), BigInt(to));
      const inGaps = part.filter((_, i) => gaps.some((gap) => gap.start <= from + i && gap.end > from + i));
      assert.equal(
        inGaps,
        part.filter((one) => one === undefined),
        where,
      );
      const length = gaps.reduce((sum, gap) => sum + Number(gap.end - gap.start), 0);
      assert.is(length, inGaps.length, where);
    }
  });
}

test.run();
