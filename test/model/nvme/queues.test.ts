import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Fields, io, type Pair, READ, Rig, WRITE } from "./rig.ts";

const test = suite("the software NVMe's queues");

const FATAL = 2;
const FLUSH: Fields = { opcode: 0, nsid: 1 };

test("wrap, with the phase bit the other way round each time; completions say how far the device is", () => {
  const rig = new Rig().start();
  for (const [entries, cqEntries] of [
    [2, 2],
    [3, 5],
    [5, 3],
    [16, 4],
  ] as const) {
    const pair = rig.pair(1, { entries, cqEntries });
    for (let i = 0; i < 4 * entries * cqEntries; i++) {
      const { head } = rig.good(FLUSH, pair);
      assert.is(head, pair.tail);
    }
    rig.good({ opcode: 0, dw10: 1 });
    rig.good({ opcode: 4, dw10: 1 });
  }
});

test("take as many commands by one doorbell as there are, also around the end", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1, { entries: 64 });
  for (const many of [63, 63, 17, 40, 63]) {
    const ids = Array.from({ length: many }, () => rig.submit(FLUSH, pair));
    rig.ring(pair);
    assert.equal(
      rig.reapAll(pair).map(({ id }) => id),
      ids,
    );
  }
});

test("hold commands back while the completion queue is full, and go on as entries are consumed", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1, { entries: 16, cqEntries: 4 });
  const buffer = rig.memory(4096);
  const ids = Array.from({ length: 10 }, () => rig.submit(io(READ, 0, 1, buffer), pair));
  rig.bus.transfers.length = 0;
  rig.ring(pair);
  const data = () => rig.bus.transfers.filter(({ iova }) => iova === buffer).length;
  assert.is(data(), 3, "three of four places can be used");
  const first = rig.reap(pair);
  assert.is(first?.id, ids[0]);
  assert.is(data(), 4);
  const rest: number[] = [];
  for (let one = rig.reap(pair); one !== undefined; one = rig.reap(pair)) rest.push(one.id);
  assert.equal(rest, ids.slice(1));
});

test("share a completion queue, which says whose each completion is, and holds all of them back when it is full", () => {
  const rig = new Rig().start();
  const first = rig.pair(1, { cqEntries: 4 });
  const second: Pair = { ...first, id: 2, sq: rig.memory(4096) };
  rig.good({ opcode: 1, prp1: second.sq, dw10: 2 | (15 << 16), dw11: 1 | (1 << 16) });
  for (const pair of [first, second]) {
    for (let i = 0; i < 5; i++) rig.submit(FLUSH, pair);
    rig.ring(pair);
  }
  const queues: number[] = [];
  for (let one = rig.reap(first); one !== undefined; one = rig.reap(first)) queues.push(one.queue);
  assert.equal([...queues].sort(), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
  rig.good({ opcode: 0, dw10: 1 });
  assert.is(rig.status({ opcode: 4, dw10: 1 }), "0x10c", "the second one still uses it");
  rig.good({ opcode: 0, dw10: 2 });
  rig.good({ opcode: 4, dw10: 1 });
});

/** Which queue's commands came in which order, four of each of three queues. */
function order(rig: Rig, pairs: readonly Pair[]): string {
  rig.bus.transfers.length = 0;
  for (const pair of pairs) {
    for (let i = 0; i < 4; i++) rig.submit(FLUSH, pair);
    rig.ring(pair);
  }
  rig.bus.settle();
  const written = rig.bus.transfers.filter(({ way }) => way === "write").map(({ iova }) => iova);
  const found = written.map((iova) => pairs.find(({ cq }) => iova >= cq && iova < cq + 256n)?.id).join("");
  for (const pair of pairs) assert.is(rig.reapAll(pair).length, 4);
  return found;
}

test("take turns, a burst each", () => {
  const rig = new Rig({ completions: "later" }).start();
  const pairs = [rig.pair(1), rig.pair(2), rig.pair(3)];
  assert.is(order(rig, pairs), "123123123123");
  rig.good({ opcode: 9, dw10: 1, dw11: 1 }); // two at a time
  assert.is(order(rig, pairs), "112233112233");
  rig.good({ opcode: 9, dw10: 1, dw11: 6 }); // 64
  assert.is(order(rig, pairs), "111122223333");
  rig.good({ opcode: 9, dw10: 1, dw11: 0 });
  assert.is(order(rig, pairs), "123123123123");
});

test("work up to their number, all at once", () => {
  const rig = new Rig().start();
  const pairs = Array.from({ length: 64 }, (_, at) => rig.pair(at + 1, { vector: at + 1 }));
  assert.is(rig.status({ opcode: 5, prp1: rig.memory(4096), dw10: 65 | (15 << 16), dw11: 1 }), "0x4101");
  rig.bus.raised.length = 0;
  for (const pair of pairs) rig.good(FLUSH, pair);
  assert.equal(
    rig.bus.raised,
    pairs.map(({ id }) => id),
  );
});

for (const [what, ring] of [
  ["a tail behind the end", (rig: Rig, pair: Pair) => rig.ring(pair, pair.entries)],
  ["a head behind the end", (rig: Rig, pair: Pair) => rig.consumed(pair, pair.entries)],
  ["a head past what was completed", (rig: Rig, pair: Pair) => rig.consumed(pair, pair.head + 1)],
] as const) {
  test(`are fatal for ${what}`, () => {
    const rig = new Rig().start();
    const pair = rig.pair(1);
    rig.good(FLUSH, pair);
    ring(rig, pair);
    assert.is(rig.csts, FATAL);
    const done = rig.bus.transfers.length;
    rig.submit(FLUSH, pair);
    rig.ring(pair);
    rig.ring(rig.admin, 3);
    assert.is(rig.bus.transfers.length, done, "and nothing is done any more");
    rig.w32(0x14, 0);
    assert.is(rig.csts, 0);
    rig.start();
    rig.good(FLUSH, rig.pair(1));
  });
}

test("are fatal for a tail that goes back over entries that are not consumed", () => {
  const rig = new Rig({ completions: "later" }).start();
  const pair = rig.pair(1);
  for (let i = 0; i < 4; i++) rig.submit(FLUSH, pair);
  rig.ring(pair, 4);
  rig.ring(pair, 4); // the same once more is no mistake
  assert.is(rig.csts, 1);
  rig.ring(pair, 2);
  assert.is(rig.csts, FATAL);
});

test("do not hear of queues that are not there", () => {
  const rig = new Rig().start();
  rig.w32(0x1000 + 8 * 5, 1);
  rig.w32(0x1000 + 8 * 5 + 4, 1);
  rig.w32(0x1000 + 8 * 65, 1);
  assert.is(rig.csts, 1);
});

test("are fatal where their own DMA fails: entry, completion, bus mastering off", () => {
  const far = 0x40n << 32n;
  const entry = new Rig().start();
  const cq = entry.memory(4096);
  entry.good({ opcode: 5, prp1: cq, dw10: 1 | (15 << 16), dw11: 1 });
  entry.good({ opcode: 1, prp1: far, dw10: 1 | (15 << 16), dw11: 1 | (1 << 16) });
  entry.w32(0x1008, 1);
  assert.is(entry.csts, FATAL);

  const completion = new Rig().start();
  const sq = completion.memory(4096);
  completion.good({ opcode: 5, prp1: far, dw10: 1 | (15 << 16), dw11: 3 });
  completion.good({ opcode: 1, prp1: sq, dw10: 1 | (15 << 16), dw11: 1 | (1 << 16) });
  completion.bus.raised.length = 0;
  completion.w32(0x1008, 1);
  assert.is(completion.csts, FATAL);
  assert.equal(completion.bus.raised, [], "and nobody hears of a completion that is not there");

  const off = new Rig().start();
  off.bus.mastering = false;
  off.submit({ opcode: 0x0a, dw10: 7 }, off.admin);
  off.ring(off.admin);
  assert.is(off.csts, FATAL);
  off.bus.mastering = true;
  off.w32(0x14, 0);
  off.start();
  off.good({ opcode: 0x0a, dw10: 7 });
});

test("go: what is not fetched is gone, and their number can be had again", () => {
  const rig = new Rig({ completions: "later" }).start();
  const pair = rig.pair(1);
  rig.good({ opcode: 0, dw10: 1 });
  rig.good({ opcode: 4, dw10: 1 });
  rig.submit(FLUSH, pair);
  rig.ring(pair);
  rig.bus.settle();
  assert.is(rig.reap(pair), undefined);
  rig.good(FLUSH, rig.pair(1));
});

test("lie where a doorbell is rung by whoever hears of a completion, and nothing is done twice", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1, { entries: 8 });
  const seen: number[] = [];
  rig.bus.heard = () => {
    for (let one = rig.reap(pair); one !== undefined; one = rig.reap(pair)) {
      seen.push(one.id);
      if (seen.length < 50) {
        rig.submit(FLUSH, pair);
        rig.ring(pair);
      }
    }
  };
  rig.submit(FLUSH, pair);
  rig.ring(pair);
  assert.is(seen.length, 50);
  assert.is(new Set(seen).size, 50);
});

test("survive a reset by whoever hears of a completion", () => {
  for (const completions of ["now", { seed: 3 }] as const) {
    const rig = new Rig({ completions }).start();
    const pair = rig.pair(1);
    const before = rig.memory(4096);
    rig.bytes(before, 4096).fill(1);
    for (let i = 0; i < 6; i++) rig.submit(io(WRITE, i, 1, before), pair);
    rig.bus.heard = () => rig.w32(0x14, 0);
    rig.ring(pair);
    rig.bus.settle();
    rig.bus.heard = undefined;
    assert.is(rig.csts, 0);
    assert.is(rig.reapAll(pair).length, 1, "one completion, and then the reset");
    rig.start();
    rig.good(FLUSH, rig.pair(1));
  }
});

test("survive a reset by whoever hears that a command was aborted with its queue", () => {
  for (const completions of ["now", { seed: 3 }] as const) {
    const rig = new Rig({ completions, faults: ({ queue }) => (queue === 1 ? "lost" : undefined) }).start();
    const pair = rig.pair(1);
    for (let i = 0; i < 3; i++) rig.submit(FLUSH, pair);
    rig.ring(pair);
    rig.bus.settle();
    rig.bus.heard = (vector) => vector === 1 && rig.w32(0x14, 0);
    rig.submit({ opcode: 0, dw10: 1 }, rig.admin);
    rig.ring(rig.admin);
    rig.bus.settle();
    rig.bus.heard = undefined;
    assert.equal([rig.reapAll(pair).length, rig.reapAll(rig.admin).length], [1, 0]);
    rig.start();
    rig.pair(1);
  }
});

test("do not take a number for a command that is on its way with it", () => {
  const rig = new Rig({ faults: ({ dwords }) => (dwords[3] === 77 ? "lost" : undefined) }).start();
  const pair = rig.pair(1);
  rig.submit({ ...FLUSH, id: 9, dw13: 77 }, pair);
  rig.submit({ ...FLUSH, id: 9 }, pair);
  rig.submit({ ...FLUSH, id: 10 }, pair);
  rig.ring(pair);
  assert.equal(
    rig.reapAll(pair).map(({ id, status }) => [id, status]),
    [
      [9, 0x4003],
      [10, 0],
    ],
  );
});

test.run();
