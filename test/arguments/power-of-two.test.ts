import { test } from "uvu";
import * as assert from "uvu/assert";
import { isPowerOfTwo } from "../../src/power-of-two.ts";

test("a power of two is one exactly, as a number up to 2^52, and as a bigint as far as one goes", () => {
  for (let shift = 0; shift < 130; shift++) {
    const power = 1n << BigInt(shift);
    for (const value of [power - 2n, power - 1n, power, power + 1n, 3n * power]) {
      const isOne = value > 0n && /^10*$/.test(value.toString(2));
      assert.is(isPowerOfTwo(value), isOne, `${value}n`);
      if (value <= Number.MAX_SAFE_INTEGER) assert.is(isPowerOfTwo(Number(value)), isOne, `${value}`);
    }
  }
});

test("what is no exact whole number above 0 is none", () => {
  for (const value of [0, -0, -1, -2, 0.5, 1.5, 2 ** 53, 2 ** 60, Number.NaN, Number.POSITIVE_INFINITY, 0n, -1n, -2n])
    assert.is(isPowerOfTwo(value), false, `${value}`);
});

test.run();
