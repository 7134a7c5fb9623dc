/** docs/doctor.md shows what the command prints, on the machines that it names. DMA_WINDOW_WRITE=1 writes it anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { dmaWindow } from "../cli/command.ts";
import { described, OTHER_USER } from "./described.ts";
import { withMachine } from "./machines.ts";

const file = fileURLToPath(new URL("../../docs/doctor.md", import.meta.url));
const BLOCK = /<!-- machine: (.*) -->\n```\n\$ dma-window doctor\n([\s\S]*?)```\n/g;
const CUT = "[...]\n";

/** What the command prints on a machine; a block that ends with `[...]` leaves the facts out. */
function shownOn(name: string, cut: boolean): string {
  const machine = described.find((one) => one.name === name);
  assert.ok(machine, `there is no machine "${name}"`);
  let out = "";
  withMachine(machine, (root) => {
    const ended = dmaWindow(`doctor --root ${root}`);
    assert.is(ended.err, "");
    assert.is(ended.code, machine.ready ? 0 : 1);
    // Files of a tree belong to whoever runs this; the page is that of a machine, whose nodes are root's.
    out = ended.out.replaceAll(`user ${OTHER_USER}`, "user 1000").replace(/owner \d+:\d+/g, "owner 0:0");
  });
  return cut ? `${out.slice(0, out.indexOf("\n\n  Linux"))}\n${CUT}` : out;
}

const document = suite("docs/doctor.md");

document("shows what the command prints", () => {
  const text = readFileSync(file, "utf8");
  const made = text.replace(BLOCK, (_, name: string, shown: string) => {
    const now = shownOn(name, shown.endsWith(CUT));
    return `<!-- machine: ${name} -->\n\`\`\`\n$ dma-window doctor\n${now}\`\`\`\n`;
  });
  if (process.env.DMA_WINDOW_WRITE === "1") writeFileSync(file, made);
  else assert.is(text, made);
  assert.ok([...text.matchAll(BLOCK)].length >= 5);
});

document("shows a program that runs", async () => {
  const [, program = ""] = /```js\n([\s\S]*?)```/.exec(readFileSync(file, "utf8")) ?? [];
  const { spawnSync } = await import("node:child_process");
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const run = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { cwd: root, encoding: "utf8" });
  assert.is(run.status, 0, run.stderr);
  assert.match(run.stdout, /^\d+\.\d+(?:\.\d+)? \w+ \d+\n$/);
});

document("is within 80 columns where it shows a page", () => {
  for (const [, , shown = ""] of readFileSync(file, "utf8").matchAll(BLOCK)) {
    for (const line of shown.split("\n")) assert.ok(line.length <= 80, line);
  }
});

document.run();

const command = suite("dma-window doctor");

command("says for programs what the contract names, and ends with 0 where a way is ready", () => {
  for (const name of ["ready x86", "memlock 64 KiB"]) {
    const machine = described.find((one) => one.name === name);
    assert.ok(machine);
    withMachine(machine, (root) => {
      const { code, out } = dmaWindow(`doctor --json --root ${root}`);
      const { ready, ways, facts } = JSON.parse(out);
      assert.is(code, ready ? 0 : 1);
      assert.is(ready, machine.ready);
      assert.equal(
        ways.map((one: { way: string }) => one.way),
        ["spapr", "type1", "noiommu", "model"],
      );
      for (const way of ways) {
        assert.type(way.ready, "boolean");
        for (const problem of way.problems)
          assert.equal([typeof problem.what, typeof problem.fix], ["string", "string"]);
      }
      assert.is(facts.memory.hugepages[0].pageSize, "0x200000");
      assert.is(facts.shim, null);
      assert.is(facts.container, null);
    });
  }
});

for (const [words, why] of [
  ["doctor 0000:01:00.0", "doctor looks at the whole machine"],
  ["doctor --force", "doctor takes no --force"],
  ["doctor --kernel model --root /host", "the software kernel has files of its own"],
  ["doctro", "did you mean doctor?"],
] as const) {
  command(`"${words}" is wrong usage`, () => {
    const { code, err } = dmaWindow(words);
    assert.is(code, 2);
    assert.ok(err.includes(why), err);
  });
}

command("needs no shim, and says why there is none", () => {
  const { out } = dmaWindow("doctor", { env: { DMA_WINDOW_SHIM: "/nonexistent.node" } });
  assert.match(out, /the native shim cannot be loaded: .*names/);
  assert.match(dmaWindow("doctor --kernel model --platform type1").out, /^ {2}type1 +ready$/m);
});

command.run();
