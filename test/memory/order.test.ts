/** Ranges in order, beside an array of all of them that is searched from end to end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OrderedSpans, type Span } from "../../src/memory/order.ts";
import { Random } from "../support/random.ts";

const TOP = 1n << 64n;

class Twin {
  readonly spans: Span[] = [];

  touching(base: bigint, length: bigint): Span[] {
    return this.spans.filter((one) => one.base < base + length && base < one.base + one.length);
  }

  at(address: bigint): Span | undefined {
    const behind = this.spans.filter((one) => one.base + one.length > address);
    return behind.reduce<Span | undefined>((first, one) => (first && first.base < one.base ? first : one), undefined);
  }
}

/** One and its twin, asked at the edges of `span` and of all that is between. */
function compare(spans: OrderedSpans<Span>, twin: Twin, { base, length }: Span): void {
  const found = spans.touching(base, length);
  const expected = twin.touching(base, length);
  if (expected.length === 0) assert.is(found, undefined);
  else assert.ok(expected.includes(found as Span));
  for (const address of [0n, base - 1n, base, base + length - 1n, base + length, TOP - 1n]) {
    if (address >= 0n) assert.is(spans.at(address), twin.at(address));
  }
}

for (const [name, places, longest, steps] of [
  ["few that meet often", 24, 6, 4000],
  ["many, in several chunks", 6000, 3, 6000],
] as const) {
  test(`random ones: ${name}`, () => {
    const seed = 1;
    const random = new Random(seed);
    const spans = new OrderedSpans<Span>();
    const twin = new Twin();
    for (let step = 0; step < steps; step++) {
      const page = BigInt(random.below(places)) * 4096n;
      const length = BigInt(1 + random.below(longest)) * 4096n;
      // Half of them at the other end of the address space, up to its very last byte.
      const span = { base: random.below(2) === 0 ? page : TOP - page - length, length };
      if (step % 16 === 0 || places < 100) compare(spans, twin, span);
      const [touched] = twin.touching(span.base, span.length);
      if (touched === undefined) {
        spans.add(span);
        twin.spans.push(span);
      } else if (random.below(4) === 0) {
        spans.delete(touched);
        twin.spans.splice(twin.spans.indexOf(touched), 1);
      }
    }
    for (const one of twin.spans) compare(spans, twin, one);
  });
}

test("in order of addresses, against it, and from the middle outwards; then all are taken out", () => {
  const all = Array.from({ length: 3000 }, (_, i) => ({ base: BigInt(i) * 8192n, length: 4096n }));
  const orders = [all, [...all].reverse(), [...all].sort((a, b) => Number((a.base % 3n) - (b.base % 3n)))];
  for (const order of orders) {
    const spans = new OrderedSpans<Span>();
    for (const span of order) spans.add(span);
    for (const span of all) {
      assert.is(spans.touching(span.base + 4095n, 1n), span);
      assert.is(spans.touching(span.base + 4096n, 4096n), undefined);
    }
    for (const span of order) spans.delete(span);
    assert.is(spans.touching(0n, TOP), undefined);
  }
});

test("of the whole address space there is room for one", () => {
  const spans = new OrderedSpans<Span>();
  spans.add({ base: 0n, length: TOP });
  assert.ok(spans.touching(TOP - 1n, 1n));
  spans.clear();
  assert.is(spans.touching(0n, TOP), undefined);
});

test.run();
