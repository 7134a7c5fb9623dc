/** A program that claims, or binds, again and again, each time when it is told: one of two that race. Run with a tree, its name, how, and how often. */
import { existsSync, mkdirSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bindToVfio } from "../../src/pci/bind.ts";
import { whileClaimed } from "../../src/pci/claim.ts";
import { filesFrom, ownFilesFrom } from "../../src/pci/look.ts";

const [root = "", name = "", how = "", rounds = "0", address = ""] = process.argv.slice(2);
const files = filesFrom({ root });
const inside = join(root, "inside");

const word = new Int32Array(new SharedArrayBuffer(4)); // nobody wakes it

/** What nobody else may be in meanwhile: `mkdir` says so. */
function alone(): string {
  try {
    mkdirSync(inside);
  } catch {
    return "two at once";
  }
  const end = performance.now() + Math.random() * 15;
  while (performance.now() < end);
  rmdirSync(inside);
  return "alone";
}

const claiming = { files, own: ownFilesFrom({}), address, group: 26, patience: 0 };

const ways: Readonly<Record<string, () => string>> = {
  claim: () => whileClaimed(claiming, alone),
  wait: () => whileClaimed({ ...claiming, patience: 10_000 }, alone),
  // The kernel's answers come from a process beside.
  bind: () => {
    const binding = bindToVfio(address, { root });
    const { previousDriver } = binding;
    binding.restore();
    return `bound, was with ${previousDriver}`;
  },
  // Waits in the middle, until it is killed.
  hold: () =>
    whileClaimed(claiming, () => {
      writeFileSync(join(root, "holding"), `${process.pid}`);
      for (;;) Atomics.wait(word, 0, 0, 1000);
    }),
};

function outcome(): string {
  try {
    return (ways[how] as () => string)();
  } catch (error) {
    const { code, facts } = error as { code?: string; facts?: { pid?: number } };
    return `${code ?? String(error)} ${facts?.pid ?? ""}`.trim();
  }
}

for (let round = 0; round < Number(rounds); round++) {
  const go = join(root, `go${round}`);
  writeFileSync(join(root, `ready${round}.${name}`), "");
  while (!existsSync(go)) Atomics.wait(word, 0, 0, 0.2); // so that both begin at nearly the same time
  console.log(JSON.stringify({ round, pid: process.pid, said: outcome() }));
  unlinkSync(join(root, `ready${round}.${name}`));
}
