/** What the tests of the allocator share: its builds, each on a memory of its own, and where a handle's buffer is. */
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type Allocator,
  AllocStatus,
  allocMemory,
  COLUMN_WORDS,
  HANDLE_INDEX_MASK,
  instantiateAlloc,
} from "../../src/alloc.ts";
import type { Placed } from "../reference/heap.ts";

/** `alloc` is what is shipped, `alloc.asserts` has checks that a release leaves out. */
export type Build = "alloc" | "alloc.asserts";
export const builds: readonly Build[] = ["alloc", "alloc.asserts"];

export function allocFile(build: Build): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../dist/${build}.wasm`, import.meta.url)));
}

export function freshAllocator(build: Build = "alloc"): Allocator {
  return instantiateAlloc(allocMemory(), allocFile(build));
}

type Test = ReturnType<typeof suite>;

/** Defines and runs a suite for each build. A memory for each test: `fresh` gives an allocator on one. */
export function eachBuild(name: string, define: (test: Test, fresh: () => Allocator, build: Build) => void): void {
  for (const build of builds) {
    const test = suite(`${name} (${build})`);
    define(test, () => freshAllocator(build), build);
    test.run();
  }
}

export function placed(alloc: Allocator, handle: number): Placed {
  const index = handle & HANDLE_INDEX_MASK;
  const { columns } = alloc;
  const place = {
    iova: alloc.iovas[index * 4] as bigint,
    va: alloc.vas[index * 4] as bigint,
    granules: alloc.sizes[index * 8] as number,
  };
  // What programs are shown is the same.
  assert.is(columns.iovas[index * COLUMN_WORDS], place.iova);
  assert.is(columns.vas[index * COLUMN_WORDS], place.va);
  assert.is(columns.sizes[index * COLUMN_WORDS * 2], place.granules);
  return place;
}

const names = new Map(Object.entries(AllocStatus).map(([name, value]) => [value as number, name]));

/** The name of a status, or of a refusal in place of a handle: its negative. */
export function named(status: number): string {
  return names.get(Math.abs(status)) ?? `${status}`;
}

/** A handle that was given out; fails otherwise. */
export function given(handle: number): number {
  assert.ok(handle > 0 && handle < 2 ** 31, `a handle, not ${named(handle)}`);
  return handle;
}

export const MIB = 1n << 20n;
/** Where doubles are 128 apart. */
export const HIGH = 1n << 59n;

/** A heap with one segment. */
export function heapWith(alloc: Allocator, size: bigint, iova = HIGH, va = 1n << 44n): number {
  const heap = alloc.heapOpen();
  assert.ok(heap > 0, named(heap));
  assert.is(named(alloc.heapAddSegment(heap, iova, va, size)), "OK");
  return heap;
}
