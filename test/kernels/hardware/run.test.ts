/** Parts as processes: how they end, and that nothing of them is left. */
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ownersOf, runPart } from "./run.ts";

const running = (script: string, seconds = 20, aborted = new AbortController().signal) => {
  const lines: string[] = [];
  const options = { seconds, env: process.env, line: (text: string) => lines.push(text), aborted };
  return runPart("/bin/sh", ["-c", script], options).then((status) => ({ status, lines }));
};

/** Whether a process still does after a while; the dead whom nobody has buried do not. */
async function goesOn(pid: number): Promise<boolean> {
  assert.ok(pid > 1, `${pid} is no process`);
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      if (/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))) return false;
    } catch {
      return false;
    }
    await setTimeout(100);
  }
  return true;
}

test("a part's exit code is given, and both its streams line by line", async () => {
  assert.equal(await running("echo one; echo two >&2; sleep 0.2; echo three; exit 7"), {
    status: 7,
    lines: ["one", "two", "three"],
  });
});

test("a part that takes too long is killed with all that it started", async () => {
  const began = Date.now();
  const { status, lines } = await running("sleep 60 & echo $!; sleep 60", 0.3);
  assert.is(status, 137);
  assert.ok(Date.now() - began < 20_000);
  assert.is(await goesOn(Number(lines[0])), false);
});

test("a part that ends and leaves something running is rid of it", async () => {
  const { status, lines } = await running("sleep 60 & echo $!");
  assert.is(status, 0);
  assert.is(await goesOn(Number(lines[0])), false);
});

test("a part that is interrupted is killed, also when that was before it began", async () => {
  const abort = new AbortController();
  const part = running("echo on its way; sleep 60", 60, abort.signal);
  setTimeout(200).then(() => abort.abort());
  assert.is((await part).status, 137);
  assert.is((await running("sleep 60", 60, abort.signal)).status, 137);
});

test("nodes are whose they were, and open to whom they were, after a part that did not give them back", () => {
  const directory = mkdtempSync(join(tmpdir(), "nodes-"));
  const node = join(directory, "26");
  try {
    writeFileSync(node, "", { mode: 0o640 });
    const before = statSync(node);
    const restore = ownersOf([node]);
    chmodSync(node, 0o666);
    if (process.geteuid?.() === 0) chownSync(node, 65534, 65534);
    restore();
    const { uid, gid, mode } = statSync(node);
    assert.equal([uid, gid, mode], [before.uid, before.gid, before.mode]);
    rmSync(node);
    restore();
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
