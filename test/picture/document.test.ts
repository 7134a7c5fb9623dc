/** docs/plan-and-show.md: its commands are run, one after the other, and print what it shows. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MACHINES } from "../../src/plan/machines.ts";
import { commandsIn } from "./commands.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const text = readFileSync(join(root, "docs/plan-and-show.md"), "utf8");
const directory = mkdtempSync(join(tmpdir(), "dma-window-"));

/** On simulated memory: what this machine has differs from what others have. */
const env = { ...process.env, COLUMNS: "80", LC_ALL: "C.UTF-8", DMA_WINDOW_SHIM: "/nonexistent.node" };

const document = suite("docs/plan-and-show.md");

for (const { args, output } of commandsIn(text)) {
  document(`shows what dma-window ${args} prints`, () => {
    const main = join(root, "dist/cli/main.js");
    const run = spawnSync(process.execPath, [main, ...args.split(" ")], { cwd: directory, encoding: "utf8", env });
    assert.is(run.status, 0, run.stderr);
    if (output !== "") assert.is(run.stdout.trimEnd(), output);
  });
}

document("shows commands, and what most of them print", () => {
  const all = commandsIn(text);
  assert.ok(all.length >= 8);
  assert.ok(all.filter(({ output }) => output !== "").length >= 6);
});

document("shows a machine that is shipped, to the letter", () => {
  const [, shown = ""] = /```json\n([^`]*)```/.exec(text) ?? [];
  assert.equal(JSON.parse(shown), MACHINES.laptop);
});

document("leaves nothing behind", () => {
  rmSync(directory, { recursive: true });
});

document.run();
