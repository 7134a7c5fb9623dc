/** Pools: order, bulk, and what is refused. */
import * as assert from "uvu/assert";
import { type Allocator, GENERATION_SHIFT, GENERATIONS, HANDLE_INDEX_MASK } from "../../src/alloc.ts";
import { eachBuild, given, heapWith, MIB, named } from "./support.ts";

const slots = (alloc: Allocator, pool: number, handles: readonly number[]): number[] =>
  handles.map((handle) => (handle & HANDLE_INDEX_MASK) - alloc.poolFirst(pool));

const getAll = (alloc: Allocator, pool: number, count: number): number[] =>
  Array.from({ length: count }, () => given(alloc.poolGet(pool)));

/** Handles in a block of the arena. */
function column(alloc: Allocator, handles: readonly number[]): number {
  const pointer = alloc.arenaTake(handles.length * 4);
  alloc.words.set(handles, pointer >> 2);
  return pointer;
}

eachBuild("pools", (test, fresh) => {
  for (const count of [1, 2, 3, 64, 100, 1000]) {
    test(`a stack of ${count}: the slot that was put last comes next`, () => {
      const alloc = fresh();
      const pool = given(alloc.poolOpen(count, 0));
      const handles = getAll(alloc, pool, count);
      assert.equal(
        slots(alloc, pool, handles),
        Array.from({ length: count }, (_, slot) => slot),
      );
      assert.is(named(alloc.poolGet(pool)), "EXHAUSTED");
      for (const handle of handles) assert.is(named(alloc.poolPut(pool, handle)), "OK");
      assert.is(alloc.poolFree(pool), count);
      assert.equal(slots(alloc, pool, getAll(alloc, pool, count)), slots(alloc, pool, handles).reverse());
    });

    test(`a ring of ${count}: the slot comes next that was free longest`, () => {
      const alloc = fresh();
      const pool = given(alloc.poolOpen(count, 1));
      const order: number[] = [];
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < count; i++) {
          const handle = given(alloc.poolGet(pool));
          order.push(...slots(alloc, pool, [handle]));
          assert.is(named(alloc.poolPut(pool, handle)), "OK");
        }
      }
      assert.equal(
        order,
        Array.from({ length: 5 * count }, (_, i) => i % count),
      );
      const handles = getAll(alloc, pool, count);
      assert.is(named(alloc.poolGet(pool)), "EXHAUSTED");
      for (const handle of handles.toReversed()) assert.is(named(alloc.poolPut(pool, handle)), "OK");
      assert.equal(slots(alloc, pool, getAll(alloc, pool, count)), slots(alloc, pool, handles).reverse());
    });
  }

  test("put twice, stale, another pool's, a heap's, forged: refused by name, and nothing happens", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    for (const fifo of [0, 1] as const) {
      const [pool, other] = [alloc.poolOpen(5, fifo), alloc.poolOpen(5, fifo)];
      const [first = 0, second = 0, ...rest] = getAll(alloc, pool, 5);
      const refused = (handle: number): string => {
        const free = alloc.poolFree(pool);
        const said = named(alloc.poolPut(pool, handle));
        assert.is(named(alloc.poolCheckHandle(pool, handle)), said);
        assert.is(alloc.poolFree(pool), free);
        return said;
      };
      assert.is(named(alloc.poolCheckHandle(pool, first)), "OK");
      assert.is(named(alloc.poolPut(pool, first)), "OK");
      assert.is(refused(first), "NOT_LIVE");
      const again = given(alloc.poolGet(pool));
      assert.is(again & HANDLE_INDEX_MASK, first & HANDLE_INDEX_MASK);
      assert.is(refused(first), "STALE_HANDLE");
      assert.is(refused(given(alloc.poolGet(other))), "FOREIGN_HANDLE");
      assert.is(refused(given(alloc.heapAlloc(heap, 64))), "FOREIGN_HANDLE");
      assert.is(refused(alloc.poolFirst(pool) + 5), "FOREIGN_HANDLE", "an index that was set aside with the pool's");
      for (const forged of [0, -1, second | 0x80000000, -second, -(2 ** 31), 1 << GENERATION_SHIFT])
        assert.is(refused(forged), "UNKNOWN_HANDLE", `${forged}`);
      assert.is(refused(HANDLE_INDEX_MASK >> 1), "FOREIGN_HANDLE");
      for (const handle of [again, second, ...rest]) assert.is(named(alloc.poolPut(pool, handle)), "OK");
      assert.is(new Set(getAll(alloc, pool, 5)).size, 5);
    }
  });

  test("a generation comes again after 512 gets of a slot, and not before", () => {
    const alloc = fresh();
    for (const fifo of [0, 1] as const) {
      const pool = alloc.poolOpen(1, fifo);
      const first = given(alloc.poolGet(pool));
      let handle = first;
      for (let times = 1; times < GENERATIONS; times++) {
        assert.is(named(alloc.poolPut(pool, handle)), "OK");
        handle = given(alloc.poolGet(pool));
        assert.is(named(alloc.poolPut(pool, first)), "STALE_HANDLE");
      }
      alloc.poolPut(pool, handle);
      assert.is(alloc.poolGet(pool), first, "the 512th is the first");
    }
  });

  test("a pool goes on with the generations of the one that was closed before it at the same indexes", () => {
    const alloc = fresh();
    const former: number[] = [];
    for (let i = 0; i < 20; i++) {
      const count = [64, 50, 33][i % 3] as number;
      const pool = given(alloc.poolOpen(count, i % 2 === 0 ? 0 : 1));
      for (let round = 0; round < i % 4; round++) {
        for (const handle of getAll(alloc, pool, round * 7)) {
          former.push(handle);
          alloc.poolPut(pool, handle);
        }
      }
      const live = new Set(getAll(alloc, pool, 30));
      for (const handle of former) {
        assert.not(live.has(handle));
        assert.is.not(named(alloc.poolCheckHandle(pool, handle)), "OK");
      }
      former.push(...live);
      if (former.length > 2000) former.splice(0, 1000);
      alloc.poolClose(pool);
    }
    assert.is(new Set(former).size, former.length);
  });

  test("many at once: as many as there are, in the order of one by one", () => {
    const alloc = fresh();
    for (const fifo of [0, 1] as const) {
      const [pool, single] = [alloc.poolOpen(100, fifo), alloc.poolOpen(100, fifo)];
      const pointer = alloc.arenaTake(400);
      for (const count of [1, 2, 3, 4, 5, 31, 32, 33, 64, 99, 100, 101]) {
        const got = alloc.poolGetMany(pool, pointer, count);
        assert.is(got, Math.min(count, 100));
        const handles = [...alloc.words.subarray(pointer >> 2, (pointer >> 2) + got)];
        const others = getAll(alloc, single, got);
        assert.equal(slots(alloc, pool, handles), slots(alloc, single, others));
        assert.is(alloc.poolFree(pool), 100 - got);
        assert.is(alloc.poolPutMany(pool, pointer, got), got);
        for (const handle of others) alloc.poolPut(single, handle);
        assert.is(alloc.poolFree(pool), 100);
      }
      assert.is(alloc.poolGetMany(pool, pointer, 0), 0);
    }
  });

  test("many at once: puts stop at the first that is refused, and the rest stays live", () => {
    const alloc = fresh();
    for (const fifo of [0, 1] as const) {
      const pool = alloc.poolOpen(64, fifo);
      for (let bad = 0; bad < 40; bad++) {
        const handles = getAll(alloc, pool, 40);
        const wrong = [0, -1, handles[(bad + 1) % 40] as number, (handles[bad] as number) ^ (1 << 30), 5];
        for (const forged of wrong) {
          const before = handles.with(bad, forged);
          const twice = before.indexOf(forged) < bad;
          const pointer = column(alloc, before);
          const put = alloc.poolPutMany(pool, pointer, 40);
          const again = forged === handles[(bad + 1) % 40] && !twice;
          // A handle that stands there twice is refused at its second place.
          assert.is(put, again ? bad + 1 : bad, `${bad}: ${forged}`);
          assert.is(alloc.poolFree(pool), 24 + put);
          alloc.arenaGive(pointer);
          for (const handle of handles.slice(put)) alloc.poolPut(pool, handle);
          for (const handle of handles) alloc.poolPut(pool, handle);
          assert.is(alloc.poolFree(pool), 64);
          handles.splice(0, 40, ...getAll(alloc, pool, 40));
          wrong[3] = (handles[bad] as number) ^ (1 << 30);
        }
        for (const handle of handles) alloc.poolPut(pool, handle);
      }
    }
  });

  test("what is live can be walked; what cannot be opened is refused", () => {
    const alloc = fresh();
    const pool = alloc.poolOpen(10, 0);
    const handles = getAll(alloc, pool, 6);
    for (const handle of handles.splice(2, 2)) alloc.poolPut(pool, handle);
    const seen: number[] = [];
    for (let handle = alloc.poolNextLive(pool, 0); handle !== 0; handle = alloc.poolNextLive(pool, handle))
      seen.push(handle);
    assert.equal(seen, handles);
    assert.is(named(alloc.poolOpen(0, 0)), "ZERO_LENGTH");
    assert.is(named(alloc.poolOpen(2 ** 21 + 1, 0)), "TOO_LARGE");
    assert.is(named(alloc.poolOpen(2 ** 32 - 1, 0)), "TOO_LARGE");
  });
});
