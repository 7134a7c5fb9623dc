/** A program that writes over the columns of a heap and closes it: its pages go back. What it spoils is the allocator of its thread. */
import * as assert from "uvu/assert";
import { ready } from "./ready.ts";

const { heap, memory, container, model } = ready();
for (let i = 0; i < 50; i++) heap.alloc(64 + i * 640);
const pools = [heap.pool({ size: 64, count: 64 }), heap.sharedPool({ size: 64, count: 64 })];
for (const pool of pools) pool.get();
new Uint32Array(heap.iovas.buffer, 0, 8192).fill(0xdeadbee0);
heap.close({ force: true });
assert.is(heap.closed, true);
container.close();
memory.close();
assert.equal(model.leaks(), []);
console.log("done");
