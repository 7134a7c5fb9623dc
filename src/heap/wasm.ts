/**
 * The allocator of this thread, as heaps and pools call it: one object, so that V8 sees one function at each call. What is called for
 * every buffer stands here by itself: a function that is looked up in no object is 2 ns less for a pair.
 */
import { type Allocator, allocator } from "../alloc.ts";

/** There from the first {@link needAllocator} on, as all that follows. */
export let wasm: Allocator;
export let heapAlloc: Allocator["heapAlloc"];
export let heapAllocAligned: Allocator["heapAllocAligned"];
export let heapFree: Allocator["heapFree"];
export let poolGet: Allocator["poolGet"];
export let poolPut: Allocator["poolPut"];
export let words: Int32Array;

/** @throws `ERR_ALLOC_UNAVAILABLE`. */
export function needAllocator(): void {
  if (wasm !== undefined) return;
  wasm = allocator();
  ({ heapAlloc, heapAllocAligned, heapFree, poolGet, poolPut, words } = wasm);
}

/**
 * Gives back what is the allocator's own. Where a program wrote to columns or batches beyond what is its, that may lead nowhere, and is a
 * trap: then it is lost, and the pages go back all the same.
 */
export function unlessSpoilt(giveBack: () => void): void {
  try {
    giveBack();
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  }
}
