import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildRivals } from "../../bench/rivals/build.ts";

const test = suite("rivals");
const rivals = buildRivals();

test("where there is no compiler, or one that fails, they are left out with a word and nothing is thrown", () => {
  for (const compiler of ["false", "/nowhere/cc"]) {
    const { native, portable, dpdk, addonFile, leftOut } = buildRivals(compiler);
    assert.equal([native, portable, dpdk, addonFile], [undefined, undefined, undefined, undefined]);
    assert.is(leftOut.length, 1);
    assert.match(leftOut[0] ?? "", compiler);
  }
});

test("what is not there is said to be left out, and what is there is not", () => {
  const missing = rivals.native === undefined || rivals.dpdk === undefined;
  if (missing) assert.ok(rivals.leftOut.length > 0, "without a word");
  else if (rivals.portable) assert.equal(rivals.leftOut, []);
});

if (rivals.native !== undefined) {
  const { addon } = rivals.native;
  const answer = new BigUint64Array(2);
  const parameters = new BigUint64Array(8);

  test("a kernel runs as often as it is told, and the sum of its results is given", () => {
    const memory = new Uint8Array(64);
    new BigUint64Array(memory.buffer).set([5n, 6n, 7n]);
    parameters.set([0n, 3n]);
    addon.run("walk_all", memory, parameters, 10, answer);
    assert.is(answer[1], 180n);
    assert.ok((answer[0] as bigint) > 0n);
  });

  test("an argument that is missing, or of another kind, is refused and not read", () => {
    const memory = new Uint8Array(64);
    const wrong: readonly (readonly unknown[])[] = [
      [],
      ["walk_all", memory, parameters, 1],
      ["walk_all", new Uint16Array(4), parameters, 1, answer],
      ["walk_all", memory, new BigUint64Array(7), 1, answer],
      ["walk_all", memory, parameters, "1", answer],
      ["walk_all", memory, parameters, 1, new BigUint64Array(1)],
    ];
    for (const given of wrong) assert.throws(() => Reflect.apply(addon.run, addon, given), /run\(name, memory/);
    assert.throws(() => addon.run("nothing", memory, parameters, 1, answer), /no kernel/);
  });
}

test.run();
