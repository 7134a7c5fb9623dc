/** A program that takes all descriptors of a thread, through what a program calls. Those are no pool's any more, whoever frees them. */
import * as assert from "uvu/assert";
import { DESCRIPTORS } from "../../src/alloc.ts";
import { failure } from "../support/failure.ts";
import { GiB, MiB } from "../support/program.ts";
import { ready } from "./ready.ts";

const { heap, model, memory, container } = ready({ grow: { step: 512n * MiB, low: 0 } }, {}, { maxBytes: GiB / 2n });
const handles = new Int32Array(DESCRIPTORS);
let count = 0;
for (let handle = heap.tryAlloc(64); handle > 0; handle = heap.tryAlloc(64)) handles[count++] = handle;
// A few are the heap's own: the ends of its run, what is free, and descriptor 0.
assert.ok(count > DESCRIPTORS - 100 && count < DESCRIPTORS, `${count}`);
const error = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(64));
assert.match(error.message, /All descriptors are taken \(2\^22 for all heaps of a thread\)/);
assert.ok((error.facts?.free as bigint) > 200n * MiB);
assert.is(heap.stats.liveCount, count);
assert.is(heap.tryAlloc(5000), -1);
const noPool = failure("ERR_HEAP_EXHAUSTED", () => heap.pool({ size: 64, count: 1000 }));
assert.match(noPool.message, /All descriptors are taken/);
for (let i = 0; i < count; i += 2) heap.free(handles[i] as number);
for (let i = 0; i < count; i += 2) handles[i] = heap.alloc(64);
assert.is(new Set(handles.subarray(0, 100_000)).size, 100_000);
assert.is(heap.stats.liveCount, count);
for (let i = 0; i < count; i++) heap.free(handles[i] as number);
assert.is(heap.trim().kept, 0n);
heap.close();
container.close();
memory.close();
assert.equal(model.leaks(), []);
console.log("done");
