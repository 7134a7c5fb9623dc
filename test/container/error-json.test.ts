/** Errors written down by a logger: JSON with all of it, whatever hangs on them, and nothing that is not there. */
import { inspect } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { argumentRangeError, argumentTypeError, DmaWindowError, withResidue } from "../../src/errors.ts";

const through = (error: unknown) => JSON.parse(JSON.stringify(error));

test("an error has its fields in JSON, with every bigint as hex, and no others", () => {
  const facts = {
    va: 0x7f00_0000_0000n,
    length: 4096n,
    ranges: [{ start: 0n, last: 0xffff_ffff_ffff_ffffn }],
    index: 1,
    none: undefined,
  };
  const error = new DmaWindowError("ERR_X", "it failed", { facts, errno: -12, syscall: "mmap" });
  assert.equal(through(error), {
    name: "DmaWindowError",
    code: "ERR_X",
    message: "it failed",
    errno: -12,
    syscall: "mmap",
    facts: {
      va: "0x7f0000000000",
      length: "0x1000",
      ranges: [{ start: "0x0", last: "0xffffffffffffffff" }],
      index: 1,
    },
  });
  assert.equal(through(new DmaWindowError("ERR_X", "it failed")), {
    name: "DmaWindowError",
    code: "ERR_X",
    message: "it failed",
  });
  assert.equal(through({ level: "error", err: error }).err.facts.length, "0x1000");
});

test("residue and causes come along, of whatever kind they are", () => {
  const root = Object.assign(new Error("no space"), { code: "ENOSPC", size: 5n });
  const error = withResidue(new DmaWindowError("ERR_X", "it failed", { cause: root }), ["a page"]);
  const said = through(error);
  assert.equal(said.residue, { left: ["a page"] });
  assert.equal(said.cause.cause, { name: "Error", code: "ENOSPC", message: "no space", size: "0x5" });
  for (const cause of ["a string", 5n, null, undefined, () => 1, Symbol("s"), [1n], new Date(Number.NaN)])
    assert.type(through(new DmaWindowError("ERR_X", "it failed", { cause })).message, "string");
});

test("what is not there is not there: on the error, in JSON, and when it is shown", () => {
  const error = new DmaWindowError("ERR_X", "it failed");
  for (const field of ["errno", "syscall", "residue", "facts", "cause"]) assert.not.ok(field in error, field);
  assert.equal(Object.keys(error).sort(), ["code", "name"]);
  assert.not.match(inspect(error), "undefined");
  const typed = argumentTypeError("va", "a bigint", 5);
  assert.equal(Object.keys(typed), ["code"]);
});

test("refused arguments are written down likewise", () => {
  const error = argumentTypeError("va", "a bigint", 5);
  const said = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE", message: "va must be a bigint; got 5" };
  assert.equal(through(error), said);
  assert.instance(error, TypeError);
  const range = argumentRangeError("va", "less", -1n);
  assert.equal(through(range), { name: "RangeError", code: "ERR_OUT_OF_RANGE", message: "va must be less; got -0x1" });
});

test("facts however odd do not keep an error from being written down", () => {
  const ring: Record<string, unknown> = { va: 1n };
  ring.self = ring;
  ring.deep = [ring];
  let nested: unknown = 1n;
  for (let i = 0; i < 100_000; i++) nested = { nested };
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const facts = {
    ring,
    nested,
    proxy,
    get getter(): never {
      throw new Error("not now");
    },
    hostile: { toJSON: () => assert.unreachable(), toString: undefined },
    map: new Map<unknown, unknown>([[1n, { at: 2n }]]),
    set: new Set([3n]),
    many: new Array(5000).fill(7n),
    words: new BigUint64Array(2).fill(9n),
    bytes: new DataView(new ArrayBuffer(4)),
    date: new Date(0),
    nan: Number.NaN,
    infinite: Number.NEGATIVE_INFINITY,
    symbol: Symbol("here"),
    call: function named() {},
    bare: Object.assign(Object.create(null), { at: 4n }),
    sparse: Object.assign([1n], { length: 3 }),
    ["__proto__"]: 5n,
  };
  const error = new DmaWindowError("ERR_X", "it failed", { facts });
  const said = through(error).facts;
  assert.is(said.ring.self, "[circular]");
  assert.is(said.getter, "[unreadable]");
  assert.is(said.proxy, "[unreadable]");
  assert.equal([said.map, said.set, said.words], [[["0x1", { at: "0x2" }]], ["0x3"], ["0x9", "0x9"]]);
  assert.equal(
    [said.nan, said.infinite, said.symbol, said.call],
    ["NaN", "-Infinity", "Symbol(here)", "function named"],
  );
  assert.equal([said.bare, said.sparse], [{ at: "0x4" }, ["0x1", null, null]]);
  assert.match(JSON.stringify(said.nested), "[deep]");
  assert.is(said.many.length, 1001);
  assert.is(said.date, "1970-01-01T00:00:00.000Z");
});

test("an error that is its own cause is written down once", () => {
  const error: Error & { cause?: unknown } = new DmaWindowError("ERR_X", "it failed");
  error.cause = error;
  assert.is(through(error).cause, "[circular]");
});

test("errors can still be cloned, and are shown with their facts", () => {
  const error = new DmaWindowError("ERR_X", "it failed", { facts: { va: 1n }, cause: new Error("why") });
  const clone = structuredClone(error);
  assert.is(clone.message, "it failed");
  assert.is((clone.cause as Error).message, "why");
  assert.is(structuredClone(argumentTypeError("va", "a bigint", 5)).message, "va must be a bigint; got 5");
  const shown = inspect(error);
  assert.match(shown, /^DmaWindowError: it failed/);
  assert.match(shown, /va: 0x1/);
  assert.match(inspect(argumentTypeError("va", "a bigint", 5)), /^TypeError.*: va must be a bigint; got 5/);
  assert.not.match(inspect(argumentTypeError("va", "a bigint", 5)), "toJSON");
});

test.run();
