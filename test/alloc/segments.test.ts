/** Memory that comes and goes: what becomes one, what is refused, and what is left behind. */
import * as assert from "uvu/assert";
import type { Allocator } from "../../src/alloc.ts";
import { noDescriptorIsLost, type Structure, structureOf } from "./structure.ts";
import { eachBuild, given, HIGH, heapWith, MIB, named, placed } from "./support.ts";

const VA = 1n << 44n;
const TOP = 1n << 64n;

function shape({ runs }: Structure): string[] {
  return runs.map(({ iova, size, blocks }) => `${(iova - HIGH) / MIB}+${size / MIB}: ${blocks.length}`);
}

function refused(alloc: Allocator, heap: number, iova: bigint, va: bigint, size: bigint): string {
  const before = structureOf(alloc, heap);
  const said = named(alloc.heapAddSegment(heap, iova, va, size));
  assert.equal(structureOf(alloc, heap), before, "and nothing happened");
  return said;
}

eachBuild("segments", (test, fresh) => {
  test("become one with what they meet in IOVAs and in memory, in any order", () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 0, 2],
    ]) {
      const alloc = fresh();
      const heap = alloc.heapOpen();
      for (const i of order) alloc.heapAddSegment(heap, HIGH + BigInt(i) * MIB, VA + BigInt(i) * MIB, MIB);
      assert.equal(shape(structureOf(alloc, heap)), ["0+3: 1"]);
      const { iova } = placed(alloc, given(alloc.heapAlloc(heap, 3 << 20)));
      assert.is(iova, HIGH);
      noDescriptorIsLost(alloc, [structureOf(alloc, heap)]);
    }
  });

  test("become one with neighbours in use, which stay what they are", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB, HIGH + MIB, VA + MIB);
    const handle = given(alloc.heapAlloc(heap, 1 << 20));
    const before = placed(alloc, handle);
    alloc.heapAddSegment(heap, HIGH, VA, MIB);
    alloc.heapAddSegment(heap, HIGH + 2n * MIB, VA + 2n * MIB, MIB);
    assert.equal(shape(structureOf(alloc, heap)), ["0+3: 3"]);
    assert.equal(placed(alloc, handle), before);
    assert.is(alloc.heapFree(heap, handle), 0);
    alloc.heapFlush(heap);
    assert.equal(shape(structureOf(alloc, heap)), ["0+3: 1"]);
  });

  test("stay apart where only IOVAs meet, or only memory, and no buffer lies in both", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    alloc.heapAddSegment(heap, HIGH + MIB, VA + 2n * MIB, MIB);
    alloc.heapAddSegment(heap, HIGH + 3n * MIB, VA + MIB, MIB);
    assert.equal(shape(structureOf(alloc, heap)), ["0+1: 1", "1+1: 1", "3+1: 1"]);
    assert.is(named(alloc.heapAlloc(heap, (1 << 20) + 64)), "EXHAUSTED");
    for (const offset of [0n, 1n, 3n]) {
      const { iova, va } = placed(alloc, given(alloc.heapAlloc(heap, 1 << 20)));
      const expected = new Map([
        [0n, 0n],
        [1n, 2n],
        [3n, 1n],
      ]).get((iova - HIGH) / MIB) as bigint;
      assert.is(va, VA + expected * MIB, `${offset}`);
    }
  });

  test("stay apart where that is asked for, and no buffer lies on both sides", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    assert.is(named(alloc.heapAddSegment(heap, HIGH + MIB, VA + MIB, MIB, 1)), "OK");
    assert.is(named(alloc.heapAlloc(heap, (1 << 20) + 64)), "EXHAUSTED");
    for (let i = 0; i < 2; i++) assert.is(placed(alloc, given(alloc.heapAlloc(heap, 1 << 20))).iova % MIB, 0n);
  });

  test("the end of all addresses is a segment's end as any other, and nobody's neighbour at 0", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB, TOP - MIB, TOP - MIB);
    assert.is(named(alloc.heapAddSegment(heap, 0n, 0n, MIB)), "OK");
    assert.is(structureOf(alloc, heap).runs.length, 2);
    for (let i = 0; i < 2; i++) given(alloc.heapAlloc(heap, 1 << 20));
    assert.is(named(alloc.heapAlloc(heap, 64)), "EXHAUSTED");
    // IOVAs meet, and the memory would only by wrapping.
    const other = heapWith(alloc, MIB, HIGH, TOP - MIB);
    assert.is(named(alloc.heapAddSegment(other, HIGH + MIB, 0n, MIB)), "OK");
    assert.is(structureOf(alloc, other).runs.length, 2);
  });

  test("are refused with the reason, and nothing happens", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 2n * MIB, HIGH + MIB, VA + MIB);
    assert.is(refused(alloc, heap, 32n, 0n, MIB), "UNALIGNED");
    assert.is(refused(alloc, heap, 0n, 32n, MIB), "UNALIGNED");
    assert.is(refused(alloc, heap, 0n, 0n, MIB + 32n), "UNALIGNED");
    assert.is(refused(alloc, heap, 0n, 0n, 0n), "ZERO_LENGTH");
    assert.is(refused(alloc, heap, TOP - MIB, 0n, MIB + 64n), "WRAPS");
    assert.is(refused(alloc, heap, 0n, TOP - MIB, MIB + 64n), "WRAPS");
    assert.is(refused(alloc, heap, 0n, 0n, 1n << 38n), "TOO_LARGE");
    for (const [at, size] of [
      [1n, 2n],
      [0n, 2n],
      [2n, 2n],
      [0n, 4n],
      [1n, 1n],
    ] as const) {
      assert.is(refused(alloc, heap, HIGH + at * MIB, 0n, size * MIB), "OVERLAPS", "IOVAs");
      assert.is(refused(alloc, heap, 0n, VA + at * MIB, size * MIB), "OVERLAPS", "memory");
    }
    assert.is(named(alloc.heapAddSegment(heap, HIGH, 0n, MIB)), "OK", "just before");
    assert.is(named(alloc.heapAddSegment(heap, HIGH + 3n * MIB, 2n * MIB, MIB)), "OK", "and just behind");
  });

  test("leave where they are wholly free: at an end, in the middle, or all of it", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 8n * MIB);
    const remove = (at: bigint, size: bigint): string => named(alloc.heapRemove(heap, HIGH + at * MIB, size * MIB));
    assert.is(remove(0n, 1n), "OK");
    assert.is(remove(7n, 1n), "OK");
    assert.is(remove(3n, 2n), "OK");
    assert.equal(shape(structureOf(alloc, heap)), ["1+2: 1", "5+2: 1"]);
    for (const [at, size] of [
      [0n, 1n],
      [2n, 2n],
      [4n, 2n],
      [7n, 1n],
      [1n, 6n],
    ] as const)
      assert.is(remove(at, size), "NOT_FREE");
    for (const iova of [HIGH + MIB, HIGH + 5n * MIB]) {
      const { va } = placed(alloc, given(alloc.heapAlloc(heap, 2 << 20)));
      assert.ok([VA + MIB, VA + 5n * MIB].includes(va), `${iova}`);
    }
    assert.is(remove(1n, 2n), "NOT_FREE");
    for (let handle = alloc.heapNextLive(heap, 0); handle !== 0; handle = alloc.heapNextLive(heap, 0))
      alloc.heapFree(heap, handle);
    alloc.heapFlush(heap);
    assert.is(remove(1n, 2n), "OK");
    assert.is(named(alloc.heapAddSegment(heap, HIGH + 3n * MIB, VA + 3n * MIB, 2n * MIB)), "OK");
    assert.equal(shape(structureOf(alloc, heap)), ["3+4: 1"]);
    assert.is(remove(3n, 4n), "OK");
    noDescriptorIsLost(alloc, [structureOf(alloc, heap)]);
    assert.is(named(alloc.heapAlloc(heap, 1)), "EXHAUSTED");
  });

  test("leave beside buffers that are live, and those stay what they are", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 3n * MIB);
    const [low, middle, high] = [0, 1, 2].map(() => given(alloc.heapAlloc(heap, 1 << 20)));
    const before = [low, high].map((handle) => placed(alloc, handle as number));
    alloc.heapFree(heap, middle as number);
    alloc.heapFlush(heap);
    assert.is(named(alloc.heapRemove(heap, HIGH + MIB, MIB)), "OK");
    assert.equal(shape(structureOf(alloc, heap)), ["0+1: 1", "2+1: 1"]);
    for (const handle of [low, high]) assert.is(alloc.heapFree(heap, handle as number), 0);
    alloc.heapFlush(heap);
    assert.equal(shape(structureOf(alloc, heap)), ["0+1: 1", "2+1: 1"]);
    assert.equal(
      before.map(({ iova }) => iova),
      [HIGH, HIGH + 2n * MIB],
    );
    assert.is(named(alloc.heapRemove(heap, HIGH + 1n, MIB)), "UNALIGNED");
    assert.is(named(alloc.heapRemove(heap, HIGH, 0n)), "ZERO_LENGTH");
    assert.is(named(alloc.heapRemove(heap, HIGH, 1n << 40n)), "NOT_FREE");
  });

  test("may be many, and each buffer's memory is its own segment's", () => {
    const alloc = fresh();
    const heap = alloc.heapOpen();
    const pages = 500n;
    for (let i = 0n; i < pages; i++) {
      const at = (i * 7n) % pages;
      assert.is(named(alloc.heapAddSegment(heap, HIGH + at * 8192n, VA + ((at * 11n) % pages) * 4096n, 4096n)), "OK");
    }
    assert.is(structureOf(alloc, heap).runs.length, Number(pages));
    for (let i = 0n; i < pages; i++) {
      const { iova, va } = placed(alloc, given(alloc.heapAlloc(heap, 4096)));
      const at = (iova - HIGH) / 8192n;
      assert.is(va, VA + ((at * 11n) % pages) * 4096n);
    }
    alloc.heapClose(heap);
    noDescriptorIsLost(alloc, []);
  });
});
