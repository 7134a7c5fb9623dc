/** Windows: which can be, what lies in them, and their arithmetic at the edges. */
import * as assert from "uvu/assert";
import { NO_ADDRESS, Status } from "../../src/core.ts";
import { isAligned } from "../reference/bits.ts";
import { isRange } from "../reference/range.ts";
import { WindowTwin } from "../reference/window.ts";
import { agree, eachBuild, edges, forSeeds, show } from "./support.ts";

const TWO_64 = 1n << 64n;

/** Windows at both ends of the address space, where POWER's second window lies, and between; of all page sizes. */
const shapes = [
  [0n, 1n << 12n, 12],
  [0n, 1n << 31n, 12],
  [0x3000n, 0x5000n, 12],
  [1n << 59n, 1n << 40n, 16],
  [1n << 59n, 5n << 21n, 21],
  [TWO_64 - (1n << 32n), 1n << 32n, 16],
  [TWO_64 - 4096n, 4096n, 12],
  [1n << 63n, 1n << 63n, 30],
  [0n, 1n << 63n, 30],
  [1n << 30n, (1n << 63n) - (1n << 30n), 30],
  [TWO_64 - (1n << 63n) - (1n << 30n), 1n << 63n, 30],
] as const;

eachBuild("windows", (test, core) => {
  const container = core.containerOpen(12, 7);

  test("open when they are whole TCE pages, in the address space, at most 2^36 of them and 2^63 bytes", () => {
    const sizes = [...edges, ...[12n, 16n, 21n, 30n, 40n].flatMap((shift) => [1n << shift, 1n << (shift + 36n)])];
    for (const pageShift of [0, 11, 12, 16, 30, 40, 41, 63]) {
      for (const start of edges) {
        for (const size of sizes) {
          const few = size >> BigInt(pageShift) <= 1n << 36n && size <= 1n << 63n;
          const fits = pageShift >= 12 && pageShift <= 40 && isRange(start, size) && few;
          const open = fits && isAligned(start, pageShift) && isAligned(size, pageShift);
          const window = core.windowOpen(container, start, size, pageShift);
          agree(window > 0, open, () => show({ start, size, pageShift }));
          if (window > 0) agree(core.windowClose(window), Status.OK, () => "windowClose");
          else agree(window, -Status.TOO_LARGE, () => show({ start, size, pageShift }));
        }
      }
    }
  });

  test("open with 2^36 TCEs and not with one more", () => {
    const window = core.windowOpen(container, 0n, 1n << 48n, 12);
    assert.ok(window > 0);
    assert.is(core.windowTceIndex(window, (1n << 48n) - 1n), (1n << 36n) - 1n);
    assert.is(core.windowLargestHole(window), 1n << 48n);
    assert.is(core.windowClose(window), Status.OK);
    assert.is(core.windowOpen(container, 0n, (1n << 48n) + 4096n, 12), -Status.TOO_LARGE);
  });

  test("open with 2^63 bytes and not with one page more, though the address space has them", () => {
    for (const start of [0n, 1n << 40n, (1n << 63n) - (1n << 40n)]) {
      const window = core.windowOpen(container, start, 1n << 63n, 40);
      assert.ok(window > 0);
      assert.is(core.windowHeadroom(window, start), 1n << 63n);
      assert.is(core.windowClose(window), Status.OK);
      assert.is(core.windowOpen(container, start, (1n << 63n) + (1n << 40n), 40), -Status.TOO_LARGE);
    }
  });

  test("answer as their twins at their edges, for every edge value as address, length and offset", () => {
    for (const [start, size, pageShift] of shapes) {
      const window = core.windowOpen(container, start, size, pageShift);
      assert.ok(window > 0, show({ start, size, pageShift }));
      const twin = new WindowTwin(start, size, pageShift);
      const near = [-1n, 0n, 1n].flatMap((by) => [start + by, start + twin.page + by, start + size + by]);
      const addresses = [...edges, ...near.map((each) => BigInt.asUintN(64, each))];
      const lengths = [...edges, size - 1n, size, BigInt.asUintN(64, size + 1n), size - twin.page, twin.page];
      for (const iova of addresses) {
        const where = () => show({ start, size, pageShift, iova });
        const inside = twin.contains(iova, 1n);
        agree(core.windowHeadroom(window, iova), inside ? start + size - iova : 0n, where);
        agree(core.windowTceIndex(window, iova), inside ? (iova - start) / twin.page : NO_ADDRESS, where);
        for (const length of lengths) {
          agree(core.windowContains(window, iova, length), Number(twin.contains(iova, length)), () =>
            show({ start, size, pageShift, iova, length }),
          );
        }
      }
      assert.is(core.windowClose(window), Status.OK);
    }
  });

  test("contain a map that ends at their end, not one of a page more, nor one that wraps", () => {
    const page = 4096n;
    const window = core.windowOpen(container, TWO_64 - 16n * page, 16n * page, 12);
    assert.is(core.windowContains(window, TWO_64 - 2n * page, 2n * page), 1);
    assert.is(core.windowContains(window, TWO_64 - page, 2n * page), 0);
    assert.is(core.windowContains(window, TWO_64 - page, NO_ADDRESS), 0);
    assert.is(core.windowHeadroom(window, TWO_64 - page), page);
    assert.is(core.windowClose(window), Status.OK);
  });

  test("agree with their twins on random addresses", () => {
    forSeeds(200, (random) => {
      const pageShift = random.pick([12, 16, 21, 24, 30]);
      const size = BigInt(1 + random.below(1 << 20)) << BigInt(pageShift);
      const start = random.pick([0n, 1n << 59n, TWO_64 - size]);
      const window = core.windowOpen(container, start, size, pageShift);
      const twin = new WindowTwin(start, size, pageShift);
      for (let step = 0; step < 50; step++) {
        const iova = random.chance(2) ? random.anySize() : BigInt.asUintN(64, start + (random.u64() % size));
        const length = random.anySize();
        const where = () => show({ start, size, pageShift, iova, length });
        agree(core.windowContains(window, iova, length), Number(twin.contains(iova, length)), where);
        agree(core.windowHeadroom(window, iova), twin.contains(iova, 1n) ? start + size - iova : 0n, where);
      }
      assert.is(core.windowClose(window), Status.OK);
    });
  });

  test("keep their container open, and give everything back when they close", () => {
    const before = core.bytesInUse();
    const mine = core.containerOpen(16, 7);
    const windows = [0n, 1n << 59n].map((start) => core.windowOpen(mine, start, 1n << 40n, 16));
    assert.is(core.containerClose(mine), Status.BUSY);
    for (const window of windows) assert.is(core.windowClose(window), Status.OK);
    assert.is(core.containerClose(mine), Status.OK);
    assert.is(core.bytesInUse(), before);
  });

  test("have containers of CPU pages of 4 KiB and more only", () => {
    for (const shift of [0, 11, 41, 64, 2 ** 31]) assert.is(core.containerOpen(shift, 7), -Status.BAD_PAGE_SHIFT);
    for (const shift of [12, 16, 40]) assert.is(core.containerClose(core.containerOpen(shift, 7)), Status.OK);
  });

  test("have containers of the IOMMUs that the core knows only, under SET_IOMMU's numbers", () => {
    for (let iommu = 0; iommu < 12; iommu++) {
      const container = core.containerOpen(12, iommu);
      if ([1, 3, 7, 8].includes(iommu)) assert.is(core.containerClose(container), Status.OK);
      else assert.is(container, -Status.UNKNOWN_IOMMU);
    }
    for (const iommu of [-1, 2 ** 31, 2 ** 32 - 1]) assert.is(core.containerOpen(12, iommu), -Status.UNKNOWN_IOMMU);
  });
});
