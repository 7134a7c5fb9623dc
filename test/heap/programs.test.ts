/** Programs of their own: what is done for every packet leaves no garbage, and a heap keeps nobody from ending. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

/** In a process of its own: what a test has asked with other kinds of arguments makes code that boxes numbers. */
const GARBAGE = fileURLToPath(new URL("garbage.ts", import.meta.url));

test("alloc, free, get, put, batches and columns leave no garbage", () => {
  // A compiler that works beside the program may come too late on a busy machine: slow code leaves garbage.
  const flags = ["--expose-gc", "--no-concurrent-recompilation", "--import", "tsx"];
  const child = spawnSync(process.execPath, [...flags, GARBAGE], { encoding: "utf8" });
  assert.is(child.status, 0, child.stderr);
  const used: Record<string, number> = JSON.parse(child.stdout);
  for (const [operation, bytes] of Object.entries(used))
    assert.ok(bytes < 0.5, `${operation}: ${bytes} bytes for each`);
  assert.is(Object.keys(used).length, 10);
});

for (const [name, program] of [
  ["a heap that is left open, and wants to grow, keeps no program from ending", "ending.ts"],
  ["a heap whose columns were overwritten gives its pages back when it is closed", "overwritten.ts"],
  ["when all descriptors are taken that is said, nothing is lost, and what is freed comes again", "exhausting.ts"],
] as const) {
  test(name, () => {
    const path = fileURLToPath(new URL(program, import.meta.url));
    const child = spawnSync(process.execPath, ["--import", "tsx", path], { encoding: "utf8", timeout: 60_000 });
    assert.is(child.status, 0, child.stderr);
    assert.is(child.stdout, "done\n");
  });
}

test.run();
