/** Where a range of memory lies for a device: runs of IOVAs, from any byte to any byte, as long as the device takes them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import { runsOf, temptingRuns, type Wish } from "../reference/dma-runs.ts";
import { failure } from "../support/failure.ts";
import { GiB, HIGH, MiB, Program, ready } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4096n;
const seed = Number(process.env.DMA_WINDOW_SEED ?? 5);

test("a range in one piece is one run, from any byte to any byte", () => {
  const { window, va } = ready();
  window.map({ va, length: 4n * PAGE, iova: MiB });
  assert.equal(window.runs(va, 4n * PAGE), [{ iova: MiB, length: 4n * PAGE }]);
  assert.equal(window.runs(va + 5n, 4098), [{ iova: MiB + 5n, length: 4098n }]);
  assert.equal(window.runs(Number(va), 1), [{ iova: MiB, length: 1n }]);
});

test("neighbours are one run however they were mapped, and what lies apart is several, in the order of the memory", () => {
  const { window, va } = ready();
  window.map({ va: va + PAGE, length: PAGE, iova: MiB + PAGE });
  window.map({ va, length: PAGE, iova: MiB });
  window.map({ va: va + 2n * PAGE, length: PAGE, iova: 0n });
  assert.equal(window.runs(va + 1n, 3n * PAGE - 2n), [
    { iova: MiB + 1n, length: 2n * PAGE - 1n },
    { iova: 0n, length: PAGE - 1n },
  ]);
});

test("no run is longer than the device takes, nor across a boundary", () => {
  const { window, va } = ready();
  window.map({ va, length: 4n * PAGE, iova: MiB - 2n * PAGE });
  assert.equal(
    window.runs(va, 4n * PAGE, { maxLength: 3n * PAGE }).map(({ length }) => length),
    [3n * PAGE, PAGE],
  );
  assert.equal(window.runs(va + 8n, 3n * PAGE, { boundary: 1 << 20 }), [
    { iova: MiB - 2n * PAGE + 8n, length: 2n * PAGE - 8n },
    { iova: MiB, length: PAGE + 8n },
  ]);
  const small = window.runs(va + 100n, 1000, { boundary: 512 });
  assert.equal(
    small.map(({ length }) => Number(length)),
    [412, 512, 76],
  );
});

test("what is not mapped is named, by its first byte", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE });
  window.map({ va: va + 2n * PAGE, length: PAGE });
  const error = failure("ERR_NOT_LIVE", () => window.runs(va + 7n, 3n * PAGE - 7n));
  assert.equal(error.facts, { va: va + PAGE });
  assert.equal(failure("ERR_NOT_LIVE", () => window.runs(va + PAGE + 9n, 1)).facts, { va: va + PAGE + 9n });
});

test("a run of a window above 2^53 is exact to the byte, and so is one of a list with 2 MiB pages", () => {
  const program = new Program({ platform: "pseries" });
  const memory = program.memory();
  const list = memory.addList({ pageSize: 2n * MiB, maxBytes: 64n * MiB });
  const window = program.window(64n * MiB, { memory, pageSize: 2n * MiB });
  program.container.attach(memory, window);
  const { va, length } = memory.allocate(list, 3);
  assert.ok(window.start >= HIGH);
  assert.equal(window.runs(va + 3n, length - 3n), [{ iova: window.iovaOf(va) + 3n, length: length - 3n }]);
  const pieces = window.runs(va + 3n, length - 3n, { maxLength: MiB });
  assert.is(pieces.length, 6);
  assert.is(pieces.at(-1)?.iova, window.iovaOf(va) + 5n * MiB + 3n);
});

test("arrays get the same, in lengths of 64 bits and of 32, and say how many there are", () => {
  const { window, va } = ready();
  for (const [i, iova] of [3n, 4n, 9n].entries())
    window.map({ va: va + BigInt(i) * PAGE, length: PAGE, iova: iova * MiB });
  const expected = window.runs(va + 1n, 3n * PAGE - 1n);
  for (const lengths of [new BigUint64Array(8), new Uint32Array(8)]) {
    const iovas = new BigUint64Array(8);
    assert.is(window.runsInto(va + 1n, 3n * PAGE - 1n, iovas, lengths), 3);
    assert.equal(
      [0, 1, 2].map((i) => ({ iova: iovas[i], length: BigInt(lengths[i] as bigint) })),
      expected,
    );
    assert.is(iovas[3], 0n);
  }
});

test("rows of requests take them too, also after the core's memory has grown", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 2n * PAGE, iova: MiB });
  const rows = window.requests(4);
  assert.is(window.runsInto(va, 2n * PAGE, rows.iovas, rows.lengths), 1);
  for (let i = 0; i < 8; i++) program.window(GiB).close();
  window.requests(1 << 20);
  assert.is(window.runsInto(va, PAGE, rows.iovas, rows.lengths, { maxLength: 2048 }), 2);
  assert.equal([...rows.iovas.subarray(0, 2)], [MiB, MiB + 2048n]);
});

test("arrays that are too short are refused, with how long they have to be", () => {
  const { window, va } = ready();
  window.map({ va, length: 4n * PAGE });
  const into = (room: number) =>
    window.runsInto(va, 4n * PAGE, new BigUint64Array(room), new Uint32Array(9), { maxLength: 4096 });
  assert.is(into(4), 4);
  const error = failure("ERR_TOO_MANY_RUNS", () => into(3));
  assert.equal(error.facts, { needed: 4, room: 3, va, length: 4n * PAGE });
});

test("with lengths of 32 bits a run of more than 4 GiB is two, and a longer wish is refused", () => {
  const program = new Program({ platform: "type1" });
  const window = program.window(8n * GiB, { pageSize: 2n * MiB });
  const va = ((program.allocate(6n * GiB) + 2n * MiB - 1n) / (2n * MiB)) * (2n * MiB);
  const length = 5n * GiB;
  const iova = window.map({ va, length });
  assert.equal(window.runs(va, length), [{ iova, length }]);
  const [iovas, lengths] = [new BigUint64Array(2), new Uint32Array(2)];
  assert.is(window.runsInto(va, length, iovas, lengths), 2);
  assert.equal([...lengths], [2 ** 32 - 4096, 2 ** 30 + 4096]);
  assert.equal([...iovas], [iova, iova + (1n << 32n) - 4096n]);
  const long = new BigUint64Array(1);
  assert.is(window.runsInto(va, length, iovas, long), 1);
  assert.is(long[0], length);
  assert.throws(
    () => window.runsInto(va, 1, iovas, lengths, { maxLength: 2 ** 32 }),
    (error: Error & { code?: string }) => error.code === "ERR_OUT_OF_RANGE",
  );
});

test("what is no range, no array and no wish is refused by its name", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE });
  const arrays = [new BigUint64Array(2), new Uint32Array(2)] as const;
  const both = new BigUint64Array(4);
  const wrong: readonly [string, RegExp, () => unknown][] = [
    ["ERR_OUT_OF_RANGE", /length/, () => window.runs(va, 0)],
    ["ERR_OUT_OF_RANGE", /length/, () => window.runs(va, (1n << 52n) + 1n)],
    ["ERR_OUT_OF_RANGE", /length/, () => window.runs(va, 1.5)],
    ["ERR_OUT_OF_RANGE", /2\^64/, () => window.runs((1n << 64n) - 1n, 2)],
    ["ERR_OUT_OF_RANGE", /va/, () => window.runs(1n << 64n, 1)],
    ["ERR_OUT_OF_RANGE", /va/, () => window.runs(-1, 1)],
    ["ERR_OUT_OF_RANGE", /va/, () => window.runs(2 ** 53 + 2, 1)],
    ["ERR_INVALID_ARG_TYPE", /va/, () => window.runs("0" as never, 1)],
    ["ERR_INVALID_ARG_TYPE", /length/, () => window.runs(va, undefined as never)],
    ["ERR_OUT_OF_RANGE", /boundary/, () => window.runs(va, 1, { boundary: 3 })],
    ["ERR_OUT_OF_RANGE", /boundary/, () => window.runs(va, 1, { boundary: 0 })],
    // The logarithms of these are whole numbers, as far as a double goes.
    ...[2 ** 49 - 1, 2 ** 50 + 1, 2 ** 51 + 1, 2 ** 52 - 1].map((boundary): [string, RegExp, () => unknown] => [
      "ERR_OUT_OF_RANGE",
      /boundary/,
      () => window.runs(va, 1, { boundary }),
    ]),
    ["ERR_OUT_OF_RANGE", /boundary/, () => window.runs(va, 1, { boundary: 2n ** 50n + 1n })],
    ["ERR_OUT_OF_RANGE", /maxLength/, () => window.runs(va, 1, { maxLength: 0n })],
    ["ERR_INVALID_ARG_TYPE", /maxLength/, () => window.runs(va, 1, { maxLength: "4096" as never })],
    ["ERR_INVALID_ARG_TYPE", /did you mean "maxLength"/, () => window.runs(va, 1, { maxlength: 1 } as never)],
    ["ERR_INVALID_ARG_TYPE", /iovas/, () => window.runsInto(va, 1, [] as never, arrays[1])],
    ["ERR_INVALID_ARG_TYPE", /lengths/, () => window.runsInto(va, 1, arrays[0], undefined as never)],
    ["ERR_INVALID_ARG_TYPE", /lengths/, () => window.runsInto(va, 1, arrays[0], new Int32Array(2) as never)],
    ["ERR_OUT_OF_RANGE", /lengths/, () => window.runsInto(va, 1, both.subarray(0, 2), both.subarray(1, 3))],
    ["ERR_OUT_OF_RANGE", /lengths/, () => window.runsInto(va, 1, both, both)],
  ];
  for (const [code, words, act] of wrong) {
    assert.throws(
      act,
      (error: Error & { code?: string }) => error.code === code && words.test(error.message),
      `${act}`,
    );
  }
  failure("ERR_NOT_LIVE", () => window.runs((1n << 64n) - 1n, 1)); // the last byte there is
  window.close();
  failure("ERR_CLOSED", () => window.runs(va, 1));
  failure("ERR_CLOSED", () => window.runsInto(va, 1, ...arrays));
});

/** A window with a few pages of memory mapped here and there, some beside each other, some not at all. */
function scattered(random: Random): { readonly window: Window; readonly va: bigint } {
  const { window, va } = ready();
  const free = Array.from({ length: 12 }, (_, i) => i);
  for (let i = 0n; i < 8n; i++) {
    if (random.once(8)) continue;
    const place = random.once(3) ? random.below(free.length) : 0; // most go on where the last ended
    const [page = 0] = free.splice(place, 1);
    window.map({ va: va + i * PAGE, length: PAGE, iova: BigInt(page + 250) * PAGE });
  }
  return { window, va };
}

test(`runs are those of a look at each byte (seed ${seed})`, () => {
  const random = new Random(seed);
  const caught = new Set<string>();
  for (let i = 0; i < 60; i++) {
    const { window, va } = scattered(random);
    const start = va + BigInt(random.below(3 * 4096));
    const length = 1 + random.below(4 * 4096);
    const wish: Wish = {
      ...(random.once(2) ? { maxLength: 1 + random.below(random.pick([5000, 9000, 70])) } : {}),
      ...(random.once(2) ? { boundary: 2 ** (9 + random.below(12)) } : {}),
    };
    const translate = (at: bigint) => window.translate(at);
    const expected = runsOf(translate, start, length, wish);
    const said = JSON.stringify({ i, length, wish });
    if (expected === undefined) failure("ERR_NOT_LIVE", () => window.runs(start, length, wish));
    else assert.equal(window.runs(start, length, wish), expected, said);
    for (const [name, tempting] of Object.entries(temptingRuns)) {
      const other = tempting(translate, start, length, wish);
      if (JSON.stringify(other, hexes) !== JSON.stringify(expected, hexes)) caught.add(name);
    }
    window.close();
  }
  assert.equal([...caught].sort(), Object.keys(temptingRuns).sort(), "each way to be wrong was met");
});

function hexes(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString(16) : value;
}

test.run();
