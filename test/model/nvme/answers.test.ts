import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ANSWERS, type Answer, CONTENTS, NAMESPACES } from "./answers.ts";
import { Host, type Ring } from "./host.ts";
import { type Machine, qemuMachine, softwareMachine } from "./machines.ts";
import { PAGE } from "./rig.ts";

const test = suite("what commands are answered");

async function makeQueues(host: Host, { id, sq, cq }: Ring): Promise<void> {
  await host.machine.store(cq, new Uint8Array(PAGE));
  const completion = await host.command({ opcode: 5, prp1: cq, dw10: id | (15 << 16), dw11: 1 });
  const submission = await host.command({ opcode: 1, prp1: sq, dw10: id | (15 << 16), dw11: 1 | (id << 16) });
  assert.equal([completion?.status, submission?.status], [0, 0]);
}

/** All rows, one after the other. Pages of data are filled anew before each, since Identify writes to them. */
async function answersOf(
  machine: Machine,
  expected: (answer: Answer) => { status: number; result: number | undefined },
) {
  const wrong: string[] = [];
  try {
    const host = new Host(machine);
    await host.start();
    const data = host.pages(8);
    const ring = host.ring(9);
    const at = { page: (index: number) => data + BigInt(index * PAGE), far: 0x3000_0000n };
    let made = false;
    for (const answer of ANSWERS) {
      if (answer.queue === "io" && !made) {
        made = true;
        await makeQueues(host, ring);
      }
      await machine.store(at.page(0), new Uint8Array(PAGE));
      for (const { page, bytes } of CONTENTS) await machine.store(at.page(page), bytes);
      const completion = await host.command(answer.fields(at), answer.queue === "io" ? 9 : 0);
      const { status, result } = expected(answer);
      const said = completion && { status: completion.status, result: completion.result };
      const good = said?.status === status && (result === undefined || said.result === result);
      if (!good) wrong.push(`${answer.what}: ${JSON.stringify(said)} for ${JSON.stringify({ status, result })}`);
    }
  } finally {
    await machine.close();
  }
  assert.equal(wrong, [], machine.name);
}

test("by the software controller", () => {
  const machine = softwareMachine({ namespaces: NAMESPACES }, 1 << 20);
  return answersOf(machine, ({ status, result }) => ({ status, result }));
});

test("whenever they come", () => {
  const machine = softwareMachine({ namespaces: NAMESPACES, completions: { seed: 5 } }, 1 << 20);
  return answersOf(machine, ({ status, result }) => ({ status, result }));
});

test("with a reason where QEMU answers otherwise", () => {
  for (const { what, status, qemu, why } of ANSWERS) {
    assert.is(qemu === undefined, why === undefined, what);
    assert.is.not(qemu, status, what);
  }
});

const qemuIsThere = spawnSync("qemu-system-x86_64", ["--version"]).status === 0;

if (qemuIsThere) {
  test("by QEMU, but for the rows that say otherwise", async () => {
    const machine = await qemuMachine(NAMESPACES);
    await answersOf(machine, ({ status, qemu, result }) => ({ status: qemu ?? status, result }));
  });
}

test.run();
