/** Answers by version: what a row tells which kernel, and how the table says it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareLinux, type LinuxVersion, linuxVersionIn } from "../../src/linux-version.ts";
import { before, type Drift, type Expected, orCrash, read, tellings, toldTo } from "./drift.ts";
import { modelTarget } from "./model-target.ts";
import { o, type Row, type Section, TYPE1 } from "./row.ts";
import { allRows, expectedOf, mayCrash, runRows } from "./run-on.ts";
import { line } from "./table.ts";

const at = (version: string) => linuxVersionIn(version) as LinuxVersion;

function rowWith(answer: Expected): Row {
  return ["a situation", TYPE1, o("file.c: function"), answer, () => 0];
}

test("a text is what every kernel answers", () => {
  assert.equal(toldTo("EINVAL", at("6.1")), { answer: "EINVAL" });
  assert.equal(tellings("EINVAL"), [{ answer: "EINVAL" }]);
});

test("an answer that changed is the older one up to the release, and the newer one from it on", () => {
  const expected = before("6.18", "EINVAL", "EOVERFLOW");
  for (const [version, answer] of [
    ["6.17.13", "EINVAL"],
    ["6.18", "EOVERFLOW"],
    ["6.18.15", "EOVERFLOW"],
    ["7.3.4", "EOVERFLOW"],
  ] as const) {
    assert.is(toldTo(expected, at(version)).answer, answer, version);
  }
});

test("a chain goes from the oldest answer to the newest", () => {
  const expected = before("6.2", "a", before(["7.3", "6.12.113"], orCrash("b"), read("c")));
  const told = ["6.1", "6.2", "6.12.112", "6.12.113", "7.2", "7.3"].map(
    (version) => toldTo(expected, at(version)).answer,
  );
  assert.equal(told, ["a", "b", "b", "c", "b", "c"]);
  assert.equal(tellings(expected), [
    { answer: "a" },
    { answer: "b", orCrash: true, since: ["6.2"] },
    { answer: "c", how: "read", since: ["7.3", "6.12.113"] },
  ]);
});

test("the table has every answer with its release and its mark", () => {
  const told = line(rowWith(before("6.2", "a", before(["7.3", "6.12.113"], orCrash("b"), read("c")))));
  assert.is(
    told,
    "| a situation | type1 v1, v2 | `a` (o); since 6.2 `b`, or a crash (o); since 7.3, 6.12.113 `c` (s) | `file.c: function` (o) |",
  );
  assert.is(line(rowWith("0")), "| a situation | type1 v1, v2 | `0` | `file.c: function` (o) |");
  assert.is(line(rowWith(orCrash("0"))), "| a situation | type1 v1, v2 | `0`, or a crash | `file.c: function` (o) |");
});

test("a crash beside an answer can be read as well as seen", () => {
  assert.equal(orCrash(read("0")), { answer: "0", how: "read", orCrash: true });
  assert.is(mayCrash(rowWith(before("7.3", orCrash("0"), "1"))), true);
  assert.is(mayCrash(rowWith(before("7.3", "0", "1"))), false);
});

test("a row is held against the version of the kernel that answers", () => {
  const row: Row = [
    "a situation",
    TYPE1,
    o("file.c: function"),
    before("6.18", "EINVAL", "EOVERFLOW"),
    (p) => p.map(p.va, 2n ** 64n - p.page, 2n * p.page),
  ];
  const section: Section = { call: "CALL", begin: "container", rows: [row] };
  for (const linux of ["6.12.118", "6.18.15"]) {
    const { differences } = runRows(modelTarget("type1 v2", 4096, linux), () => {}, [{ id: "CALL 1", section, row }]);
    assert.equal(differences, [], linux);
  }
  const wrong = { ...modelTarget("type1 v2", 4096, "6.18.15"), linux: at("6.12.118") };
  const { differences } = runRows(wrong, () => {}, [{ id: "CALL 1", section, row }]);
  assert.equal(
    differences.map(({ expected, got }) => [expected, got]),
    [["EINVAL", "EOVERFLOW"]],
  );
});

function* driftsIn(expected: Expected): IterableIterator<Drift> {
  if (typeof expected === "string" || !("change" in expected)) return;
  yield expected;
  yield* driftsIn(expected.older);
  yield* driftsIn(expected.newer);
}

test("every change in the rows is a change, at a release, and older series have it from their own on", () => {
  for (const { id, row } of allRows) {
    for (const { change, older, newer } of driftsIn(row[3])) {
      const versions = change.map((text) => linuxVersionIn(text));
      assert.ok(
        versions.every((version) => version !== undefined),
        `${id}: ${change}`,
      );
      const [release, ...series] = versions as LinuxVersion[];
      for (const one of series) assert.ok(compareLinux(one, release as LinuxVersion) < 0, `${id}: ${change}`);
      assert.is.not(JSON.stringify(older), JSON.stringify(newer), `${id}: no change`);
      assert.is.not(tellings(older).at(-1)?.answer, tellings(newer)[0]?.answer, `${id}: no change`);
    }
  }
});

test("what a target expects is a text for each row", () => {
  const target = modelTarget("pseries", 4096);
  for (const placed of allRows) assert.type(expectedOf(placed, target).answer, "string");
});

test.run();
