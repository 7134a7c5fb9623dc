import { test } from "uvu";
import * as assert from "uvu/assert";
import { keysOf, known, nearest } from "../../src/known.ts";
import { refused, thrownBy } from "../support/failure.ts";

interface Plan {
  readonly growTo?: bigint;
  readonly iovaMode?: string;
  readonly highestRam?: bigint;
  readonly va: bigint;
  readonly length: bigint;
}

const KEYS = keysOf<Plan>({ growTo: true, iovaMode: true, highestRam: true, va: true, length: true });

test("known keys pass, in any number, with and without values", () => {
  known("plan", {}, KEYS);
  known("plan", { va: 1n, length: undefined, growTo: null }, KEYS);
  known("plan", Object.freeze({ va: 1n }), KEYS);
  known("plan", Object.assign(Object.create(null), { va: 1n }), KEYS);
});

test("an unknown one is a TypeError that names it, the nearest one, and all of them", () => {
  const error = thrownBy(() => known("plan", { va: 1n, growto: 64n }, KEYS));
  assert.instance(error, TypeError);
  assert.is(error.code, "ERR_INVALID_ARG_TYPE");
  assert.is(
    error.message,
    'plan takes no "growto"; did you mean "growTo"? It takes growTo, iovaMode, highestRam, va, length',
  );
});

test("where none is near, none is named", () => {
  const error = thrownBy(() => known("requests[3]", { permissions: "read" }, keysOf<{ va: bigint }>({ va: true })));
  assert.is(error.message, 'requests[3] takes no "permissions"; it takes va');
});

test("a misspelt key without a value is misspelt all the same", () => {
  refused("ERR_INVALID_ARG_TYPE", () => known("plan", { growto: undefined }, KEYS));
});

test("inherited keys count like own ones: an object of defaults is a part of the options", () => {
  known("plan", Object.create({ growTo: 1n }), KEYS);
  const error = thrownBy(() => known("plan", Object.create({ growto: 1n }), KEYS));
  assert.match(error.message, /"growto"; did you mean "growTo"/);
});

test("symbols, what is not enumerable, and the methods of a class do not count", () => {
  class Options {
    va = 1n;
    get growth() {
      return 1n;
    }
    describe() {
      return "";
    }
  }
  known("plan", new Options(), KEYS);
  known("plan", { [Symbol("note")]: 1 }, KEYS);
  known("plan", Object.defineProperty({}, "hidden", { value: 1, enumerable: false }), KEYS);
});

test("what all objects of the program were given is nobody's mistake here", () => {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  prototype.polluted = 1;
  try {
    known("plan", { va: 1n }, KEYS);
    refused("ERR_INVALID_ARG_TYPE", () => known("plan", { vaa: 1n }, KEYS));
  } finally {
    delete prototype.polluted;
  }
});

test("keys that look like members of every object, or like nothing, are keys", () => {
  for (const key of ["", "\0", "x".repeat(100_000), "0", "__proto__ "]) {
    const error = thrownBy(() => known("plan", { [key]: 1 }, KEYS));
    assert.is(error.code, "ERR_INVALID_ARG_TYPE");
    assert.ok(error.message.length < 1000, "a message stays readable");
  }
});

const near: readonly (readonly [string, string | undefined])[] = [
  ["growto", "growTo"],
  ["GROWTO", "growTo"],
  ["grow_to", "growTo"],
  ["grow-to", "growTo"],
  ["grow", "growTo"],
  ["gorwTo", "growTo"],
  ["iovamode", "iovaMode"],
  ["mode", undefined],
  ["highestRAM", "highestRam"],
  ["higestRam", "highestRam"],
  ["lenght", "length"],
  ["len", "length"],
  ["vaddr", "va"],
  ["pa", undefined],
  ["x", undefined],
  ["", undefined],
];

for (const [key, word] of near) {
  test(`${JSON.stringify(key)} was likely meant to be ${word ?? "none of them"}`, () => {
    assert.is(nearest(key, KEYS), word);
  });
}

test("of several that are near, the nearest, and the first of equals", () => {
  assert.is(nearest("unmaped", ["mapped", "unmapped", "unmap"]), "unmapped");
  assert.is(nearest("ab1", ["ab2", "ab3"]), "ab2");
});

test.run();
