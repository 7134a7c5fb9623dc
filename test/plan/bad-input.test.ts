import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { badValues } from "../support/bad-values.ts";
import { refusesArgument } from "../support/failure.ts";
import { GiB, list, MiB, powernv, pseries, type1 } from "./facts.ts";

type Path = readonly (string | number)[];

/** A request that is right: for `va`, because every field counts there. */
function right(): Record<string, unknown> {
  return {
    iovaMode: "rebased",
    memory: { lists: [{ ...list(2n * MiB, GiB, GiB), external: false, heap: false }], bytes: 0n },
    info: powernv({ lockedMemory: { limit: GiB, used: 0n, privileged: false } }),
    growTo: GiB,
    highestRam: GiB,
    deviceAddressBits: 64,
  };
}

/** The same with one field changed. */
function changed(source: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const copy = (Array.isArray(source) ? [...source] : { ...(source as object) }) as Record<string | number, unknown>;
  copy[key] = changed(copy[key], rest, value);
  return copy;
}

function refusesAll(path: Path, values: readonly (readonly [string, unknown])[], base: unknown = right()): void {
  for (const [name, value] of values) {
    try {
      refusesArgument(() => planWindow(changed(base, path, value) as never));
    } catch (error) {
      throw new Error(`${path.join(".")} = ${name}: ${(error as Error).message}`, { cause: error });
    }
  }
}

test("the request that the others are made from is right", () => {
  assert.is(planWindow(right() as never).size, GiB);
});

test("the request itself", () => {
  refusesAll([], badValues());
});

test("iovaMode", () => {
  refusesAll(["iovaMode"], [...badValues("undefined"), ["another mode", "dpdk"], ["in capitals", "VA"]]);
});

test("growTo, a size, and highestRam, an address", () => {
  refusesAll(["growTo"], badValues("undefined"));
  refusesAll(["highestRam"], [...badValues("undefined"), ["an exact number", 4096]]);
});

test("window", () => {
  refusesAll(["window"], [...badValues("undefined"), ["another window", "own"]]);
});

test("deviceAddressBits", () => {
  refusesAll(["deviceAddressBits"], [...badValues("undefined"), ["0", 0], ["65", 65], ["64n", 64n]]);
});

test("memory and its lists", () => {
  refusesAll(["memory"], badValues());
  refusesAll(["memory", "lists"], badValues("an array"));
  refusesAll(["memory", "lists", 0], badValues());
  const holed: unknown[] = [];
  holed[1] = list(2n * MiB, GiB);
  refusesAll(["memory", "lists"], [["a hole in the array", holed]]);
  refusesAll(["memory", "bytes"], badValues("undefined"));
});

test("base of a list", () => {
  const first: Path = ["memory", "lists", 0];
  const unaligned = [
    ["a number", 4096],
    ["unaligned", 4096n],
    ["past 2^64", (1n << 64n) - 2n * MiB],
  ] as const;
  refusesAll([...first, "base"], [...badValues(), ...unaligned]);
});

test("length of a list", () => {
  const wrong = [
    ["0", 0n],
    ["half a page", MiB],
    ["past 2^64", (1n << 64n) - GiB + 2n * MiB],
  ] as const;
  refusesAll(["memory", "lists", 0, "length"], [...badValues(), ...wrong]);
});

test("page size of a list", () => {
  const wrong = [
    ["0", 0n],
    ["2 KiB", 2048n],
    ["2 TiB", 1n << 41n],
    ["3 MiB", 3n * MiB],
  ] as const;
  refusesAll(["memory", "lists", 0, "pageSize"], [...badValues(), ...wrong]);
});

test("external and heap of a list", () => {
  for (const field of ["external", "heap"]) {
    refusesAll(["memory", "lists", 0, field], [...badValues("undefined", "true"), ["1", 1]]);
  }
});

test("info, and what is common to every kind of it", () => {
  for (const info of [powernv(), pseries(), type1()]) {
    const base = { ...right(), info };
    refusesAll(["info"], badValues(), base);
    refusesAll(["info", "kind"], [...badValues(), ["another kind", "smmu"]], base);
    refusesAll(["info", "pageSizes"], [...badValues(), ["a number", 4096]], base);
    refusesAll(["info", "cpuPageSize"], [...badValues(), ["3 KiB", 3072], ["0", 0]], base);
    refusesAll(["info", "lockedMemory"], badValues(), base);
    refusesAll(["info", "lockedMemory", "limit"], [...badValues("null"), ["a number", 4096]], base);
    refusesAll(["info", "lockedMemory", "used"], [...badValues(), ["a number", 4096]], base);
    refusesAll(["info", "lockedMemory", "privileged"], [...badValues("true"), ["1", 1]], base);
  }
});

test("info of sPAPR", () => {
  refusesAll(["info", "platform"], [...badValues(), ["another platform", "ps3"]]);
  refusesAll(["info", "dynamicWindows"], badValues("true"));
  refusesAll(["info", "levels"], [...badValues(), ["a bigint", 5n]]);
  refusesAll(["info", "defaultWindow"], badValues());
  refusesAll(["info", "defaultWindow", "start"], [...badValues(), ["a number", 0]]);
  refusesAll(["info", "defaultWindow", "size"], [...badValues(), ["a number", 4096]]);
});

test("info of type1", () => {
  const base = { ...right(), info: type1() };
  refusesAll(["info", "version"], [...badValues(), ["0", 0], ["3", 3], ["a bigint", 2n]], base);
  refusesAll(["info", "ranges"], badValues("an array"), base);
  refusesAll(["info", "ranges", 0], badValues(), base);
  refusesAll(["info", "ranges", 0, "start"], [...badValues(), ["a number", 0], ["after its last", GiB * 8n]], base);
  refusesAll(["info", "ranges", 0, "last"], [...badValues(), ["a number", 4096]], base);
  const unsorted = [
    { start: GiB, last: 2n * GiB },
    { start: 0n, last: GiB - 1n },
  ];
  const overlapping = [
    { start: 0n, last: GiB },
    { start: GiB, last: 2n * GiB },
  ];
  refusesAll(
    ["info", "ranges"],
    [
      ["unsorted", unsorted],
      ["overlapping", overlapping],
    ],
    base,
  );
});

test.run();
