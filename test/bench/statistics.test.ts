import { test } from "uvu";
import * as assert from "uvu/assert";
import { Random } from "../../bench/harness/random.ts";
import { median, minimum } from "../../bench/harness/statistics.ts";

test("the median is the value in the middle, by size and not by place or by text", () => {
  assert.is(median([9, 100, 10]), 10);
  assert.is(median([5]), 5);
});

test("the median of an even number of values lies between the two in the middle", () => {
  assert.is(median([4, 1, 3, 2]), 2.5);
  assert.is(median([1, 1]), 1);
});

test("the median leaves the values as they were", () => {
  const values = [3, 1, 2];
  median(values);
  assert.equal(values, [3, 1, 2]);
});

test("the minimum is the smallest value, wherever it stands", () => {
  assert.is(minimum([3, 1, 2]), 1);
  assert.is(minimum([-1, 0]), -1);
  assert.is(minimum([7]), 7);
});

test("of no values there is neither", () => {
  assert.ok(Number.isNaN(median([])));
  assert.ok(Number.isNaN(minimum([])));
});

test("the same seed gives the same numbers, another one others, and all lie below the end", () => {
  const draw = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 100 }, () => random.below(1000));
  };
  assert.equal(draw(7), draw(7));
  assert.not.equal(draw(7), draw(8));
  assert.ok(draw(7).every((each) => Number.isInteger(each) && each >= 0 && each < 1000));
  assert.ok(new Set(draw(7)).size > 80);
});

test("shuffling keeps everything, loses nothing, and makes every order of three", () => {
  const random = new Random(1);
  const orders = new Set(Array.from({ length: 100 }, () => random.shuffled(["a", "b", "c"]).join("")));
  assert.equal([...orders].sort(), ["abc", "acb", "bac", "bca", "cab", "cba"]);
});

test.run();
