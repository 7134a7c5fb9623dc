/** What the tests of the core share: the builds, edge values, numbers from a seed, and comparing. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Core, instantiateCore } from "../../src/core.ts";
import { type Build, builds, coreFile } from "../support/core-files.ts";

export { type Build, builds } from "../support/core-files.ts";

export type Test = ReturnType<typeof suite>;

export function freshCore(build: Build): Core {
  return instantiateCore(coreFile(build));
}

/** The page on which all look-ups that find nothing run out. Nothing may ever be written there. */
export function nullPageIsZero(core: Core): boolean {
  return core
    .bytes()
    .subarray(0, 4096)
    .every((byte) => byte === 0);
}

/** Defines and runs a suite for each build, with a core of its own whose null page is looked at in the end. */
export function eachBuild(name: string, define: (test: Test, core: Core, build: Build) => void): void {
  for (const build of builds) {
    const test = suite(`${name} (${build})`);
    const core = freshCore(build);
    define(test, core, build);
    // A test and no hook: uvu stops without a word when a hook throws after a test that has failed.
    test("write nothing to the null page", () => assert.ok(nullPageIsZero(core)));
    test.run();
  }
}

/** Where 64-bit arithmetic goes wrong: around 0, a page, the sign bits and word sizes, and the end of all. */
export const edges: readonly bigint[] = [
  ...[0n, 1n, 2n, 4095n, 4096n, 4097n],
  ...[31n, 32n, 53n, 59n, 63n].flatMap((shift) => [2n ** shift - 1n, 2n ** shift, 2n ** shift + 1n]),
  ...[2n ** 64n - 4096n, 2n ** 64n - 2n, 2n ** 64n - 1n],
];

/** A number as the tests print it. */
export function show(value: unknown): string {
  if (typeof value === "bigint") return `0x${value.toString(16)}`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return JSON.stringify(value, (_key, each) => (typeof each === "bigint" ? show(each) : each), 1) ?? "undefined";
}

/** Like assert.is, for the inside of loops: it puts its message together only when it fails. */
export function agree(actual: unknown, expected: unknown, where: () => string): void {
  if (actual !== expected)
    assert.is(show(actual), show(expected), `${where()}: ${show(actual)}, not ${show(expected)}`);
}

/** Like assert.equal, for values with bigints in them. */
export function same(actual: unknown, expected: unknown, where: () => string): void {
  const [left, right] = [show(actual), show(expected)];
  if (left !== right) assert.is(left, right, where());
}

/** Numbers that look random and are the same for the same seed (splitmix64, in bigint). */
export class Random {
  #state: bigint;

  constructor(seed: number) {
    this.#state = BigInt(seed);
  }

  u64(): bigint {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e3779b97f4a7c15n);
    let mixed = this.#state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return mixed ^ (mixed >> 31n);
  }

  /** 0 to below - 1. */
  below(below: number): number {
    return Number(this.u64() % BigInt(below));
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** A u64 of any size: most uniform ones would be near 2^64. */
  anySize(): bigint {
    return this.u64() >> BigInt(this.below(64));
  }
}

/** Runs a program for the seeds 1 to `count`, and names the seed of the one that fails. */
export function forSeeds(count: number, run: (random: Random, seed: number) => void): void {
  for (let seed = 1; seed <= count; seed++) {
    try {
      run(new Random(seed), seed);
    } catch (error) {
      if (error instanceof Error) error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
}
