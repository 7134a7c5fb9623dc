/** docs/plan-and-show.md shows a machine that is shipped. test/documents runs its commands. */
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MACHINES } from "../../src/plan/machines.ts";

const text = readFileSync(new URL("../../docs/plan-and-show.md", import.meta.url), "utf8");

const document = suite("docs/plan-and-show.md");

document("shows a machine that is shipped, to the letter", () => {
  const [, shown = ""] = /```json\n([^`]*)```/.exec(text) ?? [];
  assert.equal(JSON.parse(shown), MACHINES.laptop);
});

document.run();
