/** The batch translations, on more than a million addresses around every border of the radix table. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Core, NO_ADDRESS } from "../../src/core.ts";
import { type Translate, temptingTranslations, translateOf } from "../reference/translate.ts";
import { Batches, type ColumnKernel, WORDS } from "../support/batches.ts";
import { inWindow, stated, type Tables, translateCases } from "../support/translate-cases.ts";
import { crossMemsegs, crossWindow } from "../support/translate-core.ts";
import { eachBuild, freshCore, nullPageIsZero } from "./support.ts";

const mapped = translateCases(inWindow);
const memsegs = translateCases(stated);

eachBuild("the batch translation", (test, _core, build) => {
  /** On a core for each page size: a root that reached to 2^64 once stays so large, and is only cheap while it is new. */
  const count = (cases: readonly Tables[], cross: (batches: Batches, core: Core, tables: Tables) => void): number => {
    const batches = new Batches();
    for (const tables of cases) {
      const core = freshCore(build);
      cross(batches, core, tables);
      assert.ok(nullPageIsZero(core));
    }
    return batches.cases;
  };

  test("of a window finds what is mapped and nothing else: a million addresses around the table's borders", () => {
    const cases = count(mapped(), crossWindow);
    assert.ok(cases >= 1_000_000, `${cases} cases`);
  });

  test("of memsegs gives what they state and nothing else: a million addresses around the table's borders", () => {
    const cases = count(memsegs(), crossMemsegs);
    assert.ok(cases >= 1_000_000, `${cases} cases`);
  });
});

const test = suite("the cases of the batch translations");

/** Runs the cases of one set through a translation that looks up one address after the other. */
function crossTwin(cases: typeof mapped, translate: Translate, forgets = 0): void {
  const memory = new BigUint64Array(WORDS);
  const batches = new Batches();
  for (const { tables } of cases()) {
    for (const rows of tables) {
      const kernel: ColumnKernel = ([vas = 0], iovas, count) => {
        let found = 0;
        for (let row = 0; row < count - (count % (forgets + 1)); row++) {
          const iova = translate(rows.runs, memory[vas + row] as bigint);
          memory[iovas + row] = iova;
          if (iova !== NO_ADDRESS) found++;
        }
        return found;
      };
      batches.cross(memory, kernel, rows, () => "a table");
    }
  }
}

for (const [name, tempting] of Object.entries(temptingTranslations)) {
  test(`catch a translation that ${name}`, () => {
    assert.throws(() => crossTwin(memsegs, tempting), /row \d+ \(0x/);
  });
}

test("catch a translation that forgets the rows behind the last group of two, of four and of eight", () => {
  for (const forgets of [1, 3, 7]) assert.throws(() => crossTwin(mapped, translateOf, forgets), /row \d+ \(0x/);
});

test.run();
