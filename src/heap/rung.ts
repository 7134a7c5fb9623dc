/**
 * Another thread has freed blocks of heaps of this one, and says so in a word of the allocator's memory. An allocation looks at it only
 * where it takes from the free lists, or gives back to them: that costs the path of magazines nothing, and an owner that neither comes
 * to its event loop nor runs short takes the blocks all the same.
 */
import { RUNG_WORD } from "../alloc.ts";
import { wasm } from "./wasm.ts";

/** Each takes what was freed of one heap. */
const listeners = new Set<() => void>();

export function listen(take: () => void): void {
  listeners.add(take);
}

export function unlisten(take: () => void): void {
  listeners.delete(take);
}

/** Takes what was freed, where a thread has said so; else this is a look at a word. */
export function answer(): void {
  if (Atomics.load(wasm.words, RUNG_WORD) === 0) return;
  Atomics.store(wasm.words, RUNG_WORD, 0); // before: who rings from now on is heard again
  for (const take of listeners) take();
}
