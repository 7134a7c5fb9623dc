import { test } from "uvu";
import * as assert from "uvu/assert";
import { groups } from "../../bench/groups/index.ts";
import { rowNames } from "../../bench/harness/goals.ts";
import { readOptions } from "../../bench/options.ts";

test("every row belongs to one group", () => {
  assert.equal(groups.flatMap(({ rows }) => rows).sort(), [...rowNames].sort());
});

test("without options everything is measured, and the page is written", () => {
  const { chosen, rows, write, quick, json, seed } = readOptions([], 5);
  assert.equal(chosen, groups);
  assert.equal([rows.size, write, quick, json, seed], [0, true, false, false, 5]);
});

test("a quick run, one of a part and one for a machine write nothing", () => {
  for (const args of [["--quick"], ["--json"], ["--only", "walk"]]) assert.is(readOptions(args, 1).write, false);
});

test("a group is chosen with all its rows, and a row with its group alone", () => {
  const group = readOptions(["--only", "walk"], 1);
  assert.equal(
    group.chosen.map(({ name }) => name),
    ["walk"],
  );
  assert.equal([...group.rows], ["walk-max-1m-vs-c", "walk-1m-vs-dpdk"]);
  const one = readOptions(["--only", "walk-1m-vs-dpdk", "--only", "core-bytes"], 1);
  assert.equal(
    one.chosen.map(({ name }) => name),
    ["walk", "start"],
  );
  assert.equal([...one.rows], ["walk-1m-vs-dpdk", "core-bytes"]);
});

test("the seed is a u32, and the one that was given", () => {
  assert.is(readOptions(["--seed", "4294967295"], 1).seed, 2 ** 32 - 1);
  for (const wrong of ["-1", "4294967296", "1.5", "x", "NaN"]) {
    assert.throws(() => readOptions([`--seed=${wrong}`], 1), /--seed must be/, wrong);
  }
});

test("what is no option, no group and no row is an error that names it", () => {
  assert.throws(() => readOptions(["--only", "nothing"], 1), /--only nothing: there is no group/);
  assert.throws(() => readOptions(["--fast"], 1), /--fast/);
  assert.throws(() => readOptions(["walk"], 1), /walk/);
  assert.throws(() => readOptions(["--only"], 1), /--only/);
});

test.run();
