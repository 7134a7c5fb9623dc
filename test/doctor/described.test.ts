/** The doctor on machines that are described by their files. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { doctor } from "../../src/doctor/doctor.ts";
import { described } from "./described.ts";
import { withMachine } from "./machines.ts";

const machines = suite("a described machine");

for (const { name, ready, verdicts, says, ...machine } of described) {
  machines(name, () => {
    withMachine(machine, (root) => {
      const found = doctor({ root });
      const text = JSON.stringify(found.ways, null, 2);
      assert.equal(
        Object.fromEntries(
          found.ways.filter(({ verdict }) => verdict !== "never").map((one) => [one.way, one.verdict]),
        ),
        { ...verdicts, model: "now" },
        text,
      );
      assert.is(found.ready, ready);
      for (const [marked, what, fix] of says) {
        const blocks = !marked.startsWith("!");
        const way = found.ways.find((one) => one.way === marked.replace("!", ""));
        const problem = way?.problems.find((one) => what.test(one.what));
        assert.ok(problem, `${marked}: ${what} in ${text}`);
        assert.match(problem.fix, fix);
        assert.is(problem.blocks, blocks, problem.what);
      }
      // What blocks is all that was named, so nothing else was made up.
      for (const { way, verdict, problems } of found.ways) {
        if (verdict === "never") continue;
        const named = says.filter(([marked]) => marked === way).map(([, what]) => what);
        const unnamed = problems.filter((one) => one.blocks && !named.some((what) => what.test(one.what)));
        if (named.length > 0 || verdict === "now")
          assert.equal(
            unnamed.map((one) => one.what),
            [],
          );
      }
      for (const { problems } of found.ways) for (const { fix } of problems) assert.ok(fix.length > 5, fix);
    });
  });
}

machines.run();
