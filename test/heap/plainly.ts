/** Calls what plain steps are made of, once each: V8 makes bytecode of a function when it is first called. */
import { DmaHeap } from "../../src/heap/heap.ts";
import { attached } from "./ready.ts";

const { memory, list, window } = attached({ platform: "pseries" });
const heap = new DmaHeap({ memory, list, window });
const pool = heap.pool({ size: 2048, count: 8 });
for (const [bytes, align] of [[64], [4096], [4096, 4096]] as const) {
  for (let i = 0; i < 2; i++) heap.free(heap.alloc(bytes, align));
  heap.free(heap.tryAlloc(bytes, align));
}
pool.put(pool.get());
