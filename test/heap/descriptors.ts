/** Makes the allocator of this thread one that has no descriptor left. */
import { DESCRIPTORS } from "../../src/alloc.ts";
import { wasm } from "../../src/heap/wasm.ts";

/** Those that were never taken are a pool's then, and those that came back a heap's; gives what gives all of them back. */
export function takeAllDescriptors(): () => void {
  const heap = wasm.heapOpen();
  wasm.heapAddSegment(heap, 1n << 50n, 1n << 50n, 1n << 37n);
  const pools: number[] = [];
  for (let count = DESCRIPTORS / 2; count >= 64; count /= 2) {
    for (let pool = wasm.poolOpen(count, 0); pool > 0; pool = wasm.poolOpen(count, 0)) pools.push(pool);
  }
  while (wasm.heapAlloc(heap, 64) > 0) {}
  return () => {
    wasm.heapClose(heap);
    for (const pool of pools) wasm.poolClose(pool);
  };
}
