/** What the library's own checks cost: the keys of a request; and a table that is asked again and again as it grows. */

import type { MapRequest, UnmapRequest } from "../../src/container/window.ts";
import { MemsegTable, modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { keysOf, known } from "../../src/known.ts";
import { row } from "../harness/goals.ts";
import { type Bench, type Figure, fastest, figures, type Group, type Outcome } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";

const RANGES = 16;
const RANGE = 65536n;
/** Lists or segments that are touched in one round. */
const SOME = 64;
const SIZES = [100, 10_000, 100_000];

const MAP_KEYS = keysOf<MapRequest>({ va: true, length: true, iova: true, read: true, write: true });
const UNMAP_KEYS = keysOf<UnmapRequest>({ iova: true, length: true, va: true });

/** Single maps as a program makes them, and beside them nothing but the look at their keys. */
async function keys(bench: Bench): Promise<Figure[]> {
  const kernel = modelKernel();
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory: { lists: [] }, info: container.info(), growTo: 1 << 26 }));
  const va = kernel.mmap(0n, BigInt(RANGES) * RANGE, 3, 4, 0);
  const maps = Array.from({ length: RANGES }, (_, i) => ({ va: va + BigInt(i) * RANGE, length: RANGE }));
  const unmaps = maps.map((_, i) => ({ iova: window.start + BigInt(i) * RANGE, length: RANGE }));
  try {
    const contenders = [
      inJavaScript({
        name: "mapMany and unmapMany of 16, per range",
        once: `sum += window.mapMany(maps).length; window.unmapMany(unmaps);`,
        scope: { window, maps, unmaps },
        expected: RANGES,
      }),
      inJavaScript({
        name: "of that, the keys of both requests",
        once: `for (let i = 0; i < ${RANGES}; i++) {
          known("map", maps[i], MAP_KEYS); known("unmap", unmaps[i], UNMAP_KEYS); sum++;
        }`,
        scope: { known, maps, unmaps, MAP_KEYS, UNMAP_KEYS },
        expected: RANGES,
      }),
    ];
    return figures(await bench.compete("keys of requests", contenders), RANGES);
  } finally {
    container.close();
  }
}

/** A table with so many lists in it, of one page each. */
function grown(count: number): { memory: MemsegTable; bases: bigint[] } {
  const memory = new MemsegTable();
  for (let i = 0; i < count; i++) {
    const base = BigInt(2 * i + 2) << 12n;
    memory.add(memory.addList({ pageSize: 4096, maxBytes: 4096, base }), { va: base, length: 4096 });
  }
  // Between those that are there, from one end to the other.
  const bases = Array.from({ length: SOME }, (_, i) => BigInt(2 * Math.floor((i * count) / SOME) + 3) << 12n);
  return { memory, bases };
}

async function growth(bench: Bench): Promise<Figure[]> {
  const found: Figure[] = [];
  for (const count of SIZES) {
    const { memory, bases } = grown(count);
    const lists = bases.map((_, i) => memory.lists[Math.floor((i * count) / SOME)]);
    const contenders = [
      inJavaScript({
        name: "addList and removeList",
        once: `for (const base of bases) {
          memory.removeList(memory.addList({ pageSize: 4096, maxBytes: 4096, base })); sum++;
        }`,
        scope: { memory, bases: [...new Set(bases)] },
        expected: new Set(bases).size,
      }),
      inJavaScript({
        name: "remove and add a memseg",
        once: "for (const list of lists) { memory.remove(list.base); memory.add(list, { va: list.base, length: 4096 }); sum++; }",
        scope: { memory, lists },
        expected: SOME,
      }),
    ];
    const timings = await bench.compete(`growth, ${count}`, contenders);
    found.push(...timings.flatMap((timing) => figures([timing], SOME, count)));
    memory.close();
  }
  return found;
}

async function run(bench: Bench): Promise<Outcome> {
  const checked = await keys(bench);
  const grownTo = await growth(bench);
  const [whole, part] = [fastest(checked, "mapMany"), fastest(checked, "of that")];
  const ratio = (name: "list-add-100k-vs-100" | "remove-100k-vs-100", begins: string) => {
    const [many, few] = [fastest(grownTo, begins, 100_000), fastest(grownTo, begins, 100)];
    return many && few ? [row(name, many.minimum, few.minimum, "the same with 100")] : [];
  };
  return {
    figures: [...checked, ...grownTo],
    rows: [
      ...(whole && part
        ? [row("map-keys-vs-unchecked", whole.minimum, whole.minimum - part.minimum, "the same, less the look at keys")]
        : []),
      ...ratio("list-add-100k-vs-100", "addList"),
      ...ratio("remove-100k-vs-100", "remove"),
    ],
  };
}

export const ofArguments: Group = {
  name: "arguments",
  title: "Misspelt keys, and tables that grow",
  unit: "ns per call",
  sizes: "lists",
  rows: ["map-keys-vs-unchecked", "list-add-100k-vs-100", "remove-100k-vs-100"],
  run,
};
