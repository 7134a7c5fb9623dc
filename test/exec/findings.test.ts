/** For each kind of finding a program that does it, and its twin that does not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exec, kindsIn, notHere, program } from "./command.ts";

const findings = suite("findings");

/** The program, its platform, words of its own, and what the wrong twin is told besides its own name. */
const twins: readonly (readonly [name: string, platform: string, words: readonly string[], kind: string])[] = [
  ...["munmap", "mmap", "mremap", "mprotect", "madvise", "brk", "free"].map(
    (how) => ["given-back", "type1", [how], "given-back-while-reachable"] as const,
  ),
  ["given-back", "powernv", ["munmap"], "given-back-while-reachable"],
  ["never-unmapped", "type1", [], "never-unmapped"],
  ["never-unmapped", "powernv", [], "never-unmapped"],
  ["never-unmapped", "type1", ["first"], "never-unmapped"],
  ["never-unmapped", "type1", ["large"], "never-unmapped"],
  ["never-unmapped", "powernv", ["first"], "never-unmapped"],
  ["registered-never-mapped", "powernv", [], "registered-never-mapped"],
  ["left-mapped", "type1", [], "left-mapped"],
  ["unmapped-another", "type1", [], "unmapped-another"],
  ["unmapped-another", "type1", ["all"], "unmapped-another"],
  ["unmapped-another", "powernv", [], "unmapped-another"],
  ["zombie", "powernv", [], "zombie"],
  ["charge-left", "powernv", [], "charge-left"],
  ["answer-ignored", "type1", [], "answer-ignored"],
  ["past-window-end", "powernv", [], "past-window-end"],
  ["not-modelled", "type1", [], "not-modelled"],
  ["not-modelled", "powernv", [], "not-modelled"],
];

const why = notHere();
if (why !== undefined) findings("are not looked for here", () => console.log(why));
else {
  for (const [name, platform, words, kind] of twins) {
    findings(`${[name, platform, ...words].join(" ")}: found in the wrong program`, () => {
      const wrong = exec(["--platform", platform], [program(name), platform, "wrong", ...words]);
      assert.ok(kindsIn(wrong).includes(kind), `${kindsIn(wrong)} ${wrong.err}`);
    });
  }

  for (const platform of new Set(twins.map(([, each]) => each))) {
    findings(`on ${platform}: nothing is found in their right twins, each a process under one command`, () => {
      const mine = twins.filter(([, each]) => each === platform);
      const lines = mine.map(
        ([name, , words]) => `${program(name)} ${platform} right ${words.join(" ")} || echo ${name} $?`,
      );
      const right = exec(["--platform", platform], ["sh", "-c", lines.join("\n")]);
      // Its MAP fails, and it says so.
      assert.is(right.out, mine.some(([name]) => name === "charge-left") ? "charge-left 3\n" : "");
      assert.equal(right.report.findings, [], right.err);
      assert.ok(right.report.calls >= 4 * mine.length);
    });
  }

  findings("name addresses, calls and where the program was", () => {
    const { report } = exec(["--platform", "type1"], [program("given-back"), "type1", "wrong", "munmap"]);
    const [first] = report.findings;
    assert.is(first?.addresses.length, 1);
    assert.is(first?.addresses[0]?.iova, "0x10000");
    assert.is(first?.addresses[0]?.length, "0x4000");
    assert.match(first?.addresses[0]?.va ?? "", /^0x[0-9a-f]+000$/);
    assert.match(first?.calls[0] ?? "", /^#3 MAP_DMA\(.*iova 0x10000, size 0x4000\) = 0$/);
    assert.match(first?.stack[0] ?? "", /\/libc\S* \+ 0x[0-9a-f]+\)?$/);
    assert.ok(
      first?.stack.some((frame) => frame.includes(`${program("given-back")} + 0x`)),
      first?.stack.join(),
    );
  });
}

findings.run();
