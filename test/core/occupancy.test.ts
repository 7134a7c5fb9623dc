/** Holes and reservations, against brute force. */
import * as assert from "uvu/assert";
import { type Core, NO_ADDRESS, Owner, Status } from "../../src/core.ts";
import { firstFit, largestHole } from "../reference/holes.ts";
import type { WindowTwin } from "../reference/window.ts";
import { Bench } from "./drive.ts";
import { agree, eachBuild, forSeeds, type Random, show } from "./support.ts";

const CHUNK = 32768n;

function checkHoles(
  core: Core,
  window: number,
  twin: WindowTwin,
  lengths: readonly bigint[],
  aligns: readonly number[],
) {
  const free = twin.free();
  agree(core.windowLargestHole(window), BigInt(largestHole(free)) * twin.page, () => "largest hole");
  for (const length of lengths) {
    for (const align of aligns) {
      const pages = Number((length + twin.page - 1n) / twin.page);
      const index = firstFit(free, pages, Math.max(1, 2 ** (align - twin.pageShift)));
      const expected = index === -1 ? NO_ADDRESS : twin.start + BigInt(index) * twin.page;
      agree(core.windowFirstFit(window, length, align), expected, () => `first fit ${show({ length, align })}`);
    }
  }
}

eachBuild("occupancy", (test, core) => {
  /** Reserves or ends a reservation, as the twin says. */
  function change(bench: Bench, iova: bigint, length: bigint, reserve: boolean): number {
    const [window, twin] = [bench.handle(0), bench.twin(0)];
    const pages = [...twin.pages(iova, length)];
    const live = pages.some((page) => twin.memoryAt.has(page));
    const [any, all] = [pages.some((page) => twin.reserved.has(page)), pages.every((page) => twin.reserved.has(page))];
    const expected = reserve
      ? live
        ? Status.ALREADY_LIVE
        : any
          ? Status.RESERVED
          : Status.OK
      : !all
        ? Status.NOT_RESERVED
        : live
          ? Status.ALREADY_LIVE
          : Status.OK;
    const status = (reserve ? core.windowReserve : core.windowUnreserve)(window, iova, length);
    agree(status, expected, () => show({ reserve, iova, length }));
    if (status === Status.OK) for (const page of pages) reserve ? twin.reserved.add(page) : twin.reserved.delete(page);
    return status;
  }

  function somePages(random: Random, twin: WindowTwin, most: number): [iova: bigint, length: bigint] {
    const total = Number(twin.size / twin.page);
    const first = random.below(total);
    const pages = 1 + random.below(Math.min(most, total - first));
    return [twin.start + BigInt(first) * twin.page, BigInt(pages) * twin.page];
  }

  test("of small windows is searched as brute force searches it, live and reserved pages mixed", () => {
    forSeeds(8, (random) => {
      const pageShift = random.pick([12, 16, 21]);
      const size = BigInt(random.pick([1, 63, 64, 65, 130])) << BigInt(pageShift);
      const start = random.pick([0n, 1n << 59n, (1n << 64n) - size]);
      const bench = Bench.spapr(core, 12, { start, size, pageShift });
      const twin = bench.twin(0);
      for (let step = 0; step < 40; step++) {
        const [iova, length] = somePages(random, twin, 20);
        if (random.chance(3)) bench.map([{ va: (1n << 40n) + (iova % (1n << 32n)), iova, length, permission: 3 }]);
        else if (random.chance(4) && twin.memoryAt.size > 0) {
          const run = random.pick(twin.runs());
          bench.unmap([run], { owner: Owner.WINDOW });
        } else change(bench, iova, length, random.chance(2));
        const lengths = [1n, twin.page, twin.page + 1n, 5n * twin.page, 40n * twin.page, size, size + twin.page];
        checkHoles(core, bench.handle(0), twin, lengths, [0, pageShift, pageShift + 1, pageShift + 3, pageShift + 6]);
      }
      bench.close();
    });
  });

  test("of windows larger than a chunk is searched across the borders, and through chunks all of one kind", () => {
    forSeeds(2, (random) => {
      const end = 2n * CHUNK + 100n;
      const size = end << 12n;
      const bench = Bench.spapr(core, 12, { start: 1n << 59n, size, pageShift: 12 });
      const twin = bench.twin(0);
      const near = [0n, CHUNK, 2n * CHUNK, end];
      for (let step = 0; step < 20; step++) {
        const border = () => {
          const at = random.pick(near) + BigInt(random.below(5) - 2);
          return at < 0n ? 0n : at > end ? end : at;
        };
        const [a, b] = [border(), border()];
        const [first, behind] = a < b ? [a, b] : [b, a];
        if (first !== behind) change(bench, twin.start + (first << 12n), (behind - first) << 12n, random.chance(2));
        checkHoles(core, bench.handle(0), twin, [1n, 3n << 12n, CHUNK << 12n, (CHUNK + 1n) << 12n], [0, 13, 27]);
      }
      bench.close();
    });
  });

  test("of whole chunks costs no memory, and a hole in the midst of them is found", () => {
    const page = 4096n;
    const size = 1n << 48n;
    const window = core.windowOpen(core.containerOpen(12, 7), 0n, size, 12);
    const before = core.bytesInUse();
    assert.is(core.windowReserve(window, 0n, size), Status.OK);
    assert.is(core.bytesInUse(), before);
    assert.is(core.windowLargestHole(window), 0n);
    assert.is(core.windowFirstFit(window, page, 12), NO_ADDRESS);

    const hole = (12345n * CHUNK + 678n) * page;
    assert.is(core.windowUnreserve(window, hole, 2n * page), Status.OK);
    assert.is(core.bytesInUse(), before + 4096n, "one chunk has bits of its own now");
    assert.is(core.windowLargestHole(window), 2n * page);
    assert.is(core.windowFirstFit(window, 2n * page, 12), hole);
    assert.is(core.windowFirstFit(window, 3n * page, 12), NO_ADDRESS);
    assert.is(core.windowUnreserve(window, 0n, size), Status.NOT_RESERVED);
    assert.is(core.windowReserve(window, hole, 2n * page), Status.OK);
    assert.is(core.windowUnreserve(window, 0n, size), Status.OK);
    assert.is(core.windowLargestHole(window), size);
    assert.is(core.bytesInUse(), before);
    assert.is(core.windowClose(window), Status.OK);
  });

  test("is asked in bytes, and what is not a whole page needs one", () => {
    const bench = Bench.spapr(core, 12, { start: 0n, size: 16n << 16n, pageShift: 16 });
    change(bench, 0n, 3n << 16n, true);
    change(bench, 4n << 16n, 1n << 16n, true);
    const fit = (length: bigint, align = 0) => core.windowFirstFit(bench.handle(0), length, align);
    assert.is(fit(0n), NO_ADDRESS);
    assert.is(fit(1n), 3n << 16n);
    assert.is(fit(1n << 16n), 3n << 16n);
    assert.is(fit((1n << 16n) + 1n), 5n << 16n);
    assert.is(fit(11n << 16n), 5n << 16n);
    assert.is(fit((11n << 16n) + 1n), NO_ADDRESS);
    assert.is(fit(NO_ADDRESS), NO_ADDRESS);
    assert.is(fit(1n, 18), 8n << 16n);
    bench.close();
  });

  test("finds the window's start for any alignment, and only it for one larger than the window", () => {
    const bench = Bench.spapr(core, 12, { start: 1n << 59n, size: 16n << 12n, pageShift: 12 });
    for (let align = 0; align <= 63; align++) {
      assert.is(core.windowFirstFit(bench.handle(0), 1n, align), 1n << 59n, `2^${align}`);
    }
    change(bench, 1n << 59n, 4096n, true);
    for (let align = 16; align <= 63; align++) {
      assert.is(core.windowFirstFit(bench.handle(0), 1n, align), NO_ADDRESS, `2^${align}`);
    }
    bench.close();
  });

  test("can be set aside and given back in whole pages of the window only, that are in it", () => {
    const [start, page] = [1n << 59n, 1n << 16n];
    const bench = Bench.spapr(core, 12, { start, size: 16n * page, pageShift: 16 });
    const window = bench.handle(0);
    change(bench, start, 8n * page, true);
    for (const set of [core.windowReserve, core.windowUnreserve]) {
      for (const [iova, length, status] of [
        [start, 0n, Status.OUTSIDE_WINDOW],
        [start, 17n * page, Status.OUTSIDE_WINDOW],
        [start - page, page, Status.OUTSIDE_WINDOW],
        [start + 16n * page, page, Status.OUTSIDE_WINDOW],
        [start, NO_ADDRESS, Status.OUTSIDE_WINDOW],
        [start + 4096n, page, Status.UNALIGNED_IOVA],
        [start, page + 4096n, Status.UNALIGNED_LENGTH],
      ] as const) {
        assert.is(set(window, iova, length), status, show({ iova, length }));
        checkHoles(core, window, bench.twin(0), [page, 8n * page, 9n * page], [16]);
      }
    }
    assert.is(change(bench, start + 7n * page, 2n * page, true), Status.RESERVED);
    assert.is(change(bench, start + 7n * page, 2n * page, false), Status.NOT_RESERVED);
    assert.is(change(bench, start, 8n * page, false), Status.OK);
    bench.close();
  });

  test("that is live cannot be set aside, nor given back", () => {
    const bench = Bench.spapr(core, 12, { start: 0n, size: 16n << 12n, pageShift: 12 });
    bench.map([{ va: 0x10000n, iova: 0x3000n, length: 0x1000n, permission: 3 }]);
    assert.is(change(bench, 0x2000n, 0x3000n, true), Status.ALREADY_LIVE);
    assert.is(change(bench, 0x8000n, 0x4000n, true), Status.OK);
    bench.map([{ va: 0x20000n, iova: 0x9000n, length: 0x1000n, permission: 3 }], { owner: Owner.MEMORY });
    assert.is(change(bench, 0x8000n, 0x4000n, false), Status.ALREADY_LIVE);
    bench.close();
  });
});
