/**
 * Whether any bit of a range is set, and whether all are: for ranges that begin and end around words, blocks of 128 bytes
 * and chunks, in maps whose set bits, and whose clear ones, do so too.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Core, Owner, Status } from "../../src/core.ts";
import { all, any, clearIn, type Question, type Spans, temptingQuestions } from "../reference/spans.ts";
import { LARGE, questionSpans } from "../support/bitmap-cases.ts";
import { pagesOf, TceMap, VA } from "../support/tce-map.ts";
import { eachBuild, show } from "./support.ts";

const OTHER_VA = VA << 10n;
const ANY = 1;
const ALL = 2;

const spans = questionSpans().map(pagesOf);

/** What the twin says of each span, as bits. */
function answersOf(set: Spans): Uint8Array {
  return Uint8Array.from(spans, (asked) => (any(set, asked) ? ANY : 0) | (all(set, asked) ? ALL : 0));
}

let twins: { set: Uint8Array; clear: Uint8Array }[] | undefined;

/** The answers for maps in which one span is set, and for those in which all others are; worked out once for all builds. */
function expected(): { set: Uint8Array; clear: Uint8Array }[] {
  twins ??= spans.map((span) => ({ set: answersOf([span]), clear: answersOf(clearIn([span], LARGE)) }));
  return twins;
}

type Statuses = readonly [ifSo: number, ifNot: number];

/** Asks about every span in a map, in ways that are refused whatever the answer is, and so change nothing. */
class Questions {
  readonly map: TceMap;
  any = 0;
  all = 0;

  constructor(map: TceMap) {
    this.map = map;
  }

  /** Without a permission a map is refused, but not before its place was looked at. */
  reserved(right: Uint8Array): void {
    const { map } = this;
    map.aim(VA, 0);
    for (const [index, asked] of spans.entries()) {
      const answer = right[index] as number;
      this.#check(map.prepareMap(asked, Owner.PROGRAM), answer & ANY, [Status.RESERVED, Status.BAD_PERMISSION], index);
      this.#check(
        map.prepareMap(asked, Owner.MEMORY),
        answer & ALL,
        [Status.BAD_PERMISSION, Status.NOT_RESERVED],
        index,
      );
    }
    this.any += spans.length;
    this.all += spans.length;
  }

  /** Memory that is mapped is not mapped again; and what is live is not unmapped as other memory than it is. */
  live(right: Uint8Array): void {
    const { map } = this;
    map.aim(VA, 3);
    for (const [index, asked] of spans.entries()) {
      const status = map.prepareMap(asked, Owner.WINDOW);
      this.#check(status, (right[index] as number) & ANY, [Status.ALREADY_LIVE, Status.VA_ALREADY_MAPPED], index);
    }
    map.aim(OTHER_VA, 0);
    for (const [index, asked] of spans.entries()) {
      const status = map.prepareUnmap(asked);
      this.#check(status, (right[index] as number) & ALL, [Status.VA_MISMATCH, Status.NOT_LIVE], index);
    }
    this.any += spans.length;
    this.all += spans.length;
  }

  #check(status: number, yes: number, [ifSo, ifNot]: Statuses, index: number): void {
    if (status !== (yes !== 0 ? ifSo : ifNot)) {
      const { first, end } = spans[index] as { first: number; end: number };
      assert.unreachable(`${show({ first, end })}: status ${status}, not ${yes !== 0 ? ifSo : ifNot}`);
    }
  }
}

function ask(core: Core): Questions {
  const map = new TceMap(core, LARGE);
  const questions = new Questions(map);
  const right = expected();
  for (const [index, span] of spans.entries()) {
    map.reserve(span);
    questions.reserved(right[index]?.set as Uint8Array);
    map.unreserve(span);
    // What is live is another map for the same scans: for every third span.
    if (index % 3 !== 0) continue;
    map.map(span);
    questions.live(right[index]?.set as Uint8Array);
    map.unmap(span);
  }
  const whole = pagesOf({ first: 0, end: LARGE });
  map.reserve(whole);
  for (const [index, span] of spans.entries()) {
    map.unreserve(span);
    questions.reserved(right[index]?.clear as Uint8Array);
    map.reserve(span);
  }
  map.unreserve(whole);
  map.close();
  return questions;
}

eachBuild("the scans of a range", (test, core) => {
  test("see whether any of its bits is set, and whether all are: a million ranges each", () => {
    const cases = ask(core);
    assert.ok(Math.min(cases.any, cases.all) >= 1_000_000, show({ any: cases.any, all: cases.all }));
  });
});

const test = suite("the cases of the scans of a range");

for (const [kind, right] of Object.entries({ any, all })) {
  for (const [name, tempting] of Object.entries<Question>(temptingQuestions[kind as "any" | "all"])) {
    test(`catch a scan for ${kind} bits that ${name}`, () => {
      const told = (set: Spans): boolean => spans.some((asked) => tempting(set, asked) !== right(set, asked));
      assert.ok(spans.some((span) => told([span]) || told(clearIn([span], LARGE))));
    });
  }
}

test.run();
