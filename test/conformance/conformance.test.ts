/** The rows of the conformance suite on the model: one test for each row and kind of machine. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelTarget } from "./model-target.ts";
import { allRows, answerOf, rowsOf } from "./run-on.ts";

const targets = [
  modelTarget("powernv", 4096),
  modelTarget("powernv", 65536),
  modelTarget("pseries", 4096),
  modelTarget("pseries", 65536),
  modelTarget("type1 v2", 4096),
  modelTarget("type1 v1", 4096),
  modelTarget("noiommu", 4096),
];

for (const target of targets) {
  const rows = suite(target.name);
  for (const placed of rowsOf(target)) {
    const [situation, , , answer] = placed.row;
    rows(`${placed.id}: ${situation}: ${answer}`, () => assert.is(answerOf(placed, target), answer));
  }
  rows.run();
}

const whole = suite("the rows");

whole("are many, and each is about a machine that is tried here", () => {
  assert.ok(allRows.length >= 250, `${allRows.length} rows`);
  const tried = new Set(targets.flatMap((target) => rowsOf(target)));
  const untried = allRows.filter((row) => !tried.has(row)).map(({ id }) => id);
  assert.equal(untried, []);
});

whole.run();
