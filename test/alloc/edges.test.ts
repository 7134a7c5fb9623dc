/** Edge values: sizes, alignments and boundaries in combination, each against what exact arithmetic says of the place. */
import * as assert from "uvu/assert";
import type { Allocator } from "../../src/alloc.ts";
import { HANDLE_INDEX_MASK } from "../../src/alloc.ts";
import { type Asked, granulesFor, HeapTwin } from "../reference/heap.ts";
import { structureOf } from "./structure.ts";
import { eachBuild, given, HIGH, heapWith, MIB, named, placed } from "./support.ts";

const around = (value: number): number[] => [value - 1, value, value + 1];
const SIZES = [...new Set([1, ...[6, 7, 10, 11, 12, 13, 16].flatMap((shift) => around(2 ** shift))])];
const GIB = 1n << 30n;

function asked(bytes: number, align = 6, boundary = 0): Asked {
  return { bytes, align, boundary };
}

/** One buffer out of a heap without any other, held against a twin of the same segment. */
function alone(alloc: Allocator, one: Asked, size: bigint, iova: bigint): void {
  const heap = heapWith(alloc, size, iova);
  const twin = new HeapTwin();
  twin.add(iova, 1n << 44n, size);
  const handle = alloc.heapAllocAligned(heap, one.bytes, one.align, one.boundary);
  const where = `${JSON.stringify(one)} of ${size} at ${iova}`;
  if (handle < 0) assert.not(twin.fits(one), `${where}: refused`);
  else assert.is(twin.take(handle, placed(alloc, handle), one), undefined, where);
  structureOf(alloc, heap);
  alloc.heapClose(heap);
}

eachBuild("edge values", (test, fresh) => {
  test("sizes, alignments and boundaries, in segments that begin and end anywhere", () => {
    const alloc = fresh();
    for (const iova of [64n, HIGH + 64n, HIGH - MIB - 4096n, (1n << 64n) - MIB]) {
      for (const bytes of SIZES) {
        for (const align of [0, 6, 7, 12, 16, 20]) {
          for (const boundary of [0, 6, 12, 13, 16, 20, 32, 59, 63]) {
            if (boundary !== 0 && bytes > 2 ** boundary) {
              const heap = heapWith(alloc, MIB, iova);
              assert.is(named(alloc.heapAllocAligned(heap, bytes, align, boundary)), "TOO_LARGE");
              alloc.heapClose(heap);
            } else alone(alloc, asked(bytes, align, boundary), MIB, iova);
          }
        }
      }
    }
  });

  test("what just fits, and what just does not", () => {
    const alloc = fresh();
    for (const bytes of SIZES) {
      const size = BigInt(granulesFor(bytes)) * 64n;
      for (const iova of [HIGH, (1n << 64n) - size]) {
        alone(alloc, asked(bytes), size, iova);
        if (size > 64n) alone(alloc, asked(bytes), size - 64n, iova);
        for (const align of [7, 12]) {
          for (const offset of [-64n, 0n, 64n]) {
            const unit = 1n << BigInt(align);
            alone(alloc, asked(bytes, align), size + unit, HIGH + offset);
            alone(alloc, asked(bytes, align), size + unit - 64n, HIGH + offset);
            alone(alloc, asked(bytes, align), size, HIGH + offset);
          }
        }
      }
    }
  });

  test("sizes up to 4 GiB - 64, alignments up to 1 GiB and more", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 255n * GIB, HIGH + 64n);
    for (const bytes of [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 128, 2 ** 32 - 64]) {
      for (const [align, boundary] of [
        [6, 0],
        [30, 0],
        [30, 32],
        [34, 0],
        [6, 32],
      ] as const) {
        const handle = given(alloc.heapAllocAligned(heap, bytes, align, boundary));
        const { iova, va, granules } = placed(alloc, handle);
        assert.is(granules, Math.ceil(bytes / 64));
        assert.is(iova % (1n << BigInt(align)), 0n);
        if (boundary !== 0) assert.is(iova >> 32n, (iova + BigInt(bytes) - 1n) >> 32n);
        assert.is(va - (1n << 44n), iova - HIGH - 64n);
        if (align > 6) assert.is(alloc.heapFree(heap, handle), 0);
      }
      const plain = given(alloc.heapAlloc(heap, bytes));
      assert.is(placed(alloc, plain).granules, Math.ceil(bytes / 64));
    }
    structureOf(alloc, heap);
    assert.is(named(alloc.heapAllocAligned(heap, 64, 37, 0)), "TOO_LARGE");
    assert.is(named(alloc.heapAllocAligned(heap, 64, -1, 0)), "TOO_LARGE");
  });

  test("no bytes at all, and more than there can be", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, MIB);
    assert.is(named(alloc.heapAlloc(heap, 0)), "ZERO_LENGTH");
    assert.is(named(alloc.heapAllocAligned(heap, 0, 12, 12)), "ZERO_LENGTH");
    assert.is(named(alloc.heapAlloc(heap, 2 ** 32 - 1)), "TOO_LARGE");
    assert.is(named(alloc.heapAlloc(heap, 2 ** 32 - 63)), "TOO_LARGE");
    assert.is(named(alloc.heapAlloc(heap, 2 ** 32 - 64)), "EXHAUSTED");
    structureOf(alloc, heap);
  });

  test("a boundary of a magazine's size is kept by every block that comes back to it", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 4n * MIB, HIGH + 64n);
    for (let round = 0; round < 3; round++) {
      const handles: number[] = [];
      for (let i = 0; i < 300; i++) {
        for (const [bytes, align, boundary] of [
          [1536, 6, 12],
          [1536, 6, 0],
          [1536, 9, 12],
          [4096, 12, 0],
          [4096, 6, 16],
        ] as const) {
          const handle = given(alloc.heapAllocAligned(heap, bytes, align, boundary));
          const { iova } = placed(alloc, handle);
          assert.is(iova & ((1n << BigInt(align)) - 1n), 0n);
          if (boundary) assert.is(iova >> BigInt(boundary), (iova + BigInt(bytes) - 1n) >> BigInt(boundary));
          handles.push(handle);
        }
      }
      for (const handle of handles) assert.is(alloc.heapFree(heap, handle), 0);
      structureOf(alloc, heap);
    }
  });

  test("many keys of one size take magazines over from each other, and each block is what was asked for", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 64n * MIB, HIGH + 64n);
    const keys: (readonly [align: number, boundary: number])[] = [];
    for (let align = 0; align <= 14; align++)
      for (let boundary = 12; boundary <= 20; boundary++) keys.push([align, boundary]);
    for (let round = 0; round < 6; round++) {
      const handles: number[] = [];
      for (const [align, boundary] of round % 2 === 0 ? keys : keys.toReversed()) {
        for (let i = 0; i < 12; i++) {
          const handle = given(alloc.heapAllocAligned(heap, 3000, align, boundary));
          const { iova } = placed(alloc, handle);
          assert.is(iova & ((1n << BigInt(align)) - 1n), 0n);
          assert.is(iova >> BigInt(boundary), (iova + 2999n) >> BigInt(boundary));
          handles.push(handle);
        }
      }
      for (const handle of handles) assert.is(alloc.heapFree(heap, handle), 0);
      structureOf(alloc, heap);
    }
  });

  test("a block of 8 to 64 KiB has one of 64 sizes in each power of two, and its own where only that fits", () => {
    const alloc = fresh();
    for (const [bytes, granules] of [
      [8128, 127],
      [8192, 128],
      [8193, 130],
      [8320, 130],
      [16_320, 256],
      [16_384, 256],
      [16_385, 260],
      [40_000, 632],
      [65_472, 1024],
      [65_536, 1024],
      [65_537, 1025],
    ] as const) {
      const heap = heapWith(alloc, 64n * MIB);
      assert.is(placed(alloc, given(alloc.heapAlloc(heap, bytes))).granules, granules);
      assert.is(placed(alloc, given(alloc.heapAllocAligned(heap, bytes, 7, 0))).granules, granulesFor(bytes));
      assert.is(placed(alloc, given(alloc.heapAllocAligned(heap, bytes, 6, 16 + 1))).granules, granulesFor(bytes));
      alloc.heapClose(heap);
      const full = heapWith(alloc, BigInt(granulesFor(bytes)) * 64n);
      const handle = given(alloc.heapAlloc(full, bytes));
      structureOf(alloc, full);
      assert.is(alloc.heapFree(full, handle), 0);
      assert.is(placed(alloc, given(alloc.heapAlloc(full, bytes))).granules, granulesFor(bytes));
      alloc.heapClose(full);
    }
  });

  test("what was freed last is what comes next, of each size up to 64 KiB", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 256n * MIB);
    for (let bytes = 1; bytes <= 65_536; bytes += 63) {
      const two = [given(alloc.heapAlloc(heap, bytes)), given(alloc.heapAlloc(heap, bytes))] as const;
      for (const handle of two) assert.is(alloc.heapFree(heap, handle), 0);
      for (const handle of [two[1], two[0]])
        assert.is(alloc.heapAlloc(heap, bytes) & HANDLE_INDEX_MASK, handle & HANDLE_INDEX_MASK);
      for (const handle of two) assert.is(named(alloc.heapFree(heap, handle)), "STALE_HANDLE");
    }
    structureOf(alloc, heap);
  });

  test("magazines keep a part of what is free, and of larger blocks hardly any once nothing fitted", () => {
    const alloc = fresh();
    const heap = heapWith(alloc, 16n * MIB);
    const kept = (): bigint => alloc.heapFreeBytes(heap) - alloc.heapLowFree(heap);
    const handles: number[] = [];
    for (let i = 0; i < 500; i++) handles.push(given(alloc.heapAlloc(heap, 16_384)));
    for (let i = 0; i < 40; i++) assert.is(alloc.heapFree(heap, handles.pop() as number), 0);
    assert.ok(kept() > 0n && kept() <= 4n * 16_384n, `${kept()} bytes lie in magazines`);
    for (let handle = alloc.heapAlloc(heap, 16_384); handle > 0; handle = alloc.heapAlloc(heap, 16_384))
      handles.push(handle);
    for (let i = 0; i < 40; i++) assert.is(alloc.heapFree(heap, handles.pop() as number), 0);
    assert.is(kept(), 0n);
    for (let i = 0; i < 200; i++) assert.is(alloc.heapFree(heap, handles.pop() as number), 0);
    assert.ok(kept() > 0n, "there is room again");
    structureOf(alloc, heap);
  });
});
