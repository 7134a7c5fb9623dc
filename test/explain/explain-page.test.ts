/** What docs/explain.md shows is what the commands print. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PAGE, page } from "./explain-page.ts";

test("docs/explain.md shows what is printed; npx tsx test/explain/explain-page.ts writes it", () => {
  const text = readFileSync(PAGE, "utf8");
  assert.ok(text.split("```console").length > 6);
  assert.is(page(text), text);
});

test.run();
