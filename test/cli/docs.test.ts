/** `dma-window docs`: the documents that the package brings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { docsCommand } from "../../src/cli/docs.ts";
import { docsLine } from "../../src/cli/docs-line.ts";
import { documentsOf } from "../../tools/documents.mjs";
import { root } from "../package/imports.ts";
import { dmaWindow } from "./command.ts";

const docs = suite("dma-window docs");

interface Listed {
  readonly name: string;
  readonly path: string;
}

const listed = JSON.parse(dmaWindow("docs --json").out) as readonly Listed[];

docs("lists README.md, and all that it leads to, each with its title", () => {
  assert.equal(listed.map(({ path }) => path).sort(), ["README.md", ...documentsOf(root)].sort());
  const { code, out } = dmaWindow("docs");
  assert.is(code, 0);
  for (const { name } of listed) assert.match(out, new RegExp(`^  ${name} +\\S`, "m"));
});

docs("prints each to the letter, by its name and as others lead to it", () => {
  for (const { name, path } of listed) {
    const text = readFileSync(join(root, path), "utf8");
    const file = path.replace(/^docs\//, "");
    for (const word of [
      name,
      name.toUpperCase(),
      path,
      `../${path}`,
      `${path}#anywhere`,
      ...(file === path ? [] : [file]),
    ]) {
      const printed: string[] = [];
      assert.is(
        docsCommand(docsLine(["docs", word]), (one) => printed.push(one)),
        0,
      );
      assert.is(`${printed.join("")}\n`, text, word);
    }
  }
});

docs("prints what is longer than a pipe holds, whole", () => {
  assert.is(dmaWindow("docs drivers").out, readFileSync(join(root, "docs/drivers.md"), "utf8"));
});

docs("gives one as JSON", () => {
  assert.equal(JSON.parse(dmaWindow("docs guide --json").out), {
    name: "guide",
    path: "docs/guide.md",
    text: readFileSync(join(root, "docs/guide.md"), "utf8"),
  });
});

docs("refuses what it has not, and says what it has", () => {
  for (const [words, says] of [
    ["gude", /no document "gude"; did you mean guide\? They are allocating, .*using\n/],
    ["../../package.json", /no document/],
    ["__proto__", /no document/],
    ["guide install", /one document; got guide install/],
    ["--seed 3", /takes no --seed/],
    ["--json=yes", /--json/],
  ] as const) {
    const { code, err } = dmaWindow(`docs ${words}`);
    assert.is(code, 2, words);
    assert.match(err, says);
  }
});

docs.run();
