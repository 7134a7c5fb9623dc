/** docs/api as `npm run docs` makes it: every export has a page, with what its comment says. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../package/imports.ts";

const pages = suite("docs/api");
const directory = mkdtempSync(join(tmpdir(), "dma-window-api-"));
const page = (name: string) => readFileSync(join(directory, `${name}.md`), "utf8");

pages.before(() => {
  const made = spawnSync(process.execPath, ["tools/docs.mjs", directory], { cwd: root, encoding: "utf8" });
  assert.is(made.status, 0, made.stderr);
});
pages.after(() => rmSync(directory, { recursive: true }));

for (const [name, module] of [
  ["dma-window", "../../src/index.ts"],
  ["dma-window-core", "../../src/core.ts"],
  ["dma-window-model", "../../src/model/index.ts"],
  ["dma-window-trace", "../../src/trace/index.ts"],
] as const) {
  pages(`has a page for each export of ${name}`, async () => {
    const made = new Set(readdirSync(directory));
    for (const one of Object.keys(await import(module))) {
      // A word that may be no file's name everywhere gets a line below it.
      const file = `${name}.${one.toLowerCase()}`;
      assert.ok(made.has(`${file}.md`) || made.has(`${file}_.md`), one);
    }
  });
}

pages("shows the code in a comment as code, with its lines", () => {
  assert.match(page("dma-window.dmaheap"), "```ts\nusing heap = new DmaHeap({ memory, list, window });\nconst handle");
});

pages("says what a function takes and throws", () => {
  assert.match(page("dma-window.planwindow"), "ERR_PLAN_IMPOSSIBLE");
});

pages.run();
