/** Handles: who has what, what is refused, and by which name. */
import * as assert from "uvu/assert";
import { GENERATION_SHIFT, GENERATIONS, HANDLE_INDEX_MASK } from "../../src/alloc.ts";
import { structureOf } from "./structure.ts";
import { eachBuild, given, HIGH, heapWith, MIB, named, placed } from "./support.ts";

eachBuild("handles of a heap", (test, fresh) => {
  test("are integers above 0 and below 2^31; slot, address, IOVA and size lie in columns", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    const handles = [64, 100, 5000].map((bytes) => given(alloc.heapAlloc(heap, bytes)));
    for (const [i, handle] of handles.entries()) {
      const { iova, va, granules } = placed(alloc, handle);
      assert.is(granules, [1, 2, 79][i]);
      assert.is(va - (1n << 44n), iova - HIGH);
    }
    assert.is(alloc.heapLiveCount(heap), 3);
    assert.is(alloc.heapLive(heap), 82n * 64n);
  });

  test("a handle that was freed is not live: in a magazine, in a list, and without a descriptor", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    const handles = Array.from({ length: 200 }, () => given(alloc.heapAlloc(heap, 64)));
    for (const handle of handles) {
      assert.is(named(alloc.heapCheckHandle(heap, handle)), "OK");
      assert.is(named(alloc.heapFree(heap, handle)), "OK");
      assert.is(named(alloc.heapFree(heap, handle)), "NOT_LIVE");
      assert.is(named(alloc.heapCheckHandle(heap, handle)), "NOT_LIVE");
    }
    alloc.heapFlush(heap);
    for (const handle of handles) assert.is(named(alloc.heapFree(heap, handle)), "NOT_LIVE");
    assert.is(structureOf(alloc, heap).blocks.length, 1);
  });

  test("a stale handle is refused until its generation comes again, after 512 times", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 64n);
    const first = given(alloc.heapAlloc(heap, 64));
    let handle = first;
    for (let times = 1; times < GENERATIONS; times++) {
      assert.is(named(alloc.heapFree(heap, handle)), "OK");
      handle = given(alloc.heapAlloc(heap, 64));
      assert.is(handle & HANDLE_INDEX_MASK, first & HANDLE_INDEX_MASK);
      assert.is(handle >> GENERATION_SHIFT, times);
      assert.is(named(alloc.heapFree(heap, first)), "STALE_HANDLE");
    }
    alloc.heapFree(heap, handle);
    assert.is(alloc.heapAlloc(heap, 64), first, "the 512th is the first");
  });

  test("another heap's, a pool's, and one of nobody: each has its name, and no damage is done", () => {
    const alloc = fresh();
    const [heap, other] = [heapWith(alloc, MIB), heapWith(alloc, MIB, 1n << 30n)];
    const pool = alloc.poolOpen(4, 0);
    const foreign = [given(alloc.heapAlloc(other, 64)), given(alloc.poolGet(pool))];
    const mine = given(alloc.heapAlloc(heap, 64));
    const forged = [0, -1, -mine, mine | 0x80000000, 1 << GENERATION_SHIFT, 1_000_000, -(2 ** 31)];
    const before = [heap, other].map((one) => structureOf(alloc, one));
    for (const handle of foreign) {
      assert.is(named(alloc.heapFree(heap, handle)), "FOREIGN_HANDLE");
      assert.is(named(alloc.heapCheckHandle(heap, handle)), "FOREIGN_HANDLE");
    }
    assert.is(named(alloc.heapFree(heap, HANDLE_INDEX_MASK)), "FOREIGN_HANDLE", "an index of pools");
    for (const handle of forged) assert.is(named(alloc.heapFree(heap, handle)), "UNKNOWN_HANDLE", `${handle}`);
    for (let generation = 1; generation < GENERATIONS; generation++)
      assert.is(named(alloc.heapFree(heap, mine + (generation << GENERATION_SHIFT))), "STALE_HANDLE");
    assert.is(named(alloc.poolPut(pool, mine)), "FOREIGN_HANDLE");
    assert.equal(
      [heap, other].map((one) => structureOf(alloc, one)),
      before,
    );
    alloc.poolClose(pool);
    assert.is(named(alloc.heapFree(heap, foreign[1] as number)), "FOREIGN_HANDLE", "of a pool that was closed");
  });

  test("every integer but the live ones is refused", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    const live = new Set([64, 64, 1000, 5000].map((bytes) => given(alloc.heapAlloc(heap, bytes))));
    alloc.heapFree(heap, given(alloc.heapAlloc(heap, 128)));
    for (let index = 0; index < 64; index++) {
      for (let high = 0; high < 1024; high++) {
        const handle = (high << GENERATION_SHIFT) | index;
        assert.is(alloc.heapCheckHandle(heap, handle) === 0, live.has(handle));
      }
    }
  });

  test("none of a closed heap is live in the next one, which has its descriptors and its owner", () => {
    const alloc = fresh();
    let heap = heapWith(alloc, MIB);
    const handles = Array.from({ length: 100 }, (_, i) => given(alloc.heapAlloc(heap, 64 * (1 + (i % 3)))));
    for (const handle of handles.slice(50)) alloc.heapFree(heap, handle);
    alloc.heapClose(heap);
    heap = heapWith(alloc, MIB);
    const next = new Set(Array.from({ length: 100 }, (_, i) => given(alloc.heapAlloc(heap, 64 * (1 + (i % 3))))));
    for (const handle of handles) {
      assert.not(next.has(handle));
      assert.is.not(named(alloc.heapFree(heap, handle)), "OK");
    }
    assert.is(alloc.heapLiveCount(heap), 100);
  });

  test("the live ones can be walked, in a heap of its own each", () => {
    const alloc = fresh();
    const heaps = [heapWith(alloc, MIB), heapWith(alloc, MIB, 1n << 30n)];
    const live = heaps.map((heap) => Array.from({ length: 40 }, () => given(alloc.heapAlloc(heap, 200))));
    for (const [i, heap] of heaps.entries()) {
      const mine = live[i] as number[];
      for (const handle of mine.splice(0, 10)) alloc.heapFree(heap, handle);
      const seen: number[] = [];
      for (let handle = alloc.heapNextLive(heap, 0); handle !== 0; handle = alloc.heapNextLive(heap, handle))
        seen.push(handle);
      assert.equal(seen.sort(), mine.sort());
    }
  });
});
