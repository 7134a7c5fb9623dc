/** Growths that fail behind the map: the memory has no segment more than before. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { exclusively } from "../../src/exclusive.ts";
import { failure } from "../support/failure.ts";
import { takeAllDescriptors } from "./descriptors.ts";
import { HUGE, PLATFORMS, ready } from "./ready.ts";

for (const platform of PLATFORMS) {
  test(`${platform}: what does not fit into the allocator goes back`, () => {
    const { heap, model, memory, window, container } = ready({ grow: false }, { platform });
    heap.grow(HUGE);
    const state = () => ({ stats: heap.stats, hash: model.hash(), memsegs: memory.size, live: window.liveBytes });
    const before = state();
    const giveBack = takeAllDescriptors();
    try {
      for (let i = 0; i < 3; i++) {
        const error = failure("ERR_OUT_OF_MEMORY", () => heap.grow(HUGE));
        assert.is(error.residue, undefined);
        assert.equal(state(), before);
      }
    } finally {
      giveBack();
    }
    heap.grow(HUGE);
    assert.is(heap.stats.total, 2n * HUGE);
    heap.close();
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  });
}

test("in the middle of another operation nothing comes, and nothing is left", () => {
  const { heap, memory } = ready({ grow: false, guard: true });
  const before = memory.size;
  exclusively("another", () => failure("ERR_BUSY", () => heap.grow(HUGE)));
  assert.is(memory.size, before);
  heap.grow(HUGE);
  heap.close();
});

test.run();
