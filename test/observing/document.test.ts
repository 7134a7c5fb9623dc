/** docs/observing.md shows a program that is an example, to the letter, and what it prints. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../..", import.meta.url));
const document = readFileSync(join(root, "docs/observing.md"), "utf8");
const example = join(root, "examples/observing.mjs");

const run = (debug: string) =>
  spawnSync(process.execPath, [example], { cwd: root, encoding: "utf8", env: { ...process.env, NODE_DEBUG: debug } });

/** What stands in it indented, one block behind the other; those that begin with a command are apart. */
const indented = document
  .replaceAll(/\n\n(?= {4}\$)/g, "\n\nand:\n\n")
  .split(/\n(?! {4}|\n)/)
  .map((block) => block.match(/(?:^|\n)((?: {4}.*(?:\n|$)+)+)$/)?.[1])
  .filter((block) => block !== undefined)
  .map((block) => block.replaceAll(/^ {4}/gm, "").trimEnd());

test("its program is the example", () => {
  const blocks = [...document.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
  assert.ok(blocks.length > 5);
  assert.is(readFileSync(example, "utf8"), blocks.join("\n"));
});

test("what it prints is what is shown", () => {
  const { status, stdout, stderr } = run("");
  assert.is(status, 0, stderr);
  assert.is(stderr, "");
  const shown = indented.filter((block) => !block.startsWith("$"));
  assert.is(`${shown.join("\n")}\n`, stdout);
});

test("the example that forgets to close is told of as shown", () => {
  const env = { ...process.env, DMA_WINDOW_CALL_SITES: "1" };
  const { status, stderr } = spawnSync(process.execPath, [join(root, "examples/forgets.mjs")], {
    encoding: "utf8",
    env,
  });
  assert.is(status, 0);
  const [, ...lines] = indented.find((block) => block.startsWith("$ DMA_WINDOW_CALL_SITES"))?.split("\n") ?? [];
  assert.is(stderr.replaceAll(pathToFileURL(root).href, "file:///home/me/"), `${lines.join("\n")}\n`);
});

test("the lines of the log are said so, in that order", () => {
  const { stderr } = run("dma-window");
  const said = stderr.split("\n").map((line) => line.replace(/^DMA-WINDOW \d+/, "DMA-WINDOW 4711"));
  const [, ...lines] = indented.find((block) => block.startsWith("$ NODE_DEBUG"))?.split("\n") ?? [];
  assert.ok(lines.length > 5);
  let at = 0;
  for (const line of lines) {
    at = said.indexOf(line, at) + 1;
    assert.ok(at > 0, line);
  }
});

test.run();
