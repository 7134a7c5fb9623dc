/** Random programs of maps and unmaps, where tables split and join: after every step the tables say what the twin says. */
import * as assert from "uvu/assert";
import { NO_ADDRESS, Owner, Status } from "../../src/core.ts";
import { IommuType } from "../../src/syscalls.ts";
import { NoIommuTwin, Type1KernelTwin } from "../reference/other-kernels.ts";
import type { Request } from "../reference/requests.ts";
import type { Twin } from "../reference/twin.ts";
import type { Run, WindowTwin } from "../reference/window.ts";
import { type Answer, Bench, type WindowShape } from "./drive.ts";
import { agree, eachBuild, forSeeds, type Random, show } from "./support.ts";

const TWO_64 = 1n << 64n;
const M2 = 1n << 21n;
const G = 1n << 30n;

/** Addresses at whose multiples a table of the radix begins: a slot of 2 MiB, a GiB, 512 GiB. */
const borders = [0n, M2, 2n * M2, G - M2, G, G + M2, 2n * G, 512n * G];

const memories = [0n, 1n << 40n, (1n << 47n) - G, 1n << 57n];

const sizes: Readonly<Record<number, bigint>> = {
  12: 2n * G,
  16: 16n * G,
  21: 1n << 40n,
  24: 1n << 44n,
  30: 1n << 45n,
};

function windowShapes(pageShift: number): WindowShape[] {
  const size = sizes[pageShift] as bigint;
  // On type1 a window is as large as what is needed: any number of whole pages, from any page on.
  const page = 1n << BigInt(pageShift);
  const odd = { start: 5n * page, size: size - 3n * page, pageShift };
  return [...[0n, 1n << 59n, TWO_64 - size].map((start) => ({ start, size, pageShift })), odd];
}

/** So many pages: a few, or about as many as a 2 MiB slot has. */
function somePages(random: Random, page: bigint): bigint {
  const slot = M2 / page;
  const few = 1 + random.below(5);
  return slot < 8n || random.chance(2) ? BigInt(few) : BigInt(random.pick([1, 2, 3])) * slot + BigInt(few - 3);
}

/** A page near one of the borders, counted from `base`. */
function nearBorder(random: Random, base: bigint, page: bigint): bigint {
  const near = base + random.pick(borders) + BigInt(random.below(9) - 4) * page;
  return (near < 0n ? 0n : near) & ~(page - 1n);
}

function someRequest(random: Random, window: WindowTwin, memory: bigint): Request {
  const { page, start, size } = window;
  const offset = nearBorder(random, random.chance(6) ? size - G : 0n, page) % size;
  const length = somePages(random, page) * page;
  const iova = start + offset;
  const va = nearBorder(random, memory, page);
  // Half of the maps lie alike in IOVAs and in memory, so that they join into longer runs.
  return { va: random.chance(2) ? va : memory + offset, iova, length, permission: 1 + random.below(3) };
}

/** A part of a run; all of it, one time in three; and now and then more, which must be refused. */
function somePart(random: Random, run: Run, page: bigint): Request {
  if (random.chance(3)) return run;
  if (random.chance(12)) return { ...run, length: run.length + BigInt(1 + random.below(600)) * page };
  const pages = Number(run.length / page);
  const first = BigInt(random.below(pages)) * page;
  const length = BigInt(1 + random.below(pages)) * page;
  const left = run.length - first;
  return { va: run.va + first, iova: run.iova + first, length: length < left ? length : left };
}

/** Refuses a call now and then. On type1 an UNMAP may also answer 0 and have unmapped nothing (v1), or found nothing (v2). */
function moody(random: Random, oneIn: number, iommu: number): Answer {
  const size = { size: 0n, gone: iommu === IommuType.TYPE1v2 };
  const moods = iommu === IommuType.SPAPR_TCE_V2 ? [-22, -12, 1] : [-22, -12, size];
  return () => (random.chance(oneIn) ? random.pick(moods) : undefined);
}

function step(random: Random, bench: Bench<Twin>, memory: bigint): void {
  const index = random.below(bench.windows.length);
  const window = bench.twin(index);
  const runs = window.runs();
  const { iommu } = bench.kernel;
  const answer = random.chance(4) ? moody(random, 3, iommu) : moody(random, 1 << 20, iommu);
  if (runs.length > 0 && random.chance(2)) {
    const parts = Array.from({ length: 1 + random.below(3) }, () => somePart(random, random.pick(runs), window.page));
    bench.unmap(parts, { window: index, answer });
  } else {
    const requests = Array.from({ length: 1 + random.below(3) }, () => someRequest(random, window, memory));
    bench.map(requests, { window: index, answer, undoAnswer: moody(random, 4, iommu) });
  }
  if (random.chance(4)) bench.endIdle(moody(random, 5, iommu));
}

/** Containers that are not sPAPR's. */
const others: readonly [string, (windows: WindowTwin[]) => Twin][] = [
  ["type1 v2", (windows) => new Type1KernelTwin(2, windows)],
  ["type1 v1", (windows) => new Type1KernelTwin(1, windows)],
  ["no IOMMU", (windows) => new NoIommuTwin(windows)],
];

eachBuild("random programs", (test, core) => {
  for (const pageShift of [12, 16, 21, 24, 30]) {
    test(`in one window with pages of 2^${pageShift}, at 0, at 1<<59 and at the end of the address space`, () => {
      forSeeds(5, (random) => {
        for (const shape of windowShapes(pageShift)) {
          const bench = Bench.spapr(core, 12, shape);
          const memory = random.pick(memories);
          for (let i = 0; i < 25; i++) step(random, bench, memory & ~((1n << BigInt(pageShift)) - 1n));
          bench.close();
        }
      });
    });
  }

  test("in two windows of different pages over the same memory", () => {
    forSeeds(8, (random) => {
      const place = random.below(3);
      const low = windowShapes(12)[place] as WindowShape;
      const high = windowShapes(21)[(place + 1 + random.below(2)) % 3] as WindowShape;
      const bench = Bench.spapr(core, random.pick([12, 16]), low, high);
      const memory = random.pick(memories);
      for (let i = 0; i < 30; i++) step(random, bench, memory);
      bench.close();
    });
  });

  for (const [name, make] of others) {
    test(`${name}: in one window with pages of 4 KiB and of 2 MiB, wherever it lies`, () => {
      forSeeds(4, (random) => {
        for (const shape of [...windowShapes(12), ...windowShapes(21)]) {
          const bench = Bench.on(core, make, shape);
          const memory = random.pick(memories);
          for (let i = 0; i < 25; i++) step(random, bench, memory);
          bench.close();
        }
      });
    });

    test(`${name}: in two windows of different pages, in both of which the same memory may be mapped`, () => {
      forSeeds(8, (random) => {
        const place = random.below(3);
        const low = windowShapes(12)[place] as WindowShape;
        const high = windowShapes(21)[(place + 1 + random.below(2)) % 3] as WindowShape;
        const bench = Bench.on(core, make, low, high);
        const memory = random.pick(memories);
        for (let i = 0; i < 30; i++) step(random, bench, memory);
        bench.close();
      });
    });
  }

  test("leave as much memory in use as they found, the second time that they run", () => {
    const program = () => {
      forSeeds(1, (random) => {
        const bench = Bench.spapr(core, 12, ...windowShapes(12).slice(0, 2));
        for (let i = 0; i < 20; i++) step(random, bench, 1n << 40n);
        bench.close();
      });
      return core.bytesInUse();
    };
    assert.is(program(), program());
  });
});

eachBuild("translation", (test, core) => {
  test("gives every table back with the last page in it, also while the window stays open", () => {
    const bench = Bench.spapr(core, 12, { start: 1n << 59n, size: 1n << 46n, pageShift: 12 });
    // Each amid a slot of its own, in a GiB and in 512 GiB of its own, of memory as of IOVAs; the highest comes first,
    // because the root stays as large as it once was.
    const places = [127n, 90n, 64n, 1n, 0n].map((place) => ({
      va: (1n << 46n) + place * 512n * G + 3n * M2 - 4096n,
      iova: (1n << 59n) + place * 512n * G + 5n * G - 8192n,
      length: 4n * 4096n,
      permission: 3,
    }));
    const inUse = places.map((request) => {
      bench.map([request]);
      bench.unmap([request]);
      return core.bytesInUse();
    });
    assert.is(new Set(inUse).size, 1, show(inUse));
    bench.close();
  });

  test("reaches the very first and the very last page of memory and of the window", () => {
    const shape = { start: TWO_64 - 4n * G, size: 4n * G, pageShift: 12 };
    const bench = Bench.spapr(core, 12, shape);
    for (const [va, iova] of [
      [TWO_64 - 4096n, shape.start],
      [0n, TWO_64 - 8192n],
      [TWO_64 - M2 - 8192n, shape.start + M2 - 4096n],
      [(1n << 63n) - 4096n, shape.start + G],
    ] as const) {
      assert.is(bench.map([{ va, iova, length: 4096n, permission: 3 }]), Status.OK);
    }
    const window = bench.handle(0);
    assert.is(core.windowTranslate(window, TWO_64 - 1n), shape.start + 4095n);
    assert.is(core.windowReverse(window, TWO_64 - 4097n), 4095n);
    assert.is(core.windowReverse(window, TWO_64 - 4096n), NO_ADDRESS);
    bench.close();
  });

  test("of a map of more than a GiB that begins and ends amid slots, of which parts go, is exact at every border", () => {
    const bench = Bench.spapr(core, 12, { start: 1n << 59n, size: 4n * G, pageShift: 12 });
    const [window, twin] = [bench.handle(0), bench.twin(0)];
    const [va, iova, length] = [(1n << 47n) - 3n * 4096n, (1n << 59n) + M2 - 5n * 4096n, G + 9n * M2 + 7n * 4096n];
    // Straight to the core: a copy of a quarter of a million pages for each step would take the twin minutes.
    const request = { va, iova, length, permission: 3 };
    assert.is(bench.map([request]), Status.OK);
    for (const offset of [0n, 3n * 4096n, M2, G - 4096n, G, G + 3n * 4096n, length - 4096n]) {
      for (const by of [-1n, 0n, 1n, 4095n, 4096n]) {
        const at = offset + by;
        agree(core.windowTranslate(window, va + at), twin.translate(va + at), () => show({ va: va + at }));
        agree(core.windowReverse(window, iova + at), twin.reverse(iova + at), () => show({ iova: iova + at }));
      }
    }
    const part = { va: va + M2, iova: iova + M2, length: G };
    assert.is(bench.unmap([part]), Status.OK);
    bench.close();
  });

  test("of a column of addresses gives what one by one gives, and counts what is mapped", () => {
    const bench = Bench.spapr(core, 12, { start: 1n << 59n, size: G, pageShift: 12 });
    bench.map([
      { va: 1n << 40n, iova: (1n << 59n) + M2, length: 3n * M2, permission: 3 },
      { va: (1n << 47n) - 4096n, iova: 1n << 59n, length: 4096n, permission: 3 },
    ]);
    forSeeds(20, (random) => {
      const vas = Array.from({ length: random.below(100) }, () =>
        random.chance(3) ? random.anySize() : (1n << 40n) + BigInt(random.below(1 << 23)),
      );
      const [from, to] = [core.acquireBytes(1024), core.acquireBytes(1024)];
      core.u64(from, vas.length).set(vas);
      const found = core.windowTranslateMany(bench.handle(0), from, to, vas.length);
      const expected = vas.map((va) => bench.twin(0).translate(va));
      assert.is(found, expected.filter((each) => each !== NO_ADDRESS).length);
      for (const [i, iova] of core.u64(to, vas.length).entries()) agree(iova, expected[i], () => show(vas[i]));
      assert.is(core.u64(to, vas.length + 1)[vas.length], 0n, "nothing is written behind the last");
      core.releaseBytes(from, 1024);
      core.releaseBytes(to, 1024);
    });
    bench.close();
  });

  test("lists what is mapped from any IOVA on, as many runs as asked for", () => {
    const start = 1n << 59n;
    const bench = Bench.spapr(core, 12, { start, size: 64n * 4096n, pageShift: 12 });
    const at = (page: number, memory: number, pages: number) => ({
      va: BigInt(memory) << 12n,
      iova: start + (BigInt(page) << 12n),
      length: BigInt(pages) << 12n,
      permission: 3,
    });
    bench.map([at(0, 100, 2), at(2, 102, 2), at(4, 200, 2), at(62, 300, 2)]);
    const list = (from: number, limit: number) => {
      core.reserveRequests(limit);
      const rows = core.listMaps(bench.handle(0), start + (BigInt(from) << 12n), limit);
      const column = (pointer: number) => [...core.u64(pointer, rows)].map((each) => each >> 12n);
      const iovas = column(core.iovaColumn()).map((each) => each - (start >> 12n));
      return [iovas, column(core.vaColumn()), column(core.lengthColumn())].map((each) => each.join());
    };
    assert.equal(list(0, 10), ["0,4,62", "100,200,300", "4,2,2"]);
    assert.equal(list(0, 2), ["0,4", "100,200", "4,2"]);
    assert.equal(list(0, 0), ["", "", ""]);
    assert.equal(list(3, 10), ["3,4,62", "103,200,300", "1,2,2"]);
    assert.equal(list(6, 10), ["62", "300", "2"]);
    assert.equal(list(63, 1), ["63", "301", "1"]);
    assert.equal(list(64, 10), ["", "", ""]);
    bench.unmap(bench.twin(0).runs(), { owner: Owner.WINDOW });
    assert.equal(list(0, 10), ["", "", ""]);
    bench.close();
  });
});
