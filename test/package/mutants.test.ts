/** The list of mutants is as good as its fit with what is here now: putting them in takes minutes, and is another command. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { mutants } from "../mutants/mutants.ts";
import { root } from "./imports.ts";

test("there are at least ten, each of one place that is there, and a test that is there", () => {
  assert.ok(mutants.length >= 10);
  for (const { broken, file, from, to, noticedBy } of mutants) {
    assert.is(readFileSync(join(root, file), "utf8").split(from).length - 1, 1, `${broken}: in ${file}`);
    assert.is.not(from, to, broken);
    assert.ok(existsSync(join(root, noticedBy)), noticedBy);
  }
});

test("docs/testing.md lists them all, with the tests that notice", () => {
  const text = readFileSync(join(root, "docs/testing.md"), "utf8");
  for (const { broken, noticedBy } of mutants) {
    const row = `| ${broken} | \`${noticedBy.replace(".test.ts", "")}\` |`;
    assert.ok(text.includes(row), row);
  }
});

test.run();
