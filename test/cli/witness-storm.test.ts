import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Monkey } from "./monkey.ts";

const storms = suite("a witness and the model's own eyes");

for (const platform of ["powernv", "pseries"] as const) {
  storms(`say the same after every one of thousands of random calls on ${platform}`, () => {
    const met = new Set<string>();
    for (let seed = 1; seed <= 8; seed++) {
      const monkey = new Monkey(platform, seed);
      for (let step = 0; step < 1500; step++) {
        monkey.step();
        assert.is(monkey.witness.livePages, monkey.livePages, `live pages, seed ${seed}, step ${step}`);
        assert.is(monkey.witness.interrupted, monkey.interrupted, `interrupted, seed ${seed}, step ${step}`);
      }
      assert.ok(monkey.interrupted > 100, `${monkey.interrupted} interruptions`);
      for (const kind of monkey.met.keys()) met.add(kind);
    }
    const all = ["map", "unmap", "create", "remove", "batch"].flatMap((what) => [`${what} done`, `${what} refused`]);
    for (const kind of [...all, "map positive", "register refused"]) assert.ok(met.has(kind), `no ${kind}`);
  });
}

storms.run();
