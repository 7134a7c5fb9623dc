/** A pair of queues against the format of the specification, and against a controller that answers in any order. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Random } from "../support/random.ts";
import { Bench, NOTHING, Owner } from "./support.ts";

const PRPS = Uint32Array.of(0x1000, 1, 0x2000, 1, 0x9000, 1);

function read(bench: Bench, owner: Owner, tag: number, lba = 0, blocks = 8, pages = 1): boolean {
  return bench.queue.putBlocks(owner, tag, 2, 7, lba, blocks, PRPS, 0, pages);
}

test("an entry of a read has each field where the specification has it, and nothing elsewhere", () => {
  const bench = new Bench(4);
  bench.submission.bytes.fill(0xff);
  assert.ok(read(bench, new Owner(), 0, 0x1_2345_6789_abcd, 65536, 3));
  const entry = bench.entry(0);
  assert.is(entry.getUint8(0), 2);
  assert.is(entry.getUint8(1), 0);
  assert.is(entry.getUint32(4, true), 7);
  assert.is(entry.getBigUint64(8, true), 0n);
  assert.is(entry.getBigUint64(16, true), 0n);
  assert.is(entry.getBigUint64(24, true), 0x1_0000_1000n);
  assert.is(entry.getBigUint64(32, true), 0x1_0000_9000n);
  assert.is(entry.getBigUint64(40, true), 0x1_2345_6789_abcdn);
  assert.is(entry.getUint32(48, true), 65535);
  for (const at of [52, 56, 60]) assert.is(entry.getUint32(at, true), 0);
});

for (const [pages, second] of [
  [1, 0n],
  [2, 0x1_0000_2000n],
  [3, 0x1_0000_9000n],
] as const) {
  test(`data of ${pages} pages: PRP2 is ${["nothing", "the second page", "the list"][pages - 1]}`, () => {
    const bench = new Bench(4);
    bench.submission.bytes.fill(0xff);
    read(bench, new Owner(), 0, 0, 8, pages);
    assert.is(bench.entry(0).getBigUint64(32, true), second);
  });
}

test("an entry of any other command leaves nothing of what was there", () => {
  const bench = new Bench(4);
  bench.submission.bytes.fill(0xff);
  bench.queue.put(new Owner(), 0, { opcode: 6, nsid: 3, prp1: 1n << 59n, words: [1, 2] });
  const entry = bench.entry(0);
  assert.is(entry.getUint8(0), 6);
  assert.is(entry.getUint32(4, true), 3);
  assert.is(entry.getBigUint64(24, true), 1n << 59n);
  assert.is(entry.getBigUint64(32, true), 0n);
  assert.equal(
    [40, 44, 48, 52, 56, 60].map((at) => entry.getUint32(at, true)),
    [1, 2, 0, 0, 0, 0],
  );
});

test("a doorbell is rung once for all that was put, and not for nothing; its place follows the stride", () => {
  const bench = new Bench(40, { id: 3, stride: 16 });
  const owner = new Owner();
  bench.queue.ring();
  for (let tag = 0; tag < 32; tag++) assert.ok(read(bench, owner, tag));
  assert.equal(bench.doorbells, []);
  bench.queue.ring();
  bench.queue.ring();
  assert.equal(bench.doorbells, [[0x1000 + 6 * 16, 32]]);
  for (let tag = 0; tag < 32; tag++) bench.answer({ identifier: bench.identifier(tag), head: 32 });
  assert.is(bench.queue.poll(), 32);
  assert.is(bench.queue.poll(), 0);
  assert.equal(bench.doorbells[1], [0x1000 + 7 * 16, 32]);
  assert.is(bench.doorbells.length, 2);
});

test("what a controller fetches at the very doorbell is the whole entry", () => {
  const bench = new Bench(3);
  const fetched: number[] = [];
  bench.rung = (offset, value) => {
    if (offset === 0x1008) fetched.push(bench.entry((value + 3) % 4).getUint32(40, true));
  };
  const owner = new Owner();
  for (let lba = 1; lba <= 9; lba++) {
    read(bench, owner, lba, lba);
    bench.queue.ring();
    bench.answer({ identifier: bench.identifier((lba - 1) % 4), head: lba % 4 });
    bench.queue.poll();
  }
  assert.equal(fetched, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a completion of the last round is no new one: only its phase tells", () => {
  const bench = new Bench(2); // three entries
  const owner = new Owner();
  for (let round = 0; round < 20; round++) {
    read(bench, owner, round);
    bench.queue.ring();
    assert.is(bench.queue.poll(), 0, `round ${round}, before it is answered`);
    bench.answer({ identifier: bench.identifier(round % 3), head: (round + 1) % 3, result: round });
    assert.is(bench.queue.poll(), 1);
    assert.is(bench.queue.poll(), 0, `round ${round}, after`);
  }
  assert.equal(
    owner.completions,
    Array.from({ length: 20 }, (_, round) => [round, 0, round]),
  );
});

test("the status is all of its field, and no bit of the phase", () => {
  const bench = new Bench(2);
  const owner = new Owner();
  read(bench, owner, 5);
  bench.answer({ identifier: bench.identifier(0), status: 0x4080, result: 0xffff_ffff, head: 1 });
  bench.queue.poll();
  assert.equal(owner.completions, [[5, 0x4080, 0xffff_ffff]]);
});

test("no more is under way than the depth, and a place that is done is free", () => {
  const bench = new Bench(3);
  const owner = new Owner();
  for (let tag = 0; tag < 3; tag++) assert.ok(read(bench, owner, tag));
  assert.is(bench.queue.room, 0);
  assert.not(read(bench, owner, 3));
  assert.not(bench.queue.put(owner, 3, NOTHING));
  bench.queue.ring();
  bench.answer({ identifier: bench.identifier(1), head: 3 });
  bench.queue.poll();
  assert.is(bench.queue.inFlight, 2);
  assert.ok(read(bench, owner, 4));
  assert.not(read(bench, owner, 5));
});

test("an entry that the controller has not fetched is not written over, whatever has completed", () => {
  const bench = new Bench(3);
  const owner = new Owner();
  for (let tag = 0; tag < 3; tag++) read(bench, owner, tag);
  bench.queue.ring();
  bench.answer({ identifier: bench.identifier(0), head: 0 }); // it says that it has fetched nothing
  bench.queue.poll();
  assert.is(bench.queue.room, 0);
  bench.answer({ identifier: bench.identifier(1), head: 2 });
  bench.queue.poll();
  assert.is(bench.queue.room, 2);
});

test("a completion of nobody's is dropped and counted: one that was never put, one that comes twice, one of before", () => {
  const bench = new Bench(2);
  const owner = new Owner();
  read(bench, owner, 1);
  const identifier = bench.identifier(0);
  for (const wrong of [identifier + 1, 0xffff, 0x8000]) bench.answer({ identifier: wrong, head: 1 });
  assert.is(bench.queue.poll(), 3);
  assert.is(bench.queue.stale, 3);
  bench.answer({ identifier, head: 1 });
  bench.answer({ identifier, head: 1 });
  bench.queue.poll();
  assert.is(bench.queue.stale, 4);
  read(bench, owner, 2); // the same place, under another name
  assert.is.not(bench.identifier(1), identifier);
  bench.answer({ identifier, head: 2 });
  bench.queue.poll();
  assert.is(bench.queue.stale, 5);
  assert.equal(owner.completions, [[1, 0, 0]]);
  assert.is(bench.queue.inFlight, 1);
});

test("an owner puts its next command while it is told of the last one", () => {
  const bench = new Bench(1);
  const owner = new Owner();
  let left = 5;
  owner.next = () => {
    if (left-- > 0) assert.ok(read(bench, owner, left));
  };
  read(bench, owner, 99);
  for (let i = 0; i < 6; i++) {
    bench.queue.ring();
    bench.answer({ identifier: bench.identifier(i % 2), head: (i + 1) % 2 });
    bench.queue.poll();
  }
  assert.equal(
    owner.completions.map(([tag]) => tag),
    [99, 4, 3, 2, 1, 0],
  );
});

test("what an owner throws passes, and no completion is lost or told twice by it", () => {
  const bench = new Bench(3);
  const owner = new Owner();
  owner.next = () => {
    if (owner.completions.length === 1) throw new Error("an owner's own");
  };
  for (let tag = 0; tag < 3; tag++) read(bench, owner, tag);
  bench.queue.ring();
  for (let tag = 0; tag < 3; tag++) bench.answer({ identifier: bench.identifier(tag), head: 3 });
  assert.throws(() => bench.queue.poll(), "an owner's own");
  assert.equal(bench.doorbells.at(-1), [0x100c, 1]);
  assert.is(bench.queue.poll(), 2);
  assert.equal(
    owner.completions.map(([tag]) => tag),
    [0, 1, 2],
  );
});

test("what is given up is told once, in words, and its late completion is nobody's, also after a restart", () => {
  const bench = new Bench(2);
  const owner = new Owner();
  read(bench, owner, 1);
  read(bench, owner, 2);
  const identifiers = [bench.identifier(0), bench.identifier(1)];
  bench.queue.failAll((what) => new Error(`${what} is lost`));
  assert.equal(owner.failures, [
    [1, "command 1 is lost"],
    [2, "command 2 is lost"],
  ]);
  assert.is(bench.queue.inFlight, 0);
  for (const identifier of identifiers) bench.answer({ identifier, head: 2 });
  bench.queue.poll();
  assert.is(bench.queue.stale, 2);
  bench.queue.restart();
  assert.not(bench.queue.isOpen);
  assert.not(read(bench, owner, 3), "there is no room in a queue that the controller does not have");
  bench.queue.isOpen = true;
  assert.is(bench.queue.poll(), 0);
  assert.ok(read(bench, owner, 3));
  assert.not(identifiers.includes(bench.identifier(0)));
  assert.equal(owner.completions, []);
});

test("a queue that the controller does not have touches no doorbell", () => {
  const bench = new Bench(2);
  const owner = new Owner();
  read(bench, owner, 1);
  bench.answer({ identifier: bench.identifier(0), head: 1 });
  bench.queue.isOpen = false;
  bench.queue.ring();
  assert.is(bench.queue.poll(), 0);
  assert.equal(bench.doorbells, []);
});

test("what is overdue is what was put before a tick, in words", () => {
  const bench = new Bench(4);
  const owner = new Owner();
  read(bench, owner, 1);
  bench.queue.tick = 3;
  read(bench, owner, 2);
  assert.is(bench.queue.overdue(0), undefined);
  assert.is(bench.queue.overdue(3), "command 1");
  bench.answer({ identifier: bench.identifier(0), head: 2 });
  bench.queue.poll();
  assert.is(bench.queue.overdue(3), undefined);
  assert.is(bench.queue.overdue(4), "command 2");
});

test("each command is told once, with its own answer, by a controller that answers in any order", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const chance = new Random(seed);
    const next = (end: number) => chance.below(end);
    const depth = 1 + next(9);
    const bench = new Bench(depth);
    const owner = new Owner();
    const underWay: { identifier: number; tag: number }[] = [];
    const expected = new Map<number, number>();
    let [put, head, tail] = [0, 0, 0];
    for (let turn = 0; put < 300 || underWay.length > 0; turn++) {
      assert.ok(turn < 10_000, `seed ${seed}: ${put} were put, and ${underWay.length} have no answer`);
      const count = put < 300 ? next(depth + 1) : 0;
      for (let i = 0; i < count && read(bench, owner, put); i++) {
        underWay.push({ identifier: bench.identifier(tail), tag: put++ });
        tail = (tail + 1) % bench.queue.entries;
      }
      bench.queue.ring();
      head = tail;
      for (let i = next(underWay.length + 1); i > 0; i--) {
        const [one] = underWay.splice(next(underWay.length), 1);
        const result = next(1 << 30);
        expected.set(one?.tag ?? -1, result);
        bench.answer({ identifier: one?.identifier ?? -1, result, head });
      }
      bench.queue.poll();
    }
    assert.is(owner.completions.length, put, `seed ${seed}`);
    for (const [tag, status, result] of owner.completions) {
      assert.is(result, expected.get(tag), `seed ${seed}, command ${tag}`);
      assert.is(status, 0);
    }
    assert.is(bench.queue.stale, 0, `seed ${seed}`);
    assert.is(new Set(owner.completions.map(([tag]) => tag)).size, put, `seed ${seed}`);
  }
});

test.run();
