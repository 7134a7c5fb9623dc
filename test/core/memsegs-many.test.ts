/** As many lists and memsegs as a large machine has. */
import * as assert from "uvu/assert";
import { ListFlag, NO_ADDRESS, Status } from "../../src/core.ts";
import { MemsegBench } from "./memseg-bench.ts";
import { agree, eachBuild, Random, show } from "./support.ts";

const LISTS = 4096;
const MEMSEGS_EACH = 256;
const LIST_STEP = 1n << 30n;
const PAGE_SHIFT = 21;
const PAGE = 1n << 21n;

eachBuild("a million memsegs in 4096 lists", (test, core) => {
  test("come in any order, are walked, found and visited as their twins, and go without a trace", () => {
    const started = core.bytesInUse();
    const bench = new MemsegBench(core);
    const { table, twin } = bench;
    const random = new Random(1);
    // The twin would compare each with all others: it is given what the core accepted, which is what is tested here.
    for (let list = 0; list < LISTS; list++) {
      const flags = list % 5 === 4 ? ListFlag.EXTERNAL : 0;
      const base = BigInt((list * 1021) % LISTS) * LIST_STEP;
      agree(core.listAdd(table, base, LIST_STEP, PAGE_SHIFT, flags), list, () => "listAdd");
      twin.lists.push({ base, length: LIST_STEP, pageShift: PAGE_SHIFT, flags });
    }
    for (let i = 0; i < LISTS * MEMSEGS_EACH; i++) {
      const list = i % LISTS;
      const base = twin.lists[list]?.base as bigint;
      // Every other page, from above; so neighbours never join.
      const va = base + BigInt(2 * (MEMSEGS_EACH - Math.floor(i / LISTS)) - 2) * PAGE;
      const iova = i % 3 === 0 ? NO_ADDRESS : va + (1n << 50n);
      agree(core.memsegAdd(table, list, va, iova, PAGE), Status.OK, () => `memsegAdd ${show(va)}`);
      twin.memsegs.push({ list, va, iova, length: PAGE });
    }
    bench.checkWalks();

    for (let probe = 0; probe < 2000; probe++) {
      const { va, iova, list } = random.pick(twin.memsegs);
      const offset = BigInt(random.below(1 << PAGE_SHIFT));
      const number = core.memsegFind(table, va + offset);
      agree(core.memsegVa(table, number), va, () => "memsegFind");
      agree(core.memsegList(table, number), list, () => "memsegList");
      const expected = iova === NO_ADDRESS ? NO_ADDRESS : iova + offset;
      agree(core.memsegTranslate(table, va + offset), expected, () => "memsegTranslate");
      agree(core.memsegFind(table, va + PAGE + offset), -1, () => "between two memsegs");
    }

    let visited = 0;
    for (let at = 0n, number = core.memsegNext(table, at, NO_ADDRESS); number !== -1; visited++) {
      const va = core.memsegVa(table, number);
      agree(va, BigInt(visited) * 2n * PAGE, () => "the next memseg in order of addresses");
      at = va + PAGE;
      number = core.memsegNext(table, at, NO_ADDRESS);
    }
    assert.is(visited, LISTS * MEMSEGS_EACH);

    // Every third goes, and the numbers of those that went are used again.
    const third = twin.memsegs.filter((_, i) => i % 3 === 1);
    for (const { va } of third) agree(core.memsegRemove(table, va), Status.OK, () => "memsegRemove");
    for (const { va, list } of third) {
      agree(core.memsegAdd(table, list, va, NO_ADDRESS, PAGE), Status.OK, () => "memsegAdd again");
    }
    twin.memsegs = twin.memsegs.map((each, i) => (i % 3 === 1 ? { ...each, iova: NO_ADDRESS } : each));
    bench.checkWalks();
    bench.close();
    const second = new MemsegBench(core);
    second.close();
    assert.ok(core.bytesInUse() - started <= 8192n, "only the handle slots and the full chunk stay");
  });
});
