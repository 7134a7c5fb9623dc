/** The goals of heaps and pools. See goals.ts. */
import { each, type Goal } from "./goal.ts";

const PAIR = each("free and alloc");
const GET_PUT = each("get and put");
const GARBAGE = "bytes of garbage per operation";
const PERCENT = "% of the hugepages in use";

export const allocationGoals = {
  "pool-vs-mempool-cached": {
    goal: 1.6,
    floor: 2.2,
    unit: GET_PUT,
    about: "a pool's `get` and `put`, handles checked; rte_mempool with a cache of 256, which checks nothing",
  },
  "pool-vs-mempool-ring": { goal: 0.35, floor: 0.5, unit: GET_PUT, about: "the same; rte_mempool without a cache" },
  "pool-bulk-32-vs-ring": {
    goal: 1.2,
    floor: 2.4,
    unit: each("object"),
    about: "32 at once, each checked; rte_mempool without a cache, 32 at once",
  },
  "heap-64b-vs-rte-malloc": {
    goal: 0.14,
    floor: 0.2,
    unit: PAIR,
    about: "4096 blocks live, a random one freed and another allocated; rte_malloc and rte_free",
  },
  "heap-64b-vs-glibc": { goal: 0.9, floor: 1.1, unit: PAIR, about: "the same; glibc's malloc and free" },
  "heap-64b-vs-mimalloc": { goal: 1.5, floor: 2.1, unit: PAIR, about: "the same; mi_malloc and mi_free" },
  "heap-1500b-vs-mimalloc": { goal: 0.35, floor: 0.5, unit: PAIR, about: "the same with 1500 bytes" },
  "heap-4k-vs-mimalloc": { goal: 0.2, floor: 0.3, unit: PAIR, about: "the same with 4096 bytes" },
  "heap-4k-vs-rte-malloc": { goal: 0.02, floor: 0.03, unit: PAIR, about: "the same; rte_malloc and rte_free" },
  "heap-4k-aligned-vs-jemalloc": {
    goal: 0.8,
    floor: 1,
    unit: PAIR,
    about: "4096 bytes on a multiple of 4096; jemalloc's aligned_alloc and free",
  },
  "heap-boundary-4k-vs-heap-1500b": {
    goal: 1.5,
    floor: 6.5,
    unit: PAIR,
    about: "1500 bytes that cross no boundary of 4096; 1500 bytes anywhere, in a heap as well",
  },
  "heap-random-70-vs-mimalloc": {
    goal: 0.8,
    floor: 1.05,
    unit: PAIR,
    about: "64 bytes to 64 KiB, log-uniform, 70 % of 512 MiB live; mi_malloc and mi_free",
  },
  "heap-waste": {
    goal: 7,
    floor: 9,
    unit: PERCENT,
    about: "what is not of use to the program after 10^7 operations, log-uniform",
  },
  "heap-waste-uniform": { goal: 4.5, floor: 6, unit: PERCENT, about: "the same, uniform" },
  "heap-waste-failures-95": {
    goal: 0,
    floor: 0,
    unit: "failures in 10^6 operations",
    about: "allocations that were refused with 95 % live, log-uniform, in a heap that may not grow",
  },
  "heap-p9999-64b-vs-clock": {
    goal: 1.2,
    floor: 1.5,
    unit: PAIR,
    about: "what 1 of 10,000 operations takes longer than, the clock read before and behind each; the clock alone",
  },
  "pool-2-workers-vs-1": {
    goal: 1.1,
    floor: 1.3,
    unit: GET_PUT,
    about: "two workers at one shared pool at once, each; one alone. Loops in wasm",
  },
  "pool-2-workers-vs-1-js": { goal: 1.3, floor: 2.2, unit: GET_PUT, about: "the same, loops in JavaScript" },
  "heaps-2-workers-vs-1": {
    goal: 1.1,
    floor: 1.3,
    unit: PAIR,
    about: "two workers at once, a heap each; one alone",
  },
  "heap-garbage": { goal: 0, floor: 0, unit: GARBAGE, about: "free and alloc of one size" },
  "heap-random-garbage": { goal: 0, floor: 0, unit: GARBAGE, about: "free and alloc of random sizes" },
  "pool-garbage": { goal: 0, floor: 0, unit: GARBAGE, about: "get and put" },
  "pool-bulk-garbage": { goal: 0, floor: 0, unit: GARBAGE, about: "get and put of 32 at once" },
  "alloc-bytes": { goal: 6144, floor: 8192, unit: "bytes", about: "the size of `alloc.wasm`" },
  "alloc-start-ms": { goal: 0.4, floor: 0.5, unit: "ms", about: "from bytes to a first allocation" },
} as const satisfies Readonly<Record<string, Goal>>;
