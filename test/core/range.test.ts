import * as assert from "uvu/assert";
import * as twin from "../reference/range.ts";
import { agree, eachBuild, edges, forSeeds, show } from "./support.ts";

/** Ranges as [start, last], not empty, between edge values. */
const spans = edges.flatMap((start) => edges.filter((last) => start <= last).map((last) => [start, last] as const));

eachBuild("ranges", (test, core) => {
  test("exist exactly as their twins say, for every pair of edge values", () => {
    for (const start of edges) {
      for (const length of edges) {
        agree(core.isRange(start, length), Number(twin.isRange(start, length)), () => show({ start, length }));
      }
    }
  });

  test("are inside one another exactly as their twins say, in every combination of edge values", () => {
    for (const [outerStart, outerLast] of spans) {
      for (const start of edges) {
        for (const length of edges) {
          const inside = Number(twin.contains(outerStart, outerLast, start, length));
          agree(core.rangeContains(outerStart, outerLast, start, length), inside, () =>
            show({ outerStart, outerLast, start, length }),
          );
        }
      }
    }
  });

  test("have an address in common exactly as their twins say, in every combination of edge values", () => {
    for (const [startA, lastA] of spans) {
      for (const [startB, lastB] of spans) {
        const expected = Number(twin.overlap(startA, lastA, startB, lastB));
        agree(core.rangesOverlap(startA, lastA, startB, lastB), expected, () => show({ startA, lastA, startB, lastB }));
      }
    }
  });

  test("are carried from one place to another, also to the end of the address space", () => {
    for (const from of edges) {
      for (const to of edges) {
        for (const offset of edges.filter((each) => from + each < 2n ** 64n && to + each < 2n ** 64n)) {
          agree(core.rebase(from + offset, from, to), to + offset, () => show({ from, to, offset }));
        }
      }
    }
  });

  test("agree with their twins on random numbers of every size", () => {
    forSeeds(5000, (random) => {
      const [a, b, start, length] = [random.anySize(), random.anySize(), random.anySize(), random.anySize()];
      const [outerStart, outerLast] = a < b ? [a, b] : [b, a];
      const where = () => show({ outerStart, outerLast, start, length });
      agree(core.isRange(start, length), Number(twin.isRange(start, length)), where);
      const inside = Number(twin.contains(outerStart, outerLast, start, length));
      agree(core.rangeContains(outerStart, outerLast, start, length), inside, where);
    });
  });

  test("are not tested in any of the tempting ways: the edge values tell each of them from the right one", () => {
    for (const [name, tempting] of Object.entries(twin.temptingContains)) {
      const given = spans.some(([outerStart, outerLast]) =>
        edges.some((start) =>
          edges.some(
            (length) =>
              tempting(outerStart, outerLast, start, length) !==
              (core.rangeContains(outerStart, outerLast, start, length) === 1),
          ),
        ),
      );
      assert.ok(given, name);
    }
  });
});
