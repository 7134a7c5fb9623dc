/** The core's memory: blocks, their sizes, and growing. */
import * as assert from "uvu/assert";
import { agree, type Build, eachBuild, forSeeds, freshCore, nullPageIsZero } from "./support.ts";

/** What a block of so many bytes takes: a power of two, and at least 64. */
function taken(bytes: number): bigint {
  let size = 64n;
  while (size < BigInt(bytes)) size *= 2n;
  return size;
}

eachBuild("the core's memory", (test, core, build: Build) => {
  test("hands out blocks that are zeroed, and again when they come back full of something", () => {
    for (const bytes of [1, 63, 64, 65, 4095, 4096, 4097, 70_000]) {
      const before = core.bytesInUse();
      const block = core.acquireBytes(bytes);
      agree(core.bytesInUse() - before, taken(bytes), () => `bytes in use for ${bytes}`);
      const size = Number(taken(bytes));
      assert.ok(
        core
          .bytes()
          .subarray(block, block + size)
          .every((byte) => byte === 0),
      );
      core.bytes().fill(0xff, block, block + size);
      core.releaseBytes(block, bytes);
      const again = core.acquireBytes(bytes);
      assert.is(again, block, "a block that came back is the next to go");
      assert.ok(
        core
          .bytes()
          .subarray(again, again + size)
          .every((byte) => byte === 0),
      );
      core.releaseBytes(again, bytes);
      assert.is(core.bytesInUse(), before);
    }
  });

  test("never hands out two blocks that overlap, and aligns those of a page or more to a page", () => {
    forSeeds(4, (random) => {
      const live = new Map<number, number>();
      for (let step = 0; step < 300; step++) {
        if (live.size > 0 && random.chance(3)) {
          const [block, bytes] = random.pick([...live]);
          live.delete(block);
          core.releaseBytes(block, bytes);
        } else {
          const bytes = 1 + random.below(random.pick([64, 500, 4096, 40_000]));
          const size = Number(taken(bytes));
          const block = core.acquireBytes(bytes);
          assert.is(block % Math.min(size, 4096), 0);
          for (const [other, otherBytes] of live) {
            assert.ok(block + size <= other || other + Number(taken(otherBytes)) <= block, "two blocks overlap");
          }
          live.set(block, bytes);
        }
      }
      for (const [block, bytes] of live) core.releaseBytes(block, bytes);
    });
    assert.is(core.bytesInUse(), 0n);
  });

  test("takes the null block back without a word", () => {
    core.releaseBytes(0, 4096);
    assert.is(core.bytesInUse(), 0n);
  });

  test("gives 0 for more than half of the address space, and nothing is taken", () => {
    assert.is(core.acquireBytes(2 ** 31 + 1), 0);
    assert.is(core.acquireBytes(2 ** 32 - 1), 0);
    assert.is(core.bytesInUse(), 0n);
  });

  test("grows; the views of before are then empty, and bytes() shows all of it, with its content", () => {
    const mine = freshCore(build);
    const block = mine.acquireBytes(1000);
    const before = mine.bytes();
    before.fill(0x5a, block, block + 1000);
    const large = mine.acquireBytes(before.length * 4);
    assert.is(before.length, 0, "the old view is detached");
    assert.ok(mine.bytes().length >= large + 4 * 131072);
    assert.is(mine.bytes(), mine.bytes(), "one view until it grows again");
    assert.ok(
      mine
        .bytes()
        .subarray(block, block + 1000)
        .every((byte) => byte === 0x5a),
    );
    mine.u64(large, 1)[0] = 7n;
    assert.is(mine.bytes()[large], 7);
    assert.ok(nullPageIsZero(mine));
  });
});
