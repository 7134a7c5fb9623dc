/**
 * What alloc, free, get and put call in the allocator.
 *
 * V8 takes a property of an object as a constant when the object is one, and the property was set once, after the object was made: then a
 * call asks nothing about what it calls. An object is a constant for V8 where it stands in a `const` of the module that uses it; what is
 * imported is loaded each time, and looked at. So heap.ts and pool.ts each have a `const hot` of their own, which is this object.
 */
import type { Allocator } from "../alloc.ts";

type Hot = Pick<Allocator, "heapAllocAligned" | "heapFree" | "poolGetMany" | "poolPutMany" | "words">;

export const hotCalls = {} as { -readonly [name in keyof Hot]: Hot[name] };

/** Sets each property once; nothing else ever does. */
export function fillHot(all: Allocator): void {
  hotCalls.heapAllocAligned = all.heapAllocAligned;
  hotCalls.heapFree = all.heapFree;
  hotCalls.poolGetMany = all.poolGetMany;
  hotCalls.poolPutMany = all.poolPutMany;
  hotCalls.words = all.words;
}
