/** The runner itself: what it reports, and what it does not let pass. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { modelTarget } from "./model-target.ts";
import { o, type Row, type Section, SPAPR } from "./row.ts";
import { zombie } from "./rows/support.ts";
import { answerOf, type PlacedRow, rowsOf, runRows } from "./run-on.ts";
import type { Target } from "./target.ts";

const target = modelTarget("powernv", 4096);

function placed(answer: string, act: Row[4], begin: Section["begin"] = "container"): PlacedRow {
  const row: Row = ["a situation", SPAPR, o("file.c: function"), answer, act];
  return { id: "CALL 1", section: { call: "CALL", begin, rows: [row] }, row };
}

function reportOf(rows: readonly PlacedRow[], on = target) {
  const lines: string[] = [];
  return { summary: runRows(on, (line) => lines.push(line), rows), lines };
}

test("a row that holds is counted, and not talked about", () => {
  const { summary, lines } = reportOf([placed("EINVAL", (p) => p.remove(1n))]);
  assert.equal(summary, { target: target.name, rows: 1, notRun: [], differences: [] });
  assert.equal(lines, [`${target.name}: 1 rows run, 0 different`]);
});

test("a row that does not hold is a difference, with both answers, and the next one runs all the same", () => {
  const { summary, lines } = reportOf([placed("0", (p) => p.remove(1n)), placed("0", (p) => p.remove(0n))]);
  assert.equal(summary.differences, [{ id: "CALL 1", situation: "a situation", expected: "0", got: "EINVAL" }]);
  assert.is(summary.rows, 2);
  assert.is(lines[0], 'different: CALL 1 (a situation): expected "0", got "EINVAL"');
});

test("what a row leaves charged belongs to its answer, whether it says so or not", () => {
  const leaking = (answer: string) => placed(answer, (p) => zombie(p).remove(0n));
  assert.is(answerOf(leaking("0"), target), "0; 64 KiB stay charged");
  assert.is(reportOf([leaking("0")]).summary.differences.length, 1);
  assert.is(reportOf([leaking("0; 64 KiB stay charged")]).summary.differences.length, 0);
});

test("an error in a row is a difference that says which", () => {
  const { summary } = reportOf([placed("0", (p) => p.mmapAt(1n, p.page))]);
  assert.match(summary.differences[0]?.got ?? "", "mmap of 4 KiB at 0x1: EINVAL");
});

test("a row that cannot be run is reported with the reason, never left out in silence", () => {
  const poor = { ...target, cannot: () => "no such thing here" };
  const { summary, lines } = reportOf([placed("0", () => 1)], poor);
  assert.equal(summary.notRun, [{ id: "CALL 1", reason: "no such thing here" }]);
  assert.is(summary.rows, 0);
  assert.is(lines[0], "not run: CALL 1 (a situation): no such thing here");
});

test("every row that is about a target is run or reported", () => {
  const poor = { ...target, cannot: (needs: object) => (Object.keys(needs).length > 0 ? "not here" : undefined) };
  const { summary } = reportOf(rowsOf(poor), poor);
  assert.is(summary.rows + summary.notRun.length, rowsOf(target).length);
  assert.ok(summary.notRun.length > 50);
});

for (const platform of ["powernv", "pseries", "type1 v2", "type1 v1", "noiommu"] as const) {
  test(`one row sees nothing of another, also where all share one kernel and one process, as on Linux: ${platform}`, () => {
    const alone = modelTarget(platform, 4096);
    const machine = alone.begin(platform === "noiommu" ? {} : { nvme: true, card: true, port: true });
    const shared: Target = {
      ...alone,
      cannot: (needs) =>
        needs.limit !== undefined || needs.reboot ? "wants a kernel of its own" : alone.cannot(needs),
      begin: () => machine,
    };
    const rows = rowsOf(shared);
    const found = reportOf([...rows].reverse(), shared).summary.differences;
    assert.equal(found, []);
  });
}

test.run();
