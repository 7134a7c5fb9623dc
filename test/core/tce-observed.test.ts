/** TCE tables against what Linux was seen to do on emulated POWER machines: VmLck after VFIO_IOMMU_SPAPR_TCE_CREATE. */
import * as assert from "uvu/assert";
import { Shape } from "../../src/core.ts";
import { eachBuild, edges } from "./support.ts";

const K = 1n << 10n;
const M = 1n << 20n;
const G = 1n << 30n;

/** log2 of the window and of its pages, levels, and the charge. */
type Observed = readonly [windowShift: number, pageShift: number, levels: number, charge: bigint];

const onKernelWith4K: readonly Observed[] = [
  [30, 12, 1, 4n * M],
  [33, 12, 1, 32n * M],
  [34, 12, 2, 64n * M + 32n * K],
  [36, 12, 2, 256n * M + 64n * K],
  [36, 12, 3, 256n * M + 520n * K],
  [40, 12, 2, 4n * G + 256n * K],
  [36, 16, 1, 16n * M],
  [40, 16, 2, 256n * M + 64n * K],
  [36, 21, 1, 512n * K],
  [40, 21, 1, 8n * M],
  [42, 21, 1, 32n * M],
  [44, 21, 2, 128n * M + 64n * K],
  [36, 30, 1, 8n * K],
  [40, 30, 1, 16n * K],
];

const onKernelWith64K: readonly Observed[] = [
  [31, 16, 1, 512n * K],
  [40, 16, 2, 256n * M + 128n * K],
  [42, 21, 1, 32n * M],
  [45, 21, 2, 256n * M + 128n * K],
  [45, 24, 1, 32n * M],
  [50, 30, 1, 16n * M],
];

eachBuild("TCE tables, as observed", (test, core) => {
  for (const [cpuPageShift, kernel, observed] of [
    [12, "4K", onKernelWith4K],
    [16, "64K", onKernelWith64K],
  ] as const) {
    test(`are charged on a ${kernel} kernel as VmLck has shown`, () => {
      for (const [windowShift, pageShift, levels, charge] of observed) {
        const shape = [windowShift, pageShift, levels, cpuPageShift] as const;
        assert.is(core.powernvShape(...shape), Shape.OK, shape.join());
        assert.is(core.powernvCharge(...shape), charge, shape.join());
      }
    });
  }

  /** The greatest number of levels with which any window of these pages can be made. */
  function usableLevels(pageShift: number, cpuPageShift: number): number {
    const usable = [1, 2, 3, 4, 5].filter((levels) =>
      Array.from({ length: 64 - pageShift }, (_, bits) => pageShift + bits).some(
        (windowShift) => core.powernvShape(windowShift, pageShift, levels, cpuPageShift) === Shape.OK,
      ),
    );
    return Math.max(0, ...usable);
  }

  test("have fewer usable levels than the 5 that GET_INFO names", () => {
    assert.equal(
      [12, 16, 21, 30].map((pageShift) => usableLevels(pageShift, 16)),
      [3, 2, 2, 1],
    );
    assert.is(usableLevels(12, 12), 4);
  });

  test("of one level reach 8 GiB with 4K pages, 128 GiB with 64K, 4 TiB with 2M and 2^51 with 1G", () => {
    for (const [pageShift, reach] of [
      [12, 33],
      [16, 37],
      [21, 42],
      [30, 51],
    ] as const) {
      for (const cpuPageShift of [12, 16]) {
        assert.is(core.powernvShape(reach, pageShift, 1, cpuPageShift), Shape.OK, `2^${reach}`);
        assert.is.not(core.powernvShape(reach + 1, pageShift, 1, cpuPageShift), Shape.OK, `2^${reach + 1}`);
      }
    }
  });

  test("are refused where a level would not be in one piece, or too many bits would be resolved", () => {
    assert.is(core.powernvShape(34, 12, 1, 12), Shape.NOT_CONTIGUOUS, "16G/4K/1 left 64 MiB of charge behind");
    assert.is(core.powernvShape(45, 21, 1, 16), Shape.NOT_CONTIGUOUS);
    assert.is(core.powernvShape(50, 30, 2, 16), Shape.REACH);
    for (let windowShift = 16; windowShift <= 63; windowShift++) {
      assert.is(core.powernvShape(windowShift, 16, 3, 16), Shape.REACH, `2^${windowShift}, 64K, 3 levels`);
    }
    assert.is(core.powernvShape(30, 12, 0, 12), Shape.LEVELS);
    assert.is(core.powernvShape(30, 12, 6, 12), Shape.LEVELS);
    assert.is(core.powernvShape(20, 21, 1, 12), Shape.WINDOW);
  });

  test("of pSeries are charged 2 MiB for the default window, and 4 GiB for 2 TiB of 4K pages", () => {
    assert.is(core.pseriesCharge(30, 12), 2n * M);
    assert.is(core.pseriesCharge(41, 12), 4n * G);
    assert.is(core.pseriesCharge(42, 21), 16n * M);
    assert.is(core.pseriesCharge(21, 21), 8n);
  });

  test("that are too large to be made are never said to be free", () => {
    // Wrapping shifts would make the greatest windows the cheapest.
    for (const levels of [1, 2, 3, 4, 5]) {
      for (const windowShift of [60, 61, 62, 63, 64]) {
        assert.is.not(core.powernvShape(windowShift, 12, levels, 12), Shape.OK, `2^${windowShift}, ${levels}`);
      }
    }
    assert.is(core.maskBits(edges.at(-1) as bigint), 64);
  });
});
