/** The walks over the columns of memsegs: more than a million memsegs at each, at the edges of u64, in every place. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Core, Status } from "../../src/core.ts";
import type { ListTwin, MemsegTwin } from "../reference/memsegs.ts";
import { type Numbers, temptingWalks, type Walked, walk } from "../reference/walks.ts";
import { listKinds, playWalks, type WalkTable } from "../support/walk-cases.ts";
import { agree, eachBuild, freshCore, nullPageIsZero, show } from "./support.ts";

/** A table whose numbers are given out as the core gives them out: the one that was freed last first. */
class NumberedTable implements WalkTable {
  readonly #numbers: (MemsegTwin | null)[] = [];
  readonly #free: number[] = [];
  readonly #numberOf = new Map<bigint, number>();
  readonly #asked: (numbers: Numbers) => void;

  constructor(asked: (numbers: Numbers) => void) {
    this.#asked = asked;
  }

  add(memseg: MemsegTwin): void {
    const number = this.#free.pop() ?? this.#numbers.length;
    this.#numbers[number] = memseg;
    this.#numberOf.set(memseg.va, number);
  }

  remove(va: bigint): void {
    const number = this.#numberOf.get(va) as number;
    this.#numbers[number] = null;
    this.#free.push(number);
  }

  ask(looked: number): void {
    agree(this.#numbers.length, looked, () => "numbers in use");
    this.#asked(this.#numbers);
  }
}

/** What the twin says of each table of one kind, one answer after the other. */
function answers(lists: readonly ListTwin[]): Walked[] {
  const all: Walked[] = [];
  playWalks(new NumberedTable((numbers) => all.push(walk(lists, numbers))));
  return all;
}

let twins: Walked[][] | undefined;

/** The same, worked out once for all builds. */
function expected(kind: number): Walked[] {
  twins ??= listKinds.map(answers);
  return twins[kind] as Walked[];
}

/** Fails unless the three walks of the core say the same. */
function sameWalks(core: Core, table: number, { highest, valid, all }: Walked, where: () => string): void {
  agree(core.walkHighestMemseg(table), highest === undefined ? 0 : 1, () => `walkHighestMemseg, ${where()}`);
  if (highest !== undefined) {
    agree(core.walkLast(), highest.last, () => `the highest last address, ${where()}`);
    agree(core.walkPageShift(), highest.pageShift, () => `the page size of the highest, ${where()}`);
  }
  agree(BigInt(core.knownCount(table)), valid.count, () => `memsegs with an IOVA, ${where()}`);
  agree(core.knownBytes(table), valid.bytes, () => `bytes with an IOVA, ${where()}`);
  agree(BigInt(core.memsegCount(table)), all.count, () => `memsegs, ${where()}`);
  agree(core.memsegBytes(table), all.bytes, () => `bytes, ${where()}`);
}

eachBuild("the walks over memsegs", (test, _core, build) => {
  test("say what their twins say of every table: a million memsegs", () => {
    let cases = 0;
    for (const [kind, lists] of listKinds.entries()) {
      // A core of its own: a table that has once reached to 2^64 stays large, and is only cheap while it is new.
      const core = freshCore(build);
      const table = core.tableOpen();
      for (const { base, length, pageShift, flags } of lists)
        assert.ok(core.listAdd(table, base, length, pageShift, flags) >= 0);
      const right = expected(kind);
      let asked = 0;
      playWalks({
        add: ({ list, va, iova, length }) =>
          agree(core.memsegAdd(table, list, va, iova, length), Status.OK, () => `memsegAdd ${show(va)}`),
        remove: (va) => agree(core.memsegRemove(table, va), Status.OK, () => `memsegRemove ${show(va)}`),
        ask: (looked) => {
          sameWalks(core, table, right[asked] as Walked, () => `table ${asked} of kind ${kind}`);
          asked++;
          cases += looked;
        },
      });
      assert.is(asked, right.length);
      assert.ok(nullPageIsZero(core));
    }
    assert.ok(cases >= 1_000_000, `${cases} memsegs`);
  });
});

const test = suite("the cases of the walks");

for (const [name, tempting] of Object.entries(temptingWalks)) {
  test(`catch a walk that ${name}`, () => {
    const compare = (lists: readonly ListTwin[], kind: number): void => {
      let asked = 0;
      const ask = (numbers: Numbers): void => {
        // Not an assertion, which uvu would pass on instead of catching it.
        if (show(tempting(lists, numbers)) !== show(expected(kind)[asked++])) throw new Error("told apart");
      };
      playWalks(new NumberedTable(ask));
    };
    assert.throws(() => listKinds.forEach(compare), /told apart/);
  });
}

test.run();
