import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { errno, withShim } from "./native.ts";

const here = fileURLToPath(new URL("./fake-ioctl/", import.meta.url));
const untouched = -99999;

/** Everything that child.ts found, or why it could not be run. */
function observe(): Record<string, unknown> {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    const library = join(directory, "ioctl.so");
    const compiled = spawnSync("cc", ["-shared", "-fPIC", "-o", library, join(here, "ioctl.c")], { encoding: "utf8" });
    if (compiled.error) return { noCompiler: compiled.error.message };
    assert.is(compiled.status, 0, compiled.stderr);
    const child = spawnSync(process.execPath, ["--import", "tsx", join(here, "child.ts")], {
      encoding: "utf8",
      env: { ...process.env, LD_PRELOAD: library },
    });
    assert.is(child.status, 0, child.stderr);
    return JSON.parse(child.stdout);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

withShim(
  () => {
    const observed = observe();
    if ("noCompiler" in observed) {
      test("without a C compiler there is no ioctl() to put before the kernel's", () => {
        assert.match(String(observed.noCompiler), /ENOENT/);
      });
      return;
    }

    test("a batch whose calls all succeed returns their number, also in shared memory", () => {
      assert.equal(observed.all, { succeeded: 4, results: [0, 0, 0, 0] });
      assert.equal(observed.shared, { succeeded: 2, results: [0, 0] });
    });

    test("a batch returns the index of the call that failed, and makes none after it", () => {
      assert.equal(observed.failure, { succeeded: 2, results: [0, 0, errno("ENOSPC"), untouched] });
    });

    test("a positive answer, which is how VFIO says some failures, ends a batch as well", () => {
      assert.equal(observed.positive, { succeeded: 1, results: [0, 1, untouched] });
    });

    test("a positive answer passes through", () => {
      assert.is(observed.positiveStruct, 5);
    });

    test("an integer reaches the kernel as it is, and a call without an argument gets 0", () => {
      assert.is(observed.integer, 7);
      assert.is(observed.none, 0);
    });

    test("the calls on a device reach the kernel by requests of their own", () => {
      assert.is(observed.reset, 0);
      assert.is(observed.feature, 9);
    });

    test("a later call answers as the call at once, and what was written is in the caller's memory, where that is still there", () => {
      const answers = [0, 7, errno("ENOSPC"), 0, 0];
      assert.equal(observed.later, { answers, start: "800000000000000", gone: 0 });
    });

    test("a thread, and the process, may end while a later call is on its way", () => {
      assert.is(observed.endedMeanwhile, 2);
    });

    test("GROUP_SET_CONTAINER gets the address of the descriptor", () => {
      assert.is(observed.setContainer, 26);
    });

    test("what the kernel writes into a struct is in the caller's memory", () => {
      assert.equal(observed.created, [0, "800000000000000"]);
    });

    test("an argsz that an earlier call of the batch has changed is checked before it is used", () => {
      assert.equal(observed.overlapWithin, { succeeded: 2, first: 0 });
      assert.equal(observed.overlapBeyond, { refused: "ERR_OUT_OF_RANGE", first: 0 });
    });
  },
  "ioctl()",
  (kernel) => kernel.ioctl(0, 0, 0),
);

test.run();
