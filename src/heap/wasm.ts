/** The allocator of this thread, as heaps and pools call it: one object, so that V8 sees one function at each call. */
import { type Allocator, allocator } from "../alloc.ts";
import { fillHot } from "./hot.ts";

/** There from the first {@link needAllocator} on. */
export let wasm: Allocator;

/** @throws `ERR_ALLOC_UNAVAILABLE`. */
export function needAllocator(): void {
  if (wasm !== undefined) return;
  wasm = allocator();
  fillHot(wasm);
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
