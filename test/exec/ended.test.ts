/** A thread that is killed while what it asked for is looked at: nothing in /proc is its own any more. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Programs } from "../../src/exec/programs.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { Supervision } from "../../src/supervision.ts";

const ended = suite("a process that has ended");

/** No thread has such a number: `include/linux/threads.h: PID_MAX_LIMIT`. */
const GONE = 2 ** 22 + 1;

ended("is one that its supervisor can end, as any other; and so are two", () => {
  const watched: number[] = [];
  const native = {
    execCompareMemory: () => -3,
    execProcessFile: () => -3,
    execLockedLimit: () => 2n ** 64n - 1n,
    execWatchProcess: (pidfd) => watched.push(pidfd),
  } as Partial<Supervision> as Supervision;
  const programs = new Programs(native, modelKernel(), { inFront: (kernel) => kernel, locked: undefined });
  const [one, other] = [programs.of(GONE), programs.of(GONE + 1)];
  assert.equal([one.pid, other.pid], [GONE, GONE + 1]);
  assert.equal(programs.all, [one, other]);
  assert.equal(watched, []);
  programs.remove(one);
  assert.equal(programs.all, [other]);
});

ended.run();
