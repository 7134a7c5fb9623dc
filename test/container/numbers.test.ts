/** Questions with numbers: the same answers as with bigints, no bigint on the way, and no answer that is not exact. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Span } from "../../src/container/span.ts";
import { Window } from "../../src/container/window.ts";
import { core } from "../../src/core.ts";
import { failure, refused, thrownBy } from "../support/failure.ts";
import { readyOnType1, readyWithoutIommu } from "../support/other-iommus.ts";
import { GiB, HIGH, MiB, Program, ready, TiB } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4096n;
const TOP = 1n << 64n;

/** Measures in a process of its own: what a test has asked with other kinds of arguments makes code that boxes numbers. */
const GARBAGE = fileURLToPath(new URL("garbage.ts", import.meta.url));

/** Whether a u64 is one of the numbers that are taken. */
const isNumber = (value: bigint) => value >= 0n && value < TOP && (value < 1n << 53n || value % PAGE === 0n);

const around = (value: bigint) => [value - PAGE, value - 1n, value, value + 1n, value + PAGE];

/** Edges of words, of doubles, and of a range, in numbers that are taken. */
function edges(start: bigint, size: bigint): bigint[] {
  const values = [0n, 1n << 31n, 1n << 32n, 1n << 53n, 1n << 59n, 1n << 60n, 1n << 63n, TOP, start, start + size, size];
  return [...new Set(values.flatMap(around))].filter(isNumber);
}

/** What `contains` and `tceIndex` have to say, in exact arithmetic. */
const inside = (start: bigint, size: bigint, iova: bigint, length: bigint) =>
  length > 0n && iova >= start && iova + length <= start + size;
const indexOf = (start: bigint, size: bigint, shift: number, iova: bigint) =>
  inside(start, size, iova, 1n) ? (iova - start) >> BigInt(shift) : -1n;

const spans = suite("the IOVAs of a window as numbers");
const SPANS: readonly (readonly [start: bigint, size: bigint, shift: number])[] = [
  [0n, PAGE, 12],
  [0n, 1n << 32n, 16],
  [0n, 1n << 53n, 24],
  [0n, (1n << 53n) + PAGE, 12],
  [0n, 1n << 60n, 30],
  [0n, 1n << 63n, 40],
  [PAGE, (1n << 60n) - PAGE, 12],
  [(1n << 53n) - PAGE, 2n * PAGE, 12],
  [(1n << 53n) - PAGE, 1n << 62n, 12],
  [HIGH, 1n << 36n, 16],
  [1n << 63n, 1n << 63n, 34],
  [1n << 32n, 300n * GiB, 21],
  [0xfef0_0000n, (1n << 39n) - 0xfef0_0000n, 12],
  [5n * PAGE, (1n << 60n) - 3n * PAGE, 24],
  [TOP - PAGE, PAGE, 12],
];
for (const [start, size, shift] of SPANS) {
  spans(`are right on all edges: 0x${size.toString(16)} bytes at 0x${start.toString(16)}`, () => {
    const span = new Span(start, size, shift);
    const values = edges(start, size);
    let yes = 0;
    for (const iova of values) {
      assert.is(BigInt(span.tceIndex(Number(iova))), indexOf(start, size, shift, iova), `tceIndex ${iova}`);
      for (const length of values) {
        const expected = inside(start, size, iova, length);
        assert.is(span.contains(Number(iova), Number(length)), expected, `contains ${iova} ${length}`);
        const bothPages = iova % PAGE === 0n && length % PAGE === 0n;
        assert.is(span.hasPages(Number(iova), Number(length)), bothPages && expected, `hasPages ${iova} ${length}`);
        if (expected) yes++;
      }
    }
    assert.ok(yes > 0 && yes < values.length ** 2);
  });
}

spans("see no pages in what is no u64, and none in a window that is gone", () => {
  const span = new Span(TOP - PAGE, PAGE, 12);
  const wrong = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -4096, -0, 2 ** 64, 2 ** 65];
  for (const value of wrong) {
    assert.is(span.hasPages(value, 4096), false, `${value}`);
    assert.is(span.hasPages(2 ** 64 - 4096, value), false, `length ${value}`);
  }
  assert.is(span.hasPages(2 ** 64 - 4096, 4096), true);
  assert.is(Span.NONE.hasPages(0, 4096), false);
});

spans("need both comparisons: neither alone is right where a difference is rounded", () => {
  const span = new Span(0n, 1n << 60n, 12);
  assert.is(span.contains(1, 2 ** 60), false); // 2^60 - 1 rounds to 2^60, and 2^60 is not above that
  assert.is(span.contains(2 ** 60 - 4096, 4097), false); // and here 2^60 - 4097 rounds to 2^60 - 4096
  assert.is(span.contains(2 ** 60 - 4096, 4096), true);
  assert.is(new Span(0n, 1n << 53n, 12).contains(2 ** 53 - 1, 2), false); // the sum would round to 2^53
});

spans("are right in 100000 random cases", () => {
  const seed = 20221122;
  const random = new Random(seed);
  const word = () => (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
  const number = () => {
    const value = word() >> BigInt(random.below(64));
    return isNumber(value) ? value : (value / PAGE) * PAGE;
  };
  let yes = 0;
  for (let i = 0; i < 100_000; i++) {
    const shift = 12 + random.below(9);
    const page = 1n << BigInt(shift);
    const size = ((word() >> BigInt(1 + random.below(40))) / page) * page + page;
    const room = (TOP - size) / page;
    const start = random.once(3)
      ? (TOP - size) * BigInt(random.below(2))
      : ((word() >> BigInt(random.below(50))) % room) * page;
    const span = new Span(start, size, shift);
    const near = start + ((word() % size) / PAGE) * PAGE;
    const iova = random.once(2) ? near : number();
    const left = start + size - iova;
    const length = random.once(2) && isNumber(left) ? left : number();
    const what = `seed ${seed}, case ${i}: ${start} ${size} ${shift} ${iova} ${length}`;
    const expected = inside(start, size, iova, length);
    assert.is(span.contains(Number(iova), Number(length)), expected, what);
    assert.is(BigInt(span.tceIndex(Number(iova))), indexOf(start, size, shift, iova), what);
    if (expected) yes++;
  }
  assert.ok(yes > 10_000 && yes < 90_000, `${yes} of them lie inside`);
});
spans.run();

const forms = suite("a number and a bigint");

/** A window on every platform, with memory at a few IOVAs of it. */
const WINDOWS: readonly (readonly [name: string, make: () => { window: Window; va: bigint; length: bigint }])[] = [
  ["PowerNV, at 0", () => mapped(ready())],
  ["PowerNV, pages of 64 KiB", () => mapped(ready({ pageSize: 65536 }))],
  ["an LPAR, at 1 << 59", () => mapped(ready({ platform: "pseries" }, 4n * GiB))],
  ["type1", () => mapped(readyOnType1())],
  [
    "no IOMMU",
    () => {
      const { window, memory, list } = readyWithoutIommu();
      const { va, length } = memory.allocate(list, 2);
      window.map({ va, length: 2n * MiB });
      return { window, va, length };
    },
  ],
];

/** Pages of it at its first and last IOVAs, and some in between that lie one behind the other. */
function mapped({ window, va }: { readonly window: Window; readonly va: bigint }) {
  const page = 1n << BigInt(window.pageShift);
  window.map({ va, length: page, iova: window.start + window.size - page });
  window.map({ va: va + 2n * page, length: 5n * page, iova: window.start + 2n * page });
  window.map({ va: va + 8n * page, length: page, iova: window.start });
  return { window, va, length: 10n * page };
}

for (const [name, make] of WINDOWS) {
  forms(`say the same of contains, tceIndex and translate: ${name}`, () => {
    const { window, va, length } = make();
    const { start, size, pageShift } = window;
    for (const iova of edges(start, size)) {
      const index = window.tceIndex(iova);
      assert.is(index ?? -1n, indexOf(start, size, pageShift, iova));
      assert.is(window.tceIndex(Number(iova)), Number(index ?? -1n));
      for (const bytes of edges(0n, size)) {
        const expected = inside(start, size, iova, bytes);
        assert.is(window.contains(iova, bytes), expected);
        assert.is(window.contains(Number(iova), Number(bytes)), expected, `${iova} ${bytes}`);
      }
    }
    let found = 0;
    for (let at = va - PAGE; at <= va + length; at += PAGE) {
      for (const address of [at, at + 1n, at + PAGE - 1n]) {
        const iova = window.translate(address);
        const ask = () => window.translate(Number(address));
        if (iova === undefined) assert.is(ask(), -1);
        else if (isNumber(iova)) assert.is(ask(), Number(iova));
        else assert.equal(failure("ERR_NOT_EXACT", ask).facts, { va: address, iova });
        if (iova !== undefined) found++;
      }
    }
    assert.ok(found > 10);
    for (const address of edges(va, length)) {
      if (address < va || address >= va + length) assert.is(window.translate(Number(address)), -1, `${address}`);
    }
  });
}

forms("say the same of a window that ends at 2^64", () => {
  const { target } = readyOnType1().window;
  const start = TOP - 4n * GiB;
  const plan = { size: 4n * GiB, pageShift: 16, levels: 0, iovaMode: "rebased" } as const;
  const window = new Window(plan, { start, forbidden: [], allowed: [] }, target, {
    attached: () => [],
    endHeaps: () => {},
    remove: () => undefined,
  });
  const values = edges(start, 4n * GiB);
  for (const iova of values) {
    assert.is(window.tceIndex(Number(iova)), Number(window.tceIndex(iova) ?? -1n));
    for (const length of values) {
      assert.is(window.contains(Number(iova), Number(length)), window.contains(iova, length), `${iova} ${length}`);
    }
  }
  assert.ok(window.contains(Number(start), 2 ** 32));
  assert.is(window.tceIndex(2 ** 64 - 4096), 65535);
  core.windowForget(window.target.window);
});

forms("say the same after every one of 300 random maps and unmaps, of pages and of 2 MiB slots", () => {
  const seed = 59;
  const random = new Random(seed);
  const program = new Program({ platform: "pseries" });
  const window = program.window(4n * GiB);
  const va = program.allocate(64n * MiB);
  const [pages, slot] = [2 ** 14, 512];
  for (let step = 0; step < 300; step++) {
    const some = random.once(4) ? slot : 1 + random.below(64);
    const offset = BigInt(Math.floor(random.below(pages - some) / some) * some) * PAGE;
    const [iova, length] = [window.start + offset, BigInt(some) * PAGE];
    const lives = Array.from({ length: some }, (_, i) => window.vaOf(iova + BigInt(i) * PAGE) !== undefined);
    if (lives.every((live) => !live)) window.map({ va: va + offset, length, iova });
    else if (lives.every((live) => live)) window.unmap({ iova, length });
    for (let i = 0; i < 64; i++) {
      const at = va + BigInt(random.below(pages)) * PAGE;
      const expected = Number(window.translate(at) ?? -1n);
      assert.is(window.translate(Number(at)), expected, `seed ${seed}, step ${step}, 0x${at.toString(16)}`);
    }
  }
  assert.ok(window.liveBytes > 0n);
});

forms("say the same of addresses far apart, up to the last page of all", () => {
  const { window } = readyOnType1();
  const places = [PAGE, 2n * MiB, GiB, 512n * GiB, TiB, 1n << 47n, 1n << 52n, 1n << 63n, TOP - 2n * MiB, TOP - PAGE];
  // The core alone: no kernel maps memory that is not there.
  core.reserveRequests(1);
  for (const [i, at] of places.entries()) {
    core.u64(core.vaColumn(), 1)[0] = at;
    core.u64(core.lengthColumn(), 1)[0] = PAGE;
    core.u64(core.iovaColumn(), 1)[0] = BigInt(i) * PAGE;
    core.u32(core.permissionColumn(), 1)[0] = 3;
    assert.is(core.prepareMaps(window.target.window, 1, 0), 0);
    core.u32(core.callTable() + 8, 1)[0] = 0; // the answer of the only call
    core.collectMaps();
    assert.is(core.settleMaps(window.target.window), 1);
  }
  for (const [i, at] of places.entries()) {
    assert.is(window.translate(Number(at)), i * 4096, `0x${at.toString(16)}`);
    assert.is(window.translate(Number(at ^ PAGE)), Number(window.translate(at ^ PAGE) ?? -1n));
  }
});
forms.run();

const answers = suite("an answer");
answers("of translate is exact or refused, and the refusal says what to ask instead", () => {
  const { window, va } = ready({ platform: "pseries" }, 4n * GiB);
  const iova = window.map({ va, length: 2n * PAGE });
  assert.is(iova, HIGH);
  assert.is(window.translate(Number(va)), 2 ** 59);
  assert.is(window.translate(Number(va + PAGE)), 2 ** 59 + 4096);
  const error = failure("ERR_NOT_EXACT", () => window.translate(Number(va + 1n)));
  assert.equal(error.facts, { va: va + 1n, iova: HIGH + 1n });
  assert.match(error.message, "0x800000000000001");
  assert.match(error.message, "ask for the first byte of its page, or with a bigint");
  assert.is(window.translate(va + 1n), HIGH + 1n);
});

answers("of translate is any byte's where IOVAs are below 2^53", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE, iova: MiB });
  assert.is(window.translate(Number(va) + 1), Number(MiB) + 1);
  assert.is(window.translate(Number(va) + 4095), Number(MiB) + 4095);
  assert.is(window.translate(Number(va) + 4096), -1);
});

answers("is right after the core's memory has grown, and after an unmap", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE, iova: MiB });
  assert.is(window.translate(Number(va)), Number(MiB));
  const before = core.memory.buffer;
  core.memory.grow(1);
  assert.is.not(core.memory.buffer, before);
  assert.is(window.translate(Number(va)), Number(MiB));
  window.unmap({ iova: MiB, length: PAGE });
  assert.is(window.translate(Number(va)), -1);
});

answers("leaves no garbage, while a bigint's does", () => {
  // A compiler that works beside the program may come too late on a busy machine: slow code leaves garbage.
  const flags = ["--expose-gc", "--no-concurrent-recompilation", "--import", "tsx"];
  const child = spawnSync(process.execPath, [...flags, GARBAGE], { encoding: "utf8" });
  assert.is(child.status, 0, child.stderr);
  const used: Record<string, number> = JSON.parse(child.stdout);
  for (const [question, bytes] of Object.entries(used)) {
    if (question.endsWith("bigint")) assert.ok(bytes > 20, `${question}: ${bytes} bytes for each`);
    else assert.ok(bytes < 2, `${question}: ${bytes} bytes for each`);
  }
  assert.is(Object.keys(used).length, 9);
});
answers.run();

const bad = suite("a number that is none");
const NUMBERS = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -4096,
  -0.5,
  0.5,
  4096.5,
  2 ** 53 + 2,
];
const TOO_LARGE = [2 ** 64, 2 ** 64 + 4096, 2 ** 65, 2 ** 60 + 512, Number.MAX_VALUE, Number.MIN_VALUE];
bad("is refused, in and outside the window: NaN, fractions, below 0, not exact, from 2^64 on", () => {
  for (const { window } of [ready(), ready({ platform: "pseries" }, 4n * GiB)]) {
    const first = Number(window.start);
    for (const value of [...NUMBERS, ...TOO_LARGE]) {
      for (const ask of [
        () => window.contains(value, 4096),
        () => window.contains(first, value),
        () => window.contains(value, value),
        () => window.tceIndex(value),
        () => window.translate(value),
      ]) {
        const error = thrownBy(ask);
        assert.is((error as { code?: string }).code, "ERR_OUT_OF_RANGE", `${ask} ${value}: ${error.message}`);
        assert.match(error.message, /^(iova|length|va) must be an integer from 0 to 2\^53 - 1 or a multiple of 4096/);
      }
    }
  }
});

bad("is refused within the window too, where only the fraction or the rounding is wrong", () => {
  const { window } = ready({ platform: "pseries" }, 4n * GiB);
  for (const iova of [2 ** 59 + 128, 2 ** 59 + 2048]) {
    refused("ERR_OUT_OF_RANGE", () => window.tceIndex(iova));
    refused("ERR_OUT_OF_RANGE", () => window.contains(iova, 1));
  }
  const low = ready().window;
  refused("ERR_OUT_OF_RANGE", () => low.contains(4096, 0.5));
  refused("ERR_OUT_OF_RANGE", () => low.contains(4096.25, 4096.75));
});

bad("is told from an argument of another kind", () => {
  const { program, window } = ready();
  for (const value of ["4096", null, undefined, {}, [4096], true, Symbol("4096"), () => 4096]) {
    refused("ERR_INVALID_ARG_TYPE", () => window.contains(value as never, 1));
    refused("ERR_INVALID_ARG_TYPE", () => window.contains(0, value as never));
    refused("ERR_INVALID_ARG_TYPE", () => window.tceIndex(value as never));
    refused("ERR_INVALID_ARG_TYPE", () => window.translate(value as never));
  }
  assert.ok(window.contains(0n, 1), "a length in numbers goes with either");
  assert.ok(window.contains(0, 1n), "and so does one in bigints");
  for (const value of [-1n, TOP]) {
    refused("ERR_OUT_OF_RANGE", () => window.tceIndex(value));
    refused("ERR_OUT_OF_RANGE", () => window.translate(value));
  }
  assert.equal(program.record.calls, []);
});

bad("or any other, is not asked of a window that is closed", () => {
  const { window } = ready();
  window.close();
  for (const ask of [() => window.contains(0, 4096), () => window.tceIndex(0), () => window.translate(0)]) {
    failure("ERR_CLOSED", ask);
  }
  failure("ERR_CLOSED", () => window.tceIndex(0n));
  failure("ERR_CLOSED", () => window.contains(Number.NaN, 4096));
});
bad.run();
