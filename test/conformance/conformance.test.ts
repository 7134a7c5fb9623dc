/** The rows of the conformance suite on the model: one test for each row, kind of machine and version of the kernel. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelTarget, versions } from "./model-target.ts";
import type { PlatformName } from "./row.ts";
import { allRows, answerOf, expectedOf, needsOf, rowsOf } from "./run-on.ts";

const pageSizes: Readonly<Record<PlatformName, readonly (4096 | 65536)[]>> = {
  powernv: [4096, 65536],
  pseries: [4096, 65536],
  "type1 v2": [4096],
  "type1 v1": [4096],
  noiommu: [4096],
};

const targets = (Object.keys(versions) as PlatformName[]).flatMap((platform) =>
  versions[platform].flatMap((linux) => pageSizes[platform].map((pageSize) => modelTarget(platform, pageSize, linux))),
);

for (const target of targets) {
  const rows = suite(target.name);
  for (const placed of rowsOf(target)) {
    if (target.cannot(needsOf(placed.row)) !== undefined) continue;
    const [situation] = placed.row;
    const { answer } = expectedOf(placed, target);
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
