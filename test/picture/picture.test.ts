/** A window's ranges tile it exactly, whatever is in it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AddressRange } from "../../src/iommu.ts";
import { planPicture } from "../../src/picture/from-plan.ts";
import { sizeOf, type WindowPicture } from "../../src/picture/picture.ts";
import { cellsOf, stretchesOf } from "../../src/picture/scale.ts";
import { describedMachine } from "../../src/plan/described.ts";
import { planWindow, type StoredList } from "../../src/plan/index.ts";
import { MACHINES } from "../../src/plan/machines.ts";
import { inPlacingOrder } from "../../src/plan/order.ts";
import { lowestStart, without } from "../../src/plan/ranges.ts";
import { Random } from "../support/random.ts";
import { GiB, liveRuns, MiB, PAGE, picture, randomRanges, TiB } from "./support.ts";

/** Fails unless the ranges are the window, and the sums theirs. */
export function tiles(window: WindowPicture, message: string): void {
  const { ranges, bytes, start, last } = window;
  let at = start;
  for (const [i, range] of ranges.entries()) {
    assert.is(range.start, at, `${message}: a gap before range ${i}`);
    assert.ok(range.last >= range.start, `${message}: range ${i} is empty`);
    const before = ranges[i - 1];
    const isSame = before?.kind === range.kind && before.region === range.region;
    assert.not.ok(isSame, `${message}: range ${i} is one with the one before it`);
    at = range.last + 1n;
  }
  assert.is(at, last + 1n, `${message}: its end`);
  assert.is(bytes.live + bytes.reserved + bytes.free + bytes.kept, sizeOf(window), message);
}

const models = suite("the picture of a window");

for (let seed = 1; seed <= 60; seed++) {
  models(`tiles it, seed ${seed}`, () => {
    const random = new Random(seed);
    const start = BigInt(random.below(4)) * GiB;
    const window = { start, last: start + BigInt(1 + random.below(200)) * PAGE - 1n };
    const wider = { start: start > MiB ? start - MiB : 0n, last: window.last + MiB };
    const live = randomRanges(random, wider, 20);
    const kept = randomRanges(random, window, 3);
    const regions = randomRanges(random, window, 4).map((range, i) => ({ ...range, name: `list ${i}` }));
    const made = picture({ ...window, live: liveRuns(live), kept, regions });
    tiles(made, `seed ${seed}`);
    // Byte by byte of whole pages, against what was put in.
    const has = (ranges: readonly AddressRange[], page: bigint) =>
      ranges.findLastIndex((one) => one.start <= page && page <= one.last);
    for (let page = window.start; page <= window.last; page += PAGE) {
      const range = made.ranges.find((one) => one.start <= page && page <= one.last);
      const region = has(kept, page) >= 0 ? -1 : has(regions, page);
      const kind = has(live, page) >= 0 ? "live" : has(kept, page) >= 0 ? "kept" : region >= 0 ? "reserved" : "free";
      assert.equal([range?.kind, range?.region], [kind, region], `seed ${seed}, page ${page}`);
    }
    const liveIn = made.regions.reduce((sum, { liveBytes }) => sum + liveBytes, 0n);
    assert.ok(liveIn <= made.bytes.live, `seed ${seed}`);
    assert.equal([made.reach.readBytes, made.reach.writeBytes], [made.bytes.live, made.bytes.live]);
  });

  models(`has a scale and cells that lose nothing, seed ${seed}`, () => {
    const random = new Random(seed);
    const window = { start: 0n, last: (random.once(2) ? TiB : GiB) - 1n };
    const near = { start: window.last - BigInt(random.below(100)) * PAGE * 64n, last: window.last };
    const live = [
      ...randomRanges(random, { start: 0n, last: 64n * PAGE - 1n }, 10),
      ...(near.start > MiB ? randomRanges(random, near, 5) : []),
    ];
    const { ranges } = picture({ ...window, live: liveRuns(live) });
    let at = window.start;
    for (const stretch of stretchesOf(ranges)) {
      assert.is(stretch.start, at, `seed ${seed}`);
      at = stretch.last + 1n;
      const own = ranges.slice(stretch.first, stretch.end + 1);
      assert.equal([own[0]?.start, own.at(-1)?.last], [stretch.start, stretch.last], `seed ${seed}`);
      if (stretch.type === "break") assert.not.ok(own.length !== 1 || own[0]?.kind === "live", `seed ${seed}`);
      for (const count of [1, 7, 64]) {
        const cells = cellsOf(ranges, stretch, count);
        assert.is(cells.length, count);
        // A piece with anything live in it is never drawn as if there were nothing.
        assert.is(
          cells.some((cell) => cell.live > 0),
          own.some(({ kind }) => kind === "live"),
          `seed ${seed}`,
        );
        assert.is(
          cells.every((cell) => cell.live === 1),
          own.every(({ kind }) => kind === "live"),
          `seed ${seed}`,
        );
      }
    }
    assert.is(at, window.last + 1n, `seed ${seed}`);
  });
}

models("says where the largest hole is, and what is free behind all", () => {
  const live = [
    { start: 0n, last: MiB - 1n },
    { start: 4n * MiB, last: 5n * MiB - 1n },
    { start: GiB - 2n * MiB, last: GiB - MiB - 1n },
  ];
  const { largestHole, headroom, liveRuns: runs } = picture({ live: liveRuns(live) });
  assert.equal(largestHole, { start: 5n * MiB, last: GiB - 2n * MiB - 1n });
  assert.equal([headroom, runs], [MiB, 3]);
  const full = picture({ live: liveRuns([{ start: 0n, last: GiB - 1n }]) });
  assert.equal([full.largestHole, full.headroom, full.liveRuns], [undefined, 0n, 1]);
});

models("says what a device has too few address bits for", () => {
  assert.is(picture({ deviceBits: 29 }).reach.beyondBytes, GiB / 2n);
  assert.is(picture({ deviceBits: 30 }).reach.beyondBytes, 0n);
  assert.is(picture({ start: GiB, last: 2n * GiB - 1n, deviceBits: 29 }).reach.beyondBytes, GiB);
});

models("tells what may be read from what may be written", () => {
  const [read, both] = [
    { start: 0n, last: MiB - 1n, value: 1 },
    { start: MiB, last: 3n * MiB - 1n, value: 3 },
  ];
  const { reach, liveRuns: runs } = picture({ live: [read, both] });
  assert.equal([reach.readBytes, reach.writeBytes, runs], [3n * MiB, 2n * MiB, 1]);
});

models("reaches over all 64 bits", () => {
  const all = picture({
    last: (1n << 64n) - 1n,
    live: liveRuns([{ start: (1n << 64n) - PAGE, last: (1n << 64n) - 1n }]),
  });
  tiles(all, "2^64 bytes");
  assert.is(all.reach.neededBits, 64);
});

for (const [name, machine] of Object.entries(MACHINES)) {
  models(`of a plan for ${name} has a region for each list, as large as the list`, () => {
    const { request } = describedMachine(machine);
    const plan = planWindow(request);
    const lists = request.memory.lists as readonly StoredList[];
    const [window] = planPicture(plan, name, lists).windows;
    assert.ok(window);
    tiles(window, name);
    assert.equal(
      window.regions.map((region) => sizeOf(region)),
      lists.map(({ length }) => length),
    );
    assert.is(
      window.bytes.reserved,
      lists.reduce((sum, { length }) => sum + length, 0n),
    );
  });
}

models("of a plan with as many holes, and lists, as one may have: each lies at the lowest place that is free", () => {
  const count = 65_536;
  const plan = planWindow(describedMachine(MACHINES.laptop as object).request);
  // Holes of two pages; between them two pages are free and four, in turn.
  const holes = Array.from({ length: count }, (_, i) => {
    const start = plan.start + BigInt(i) * 5n * PAGE + (i % 2 === 0 ? 1n : 0n) * PAGE;
    return { start, last: start + 2n * PAGE - 1n };
  });
  const wide = { ...plan, size: TiB, pageShift: 16, holes };
  const lists = Array.from({ length: count }, () => ({ base: 0n, length: PAGE, pageSize: PAGE }));
  const [window] = planPicture(wide, "many", lists).windows;
  assert.ok(window);
  assert.is(window.bytes.kept, BigInt(count) * 2n * PAGE);
  assert.is(window.bytes.reserved, BigInt(count) * PAGE);
});

for (let seed = 1; seed <= 40; seed++) {
  models(`of a plan with holes and lists of several sizes, as they are laid out one by one, seed ${seed}`, () => {
    const random = new Random(seed);
    const plan = planWindow(describedMachine(MACHINES.laptop as object).request);
    const last = plan.start + 256n * PAGE - 1n;
    const holes = randomRanges(random, { start: plan.start, last }, 12).sort((a, b) => (a.start < b.start ? -1 : 1));
    const apart = holes.filter((hole, i) => holes.slice(0, i).every((other) => other.last < hole.start));
    const lists = Array.from({ length: 12 }, () => {
      const pageSize = random.once(2) ? PAGE : 4n * PAGE;
      return { base: 0n, length: BigInt(1 + random.below(3)) * pageSize, pageSize };
    });
    const [window] = planPicture({ ...plan, size: 256n * PAGE, holes: apart }, "some", lists).windows;
    let free: readonly AddressRange[] = apart.reduce<readonly AddressRange[]>(without, [{ start: plan.start, last }]);
    const expected = inPlacingOrder(lists, plan.kind).flatMap(({ length, pageSize }) => {
      const start = lowestStart(free, length, [], pageSize);
      if (start === undefined) return [];
      free = without(free, { start, last: start + length - 1n });
      return [start];
    });
    assert.equal(
      window?.regions.map(({ start }) => start),
      expected,
    );
  });
}

models.run();
