/**
 * Bytes of garbage for each operation of a heap and a pool, as JSON, once the code is compiled. Run with --expose-gc and
 * --no-concurrent-recompilation, and alone.
 */
import { DmaHeap } from "../../src/heap/heap.ts";
import { measure, ROUND, rounds } from "../support/garbage.ts";
import { MiB } from "../support/program.ts";
import { attached } from "./ready.ts";

const { memory, list, window } = attached({ platform: "pseries" });
const heap = new DmaHeap({ memory, list, window, grow: { step: 16n * MiB, low: 0 } });
const pools = [heap.pool({ size: 2048, count: 256 }), heap.pool({ size: 2048, count: 256, reuse: "fifo" })] as const;
const held = Int32Array.from({ length: 256 }, () => heap.alloc(64));
const ring = new BigUint64Array(256);
const sizes = Int32Array.from({ length: 256 }, (_, i) => 64 + ((i * 977) % 8192));
const mixed = Int32Array.from({ length: 256 }, (_, i) => heap.alloc(sizes[i] as number));
const slots = Int32Array.from({ length: 128 }, () => pools[0].get());
for (const handle of slots) pools[0].bytes(handle);
const batch = pools[0].batch(32);
const array = new Int32Array(32);

const operations: Record<string, (i: number) => boolean> = {
  "alloc and free": (i) => {
    const at = i & 255;
    heap.free(held[at] as number);
    held[at] = heap.alloc(64);
    return true;
  },
  "tryAlloc, aligned and bounded": () => {
    const handle = heap.tryAlloc(1500, 64, 4096);
    heap.free(handle);
    return handle > 0;
  },
  "alloc of many sizes": (i) => {
    const at = i & 255;
    heap.free(mixed[at] as number);
    mixed[at] = heap.alloc(sizes[at] as number);
    return true;
  },
  "an IOVA into a ring": (i) => {
    ring[i & 255] = heap.iovas[heap.slot(held[i & 255] as number)] as bigint;
    return true;
  },
  sizeOf: (i) => heap.sizeOf(held[i & 255] as number) === 64,
  "get and put": (i) => {
    const pool = pools[0];
    const handle = pool.get();
    pool.put(handle);
    return handle > i - ROUND;
  },
  "get and put, fifo": (i) => {
    const pool = pools[1];
    const handle = pool.tryGet();
    pool.put(handle);
    return handle > i - ROUND;
  },
  "bytes of a slot": (i) => pools[0].bytes(slots[i & 127] as number).length === 2048,
  "a batch of 32": () => {
    const got = pools[0].getMany(batch);
    pools[0].putMany(batch, got);
    return got === 32;
  },
  "32 in any array": () => {
    const got = pools[0].getMany(array);
    pools[0].putMany(array, got);
    return got === 32;
  },
};

const result: Record<string, number> = {};
for (const [name, operation] of Object.entries(operations)) result[name] = measure(rounds(operation), 300);
console.log(JSON.stringify(result));
