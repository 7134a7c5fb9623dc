import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument, thrownBy } from "../support/failure.ts";
import { GiB, MiB } from "../support/program.ts";

const PAGE = 4096n;
const TOP = 1n << 64n;

/** A list of 256 pages at 1 GiB. */
function table() {
  const memory = new MemsegTable();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: GiB });
  return { memory, list };
}

const shown = (memory: MemsegTable, ...range: [] | [bigint] | [bigint, bigint]) =>
  [...memory.memsegs(...range)].map(({ va, length }) => [va, length]);

test("what is added is found by every byte of it, with its list", () => {
  const { memory, list } = table();
  memory.add(list, { va: GiB + PAGE, length: 2n * PAGE, iova: 0x9000n });
  const expected = { va: GiB + PAGE, length: 2n * PAGE, iova: 0x9000n, list };
  assert.equal(memory.find(GiB + PAGE), expected);
  assert.equal(memory.find(GiB + 3n * PAGE - 1n), expected);
  assert.is(memory.find(GiB + 3n * PAGE), undefined);
  assert.is(memory.find(GiB + PAGE - 1n), undefined);
  assert.is(memory.find(TOP - 1n), undefined);
  assert.equal([memory.size, memory.bytes], [1, 2n * PAGE]);
});

test("translate gives the IOVA that the memory states, byte for byte, and nothing where there is none", () => {
  const { memory, list } = table();
  memory.add(list, { va: GiB, length: 2n * PAGE, iova: 0x9000n });
  memory.add(list, { va: GiB + 4n * PAGE, length: PAGE });
  assert.is(memory.translate(GiB), 0x9000n);
  assert.is(memory.translate(GiB + PAGE + 17n), 0xa011n);
  assert.is(memory.translate(GiB + 4n * PAGE), undefined);
  assert.is(memory.translate(GiB + 2n * PAGE), undefined);
  assert.equal(memory.valid, { count: 1, bytes: 2n * PAGE });
});

test("an IOVA of 0 is one that is known", () => {
  const { memory, list } = table();
  memory.add(list, { va: GiB, length: PAGE, iova: 0n });
  assert.is(memory.translate(GiB + 1n), 1n);
  assert.equal(memory.valid, { count: 1, bytes: PAGE });
});

test("memsegs are given by address, whatever order they came in; neighbours stay apart", () => {
  const { memory, list } = table();
  for (const i of [5n, 0n, 1n]) memory.add(list, { va: GiB + i * PAGE, length: PAGE });
  assert.equal(shown(memory), [
    [GiB, PAGE],
    [GiB + PAGE, PAGE],
    [GiB + 5n * PAGE, PAGE],
  ]);
});

test("a range gives the memsegs that it touches", () => {
  const { memory, list } = table();
  for (const i of [0n, 4n, 8n]) memory.add(list, { va: GiB + i * PAGE, length: 2n * PAGE });
  assert.equal(shown(memory, GiB + 5n * PAGE), [
    [GiB + 4n * PAGE, 2n * PAGE],
    [GiB + 8n * PAGE, 2n * PAGE],
  ]);
  assert.equal(shown(memory, GiB + 6n * PAGE - 1n, 1n), [[GiB + 4n * PAGE, 2n * PAGE]]);
  assert.equal(shown(memory, GiB + 2n * PAGE, 2n * PAGE), []);
  assert.equal(shown(memory, GiB + 2n * PAGE, 2n * PAGE + 1n), [[GiB + 4n * PAGE, 2n * PAGE]]);
  assert.equal(shown(memory, GiB, 0n), []);
  assert.equal(shown(memory, 0n, TOP - 1n).length, 3);
  assert.equal(shown(memory, TOP - 1n), []);
});

test("a range that is none is refused at once, not when it is walked", () => {
  const { memory } = table();
  for (const [, value] of badValues("undefined")) {
    refusesArgument(() => memory.memsegs(value as never));
    refusesArgument(() => memory.memsegs(0n, value as never));
  }
  refusesArgument(() => memory.memsegs(4096n, TOP - 1n));
  refusesArgument(() => memory.memsegs(TOP - 1n, 2n));
});

test("a memseg may lie at the very end of the address space", () => {
  const memory = new MemsegTable();
  const list = memory.addList({ pageSize: PAGE, maxBytes: 2n * PAGE, base: TOP - 2n * PAGE });
  memory.add(list, { va: TOP - PAGE, length: PAGE });
  assert.equal(shown(memory), [[TOP - PAGE, PAGE]]);
  assert.equal(memory.highest, { last: TOP - 1n, pageSize: PAGE });
  memory.remove(TOP - PAGE);
  assert.equal(shown(memory), []);
});

test("highest is the highest memory that is there, and not that of an owner who maps it", () => {
  const memory = new MemsegTable();
  const small = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: GiB });
  const large = memory.addList({ pageSize: 2n * MiB, maxBytes: 4n * MiB, base: 2n * GiB });
  const external = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: 3n * GiB, external: true });
  assert.is(memory.highest, undefined);
  memory.add(small, { va: GiB, length: PAGE });
  assert.equal(memory.highest, { last: GiB + PAGE - 1n, pageSize: PAGE });
  memory.add(large, { va: 2n * GiB, length: 2n * MiB });
  memory.add(external, { va: 3n * GiB, length: PAGE });
  assert.equal(memory.highest, { last: 2n * GiB + 2n * MiB - 1n, pageSize: 2n * MiB });
});

test("what is removed is gone, and may come again", () => {
  const { memory, list } = table();
  memory.add(list, { va: GiB, length: 2n * PAGE });
  memory.remove(GiB);
  assert.is(memory.find(GiB), undefined);
  assert.equal([memory.size, memory.bytes], [0, 0n]);
  memory.add(list, { va: GiB + PAGE, length: PAGE });
  assert.equal(shown(memory), [[GiB + PAGE, PAGE]]);
});

test("remove takes the address where a memseg begins, and no other", () => {
  const { memory, list } = table();
  memory.add(list, { va: GiB, length: 2n * PAGE });
  for (const va of [GiB + PAGE, GiB + 1n, GiB - PAGE, GiB + 2n * PAGE, 0n, TOP - 1n]) {
    failure("ERR_NOT_FOUND", () => memory.remove(va));
  }
  assert.is(memory.size, 1);
});

const refusals: readonly (readonly [string, string, { va: bigint; length: bigint; iova?: bigint }])[] = [
  ["no bytes", "ERR_ZERO_LENGTH", { va: GiB, length: 0n }],
  ["half a page", "ERR_UNALIGNED_LENGTH", { va: GiB, length: 2048n }],
  ["from the middle of a page", "ERR_UNALIGNED_VA", { va: GiB + 1n, length: PAGE }],
  ["an IOVA in the middle of a page", "ERR_UNALIGNED_IOVA", { va: GiB, length: PAGE, iova: 1n }],
  ["before the list", "ERR_OUTSIDE_LIST", { va: GiB - PAGE, length: PAGE }],
  ["past the list's end", "ERR_OUTSIDE_LIST", { va: GiB + MiB - PAGE, length: 2n * PAGE }],
  ["behind the list", "ERR_OUTSIDE_LIST", { va: GiB + MiB, length: PAGE }],
  ["wraps", "ERR_WRAPS", { va: TOP - PAGE, length: 2n * PAGE }],
  ["an IOVA that wraps", "ERR_WRAPS", { va: GiB, length: 2n * PAGE, iova: TOP - PAGE }],
  ["what is there", "ERR_OVERLAPS", { va: GiB + 8n * PAGE, length: PAGE }],
  ["around what is there", "ERR_OVERLAPS", { va: GiB + 7n * PAGE, length: 3n * PAGE }],
];

for (const [what, code, memseg] of refusals) {
  test(`memory that cannot be is refused: ${what}`, () => {
    const { memory, list } = table();
    memory.add(list, { va: GiB + 8n * PAGE, length: PAGE });
    failure(code, () => memory.add(list, memseg));
    assert.equal(shown(memory), [[GiB + 8n * PAGE, PAGE]]);
  });
}

test("bad arguments are refused", () => {
  const { memory, list } = table();
  for (const [, value] of [...badValues(), ["a number", 4096] as const]) {
    refusesArgument(() => memory.add(list, { va: value as never, length: PAGE }));
    refusesArgument(() => memory.find(value as never));
    refusesArgument(() => memory.remove(value as never));
  }
  for (const [, value] of badValues()) refusesArgument(() => memory.add(list, { va: GiB, length: value as never }));
  for (const [, value] of [...badValues("undefined"), ["all ones", TOP - 1n] as const]) {
    refusesArgument(() => memory.add(list, { va: GiB, length: PAGE, iova: value as never }));
  }
  for (const [, value] of badValues("an object", "an array")) {
    refusesArgument(() => memory.add(list, value as never));
    refusesArgument(() => memory.add(value as never, { va: GiB, length: PAGE }));
    refusesArgument(() => memory.removeList(value as never));
  }
  assert.is(memory.size, 0);
});

test("a closed table answers ERR_CLOSED", () => {
  const { memory, list } = table();
  memory.add(list, { va: GiB, length: PAGE });
  memory.close();
  for (const run of [
    () => memory.bytes,
    () => memory.size,
    () => memory.valid,
    () => memory.highest,
    () => memory.find(GiB),
    () => memory.translate(GiB),
    () => memory.memsegs(),
    () => memory.add(list, { va: GiB, length: PAGE }),
    () => memory.remove(GiB),
    () => memory.removeList(list),
    () => memory.allocate(list, 1),
  ]) {
    assert.is(thrownBy(run).code, "ERR_CLOSED", String(run));
  }
  assert.equal(memory.lists, []);
});

test.run();
