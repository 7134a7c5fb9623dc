/** Ranges of IOVAs, against a map of single pages. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AddressRange } from "../../src/iommu.ts";
import { holesIn, lowestStart, pagesOver, showRanges } from "../../src/plan/ranges.ts";
import { Random } from "../support/random.ts";

const TOP = (1n << 64n) - 1n;
const SPACE = 64;

/** Ascending ranges of small numbers, apart from each other or side by side. */
function someRanges(random: Random, most: number): AddressRange[] {
  const ranges: AddressRange[] = [];
  let at = random.below(8);
  while (ranges.length < most && at < SPACE) {
    const last = Math.min(SPACE - 1, at + random.below(12));
    ranges.push({ start: BigInt(at), last: BigInt(last) });
    at = last + 1 + random.below(10);
  }
  return ranges;
}

const covers = (ranges: readonly AddressRange[], at: number) =>
  ranges.some(({ start, last }) => BigInt(at) >= start && BigInt(at) <= last);

test("the lowest start is the first multiple that is in one range and free, as trying every one of them finds", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = new Random(seed);
    const ranges = someRanges(random, 6);
    const taken = someRanges(random, 4).sort(() => random.below(3) - 1); // windows are in no order
    const size = 1 << random.below(5);
    let expected: bigint | undefined;
    for (let start = 0; start + size <= SPACE && expected === undefined; start += size) {
      const all = Array.from({ length: size }, (_, i) => start + i);
      const inOne = ranges.some((range) => all.every((at) => covers([range], at)));
      if (inOne && !all.some((at) => covers(taken, at))) expected = BigInt(start);
    }
    assert.is(lowestStart(ranges, BigInt(size), taken), expected, `seed ${seed}`);
  }
});

test("the lowest start does not wrap at the end of the address space", () => {
  const end = [{ start: TOP - 0xffffn, last: TOP }];
  assert.is(lowestStart(end, 0x1_0000n), TOP - 0xffffn);
  assert.is(lowestStart(end, 0x1_0000n, [{ start: TOP, last: TOP }]), undefined);
  assert.is(lowestStart([{ start: TOP - 0xfffen, last: TOP }], 0x1_0000n), undefined);
  assert.is(lowestStart([{ start: 0n, last: TOP }], 1n << 63n, [{ start: 0n, last: 0n }]), 1n << 63n);
  assert.is(lowestStart([{ start: 0n, last: TOP }], 1n << 63n, [{ start: 0n, last: 1n << 63n }]), undefined);
  assert.is(lowestStart([], 1n), undefined);
});

test("holes are what the ranges leave out, page by page", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const ranges = someRanges(random, 6);
    const start = random.below(SPACE);
    const last = start + random.below(SPACE - start);
    const holes = holesIn(ranges, BigInt(start), BigInt(last));
    for (let at = 0; at < SPACE; at++) {
      assert.is(covers(holes, at), at >= start && at <= last && !covers(ranges, at), `seed ${seed}, at ${at}`);
    }
  }
});

test("pages over holes are all pages that a hole touches, in order and none twice", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const shift = random.below(4);
    const page = 1 << shift;
    const start = page * random.below(4);
    const last = start + page * (1 + random.below(8)) - 1;
    const holes = [...someRanges(random, 4), ...someRanges(random, 4)].sort(() => random.below(3) - 1);
    const pages = pagesOver(holes, shift, { start: BigInt(start), last: BigInt(last) });
    for (let at = 0; at < SPACE; at++) {
      const first = at - (at % page);
      const touched = Array.from({ length: page }, (_, i) => first + i).some((each) => covers(holes, each));
      const inside = at >= start && at <= last;
      assert.is(covers(pages, at), inside && touched, `seed ${seed}, at ${at}`);
    }
    for (const [i, { start: from, last: to }] of pages.entries()) {
      assert.ok(from <= to && from % BigInt(page) === 0n && (to + 1n) % BigInt(page) === 0n, `seed ${seed}`);
      const previous = pages[i - 1];
      if (previous) assert.ok(from > previous.last, `seed ${seed}`);
    }
  }
});

test("pages over a hole that begins before the window, or ends behind it, are the window's", () => {
  const window = { start: 0x4000n, last: 0x7fffn };
  assert.equal(pagesOver([{ start: 0n, last: TOP }], 12, window), [window]);
  assert.equal(pagesOver([{ start: 0n, last: 0x3fffn }], 12, window), []);
  assert.equal(pagesOver([{ start: 0x8000n, last: TOP }], 12, window), []);
});

test("ranges are shown in hexadecimal, and none as that", () => {
  assert.is(
    showRanges([
      { start: 0n, last: 0xfedf_ffffn },
      { start: 0xfef0_0000n, last: TOP },
    ]),
    "0x0-0xfedfffff, 0xfef00000-0xffffffffffffffff",
  );
  assert.is(showRanges([]), "none");
});

test.run();
