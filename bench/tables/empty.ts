/** What is paid before anything is done: the loop, and calls of functions in wasm that do nothing. */
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import { swaps } from "./swaps.ts";
import { OPERATIONS, type Workload } from "./workload.ts";

/** Two functions (i32, i32) -> i32, each of which gives its second argument. */
const MODULE = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f],
  ...[3, 3, 2, 0, 0],
  ...[7, 9, 2, 1, 0x61, 0, 0, 1, 0x62, 0, 1],
  ...[10, 11, 2, 4, 0, 0x20, 1, 0x0b, 4, 0, 0x20, 1, 0x0b],
]);

export type EmptyCall = (first: number, second: number) => number;

export function emptyCalls(): { readonly a: EmptyCall; readonly b: EmptyCall } {
  const { a, b } = new WebAssembly.Instance(new WebAssembly.Module(MODULE), {}).exports;
  return { a: a as EmptyCall, b: b as EmptyCall };
}

/** The loop of a workload without an allocator, and with calls that do nothing in its place. */
export function floors(workload: Workload): Contender[] {
  const { a, b } = emptyCalls();
  return [
    inJavaScript({
      name: "the loop alone",
      ...swaps(workload, { free: (handle) => `sum += ${handle} > 2e9 ? 1 : 0;`, alloc: (size) => size, scope: {} }),
      expected: OPERATIONS,
    }),
    inJavaScript({
      name: "two empty calls into wasm",
      ...swaps(workload, { free: (handle) => `b(1, ${handle});`, alloc: (size) => `a(1, ${size})`, scope: { a, b } }),
      expected: OPERATIONS,
    }),
  ];
}
