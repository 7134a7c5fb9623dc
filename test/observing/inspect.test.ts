/** What console.log shows of each thing that the library gives: a few lines, no bigint in digits, nothing asked, nothing thrown. */
import { type InspectOptions, inspect } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Container } from "../../src/container/container.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import { inspectable, readable } from "../../src/inspect.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { MiB, ready } from "../support/program.ts";
import { things } from "./things.ts";

const ways: readonly InspectOptions[] = [
  {},
  { depth: 0 },
  { depth: null },
  { colors: true },
  { breakLength: Number.POSITIVE_INFINITY },
  { compact: false },
  { showHidden: true },
  { showProxy: true },
  { maxArrayLength: 0 },
  { sorted: true, getters: true },
];

/** `12n`, as Node shows a bigint. */
const DIGITS = /\b\d+n\b/;

test("each is shown by its name, in a few lines, without a bigint in digits, and no kernel is asked", () => {
  const { things: all, asked, close } = things();
  const before = asked();
  for (const [name, value] of all) {
    for (const options of ways) {
      const shown = inspect(value, options);
      assert.not.match(shown, DIGITS, `${name} ${JSON.stringify(options)}: ${shown}`);
      assert.not.match(shown, "unreadable", `${name}: ${shown}`);
      if (name !== "") assert.ok(shown.startsWith(name), `${name}: ${shown}`);
    }
    const plain = inspect(value);
    assert.ok(plain.split("\n").length <= 40, `${name}: ${plain}`);
    if (name !== "") assert.ok(plain.split("\n").length <= 12, `${name}: ${plain}`);
    assert.not.match(inspect(value, { breakLength: Number.POSITIVE_INFINITY }), "\n");
  }
  assert.is(asked(), before);
  close();
});

test("what has ended says so, and is shown for all that", () => {
  const { things: all, close } = things();
  close();
  for (const [name, value] of all) {
    const shown = inspect(value, { depth: null });
    assert.not.match(shown, DIGITS, name);
    assert.not.match(shown, "unreadable", name);
    const { closed, freed } = value as { closed?: boolean; freed?: boolean };
    if (closed || freed) assert.match(shown, new RegExp(`^${name} \\((closed|freed|off)\\)`));
  }
});

test("depth is respected: what is too deep is a name", () => {
  const { window } = ready();
  assert.is(inspect({ a: { b: { c: window } } }), "{ a: { b: { c: [Window] } } }");
  assert.match(inspect({ a: { b: window } }), /b: Window \{/);
  assert.match(inspect({ a: { b: { c: window } } }, { depth: 3 }), /c: Window \{/);
  assert.match(inspect([window]), /^\[\s+Window \{/);
});

test("a container shows its windows, and at depth 0 that it has some", () => {
  const { program, window } = ready();
  assert.match(inspect(program.container), /windows: \[\n {4}Window \{/);
  assert.match(inspect(program.container, { depth: 0 }), /windows: \[Array\]/);
  assert.is(
    inspect(window, { breakLength: 200 }),
    "Window { start: 0x0, size: 16 MiB, pageSize: 4 KiB, iovaMode: 'rebased', liveBytes: 0 bytes }",
  );
});

test("sizes are exact: with a unit where that says it, and in bytes where it does not", () => {
  const shown = inspect(readable({ length: 3n * MiB + 1n, size: 65536n, bytes: 1n, va: 4097n, tces: 12n, below: -5n }));
  assert.is(shown, "{\n  length: 3145729 bytes, size: 64 KiB, bytes: 1 byte, va: 0x1001, tces: 12,\n  below: -0x5\n}");
});

test("an imitation is no reason to throw: a Proxy, a bare prototype, one without a constructor", () => {
  const { things: all, close } = things();
  for (const [name, value] of all) {
    const hostile = new Proxy(value, {
      get(target, key) {
        if (key === "closed" || key === "name" || key === "address") throw new Error("not today");
        return Reflect.get(target, key, target);
      },
    });
    const prototype = Object.getPrototypeOf(value);
    for (const odd of [new Proxy(value, {}), hostile, Object.create(value), Object.create(prototype), prototype]) {
      for (const options of ways) assert.type(inspect(odd, options), "string", name);
    }
  }
  for (const { prototype } of [Container, MemsegTable, DmaHeap, DmaWindowError]) {
    assert.type(inspect(prototype, { showHidden: true, getters: true }), "string");
    assert.match(inspect(Object.create(prototype)), /unreadable|Error/);
  }
  assert.match(inspect(Object.create(Container.prototype)), "[Container: unreadable]");
  close();
});

test("the method can be called by hand, with nothing, or with what is no inspect", () => {
  const { things: all, close } = things();
  const custom = inspect.custom;
  for (const [name, value] of all) {
    const show = (value as Record<symbol, (...of: unknown[]) => string>)[custom];
    assert.type(show, "function", name);
    for (const of of [[], [2], [null, {}], [2, { stylize: undefined }]] as const)
      assert.type(show?.call(value, ...of), "string");
    const thrower = () => {
      throw new Error("no");
    };
    assert.type(show?.call(value, 2, {}, thrower), "string");
  }
  close();
});

test("plain objects have no more keys, compare as before, and can be sent and written down", () => {
  const { things: all, close } = things();
  for (const [name, value] of all) {
    const isPlain = Object.getPrototypeOf(value) === Object.prototype;
    if (!isPlain || Object.values(value).some((one) => typeof one === "function")) continue;
    assert.equal(
      Object.getOwnPropertySymbols({ ...value }).filter((one) => one === inspect.custom),
      [],
    );
    if (name !== "Trace" && !name.endsWith("Token")) assert.equal(structuredClone(value), value, name);
  }
  close();
});

test("what an object of the library is shown as inside of another one is the same", () => {
  class Holder {
    readonly inner: object;
    constructor(inner: object) {
      this.inner = inner;
    }
  }
  inspectable(Holder, "Holder", ({ inner }) => ({ inner, circle: inner }));
  const { window } = ready();
  assert.match(inspect(new Holder(window)), /^Holder \{\n {2}inner: Window \{/);
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  assert.type(inspect(new Holder(circle), { depth: null }), "string");
  assert.type(inspect(readable({ ...circle, deep: [[[[[1n]]]]] }), { depth: null }), "string");
});

test("facts may be anything: frozen, circular, a Proxy, with getters, which are not asked", () => {
  const circle: Record<string, unknown> = { va: 1n };
  circle.self = circle;
  circle.many = [circle, [circle]];
  const hostile = new Proxy(
    {},
    {
      getPrototypeOf() {
        throw new Error("no");
      },
      ownKeys() {
        throw new Error("no");
      },
    },
  );
  const facts = {
    ...{ circle, hostile, frozen: Object.freeze({ va: 2n }) },
    get counted(): number {
      throw new Error("it was asked");
    },
  };
  const error = new DmaWindowError("ERR_X", "it failed", { facts });
  assert.is(error.facts, facts);
  assert.type(inspect(error, { depth: 9 }), "string");
  assert.match(inspect(circle, { depth: 1 }), /va: 0x1/);
  for (const odd of [hostile, new Proxy(circle, {})]) new DmaWindowError("ERR_X", "it failed", { facts: odd });
});

test("what is in a plan, an error or a message is shown so by itself", () => {
  const { program, window, va } = ready();
  const info = program.container.info();
  const plan = planWindow({ memory: { lists: [{ base: 0n, length: MiB, pageSize: 4096n }] }, info, growTo: 64n * MiB });
  const error = failure("ERR_UNALIGNED_LENGTH", () => window.map({ va, length: 5 }));
  for (const part of [plan.fullGrowth, plan.holes, plan.rejected, info.lockedMemory, info.hugepages, error.facts]) {
    assert.not.match(inspect(part, { depth: null }), DIGITS);
  }
});

test("text is escaped, as Node does it", () => {
  const shown = inspect(readable({ title: "a\u001b[31mred\n", list: ["\u0007"] }));
  assert.not.ok(["\u001b", "\u0007"].some((one) => shown.includes(one)));
});

test("an error shows its facts in hex and with units, is shown as Node shows errors, and is as it was", () => {
  const { window } = ready();
  const error = failure("ERR_NOT_LIVE", () => window.unmap({ iova: 4096n, length: 8192n, va: 0n }));
  const before = JSON.stringify(error);
  const shown = inspect(error);
  assert.match(shown, /^DmaWindowError: /);
  assert.match(shown, /\n {4}at /);
  assert.match(shown, /code: 'ERR_NOT_LIVE'/);
  assert.match(shown, /facts: \{[^}]*iova: 0x1000, length: 8 KiB/);
  assert.not.match(shown, DIGITS);
  assert.is(JSON.stringify(error), before);
});

test("an error's cause, residue and frozen facts are shown too", () => {
  const cause = new DmaWindowError("ERR_KERNEL", "no", { errno: -12, facts: { va: 1n << 47n } });
  const facts = Object.freeze({
    lockedMemory: { limit: 65536n, used: 4096n },
    list: { base: 0x7f0000000000n, length: 4096n },
  });
  const error = new DmaWindowError("ERR_CLOSE", "closing", { cause, facts, residue: { left: ["4 KiB at IOVA 0x0"] } });
  const shown = inspect(error, { depth: 4 });
  assert.match(shown, /\[cause\]: DmaWindowError: no/);
  assert.match(shown, /limit: 64 KiB, used: 4 KiB/);
  assert.match(shown, /base: 0x7f0000000000, length: 4 KiB/);
  assert.match(shown, /va: 0x800000000000/);
  assert.match(shown, /left: \[ '4 KiB at IOVA 0x0' \]/);
  assert.not.match(shown, DIGITS);
  assert.is(inspect(new DmaWindowError("ERR_X", "plain")).split("\n")[0], "DmaWindowError: plain");
  assert.match(inspect({ error }, { depth: 0 }), /error: \[DmaWindowError\]/);
});

test.run();
