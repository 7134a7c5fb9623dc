import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeStorm, random, runStorm, type Scheme, type Step, type StormShape } from "../../src/cli/storm.ts";

const shape: StormShape = { seed: 1, steps: 4000, pages: 4096, largest: 64 };

const storms = suite("a storm");

storms("is the same for the same seed", () => {
  assert.equal(makeStorm(shape), makeStorm({ ...shape }));
});

storms("is another for another seed", () => {
  const seen = [1, 2, 3, 0x7fff_ffff, 0xffff_ffff].map((seed) => JSON.stringify(makeStorm({ ...shape, seed })));
  assert.is(new Set(seen).size, seen.length);
});

storms("has as many steps as were asked for", () => {
  for (const steps of [1, 2, 777]) assert.is(makeStorm({ ...shape, steps }).length, steps);
});

/** Goes through the steps as the bookkeeper that trusts none of them; gives the pages in use after each. */
function follow(steps: readonly Step[], { pages, largest }: StormShape): number[] {
  const live: number[] = [];
  let used = 0;
  return steps.map((step, i) => {
    if ("allocate" in step) {
      assert.ok(Number.isInteger(step.allocate) && step.allocate >= 1 && step.allocate <= largest, `step ${i}`);
      live.push(step.allocate);
      used += step.allocate;
    } else {
      const [gone] = live.splice(step.free, 1);
      assert.ok(Number.isInteger(step.free) && step.free >= 0, `step ${i}`);
      assert.ok(gone !== undefined, `step ${i} frees segment ${step.free} of ${live.length}`);
      used -= gone;
    }
    assert.ok(used <= pages, `step ${i} uses ${used} of ${pages} pages`);
    return used;
  });
}

storms(
  "never uses more pages than it may, allocates no more than the largest at a time, frees only what is live",
  () => {
    for (let seed = 1; seed <= 20; seed++) follow(makeStorm({ ...shape, seed }), shape);
  },
);

storms("keeps to that where there is hardly any room", () => {
  for (const pages of [1, 2, 3, 7]) {
    for (const largest of [1, 2, 5, 100]) {
      const tight = { seed: 3, steps: 500, pages, largest };
      follow(makeStorm(tight), tight);
    }
  }
});

storms("grows: from few of its pages to nearly all of them", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const used = follow(makeStorm({ ...shape, seed }), shape);
    const mean = (from: number, to: number) => used.slice(from, to).reduce((sum, n) => sum + n, 0) / (to - from);
    const [early, middle, late] = [mean(0, 500), mean(1750, 2250), mean(3500, 4000)];
    assert.ok(early < middle && middle < late, `${early}, ${middle}, ${late}`);
    assert.ok(late > shape.pages * 0.8, `${late} of ${shape.pages} at the end`);
  }
});

storms("allocates and frees in the proportion of a program that lives: neither ever stops", () => {
  const steps = makeStorm(shape);
  for (let at = 0; at < steps.length; at += 500) {
    const allocations = steps.slice(at, at + 500).filter((step) => "allocate" in step).length;
    assert.ok(allocations > 50 && allocations < 450, `${allocations} allocations of 500 steps from ${at} on`);
  }
});

storms.run();

const numbers = suite("random numbers");

numbers("lie below what is asked for, and reach all of it", () => {
  for (const below of [1, 2, 3, 10, 1000]) {
    const next = random(42);
    const seen = new Set(Array.from({ length: below * 30 }, () => next(below)));
    assert.is(Math.min(...seen), 0);
    assert.is(Math.max(...seen), below - 1);
    assert.is(seen.size, below);
  }
});

numbers("are whole for the largest of seeds and of bounds", () => {
  const next = random(0xffff_ffff);
  for (let i = 0; i < 1000; i++) {
    const number = next(2 ** 32);
    assert.ok(Number.isInteger(number) && number >= 0 && number < 2 ** 32);
  }
});

numbers("are those of xorshift32: the same storm on every machine", () => {
  const next = random(1);
  assert.equal([next(2 ** 32), next(2 ** 32), next(2 ** 32)], [270369, 67634689, 2647435461]);
});

numbers.run();

/** Memory that refuses what it is told to, and writes down what it was asked. */
class Moody implements Scheme<string> {
  readonly asked: string[] = [];
  readonly #refuses: ReadonlySet<string>;
  #made = 0;

  constructor(refuses: readonly string[] = []) {
    this.#refuses = new Set(refuses);
  }

  allocate(pages: number): string {
    const name = `segment ${this.#made++}`;
    this.#ask(`allocate ${name} of ${pages}`);
    return name;
  }

  free(segment: string): void {
    this.#ask(`free ${segment}`);
  }

  #ask(what: string): void {
    this.asked.push(what);
    if (this.#refuses.has(what)) throw new Error(what);
  }
}

const running = suite("running a storm");

const steps: readonly Step[] = [
  { allocate: 1 },
  { allocate: 2 },
  { allocate: 3 },
  { free: 1 },
  { free: 1 },
  { free: 0 },
];

running("frees the segments that its steps number, oldest first", () => {
  const scheme = new Moody();
  assert.equal(
    runStorm(steps, scheme, () => {}),
    { allocations: 3, frees: 3, failures: 0 },
  );
  const freed = scheme.asked.slice(3);
  assert.equal(freed, ["free segment 1", "free segment 2", "free segment 0"]);
});

running("counts an allocation that failed, passes over its free, and keeps the numbers of the others", () => {
  const scheme = new Moody(["allocate segment 1 of 2"]);
  const { firstFailure, ...counts } = runStorm(steps, scheme, () => {});
  assert.equal(counts, { allocations: 2, frees: 2, failures: 1 });
  assert.equal(scheme.asked.slice(3), ["free segment 2", "free segment 0"]);
  assert.match(String(firstFailure), "allocate segment 1 of 2");
});

running(
  "counts a free that failed, keeps the numbers of the others, and remembers the first failure of several",
  () => {
    const scheme = new Moody(["free segment 1", "free segment 0"]);
    const { firstFailure, ...counts } = runStorm(steps, scheme, () => {});
    assert.equal(counts, { allocations: 3, frees: 1, failures: 2 });
    assert.equal(scheme.asked.slice(3), ["free segment 1", "free segment 2", "free segment 0"]);
    assert.match(String(firstFailure), "free segment 1");
  },
);

running("tells after every step how many are done, also after one that failed", () => {
  const told: number[] = [];
  runStorm(steps, new Moody(["allocate segment 0 of 1"]), (done) => told.push(done));
  assert.equal(told, [1, 2, 3, 4, 5, 6]);
});

running("gives the same account for the same storm whatever the scheme hands out", () => {
  const storm = makeStorm(shape);
  const live = new Set<object>();
  const objects: Scheme<object> = {
    allocate: () => {
      const made = {};
      live.add(made);
      return made;
    },
    free: (segment) => {
      assert.ok(live.delete(segment), "each segment is freed once");
    },
  };
  const account = runStorm(storm, objects, () => {});
  assert.equal(
    runStorm(storm, new Moody(), () => {}),
    account,
  );
  assert.is(account.allocations + account.frees, shape.steps);
  assert.is(account.allocations - account.frees, live.size);
});

running.run();
