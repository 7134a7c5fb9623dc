import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Progress } from "../../src/cli/progress.ts";

const progress = suite("progress");

/** Steps at these times, in milliseconds from a start that is not 0; gives the lines, each with the time it was written. */
function linesAt(times: readonly number[], total = 1000): { readonly at: number; readonly line: string }[] {
  const start = 123_456.7;
  let now = start;
  const lines: { at: number; line: string }[] = [];
  const shown = new Progress(
    "storm",
    total,
    (line) => lines.push({ at: Math.round(now - start), line }),
    () => now,
  );
  times.forEach((time, i) => {
    now = start + time;
    shown.step(i + 1);
  });
  return lines;
}

progress("is silent in the first second", () => {
  assert.equal(linesAt([0, 1, 500, 999, 999.9]), []);
});

progress("is a line a second from then on, however often it is asked", () => {
  const times = Array.from({ length: 4500 }, (_, i) => i + 1);
  assert.equal(
    linesAt(times, 4500).map(({ at }) => at),
    [1000, 2000, 3000, 4000],
  );
});

progress("says what is done, how much of it, and of how many", () => {
  const times = [10, 20, 1000];
  assert.equal(linesAt(times, 7), [{ at: 1000, line: "storm: 3 of 7 (42 %)\n" }]);
  assert.equal(linesAt([1500], 1), [{ at: 1500, line: "storm: 1 of 1 (100 %)\n" }]);
});

progress("makes up for nothing after a step that took long: the next line is a second away", () => {
  const times = [5000, 5001, 5002, 5999, 6000, 6001];
  assert.equal(
    linesAt(times).map(({ at }) => at),
    [5000, 6000],
  );
});

progress("goes to stderr, where it does not mix with results", () => {
  const written: unknown[] = [];
  const [out, err] = [process.stdout.write, process.stderr.write];
  let now = 0;
  const shown = new Progress("storm", 2, undefined, () => now);
  try {
    process.stdout.write = () => assert.unreachable("on stdout") as never;
    process.stderr.write = (text: unknown) => written.push(text) > 0;
    now = 2000;
    shown.step(1);
  } finally {
    process.stdout.write = out;
    process.stderr.write = err;
  }
  assert.equal(written, ["storm: 1 of 2 (50 %)\n"]);
});

progress.run();
