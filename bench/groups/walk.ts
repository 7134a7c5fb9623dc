/** Walks over all memsegs: what sizing a window asks, and what is mapped when a container comes. */
import { type Core, type CoreBuild, coreBuild, instantiateCore, readCore, Status } from "../../src/core.ts";
import { row } from "../harness/goals.ts";
import { type Bench, type Figure, fastest, figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import { Dpdk } from "../rivals/dpdk.ts";
import { inC } from "../rivals/native.ts";
import { Column } from "../tables/batch.ts";
import { fillTable, MEMSEG_BYTES, type Shape, shapeOf, type WithTable } from "../tables/memory.ts";

const LISTS = 8;

function highestOf(shape: Shape): bigint {
  return shape.vas.reduce((most, va) => (va > most ? va : most), 0n) + BigInt(MEMSEG_BYTES) - 1n;
}

/** Fails a contender whose walk found something else. */
function must(name: string, right: boolean): void {
  if (!right) throw new Error(`${name} found something else`);
}

/** A table of one memseg at another place: what a walk over it finds is wrong for every other one. */
function otherTable(core: Core): number {
  const table = core.tableOpen();
  const list = core.listAdd(table, 1n << 30n, 4096n, 12, 0);
  must("a table of one memseg", core.memsegAdd(table, list, 1n << 30n, 0n, 4096n) === Status.OK);
  return table;
}

/** The core's walk for the highest, and those for what a container is told when it comes. */
function inCore(name: string, { core, table }: WithTable, shape: Shape): { highest: Contender; sums: Contender[] } {
  const last = highestOf(shape);
  const bytes = BigInt(shape.memsegs) * BigInt(MEMSEG_BYTES);
  const other = otherTable(core);
  const walk = core.walkHighestMemseg;
  const highest = inJavaScript({
    name,
    once: "sum += walk(table);",
    scope: { walk, table },
    expected: 1,
    spoil: () => {
      walk(other);
    },
    verify: () => must(name, core.walkLast() === last),
  });
  const counted = (called: string, once: string, scope: Record<string, unknown>, expected: number): Contender =>
    inJavaScript({ name: `${name}, ${called}`, once, scope: { ...scope, table }, expected });
  const sums = [
    counted("known IOVAs", "sum += knownCount(table);", { knownCount: core.knownCount }, shape.memsegs),
    counted("all bytes", "sum += memsegBytes(table) === bytes ? 1 : 0;", { memsegBytes: core.memsegBytes, bytes }, 1),
  ];
  return { highest, sums };
}

/** `stated` is a column of what each memseg states, by its number: the core has none. */
function rivalsInC(
  { rivals }: Bench,
  at: WithTable,
  shape: Shape,
  stated: Column,
): { highest: Contender[]; sums: Contender[] } {
  const { lists, listsUsed, va, lengths, list, used } = at.tableAt;
  const bytes = BigInt(shape.memsegs) * BigInt(MEMSEG_BYTES);
  const memory = (): Uint8Array => at.core.bytes();
  const parameters = [lists, va, lengths, list, used, listsUsed];
  const both = [rivals.native, rivals.portable].filter((rival) => rival !== undefined);
  const expected = highestOf(shape);
  return {
    highest: both.flatMap((rival) => [
      inC(rival, { how: "by branches", kernel: "walk_max_by_branches", memory, parameters, expected }),
      inC(rival, { how: "by vectors", kernel: "walk_max_by_vectors", memory, parameters, expected }),
      inC(rival, { how: "by doubles", kernel: "walk_max_by_doubles", memory, parameters, expected }),
    ]),
    sums: both.flatMap((rival) => [
      inC(rival, {
        how: "known IOVAs",
        kernel: "walk_valid",
        memory,
        parameters: [stated.pointer, lengths, used],
        expected: bytes + BigInt(shape.memsegs),
      }),
      inC(rival, { how: "all bytes", kernel: "walk_all", memory, parameters: [lengths, used], expected: bytes }),
    ]),
  };
}

/** Columns of numbers, which addresses below 2^47 are. */
function withNumbers(shape: Shape): Contender {
  const vas = Float64Array.from(shape.vas, Number);
  const lengths = new Float64Array(shape.memsegs).fill(MEMSEG_BYTES);
  return inJavaScript({
    name: "JavaScript: columns of numbers",
    once: `let highest = 0;
      for (let i = 0; i < ${shape.memsegs}; i++) {
        const last = vas[i] + (lengths[i] - 1);
        if (last > highest) highest = last;
      }
      sum += highest === last ? 1 : 0;`,
    scope: { vas, lengths, last: Number(highestOf(shape)) },
    expected: 1,
  });
}

const SIZES = [1024, 65536, 1048576] as const;

/** A core with the memory and a column of its IOVAs, and a core of the scalar build. */
function filled(bench: Bench, memsegs: number): { shape: Shape; simd: WithTable; scalar: WithTable; stated: Column } {
  bench.say(`walk: filling ${memsegs} memsegs`);
  const shape = shapeOf(LISTS, memsegs);
  const of = (build: CoreBuild): WithTable => fillTable(instantiateCore(readCore(build)), shape);
  const simd = of(coreBuild);
  const stated = new Column(simd.core, memsegs);
  stated.values.set(shape.iovas);
  return { shape, simd, scalar: of("core.scalar"), stated };
}

async function highestAt(bench: Bench, memsegs: number): Promise<Figure[]> {
  const { shape, simd, scalar, stated } = filled(bench, memsegs);
  const dpdk = await Dpdk.start(bench, "memsegs", LISTS, memsegs);
  try {
    const contenders = [
      inCore("the core", simd, shape).highest,
      inCore("the scalar core", scalar, shape).highest,
      ...rivalsInC(bench, simd, shape, stated).highest,
      ...(dpdk ? [dpdk.contender("rte_memseg_walk", "walk_memsegs", memsegs)] : []),
      withNumbers(shape),
    ];
    return figures(await bench.compete(`walk, ${memsegs} memsegs`, contenders), memsegs, memsegs);
  } finally {
    dpdk?.close();
  }
}

async function sumsAt(bench: Bench, memsegs: number): Promise<Figure[]> {
  const { shape, simd, scalar, stated } = filled(bench, memsegs);
  const contenders = [
    ...inCore("the core", simd, shape).sums,
    ...inCore("the scalar core", scalar, shape).sums,
    ...rivalsInC(bench, simd, shape, stated).sums,
  ];
  return figures(await bench.compete(`walk-sums, ${memsegs} memsegs`, contenders), memsegs, memsegs);
}

export const walk: Group = {
  name: "walk",
  title: `The highest last address of all memsegs, in ${LISTS} lists`,
  unit: "ns per memseg",
  sizes: "memsegs",
  rows: ["walk-max-1m-vs-c", "walk-1m-vs-dpdk"],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const memsegs of SIZES) found.push(...(await highestAt(bench, memsegs)));
    const ours = fastest(found, "the core", 1048576);
    const rows = (
      [
        ["walk-max-1m-vs-c", "C "],
        ["walk-1m-vs-dpdk", "rte_memseg_walk"],
      ] as const
    ).flatMap(([name, begins]) => {
      const rival = fastest(found, begins, 1048576);
      return ours && rival ? [row(name, ours.minimum, rival.minimum, rival.contender)] : [];
    });
    return { figures: found, rows };
  },
};

export const walkSums: Group = {
  name: "walk-sums",
  title: "How many IOVAs are known, and all bytes: kept up to date by the core, walked over by C",
  unit: "ns per memseg",
  sizes: "memsegs",
  rows: [],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const memsegs of SIZES) found.push(...(await sumsAt(bench, memsegs)));
    return { figures: found, rows: [] };
  },
};
