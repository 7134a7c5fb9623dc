/** Whatever a program hands to a heap, a pool or a buffer: it is done, or refused with a code, and nobody's block changes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { DmaHeap } from "../../src/heap/heap.ts";
import type { DmaPool } from "../../src/heap/pool.ts";
import { MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { ready, type SomeOptions } from "./ready.ts";

const VALUES: readonly unknown[] = [
  ...[undefined, null, true, false, "", "64", Symbol("64"), 64n, -1n, {}, [], [64], () => 64, new Date(), new Map()],
  ...[0, -0, 1, -1, 63, 64, 65, 4096, 1.5, 2 ** 22, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 64, 2 ** 32, 2 ** 53, -(2 ** 31)],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER],
  ...[new Uint8Array(16), new Int32Array(4), new Float64Array(2), new ArrayBuffer(8), new Proxy({}, {})],
  ...[{ force: 1 }, { align: 3 }, { size: 64 }, { size: 64, count: -1 }, { valueOf: () => 64 }],
];

type Method = (...values: unknown[]) => unknown;

const HEAP = [
  ...["alloc", "tryAlloc", "free", "slot", "iovaOf", "vaOf", "sizeOf", "bytes", "read", "write", "buffer", "pool"],
  ...["check", "leaks", "grow", "trim"],
] as const;
const POOL = ["get", "tryGet", "put", "getMany", "putMany", "batch", "slot", "bytes", "read", "write"] as const;

/** What a program has, apart from what it does wrong. */
class World {
  readonly blocks = new Map<number, number>();
  readonly slots = new Map<number, number>();
  readonly heap: DmaHeap;
  readonly pool: DmaPool;
  readonly random: Random;

  constructor(heap: DmaHeap, random: Random) {
    this.heap = heap;
    this.random = random;
    this.pool = heap.pool({ size: 100, count: 16 });
    for (let i = 0; i < 16; i++) this.blocks.set(this.mark(heap, heap.alloc(64 + i * 50), i), i);
    for (let i = 0; i < 8; i++) this.slots.set(this.mark(this.pool, this.pool.get(), i), i);
  }

  mark(of: DmaHeap | DmaPool, handle: number, seed: number): number {
    of.bytes(handle).fill(seed);
    return handle;
  }

  check(): void {
    for (const [handle, seed] of this.blocks) assert.ok(this.heap.bytes(handle).every((byte) => byte === seed));
    for (const [handle, seed] of this.slots) assert.ok(this.pool.bytes(handle).every((byte) => byte === seed));
    assert.equal(this.heap.check(), []);
  }
}

for (const options of [{}, { guard: true }, { quarantine: { milliseconds: 1 }, zero: true }] as SomeOptions[]) {
  test(`any value for any argument, with ${JSON.stringify(options)}`, () => {
    const random = new Random(99);
    const { heap } = ready({ ...options, grow: { max: 16n * MiB } });
    const other = heap.pool({ size: 64, count: 4 });
    const world = new World(heap, random);
    const foreign = [other.get(), other.get()];
    other.put(foreign[0] as number);
    const stale = heap.alloc(64);
    heap.free(stale);
    const values = [...VALUES, ...foreign, stale, -stale];
    const targets = [
      [world.heap, HEAP],
      [world.pool, POOL],
    ] as const;
    const gone = (code: unknown) => typeof code === "string" && code.startsWith("ERR_");
    let refused = 0;
    for (let step = 0; step < 6000; step++) {
      const [target, names] = random.pick(targets);
      const name = random.pick(names);
      const count = random.below(4);
      const args = Array.from({ length: count }, () => random.pick(values));
      try {
        const made = (target[name as never] as Method).call(target, ...args);
        if (name === "alloc" || (name === "tryAlloc" && (made as number) > 0)) heap.free(made as number);
        if (name === "buffer") (made as { close(): void }).close();
        if (name === "pool") (made as { close(): void }).close();
        if ((name === "get" || name === "tryGet") && (made as number) > 0) world.pool.put(made as number);
        if (name === "getMany") world.pool.putMany(args[0] as Int32Array, made as number);
      } catch (error) {
        const { code } = error as { code?: unknown };
        assert.ok(gone(code), `${name}(${args.map((arg) => typeof arg)}): ${(error as Error).stack}`);
        refused++;
      }
    }
    assert.ok(refused > 3000);
    world.check();
    assert.is(heap.liveCount, world.blocks.size + world.slots.size + 1);
    heap.close({ force: true });
  });
}

test.run();
