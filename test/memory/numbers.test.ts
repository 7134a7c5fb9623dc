/** Look-ups by number and in bulk in a table of memory: the answers are those that bigints get, or there is none. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { core, NO_ADDRESS } from "../../src/core.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { translateByMap } from "../../src/memory/walk.ts";
import { failure, refused, refusesArgument } from "../support/failure.ts";
import { GiB, MiB, ready } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4096n;
const TOP = 1n << 64n;

/** Lists far apart, up to the last page of all, with memsegs of every kind in them. */
function table() {
  const memory = new MemsegTable();
  const small = memory.addList({ pageSize: PAGE, maxBytes: 64n * MiB, base: GiB });
  const large = memory.addList({ pageSize: 2n * MiB, maxBytes: 64n * MiB, base: 1n << 47n });
  const last = memory.addList({ pageSize: PAGE, maxBytes: 16n * PAGE, base: TOP - 16n * PAGE });
  memory.add(small, { va: GiB, length: PAGE, iova: 0n });
  memory.add(small, { va: GiB + PAGE, length: 3n * PAGE, iova: 1n << 32n });
  memory.add(small, { va: GiB + 4n * PAGE, length: PAGE });
  memory.add(small, { va: GiB + 2n * MiB, length: 6n * MiB, iova: (1n << 59n) + 5n * PAGE });
  memory.add(large, { va: 1n << 47n, length: 8n * MiB, iova: 1n << 40n });
  memory.add(large, { va: (1n << 47n) + 16n * MiB, length: 2n * MiB, iova: TOP - 2n * MiB });
  memory.add(last, { va: TOP - 4n * PAGE, length: 4n * PAGE, iova: 7n * PAGE });
  return { memory, small, lists: [small, large, last] };
}

/** Fails unless the number says what the bigint does, or is refused because the answer is not exact. */
function agree(memory: MemsegTable, va: bigint): boolean {
  const iova = memory.translate(va);
  const ask = () => memory.translate(Number(va));
  if (iova !== undefined && iova >= 1n << 53n && iova % PAGE !== 0n) {
    assert.equal(failure("ERR_NOT_EXACT", ask).facts, { va, iova });
  } else {
    assert.is(ask(), Number(iova ?? -1n), `0x${va.toString(16)}`);
  }
  return iova !== undefined;
}

test("a number gets what a bigint gets: pages, bytes within, memory without an IOVA, and none", () => {
  const { memory, lists } = table();
  let found = 0;
  for (const { base, length } of lists) {
    for (let at = base - 2n * PAGE; at < base + length && at < base + 40n * MiB; at += 17n * PAGE) {
      for (const va of [at, at + 1n, at + PAGE - 1n]) if (va < 1n << 53n && agree(memory, va)) found++;
    }
    for (let page = -2n; page < 20n; page++) if (base + page * PAGE < TOP && agree(memory, base + page * PAGE)) found++;
  }
  assert.ok(found > 100, `${found} are there`);
  for (const va of [0n, PAGE, 1n << 31n, 1n << 32n, (1n << 53n) - 1n, 1n << 53n, 1n << 63n]) agree(memory, va);
  assert.is(memory.translate(Number(GiB)), 0);
  assert.is(memory.translate(Number(GiB) + 4095), 4095);
  assert.is(memory.translate(2 ** 64 - 4096), 10 * 4096);
  assert.is(memory.translate(2 ** 47 + 2 ** 24), 2 ** 64 - 2 ** 21);
  assert.is(memory.translate(Number(GiB + 4n * PAGE)), -1);
});

test("so after 2000 random changes, and however often the core's memory has grown", () => {
  const seed = 47;
  const random = new Random(seed);
  const { memory, small } = table();
  const there = new Map<bigint, bigint>();
  for (let step = 0; step < 2000; step++) {
    const va = small.base + 16n * MiB + BigInt(random.below(4096)) * 2n * PAGE;
    if (there.delete(va)) {
      memory.remove(va);
    } else {
      const iova = BigInt(random.below(2 ** 32)) * PAGE * (random.once(2) ? 1n : 1n << 19n);
      memory.add(small, { va, length: PAGE, ...(random.once(8) ? {} : { iova }) });
      there.set(va, iova);
    }
    if (step % 500 === 0) core.memory.grow(1);
    const asked = [...there.keys()].at(random.below(Math.max(there.size, 1))) ?? va;
    for (const at of [va, asked, asked + 1n, asked + PAGE]) agree(memory, at);
  }
  assert.ok(there.size > 500, `seed ${seed}`);
});

test("an address above all that there are finds nothing, wherever it lies", () => {
  const memory = new MemsegTable();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: 1n << 40n });
  memory.add(list, { va: 1n << 40n, length: MiB, iova: 0n });
  for (let i = 0; i < 100_000; i++) {
    const va = i * 2 ** 39 + (i % 2) * 2 ** 30;
    const expected = i === 2 ? 0 : -1;
    if (memory.translate(va) !== expected) assert.unreachable(`${va}: ${memory.translate(va)}`);
  }
});

test("the millionth memseg is found like the first", () => {
  const handle = core.tableOpen();
  const list = core.listAdd(handle, GiB, 1n << 34n, 12, 0);
  const count = 2 ** 20 + 3;
  // Every other page, so that each is a memseg of its own.
  for (let i = 0; i < count; i++) {
    const va = GiB + BigInt(i) * 2n * PAGE;
    if (core.memsegAdd(handle, list, va, BigInt(i) * 4n * PAGE, PAGE) !== 0) assert.unreachable(`memseg ${i}`);
  }
  const table = core.tableTables(handle);
  for (const i of [0, 1, 2, 3, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 2]) {
    assert.is(translateByMap(table, Number(GiB) + i * 8192), i * 16384);
    assert.is(translateByMap(table, Number(GiB) + i * 8192 + 4096), -1);
  }
  core.tableClose(handle);
});

test("translateInto says of many what translate says of one", () => {
  const { memory, lists } = table();
  const vas = BigUint64Array.from({ length: 9000 }, (_, i) => {
    const { base, length } = lists[i % 3] as (typeof lists)[number];
    return base + ((BigInt(i) * 1_234_567n) % length);
  });
  const expected = vas.map((va) => memory.translate(va) ?? NO_ADDRESS);
  const count = expected.filter((iova) => iova !== NO_ADDRESS).length;
  const iovas = new BigUint64Array(9001).fill(5n);
  assert.is(memory.translateInto(vas, iovas), count);
  assert.equal(iovas.subarray(0, 9000), expected);
  assert.is(iovas[9000], 5n);
  assert.ok(count > 100 && count < 9000);
  const rows = ready().window.requests(9000);
  rows.vas.set(vas);
  assert.is(memory.translateInto(rows.vas, rows.iovas), count);
  assert.equal([...rows.iovas], [...expected]);
  assert.is(
    memory.translateInto(rows.vas, rows.vas, 3),
    expected.slice(0, 3).filter((iova) => iova !== NO_ADDRESS).length,
  );
  assert.equal([...rows.vas.subarray(0, 4)], [...expected.subarray(0, 3), vas[3]]);
});

test("bad arguments are refused", () => {
  const { memory } = table();
  for (const va of [-1, -4096, 0.5, 2 ** 53 + 2, 2 ** 64, Number.NaN, Number.POSITIVE_INFINITY, -1n, TOP]) {
    refused("ERR_OUT_OF_RANGE", () => memory.translate(va as never));
  }
  for (const va of [undefined, null, "4096", {}, [4096], true, Symbol("va")]) {
    refused("ERR_INVALID_ARG_TYPE", () => memory.translate(va as never));
    refused("ERR_INVALID_ARG_TYPE", () => memory.translateInto(va as never, new BigUint64Array(1)));
    refused("ERR_INVALID_ARG_TYPE", () => memory.translateInto(new BigUint64Array(1), va as never));
  }
  const two = new BigUint64Array(2);
  refused("ERR_OUT_OF_RANGE", () => memory.translateInto(two, new BigUint64Array(1)));
  for (const count of [3, -1, 0.5, "1", 1n]) refusesArgument(() => memory.translateInto(two, two, count as never));
});

test("a closed table answers nothing", () => {
  const { memory } = table();
  memory.close();
  failure("ERR_CLOSED", () => memory.translate(Number(GiB)));
  failure("ERR_CLOSED", () => memory.translate(GiB));
  failure("ERR_CLOSED", () => memory.translateInto(new BigUint64Array(1), new BigUint64Array(1)));
});

test.run();
