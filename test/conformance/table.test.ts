import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allRows } from "./run-on.ts";
import { table, tableFile } from "./table.ts";

test("docs/conformance.md is what the rows say: run node --import tsx test/conformance/table.ts", () => {
  assert.is(readFileSync(tableFile, "utf8") === table(), true, "docs/conformance.md is of another day than the rows");
});

test("every row is one line of the table", () => {
  const lines = table()
    .split("\n")
    .filter((line) => /\((o|s)\) \|$/.test(line));
  assert.is(lines.length, allRows.length);
});

test("no two rows of one call say the same of the same kernel", () => {
  const seen = new Map<string, string>();
  for (const { id, section, row } of allRows) {
    const [situation, where] = row;
    const key = `${section.call} | ${situation} | ${where.label}`;
    assert.is(seen.get(key), undefined, `${id} is ${seen.get(key)} again`);
    seen.set(key, id);
  }
});

test("every source names a file and a function", () => {
  for (const { id, row } of allRows) assert.match(row[2].where, /^[\w/.-]+\.[ch]: \w+$/, id);
});

test.run();
