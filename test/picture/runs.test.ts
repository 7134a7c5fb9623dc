/** Runs against an array with a value for each address. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Runs } from "../../src/picture/runs.ts";
import { Random } from "../support/random.ts";

const runs = suite("runs of addresses");

/** What an array of values says in runs. */
function runsOf(values: readonly (string | undefined)[]): object[] {
  const found: { start: bigint; last: bigint; value: string }[] = [];
  for (const [i, value] of values.entries()) {
    const before = found.at(-1);
    if (value === undefined) continue;
    if (before !== undefined && before.value === value && before.last === BigInt(i - 1)) before.last = BigInt(i);
    else found.push({ start: BigInt(i), last: BigInt(i), value });
  }
  return found;
}

for (const [seed, size, steps] of [
  [1, 40, 600],
  [2, 400, 2000],
  [3, 6000, 3000],
] as const) {
  runs(`are what an array says, seed ${seed}, ${size} addresses`, () => {
    const random = new Random(seed);
    const values = new Array<string | undefined>(size).fill(undefined);
    const ours = new Runs<string>();
    for (let step = 0; step < steps; step++) {
      const start = random.below(size);
      const last = Math.min(size - 1, start + random.below(random.once(10) ? size : 8));
      const value = random.pick(["a", "b", undefined]);
      if (value === undefined) ours.clear(BigInt(start), BigInt(last));
      else ours.set(BigInt(start), BigInt(last), value);
      values.fill(value, start, last + 1);
      if (step % 50 === 0 || size < 100) {
        const expected = runsOf(values);
        assert.equal([...ours], expected, `seed ${seed}, step ${step}`);
        assert.is(ours.size, expected.length, `seed ${seed}, step ${step}`);
        const [from, to] = [BigInt(random.below(size)), BigInt(random.below(size))];
        const touched = expected.filter((run) => {
          const { start: first, last: end } = run as { start: bigint; last: bigint };
          return first <= to && end >= from;
        });
        assert.equal(ours.within(from, to), from <= to ? touched : [], `seed ${seed}, step ${step}`);
      }
    }
    ours.clearAll();
    assert.equal([[...ours], ours.size], [[], 0]);
  });
}

runs("reach to the last address that there is, and from the first", () => {
  const ours = new Runs<number>();
  const last = (1n << 64n) - 1n;
  ours.set(0n, last, 1);
  ours.set(last, last, 2);
  ours.clear(0n, 0n);
  assert.equal(
    [...ours],
    [
      { start: 1n, last: last - 1n, value: 1 },
      { start: last, last, value: 2 },
    ],
  );
});

runs("that are empty set nothing", () => {
  const ours = new Runs<number>();
  ours.set(5n, 4n, 1);
  assert.is(ours.size, 0);
});

runs.run();
