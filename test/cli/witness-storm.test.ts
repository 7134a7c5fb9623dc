import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Monkey } from "./monkey.ts";
import { Type1Monkey } from "./type1-monkey.ts";

const SEEDS = 8;
const STEPS = 1500;

/** Fails as soon as the two do not agree. Gives the kinds of answers that the storms had in them. */
function follow(make: (seed: number) => Monkey | Type1Monkey): Set<string> {
  const met = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const monkey = make(seed);
    for (let step = 0; step < STEPS; step++) {
      monkey.step();
      assert.is(monkey.witness.livePages, monkey.livePages, `live pages, seed ${seed}, step ${step}`);
      assert.is(monkey.witness.interrupted, monkey.interrupted, `interrupted, seed ${seed}, step ${step}`);
    }
    assert.ok(monkey.interrupted > 100, `${monkey.interrupted} interruptions`);
    for (const kind of monkey.met.keys()) met.add(kind);
  }
  return met;
}

const storms = suite("a witness and what the model says itself");

for (const platform of ["powernv", "pseries"] as const) {
  storms(`say the same after every one of thousands of random calls on ${platform}`, () => {
    const met = follow((seed) => new Monkey(platform, seed));
    const all = ["map", "unmap", "create", "remove", "batch"].flatMap((what) => [`${what} done`, `${what} refused`]);
    for (const kind of [...all, "map positive", "register refused"]) assert.ok(met.has(kind), `no ${kind}`);
  });
}

for (const version of [1, 2] as const) {
  storms(`say the same after every one of thousands of random calls on type1, version ${version}`, () => {
    const met = follow((seed) => new Type1Monkey(version, seed));
    const all = ["map", "unmap", "take address", "batch"].flatMap((what) => [`${what} done`, `${what} refused`]);
    for (const kind of [...all, "unmap all done", "another size done", "begin done"]) {
      assert.ok(met.has(kind), `no ${kind}`);
    }
  });
}

storms.run();
