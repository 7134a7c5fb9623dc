/** What is left when something runs out: memory, descriptors, owners, indexes, the arena. */
import * as assert from "uvu/assert";
import { DESCRIPTORS } from "../../src/alloc.ts";
import { Random } from "../support/random.ts";
import { noDescriptorIsLost, structureOf } from "./structure.ts";
import { eachBuild, given, HIGH, heapWith, MIB, named } from "./support.ts";

eachBuild("running out", (test, fresh) => {
  test("of memory: blocks in magazines are found again, and one more is refused", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    const small = Array.from({ length: 16384 }, () => given(alloc.heapAlloc(heap, 64)));
    assert.is(named(alloc.heapAlloc(heap, 1)), "EXHAUSTED");
    for (const handle of small) assert.is(alloc.heapFree(heap, handle), 0);
    given(alloc.heapAlloc(heap, 1 << 20));
    assert.is(named(alloc.heapAlloc(heap, 1)), "EXHAUSTED");
    assert.is(alloc.heapFreeBytes(heap), 0n);
    assert.is(alloc.heapLargest(heap), 0n);
  });

  test("the low mark says when", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    const low = (): number => alloc.words[heap >> 2] as number;
    assert.is(low(), 0);
    alloc.heapSetLow(heap, MIB);
    assert.is(low(), 0, "as much as that is not below it");
    const handle = given(alloc.heapAlloc(heap, 100_000));
    assert.is(low(), 1);
    alloc.heapFree(heap, handle);
    alloc.heapFlush(heap);
    assert.is(low(), 0);
    alloc.heapSetLow(heap, MIB + 64n);
    assert.is(low(), 1);
    alloc.heapAddSegment(heap, HIGH + MIB, (1n << 44n) + MIB, MIB);
    assert.is(low(), 0);
  });

  test("of descriptors: refused, nothing is lost, and freeing helps", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    // A pool takes half of the indexes, and others all but some of the rest: what is left are 2^10 for blocks.
    const pools: number[] = [];
    for (let left = DESCRIPTORS / 2; left >= 2048; left /= 2) pools.push(given(alloc.poolOpen(left, 0)));
    pools.push(given(alloc.poolOpen(1024, 1)));
    const random = new Random(7);
    const live: number[] = [];
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      if (random.below(100) < 60) {
        const handle = alloc.heapAllocAligned(
          heap,
          1 + random.below(300),
          6 + random.below(4),
          random.once(3) ? 12 : 0,
        );
        if (handle > 0) live.push(handle);
        else {
          assert.is(named(handle), "EXHAUSTED");
          refused++;
        }
      } else if (live.length > 0) {
        const at = random.below(live.length);
        assert.is(alloc.heapFree(heap, live[at] as number), 0);
        live.splice(at, 1);
      }
      if (i % 1000 === 0) {
        noDescriptorIsLost(alloc, [structureOf(alloc, heap)]);
        const allowed = alloc.heapTotal(heap) > MIB ? ["OVERLAPS"] : ["OK", "OUT_OF_MEMORY"];
        const said = named(alloc.heapAddSegment(heap, HIGH + 8n * MIB, 0n, 64n));
        assert.ok(allowed.includes(said), said);
      }
    }
    assert.ok(refused > 1000, `${refused} refused`);
    const said = named(alloc.heapRemove(heap, HIGH + 8n * MIB, 64n));
    assert.ok(["OK", "NOT_FREE"].includes(said), said);
    for (const handle of live) assert.is(alloc.heapFree(heap, handle), 0);
    alloc.heapFlush(heap);
    for (const { blocks } of structureOf(alloc, heap).runs) assert.is(blocks.length, 1);
    noDescriptorIsLost(alloc, [structureOf(alloc, heap)]);
  });

  test("of descriptors while a segment comes, or a part of one goes", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    for (let left = DESCRIPTORS / 2; left >= 1; left /= 2) alloc.poolOpen(left, 0);
    // All indexes but those that the heap has, and what a pool of one takes, are gone by now; the rest goes to blocks.
    const live: number[] = [];
    for (let handle = alloc.heapAlloc(heap, 64); handle > 0; handle = alloc.heapAlloc(heap, 64)) live.push(handle);
    const before = structureOf(alloc, heap);
    assert.ok(
      before.blocks.some(({ state, granules }) => state === "free" && granules > 1),
      "there is memory all the same",
    );
    assert.is(named(alloc.heapAddSegment(heap, HIGH + 2n * MIB, 0n, MIB)), "OUT_OF_MEMORY");
    assert.is(named(alloc.heapRemove(heap, HIGH + MIB - 4096n, 64n)), "OUT_OF_MEMORY");
    assert.equal(structureOf(alloc, heap), before);
    assert.is(named(alloc.poolOpen(1, 0)), "OUT_OF_MEMORY");
  });

  test("of owners: 4,095 heaps, or as many as the arena has room for, and closing one makes room", () => {
    const alloc = fresh();
    const heaps: number[] = [];
    let heap = alloc.heapOpen();
    for (; heap > 0; heap = alloc.heapOpen()) heaps.push(heap);
    assert.is(named(heap), "OUT_OF_MEMORY");
    assert.ok(heaps.length > 1000 && heaps.length < 4096, `${heaps.length}`);
    alloc.heapClose(heaps.pop() as number);
    heaps.push(given(alloc.heapOpen()));
    for (const one of heaps) alloc.heapClose(one);
    for (let i = 0; i < 5000; i++) alloc.heapClose(given(alloc.heapOpen()));
  });

  test("of the arena: 0, and what was given back is there again, zeroed", () => {
    const alloc = fresh();
    assert.is(alloc.arenaTake(2 ** 32 - 1), 0);
    assert.is(alloc.arenaTake(2 ** 27), 0);
    const large = alloc.arenaTake(2 ** 26 - 64);
    assert.ok(large > 0);
    assert.is(alloc.arenaTake(2 ** 26 - 64), 0);
    const small = alloc.arenaTake(100);
    assert.is(small % 64, 0);
    alloc.words.fill(-1, small >> 2, (small + 100) >> 2);
    alloc.arenaGive(small);
    assert.is(alloc.arenaTake(100), small);
    assert.ok(alloc.words.subarray(small >> 2, (small + 100) >> 2).every((word) => word === 0));
    alloc.arenaGive(large);
    assert.is(alloc.arenaTake(2 ** 26 - 64), large);
  });
});
