import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RandomProgram } from "./random-program.ts";
import { Type1RandomProgram } from "./type1-random-program.ts";

const SEEDS = 8;
const STEPS = 1500;

/** Fails as soon as the two do not agree. Gives the kinds of answers that the storms had in them. */
function follow(make: (seed: number) => RandomProgram | Type1RandomProgram): Set<string> {
  const met = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const program = make(seed);
    for (let step = 0; step < STEPS; step++) {
      program.step();
      assert.is(program.witness.livePages, program.livePages, `live pages, seed ${seed}, step ${step}`);
      assert.is(program.witness.interrupted, program.interrupted, `interrupted, seed ${seed}, step ${step}`);
    }
    assert.ok(program.interrupted > 100, `${program.interrupted} interruptions`);
    for (const kind of program.met.keys()) met.add(kind);
  }
  return met;
}

const storms = suite("a witness and what the model says itself");

for (const platform of ["powernv", "pseries"] as const) {
  storms(`say the same after every one of thousands of random calls on ${platform}`, () => {
    const met = follow((seed) => new RandomProgram(platform, seed));
    const all = ["map", "unmap", "create", "remove", "batch"].flatMap((what) => [`${what} done`, `${what} refused`]);
    for (const kind of [...all, "map positive", "register refused"]) assert.ok(met.has(kind), `no ${kind}`);
  });
}

for (const version of [1, 2] as const) {
  storms(`say the same after every one of thousands of random calls on type1, version ${version}`, () => {
    const met = follow((seed) => new Type1RandomProgram(version, seed));
    const all = ["map", "unmap", "take address", "batch"].flatMap((what) => [`${what} done`, `${what} refused`]);
    for (const kind of [...all, "unmap all done", "another size done", "begin done"]) {
      assert.ok(met.has(kind), `no ${kind}`);
    }
  });
}

storms.run();
