/** One call at a time, as a program makes it between two packets: the library's public calls beside plain JavaScript. */
import { core } from "../../src/core.ts";
import { MemsegTable, modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { short } from "../harness/format.ts";
import { garbageOf } from "../harness/garbage.ts";
import { plainRow, type Row, type RowName, row } from "../harness/goals.ts";
import { type Bench, fastest, figures, type Group, type Outcome } from "../harness/group.ts";
import { inJavaScript, type Work } from "../harness/loop.ts";
import type { Random } from "../harness/random.ts";

const CALLS = 4096;
const SEGMENTS = 1024;
const PAGE = 2n << 20n;

/** What a program writes that has a window in two numbers, and checks nothing. */
class NumberWindow {
  readonly start: number;
  readonly end: number;
  readonly page: number;

  constructor(start: number, size: number, page: number) {
    this.start = start;
    this.end = start + size;
    this.page = page;
  }

  contains(iova: number, length: number): boolean {
    return length > 0 && iova >= this.start && iova + length <= this.end;
  }

  tceIndex(iova: number): number {
    return iova >= this.start && iova < this.end ? Math.floor((iova - this.start) / this.page) : -1;
  }
}

/** A window on the model with memory in it, a table that states IOVAs, and IOVAs of which seven in eight lie inside. */
function ground(random: Random) {
  const kernel = modelKernel({ hugepages: { 21: SEGMENTS } });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: BigInt(SEGMENTS) * PAGE });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  for (let i = 0; i < SEGMENTS; i++) memory.allocate(list, 1);

  const table = new MemsegTable();
  const own = table.addList({ pageSize: PAGE, maxBytes: BigInt(SEGMENTS) * PAGE, base: list.base });
  for (let i = 0; i < SEGMENTS; i++) {
    const va = list.base + BigInt(i) * PAGE;
    table.add(own, { va, length: PAGE, iova: window.iovaOf(va) });
  }

  const [start, size] = [Number(window.start), Number(window.size)];
  const iovas = Array.from({ length: CALLS }, () => start + random.below(size / 4096) * 4096);
  const lengths = Array.from({ length: CALLS }, () => (1 + random.below(16)) * 4096);
  for (let i = 0; i < CALLS; i += 8) iovas[i] = start + size + i * 4096;
  const vas = Array.from({ length: CALLS }, () => Number(list.base) + random.below(SEGMENTS) * Number(PAGE) + 4096);
  const close = (): void => {
    container.close();
    memory.close();
    table.close();
  };
  return { window, table, list, iovas, lengths, vas, close };
}

/** A loop that makes every call once; `call` is made of the words of the scope and of i. */
function calls(name: string, call: string, scope: Work["scope"], expected: number): Work {
  return { name, once: `for (let i = 0; i < ${CALLS}; i++) sum += ${call};`, scope, expected };
}

function works(random: Random): { works: Work[]; close: () => void } {
  const { window, table, list, iovas, lengths, vas, close } = ground(random);
  const plain = new NumberWindow(Number(window.start), Number(window.size), 2 ** window.pageShift);
  const contained = iovas.filter((iova, i) => plain.contains(iova, lengths[i] as number)).length;
  const indexSum = iovas.reduce((sum, iova) => sum + plain.tceIndex(iova), 0);
  const found = vas.map((va) => window.iovaOf(BigInt(va)));
  const iovaSum = found.reduce((sum, iova) => sum + Number(iova), 0);
  const pages = new Map(vas.map((va, i) => [Math.floor(va / Number(PAGE)), Number(found[i]) - (va % Number(PAGE))]));
  const big = { iovas: iovas.map(BigInt), lengths: lengths.map(BigInt), vas: vas.map(BigInt) };
  const offset = window.iovaOffset(list);
  const scope = { window, table, plain, pages, iovas, lengths, vas, found, by: Number(BigInt.asIntN(64, offset)) };
  const bigScope = { window, found, offset, ...big, contains: core.windowContains, handle: window.target.window };
  return {
    works: [
      calls("window.contains, numbers", "window.contains(iovas[i], lengths[i]) ? 1 : 0", scope, contained),
      calls("window.contains, bigints", "window.contains(iovas[i], lengths[i]) ? 1 : 0", bigScope, contained),
      calls("the core's windowContains, bigints", "contains(handle, iovas[i], lengths[i])", bigScope, contained),
      calls("JavaScript: contains, numbers", "plain.contains(iovas[i], lengths[i]) ? 1 : 0", scope, contained),
      calls("window.tceIndex, numbers", "window.tceIndex(iovas[i])", scope, indexSum),
      calls("JavaScript: tceIndex, numbers", "plain.tceIndex(iovas[i])", scope, indexSum),
      calls("window.translate, numbers", "window.translate(vas[i])", scope, iovaSum),
      calls("table.translate, numbers", "table.translate(vas[i])", scope, iovaSum),
      calls("va + window.iovaOffset, numbers", "vas[i] + by", scope, iovaSum),
      calls("window.translate, bigints", "window.translate(vas[i]) === found[i] ? 1 : 0", bigScope, CALLS),
      calls(
        "va + window.iovaOffset, bigints",
        "BigInt.asUintN(64, vas[i] + offset) === found[i] ? 1 : 0",
        bigScope,
        CALLS,
      ),
      calls(
        "JavaScript: a Map of numbers by page",
        `pages.get(Math.floor(vas[i] / ${PAGE})) + vas[i] % ${PAGE}`,
        scope,
        iovaSum,
      ),
    ],
    close,
  };
}

async function run(bench: Bench): Promise<Outcome> {
  const { works: all, close } = works(bench.random);
  try {
    const found = figures(await bench.compete("single calls", all.map(inJavaScript)), CALLS);
    bench.say("single: measuring garbage");
    const garbage = new Map(all.map((work) => [work.name, garbageOf(work, CALLS)]));
    const against = (name: RowName, ours: string, theirs: string): Row[] => {
      const [our, rival] = [fastest(found, ours), fastest(found, theirs)];
      return our && rival ? [row(name, our.minimum, rival.minimum, rival.contender)] : [];
    };
    return {
      figures: found,
      rows: [
        ...against("check-single-vs-js-number", "window.contains, numbers", "JavaScript: contains, numbers"),
        ...against("offset-single-vs-translate", "va + window.iovaOffset, numbers", "window.translate, numbers"),
        plainRow("check-single-bytes", garbage.get("window.contains, numbers") ?? Number.NaN),
      ],
      notes: [...garbage].map(([name, bytes]) => `${name}: ${short(bytes)} bytes of garbage per call`),
    };
  } finally {
    close();
  }
}

export const single: Group = {
  name: "single",
  title: "One call at a time, from JavaScript",
  unit: "ns per call",
  rows: ["check-single-vs-js-number", "offset-single-vs-translate", "check-single-bytes"],
  run,
};
