import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NvmeCommand, NvmeOptions } from "../../../src/model/index.ts";
import { io, PAGE, type Pair, READ, Rig, WRITE } from "./rig.ts";

const test = suite("the software NVMe's time");

/** The order in which so many reads complete. */
function order(options: NvmeOptions, many = 32): number[] {
  const rig = new Rig(options).start();
  const pair = rig.pair(1, { entries: 64 });
  const at = rig.memory(PAGE);
  const ids = Array.from({ length: many }, () => rig.submit(io(READ, 0, 8, at), pair));
  rig.ring(pair);
  rig.bus.settle();
  const found = rig.reapAll(pair).map(({ id }) => ids.indexOf(id));
  assert.equal(
    [...found].sort((a, b) => a - b),
    ids.map((_, index) => index),
    "each of them, once",
  );
  return found;
}

test("is the doorbell's own by default", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1);
  rig.submit(io(READ, 0, 8, rig.memory(PAGE)), pair);
  rig.ring(pair);
  assert.is(rig.reap(pair)?.status, 0);
  assert.is(rig.bus.waiting, 0);
});

test("is a later turn, in order", () => {
  const rig = new Rig({ completions: "later" }).start();
  const pair = rig.pair(1);
  const at = rig.memory(PAGE);
  const ids = [1, 2, 3].map((block) => rig.submit(io(READ, block, 1, at), pair));
  const before = rig.bus.transfers.length;
  rig.ring(pair);
  assert.is(rig.bus.transfers.length, before, "the entry is not read before that");
  rig.bus.turn();
  assert.equal(
    rig.reapAll(pair).map(({ id }) => id),
    ids,
  );
  assert.is(rig.bus.waiting, 0, "and nothing goes on behind it");
});

test("is an order that the seed decides, and another one for another seed", () => {
  const [a, again, b] = [
    order({ completions: { seed: 1 } }),
    order({ completions: { seed: 1 } }),
    order({ completions: { seed: 2 } }),
  ];
  assert.equal(a, again);
  assert.is.not(a.join(), b.join());
  assert.is.not(a.join(), [...a].sort((x, y) => x - y).join(), "not the order in which they came");
  assert.is(new Set(Array.from({ length: 20 }, (_, seed) => order({ completions: { seed } }).join())).size, 20);
});

test("leaves several on their way, some of them with their data there already", () => {
  const disk = new Uint8Array(32 * 512).fill(1);
  const rig = new Rig({ disk, completions: { seed: 4 } }).start();
  const pair = rig.pair(1, { entries: 64 });
  const at = rig.memory(8 * PAGE);
  for (let i = 0; i < 32; i++) rig.submit(io(READ, i, 1, at + BigInt(i * 512)), pair);
  rig.ring(pair);
  let ahead = 0;
  while (rig.bus.turn()) {
    const there = Array.from({ length: 32 }, (_, i) => rig.bytes(at + BigInt(i * 512), 1)[0]).filter(
      (one) => one === 1,
    );
    const completed = pair.head + rig.reapAll(pair).length;
    ahead = Math.max(ahead, there.length - completed);
  }
  assert.is(pair.head, 32);
  assert.ok(ahead > 0, "data came before its completion");
});

test("ends with a reset: commands on their way are gone, and move nothing any more", () => {
  for (const completions of ["later", { seed: 1 }, { seed: 2 }, { seed: 3 }] as const) {
    for (const how of ["CC", "FLR", "shutdown"] as const) {
      const rig = new Rig({ completions }).start();
      const pair = rig.pair(1, { entries: 64 });
      const at = rig.memory(PAGE);
      for (let i = 0; i < 60; i++) rig.submit(io(READ, i, 1, at), pair);
      rig.ring(pair);
      if (completions !== "later") rig.bus.turn();
      const done = rig.reapAll(pair).length;
      assert.ok(done < 60, "some are on their way");
      if (how === "FLR")
        rig.device.reset(); // the fake bus does not forget, so the device has to
      else rig.w32(0x14, how === "CC" ? 0 : 0x46_4001);
      const before = rig.bus.transfers.length;
      rig.bus.settle();
      assert.is(rig.bus.transfers.length, before);
      if (how === "shutdown") rig.w32(0x14, 0);
      rig.start();
      rig.good(io(READ, 0, 1, at), rig.pair(1));
    }
  }
});

test("ends for one command that is lost, and goes on for all others", () => {
  for (const completions of ["now", "later", { seed: 9 }] as const) {
    const seen: NvmeCommand[] = [];
    const faults = (command: NvmeCommand) => {
      seen.push(command);
      return command.queue === 1 && command.dwords[0] === 7 ? "lost" : undefined;
    };
    const rig = new Rig({ completions, faults }).start();
    const pair = rig.pair(1);
    const at = rig.memory(PAGE);
    const ids = [6, 7, 8].map((block) => rig.submit(io(READ, block, 2, at), pair));
    rig.ring(pair);
    rig.bus.settle();
    assert.equal(
      rig
        .reapAll(pair)
        .map(({ id }) => id)
        .sort(),
      [ids[0], ids[2]],
    );
    assert.is(rig.bus.waiting, 0, "and nobody waits for it in a loop");
    assert.equal(
      seen.find(({ dwords }) => dwords[0] === 8),
      { queue: 1, opcode: READ, id: ids[2], namespace: 1, dwords: [8, 0, 1, 0] },
    );
    rig.w32(0x14, 0);
    rig.bus.settle();
    rig.start();
    rig.good(io(READ, 0, 1, at), rig.pair(1));
  }
});

test("keeps a place in the completion queue for what is lost", () => {
  const rig = new Rig({ faults: ({ queue, opcode }) => (queue === 1 && opcode === READ ? "lost" : undefined) }).start();
  const pair = rig.pair(1, { entries: 8, cqEntries: 4 });
  const at = rig.memory(PAGE);
  for (let i = 0; i < 4; i++) rig.submit(io(READ, 0, 1, at), pair);
  rig.submit(io(WRITE, 0, 1, at), pair);
  rig.ring(pair);
  assert.is(rig.reap(pair), undefined, "three are on their way, and there are three places");
  rig.good({ opcode: 8, dw10: 1 | (pairId(rig, pair, 0) << 16) });
  assert.is(rig.reap(pair)?.status, 7);
});

/** The number of the command in an entry of the queue. */
function pairId(rig: Rig, pair: Pair, index: number): number {
  return rig.view(pair.sq + BigInt(index * 64), 4).getUint16(2, true);
}

test("has a status that a test decides, and nothing is moved then", () => {
  const disk = new Uint8Array(4096);
  const rig = new Rig({
    disk,
    faults: ({ queue, opcode }) => (queue === 1 && opcode === WRITE ? 0x0281 : undefined),
  }).start();
  const pair = rig.pair(1);
  const at = rig.memory(PAGE);
  rig.bytes(at, PAGE).fill(1);
  assert.is(rig.status(io(WRITE, 0, 8, at), pair), "0x281");
  assert.ok(disk.every((byte) => byte === 0));
  rig.good(io(READ, 0, 8, at), pair);
});

test("ends for all when a test says so", () => {
  for (const completions of ["now", "later", { seed: 2 }] as const) {
    const rig = new Rig({
      completions,
      faults: ({ queue, opcode }) => (queue === 1 && opcode === WRITE ? "fatal" : undefined),
    }).start();
    const pair = rig.pair(1);
    const at = rig.memory(PAGE);
    rig.submit(io(WRITE, 0, 8, at), pair);
    rig.submit(io(READ, 0, 8, at), pair);
    rig.ring(pair);
    rig.bus.settle();
    assert.is(rig.csts, 2);
    const state = rig.device.state?.() as { queues: Record<string, unknown[]> } | undefined;
    for (const [what, left] of Object.entries(state?.queues ?? { state: ["none"] })) assert.equal(left, [], what);
    rig.w32(0x14, 0);
    rig.bus.settle();
    rig.start();
    assert.is(rig.csts, 1);
  }
});

test("goes on after a test's own function threw", () => {
  let wrong = true;
  const faults = () => {
    if (wrong) throw new Error("mine");
    return undefined;
  };
  const rig = new Rig({ faults });
  assert.throws(() => rig.start().good({ opcode: 0x0a, dw10: 7 }), "mine");
  wrong = false;
  rig.w32(0x14, 0);
  rig.start().good({ opcode: 0x0a, dw10: 7 });
});

test.run();
