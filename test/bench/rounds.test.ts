import { test } from "uvu";
import * as assert from "uvu/assert";
import { garbagePerCall } from "../../bench/harness/garbage.ts";
import { inJavaScript } from "../../bench/harness/loop.ts";
import { Random } from "../../bench/harness/random.ts";
import { type Contender, compete } from "../../bench/harness/rounds.ts";

const EFFORT = { rounds: 20, sample: 1000, warmUp: 100 };

/** Takes as long as it says, and writes down who ran. */
function pretender(name: string, nanoseconds: number, ran: string[]): Contender {
  return {
    name,
    time: (repeats) => {
      ran.push(name);
      return nanoseconds * repeats;
    },
  };
}

test("each contender is timed once in every round, in an order that changes", async () => {
  const ran: string[] = [];
  const contenders = ["a", "b", "c"].map((name) => pretender(name, 10, ran));
  await compete(contenders, EFFORT, new Random(1));
  const rounds = ran.slice(-3 * EFFORT.rounds);
  const orders = Array.from({ length: EFFORT.rounds }, (_, i) => rounds.slice(3 * i, 3 * i + 3).join(""));
  assert.ok(orders.every((order) => [...order].sort().join("") === "abc"));
  assert.ok(new Set(orders).size > 1);
});

test("one that takes far longer than a timing should sits out most rounds, but is timed five times at least", async () => {
  const ran: string[] = [];
  const slow = pretender("slow", 50 * EFFORT.sample, ran);
  const fast = pretender("fast", 10, ran);
  await compete([fast, slow], EFFORT, new Random(1));
  const first = ran.length - EFFORT.rounds - 5;
  const inRounds = ran.slice(first);
  assert.is(inRounds.filter((name) => name === "slow").length, 5);
  assert.is(inRounds.filter((name) => name === "fast").length, EFFORT.rounds);
});

test("figures are for one repeat, in the order in which the contenders were given", async () => {
  const timings = await compete([pretender("slow", 70, []), pretender("fast", 7, [])], EFFORT, new Random(2));
  assert.equal(
    timings.map(({ name, minimum, median }) => [name, Math.round(minimum), Math.round(median)]),
    [
      ["slow", 70, 70],
      ["fast", 7, 7],
    ],
  );
});

test("the minimum is that of the best round, and the median that of most", async () => {
  let calls = 0;
  const noisy: Contender = { name: "noisy", time: (repeats) => repeats * (++calls % 5 === 0 ? 100 : 300) };
  const [timing] = await compete([noisy], EFFORT, new Random(3));
  assert.is(timing?.minimum, 100);
  assert.is(timing?.median, 300);
});

test("every contender runs more than twenty times before anything counts", async () => {
  const ran: string[] = [];
  await compete([pretender("a", 1, ran)], EFFORT, new Random(4));
  assert.ok(ran.length - EFFORT.rounds > 20, `${ran.length}`);
});

test("a contender may answer later: one in another process does", async () => {
  const later: Contender = { name: "later", time: async (repeats) => 5 * repeats };
  const [timing] = await compete([later], EFFORT, new Random(5));
  assert.is(timing?.minimum, 5);
});

test("a loop in JavaScript is refused when its sum is wrong, and when what it wrote is", () => {
  const work = { name: "loop", once: "sum += two;", scope: { two: 2 } };
  assert.ok((inJavaScript({ ...work, expected: 2 }).time(10) as number) >= 0);
  assert.throws(() => inJavaScript({ ...work, expected: 3 }).time(10), /loop answered 20, not 30/);
  const verify = (): void => {
    throw new Error("wrong column");
  };
  assert.throws(() => inJavaScript({ ...work, expected: 2, verify }).time(1), /wrong column/);
});

test("outputs are spoiled before each timing", () => {
  let spoiled = 0;
  const contender = inJavaScript({
    name: "loop",
    once: "sum++;",
    scope: {},
    expected: 1,
    spoil: () => {
      spoiled++;
    },
  });
  contender.time(3);
  contender.time(3);
  assert.is(spoiled, 2);
});

test("an error in a contender ends the bench: it is never measured past a wrong answer", async () => {
  const wrong: Contender = {
    name: "wrong",
    time: () => {
      throw new Error("a wrong answer");
    },
  };
  try {
    await compete([wrong], EFFORT, new Random(6));
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /a wrong answer/);
  }
});

test("garbage can be measured only where collections can be asked for", () => {
  if (globalThis.gc !== undefined)
    return assert.is(
      garbagePerCall(() => 0),
      0,
    );
  assert.throws(() => garbagePerCall(() => 0), /--expose-gc/);
});

test.run();
