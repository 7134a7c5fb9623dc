/** The library's batches on the software kernel, through its public calls: what a program pays, copies and checks included. */
import { strict as assert } from "node:assert";
import { MemsegTable, modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { row } from "../harness/goals.ts";
import { type Bench, fastest, figures, type Group, type Outcome } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Random } from "../harness/random.ts";
import type { Contender } from "../harness/rounds.ts";
import { mustEqual, spoil } from "../tables/batch.ts";

const SEGMENTS = 4096;
const PAGE = 2n << 20n;
const RANGES = 16;
const RANGE = 65536n;

/** A window on the model with memory mapped in it, and a small one with room for the ranges. */
function ground() {
  const kernel = modelKernel({ hugepages: { 21: SEGMENTS + 2 } });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: BigInt(SEGMENTS + 2) * PAGE });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  for (let i = 0; i < SEGMENTS; i++) memory.allocate(list, 1);
  const small = container.createWindow(
    planWindow({ memory: { lists: [] }, info: container.info(), growTo: 1n << 26n }),
  );
  return { kernel, memory, list, container, window, small };
}

type Ground = ReturnType<typeof ground>;

function questions({ window, list }: Ground, random: Random): Contender[] {
  const pick = (): bigint => BigInt(random.below(SEGMENTS)) * PAGE + BigInt(random.below(Number(PAGE) / 2));
  const vas = BigUint64Array.from({ length: SEGMENTS }, () => list.base + pick());
  const translated = vas.map((va) => window.iovaOf(va));
  const iovas = new BigUint64Array(SEGMENTS);
  const lengths = new BigUint64Array(SEGMENTS).fill(4096n);
  const indexes = new BigUint64Array(SEGMENTS);
  const expected = translated.map((iova) => window.tceIndex(iova) as bigint);
  // The core's own rows: nothing is copied. The memory grows no more, so their arrays stay.
  const rows = window.requests(SEGMENTS);
  rows.vas.set(vas);
  rows.iovas.set(translated);
  rows.lengths.set(lengths);
  const into = (name: string, output: () => BigUint64Array, wanted: BigUint64Array) => ({
    expected: SEGMENTS,
    spoil: () => spoil(output()),
    verify: () => mustEqual(name, output(), wanted),
  });
  return [
    inJavaScript({
      name: "window.translateInto, per address",
      once: "sum += window.translateInto(vas, iovas);",
      scope: { window, vas, iovas },
      ...into("translateInto", () => iovas, translated),
    }),
    inJavaScript({
      name: "window.translateInto, rows of window.requests, per address",
      once: "sum += window.translateInto(rows.vas, rows.indexes);",
      scope: { window, rows },
      ...into("translateInto on rows", () => rows.indexes, translated),
    }),
    inJavaScript({
      name: "va + window.iovaOffset in a loop over BigUint64Arrays, per address",
      once: `for (let i = 0; i < ${SEGMENTS}; i++) iovas[i] = vas[i] + offset;
        sum += ${SEGMENTS};`,
      scope: { vas, iovas, offset: window.iovaOffset(list) },
      ...into("iovaOffset", () => iovas, translated),
    }),
    inJavaScript({
      name: "window.checkInto, per request",
      once: "sum += window.checkInto(translated, lengths, indexes);",
      scope: { window, translated, lengths, indexes },
      ...into("checkInto", () => indexes, expected),
    }),
    inJavaScript({
      name: "window.checkInto, rows of window.requests, per request",
      once: "sum += window.checkInto(rows.iovas, rows.lengths, rows.indexes);",
      scope: { window, rows },
      ...into("checkInto on rows", () => rows.indexes, expected),
    }),
  ];
}

function maps({ kernel, memory, list, small }: Ground): Contender[] {
  const outside = kernel.mmap(0n, BigInt(RANGES) * RANGE, 3, 4, 0);
  const requests = Array.from({ length: RANGES }, (_, i) => ({ va: outside + BigInt(i) * RANGE, length: RANGE }));
  const rows = small.requests(RANGES);
  rows.vas.set(requests.map(({ va }) => va));
  rows.lengths.fill(RANGE);
  const verify = (): void => assert.equal(small.liveBytes, 0n);
  return [
    inJavaScript({
      name: "allocate and free a hugepage, mapped and unmapped",
      once: "memory.free(memory.allocate(list, 1)); sum++;",
      scope: { memory, list },
      expected: 1,
    }),
    inJavaScript({
      name: "map and unmap 64 KiB: mapMany and unmapMany of 16, per range",
      once: `const placed = small.mapMany(requests);
        small.unmapMany(placed.map((iova) => ({ iova, length: ${RANGE}n })));
        sum += placed.length;`,
      scope: { small, requests },
      expected: RANGES,
      verify,
    }),
    inJavaScript({
      name: "map and unmap 64 KiB: mapInto and unmapFrom of 16, per range",
      once: `rows.iovas.fill(none);
        small.mapInto(rows.vas, rows.lengths, rows.iovas, rows.permissions);
        small.unmapFrom(rows.iovas, rows.lengths, rows.vas);
        sum += ${RANGES};`,
      scope: { small, rows, none: 2n ** 64n - 1n },
      expected: RANGES,
      verify,
    }),
  ];
}

async function run(bench: Bench): Promise<Outcome> {
  const all = ground();
  try {
    const contenders = [...questions(all, bench.random), ...maps(all)];
    const operations = [SEGMENTS, SEGMENTS, SEGMENTS, SEGMENTS, SEGMENTS, 1, RANGES, RANGES];
    const timings = await bench.compete("library", contenders);
    const found = timings.flatMap((timing, i) => figures([timing], operations[i] as number));
    const ours = fastest(found, "va + window.iovaOffset");
    const rival = fastest(found, "window.translateInto, rows");
    const rows = ours && rival ? [row("offset-batch-vs-translate", ours.minimum, rival.minimum, rival.contender)] : [];
    return { figures: found, rows };
  } finally {
    all.container.close();
    all.memory.close();
  }
}

export const library: Group = {
  name: "library",
  title: "The library's batches on the software kernel",
  unit: "ns",
  rows: ["offset-batch-vs-translate"],
  run,
};
