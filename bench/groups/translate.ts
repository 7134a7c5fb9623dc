/** VA to IOVA, batches of random addresses, beside C on the same tables and JavaScript with tables of its own. */
import { type Core, type CoreBuild, coreBuild, instantiateCore, readCore } from "../../src/core.ts";
import { row } from "../harness/goals.ts";
import { type Bench, type Figure, fastest, figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import { inC } from "../rivals/native.ts";
import { Column, mustEqual, spoil } from "../tables/batch.ts";
import {
  type Addresses,
  addressesIn,
  fillTable,
  fillWindow,
  MEMSEG_SHIFT,
  type Shape,
  shapeOf,
  type WithTable,
  type WithWindow,
} from "../tables/memory.ts";

export const ADDRESSES = 65536;
const LISTS = 8;

/** A core with that memory in it, and the columns of a batch. */
export interface Ready extends WithTable, WithWindow {
  /** What each memseg states, by its number, for rivals that look there. */
  readonly statedColumn: Column;
  readonly vas: Column;
  readonly iovas: Column;
  readonly addresses: Addresses;
}

export function ready(build: CoreBuild, shape: Shape, addresses: Addresses): Ready {
  const core: Core = instantiateCore(readCore(build));
  const filled = { ...fillTable(core, shape), ...fillWindow(core, shape) };
  const columns = {
    statedColumn: new Column(core, shape.memsegs),
    vas: new Column(core, ADDRESSES),
    iovas: new Column(core, ADDRESSES),
  };
  columns.statedColumn.values.set(shape.iovas);
  columns.vas.values.set(addresses.vas);
  return { ...filled, ...columns, addresses };
}

/** What every contender that writes into the core's column shares. */
function answers(name: string, { iovas, addresses }: Ready): { spoil: () => void; verify: () => void } {
  return {
    spoil: () => spoil(iovas.values),
    verify: () => mustEqual(name, iovas.values, addresses.iovas),
  };
}

export function throughWindow(name: string, at: Ready): Contender {
  return inJavaScript({
    name,
    once: `sum += translateMany(window, vas, iovas, ${ADDRESSES});`,
    scope: {
      translateMany: at.core.windowTranslateMany,
      window: at.window,
      vas: at.vas.pointer,
      iovas: at.iovas.pointer,
    },
    expected: ADDRESSES,
    ...answers(name, at),
  });
}

export function throughTable(name: string, at: Ready): Contender {
  return inJavaScript({
    name,
    once: `sum += translateMany(table, vas, iovas, ${ADDRESSES});`,
    scope: {
      translateMany: at.core.memsegTranslateMany,
      table: at.table,
      vas: at.vas.pointer,
      iovas: at.iovas.pointer,
    },
    expected: ADDRESSES,
    ...answers(name, at),
  });
}

function rivalsInC({ rivals }: Bench, at: Ready): Contender[] {
  const { core, windowAt, tableAt, statedColumn, vas, iovas } = at;
  const common = { memory: () => core.bytes(), expected: BigInt(ADDRESSES), ...answers("C", at) };
  return [rivals.native, rivals.portable].flatMap((rival) =>
    rival === undefined
      ? []
      : [
          inC(rival, {
            ...common,
            how: "window",
            kernel: "translate",
            parameters: [windowAt.toIova, vas.pointer, iovas.pointer, ADDRESSES],
          }),
          inC(rival, {
            ...common,
            how: "memsegs",
            kernel: "translate",
            parameters: [tableAt.stated, vas.pointer, iovas.pointer, ADDRESSES],
          }),
          inC(rival, {
            ...common,
            how: "memsegs by number",
            kernel: "memseg_translate",
            parameters: [tableAt.numbers, tableAt.va, statedColumn.pointer, vas.pointer, iovas.pointer, ADDRESSES],
          }),
        ],
  );
}

/** A Map from the number of a 2 MiB page to where it is: numbers, exact because both are below 2^53. */
function inJavaScriptMap(shape: Shape, { addresses }: Ready): Contender {
  const pages = new Map<number, number>();
  for (let i = 0; i < shape.memsegs; i++) {
    pages.set(
      Number((shape.vas[i] as bigint) >> BigInt(MEMSEG_SHIFT)),
      Number((shape.iovas[i] as bigint) >> BigInt(MEMSEG_SHIFT)),
    );
  }
  const from = Float64Array.from(addresses.vas, Number);
  const output = new Float64Array(ADDRESSES * 2);
  const expected = new Float64Array(ADDRESSES * 2);
  addresses.iovas.forEach((iova, i) => {
    expected[2 * i] = Number(iova >> BigInt(MEMSEG_SHIFT));
    expected[2 * i + 1] = Number(iova & ((1n << BigInt(MEMSEG_SHIFT)) - 1n));
  });
  const name = "JavaScript: a Map of numbers";
  return inJavaScript({
    name,
    // An IOVA above 2^53 is not a number, so what comes out is its page and the offset in it.
    once: `for (let i = 0; i < ${ADDRESSES}; i++) {
      const va = from[i];
      const page = Math.floor(va / ${2 ** MEMSEG_SHIFT});
      const found = pages.get(page);
      if (found === undefined) { output[2 * i] = -1; continue; }
      output[2 * i] = found;
      output[2 * i + 1] = va - page * ${2 ** MEMSEG_SHIFT};
      sum++;
    }`,
    scope: { from, pages, output },
    expected: ADDRESSES,
    spoil: () => output.fill(Number.NaN),
    verify: () => mustEqual(name, output, expected),
  });
}

/** The same Map, with bigints from end to end. */
function inJavaScriptBigInt(shape: Shape, { addresses }: Ready): Contender {
  const pages = new Map<bigint, bigint>();
  for (let i = 0; i < shape.memsegs; i++) pages.set(shape.vas[i] as bigint, shape.iovas[i] as bigint);
  const output = new BigUint64Array(ADDRESSES);
  const name = "JavaScript: a Map of bigints";
  return inJavaScript({
    name,
    once: `for (let i = 0; i < ${ADDRESSES}; i++) {
      const va = from[i];
      const offset = va & mask;
      const found = pages.get(va - offset);
      if (found === undefined) { output[i] = none; continue; }
      output[i] = found + offset;
      sum++;
    }`,
    scope: { from: addresses.vas, pages, output, mask: (1n << BigInt(MEMSEG_SHIFT)) - 1n, none: 2n ** 64n - 1n },
    expected: ADDRESSES,
    spoil: () => spoil(output),
    verify: () => mustEqual(name, output, addresses.iovas),
  });
}

async function atSize(bench: Bench, memsegs: number): Promise<Figure[]> {
  bench.say(`translate: filling ${memsegs} memsegs`);
  const shape = shapeOf(LISTS, memsegs);
  const addresses = addressesIn(shape, ADDRESSES, bench.random);
  const simd = ready(coreBuild, shape, addresses);
  const scalar = ready("core.scalar", shape, addresses);
  const contenders = [
    throughWindow("the core, window", simd),
    throughTable("the core, memsegs", simd),
    throughWindow("the scalar core, window", scalar),
    throughTable("the scalar core, memsegs", scalar),
    ...rivalsInC(bench, simd),
    inJavaScriptMap(shape, simd),
    inJavaScriptBigInt(shape, simd),
  ];
  return figures(await bench.compete(`translate, ${memsegs} memsegs`, contenders), ADDRESSES, memsegs);
}

export const translate: Group = {
  name: "translate",
  title: `VA to IOVA: ${ADDRESSES} random addresses at a time, memsegs of 2 MiB in ${LISTS} lists`,
  unit: "ns per address",
  sizes: "memsegs",
  rows: ["translate-batch-64k-vs-c", "translate-batch-1m-vs-c", "translate-table-1m-vs-c"],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const memsegs of [1024, 65536, 1048576]) found.push(...(await atSize(bench, memsegs)));
    const rows = (
      [
        ["translate-batch-64k-vs-c", ", window", 65536],
        ["translate-batch-1m-vs-c", ", window", 1048576],
        ["translate-table-1m-vs-c", ", memsegs", 1048576],
      ] as const
    ).flatMap(([name, how, size]) => {
      const through = found.filter(({ contender }) => contender.includes(how));
      const ours = fastest(through, "the core", size);
      const rival = fastest(through, "C ", size);
      return ours && rival ? [row(name, ours.minimum, rival.minimum, rival.contender.replace(", window", ""))] : [];
    });
    return { figures: found, rows };
  },
};
