/** Programs that lie: getters that close what is at work, arrays whose properties say something else, memory written to. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { exclusively } from "../../src/exclusive.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import { failure } from "../support/failure.ts";
import { MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { HUGE, ready } from "./ready.ts";

/** Array with a property that is not the array's own. */
function lying<T extends object>(array: T, name: string, said: PropertyDescriptor): T {
  return Object.defineProperty(array, name, said);
}

test("a getter of a pool's options that closes the heap gets no pool in what is another heap's by then", () => {
  for (const kind of ["pool", "sharedPool"] as const) {
    const { heap, memory, list, window, model, container } = ready();
    let next: DmaHeap | undefined;
    const options = {
      count: 100,
      get size() {
        heap.close();
        next = new DmaHeap({ memory, list, window, grow: false });
        return 2048;
      },
    };
    failure("ERR_CLOSED", () => heap[kind](options));
    assert.is(next?.stats.total, 0n);
    assert.is(next?.tryAlloc(64), -1);
    next?.close();
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  }
});

test("a Worker whose threadId closes the pool gets no token of it", () => {
  const { heap } = ready();
  const pool = heap.sharedPool({ size: 64, count: 4 });
  const worker = {
    get threadId() {
      pool.close();
      return 1;
    },
  };
  failure("ERR_CLOSED", () => pool.token(worker as never));
  heap.close();
});

test("a batch has the room that it was made with, whatever its properties say", () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 1024 });
  const batches = Array.from({ length: 4 }, () => pool.batch(4).fill(-1));
  const liar = lying(batches[0] as Int32Array, "length", { value: 1024 });
  assert.is(pool.getMany(liar), 4);
  assert.throws(() => pool.getMany(liar, 5), /count/);
  lying(batches[1] as Int32Array, "byteOffset", { value: 2 ** 28 - 4 });
  assert.is(pool.getMany(batches[1] as Int32Array), 4);
  for (const batch of batches.slice(2)) assert.equal([...batch], [-1, -1, -1, -1]);
  for (const batch of batches.slice(0, 2)) pool.putMany(batch);
  assert.is(pool.free, 1024);
  pool.close();
  // The batches are somebody else's now, each with the room that it had.
  const others = heap.pool({ size: 64, count: 1024 });
  const larger = [others.batch(1024), others.batch(4), others.batch(4)];
  assert.is(others.getMany(larger[0] as Int32Array), 1024);
  assert.is(new Set(larger[0]).size, 1024);
  others.close({ force: true });
  heap.close();
});

test("an array whose length closes the pool closes nothing: it is not asked", () => {
  const { heap } = ready();
  for (const pool of [heap.pool({ size: 64, count: 8 }), heap.sharedPool({ size: 64, count: 8 })]) {
    const get = () => {
      pool.close({ force: true });
      return 8;
    };
    assert.is(pool.getMany(lying(new Int32Array(4), "length", { get })), 4);
    assert.is(pool.closed, false);
    pool.close({ force: true });
  }
  heap.close();
});

test("a copy ends where the block does, whatever an array says of its length", () => {
  const { heap } = ready();
  const pool = heap.pool({ size: 64, count: 4 });
  const [first, second] = [pool.get(), pool.get()] as const;
  const zeros = new Uint8Array(64);
  pool.write(second, 0, zeros);
  const liars = [
    lying(new Uint8Array(192).fill(7), "length", { value: 8 }),
    lying(new Uint8Array(8).fill(7), "subarray", { value: () => new Uint8Array(192).fill(7) }),
  ];
  assert.throws(() => pool.write(first, 0, liars[0] as Uint8Array), /offset/);
  pool.write(first, 60 - 4, liars[1] as Uint8Array);
  const seen = new Uint8Array(64).fill(1);
  pool.read(second, 0, seen);
  assert.equal(seen, zeros);
  const handle = heap.alloc(64);
  assert.throws(() => heap.write(handle, 0, liars[0] as Uint8Array), /offset/);
  heap.close({ force: true });
});

for (const options of [{}, { callSites: true }, { guard: true }]) {
  test(`whatever is written to the columns of a heap stays there (${JSON.stringify(options)})`, () => {
    const { heap, memory, container, model, window } = ready({ grow: { step: HUGE, low: 0 }, ...options });
    const other = heap.pool({ size: 640, count: 50 });
    const random = new Random(5);
    const live = new Map<number, number>();
    const values = [0n, 1n, 0xdeadbee0n, 2n ** 31n, 2n ** 64n - 1n, 64n, 0x4_0000_0004n];
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 100; i++) {
        const handle = random.pick([...live.keys(), 0]);
        if (handle > 0 && random.once(2)) {
          assert.ok(heap.bytes(handle).every((byte) => byte === live.get(handle)));
          heap.free(handle);
          live.delete(handle);
        } else {
          const mine = heap.alloc(1 + random.below(random.pick([100, 5000, 100_000])));
          live.set(mine, random.below(256));
          heap.bytes(mine).fill(live.get(mine) as number);
          const va = heap.vaOf(mine);
          assert.is(window.translate(va), heap.iovaOf(mine));
          assert.is(heap.bytes(mine).length, heap.sizeOf(mine));
        }
      }
      // Rows of live blocks, those beside them, and what is nobody's.
      const value = random.pick(values);
      for (const column of [heap.iovas, heap.vas]) {
        for (const handle of live.keys()) column.fill(value, heap.slot(handle), heap.slot(handle) + 3);
        column.fill(value, 0, 20_000);
      }
      heap.sizes.fill(Number(BigInt.asUintN(32, value)), 0, 40_000);
      assert.is(heap.leaks().length, live.size);
      assert.equal(heap.check(), []);
      if (round % 10 === 0) heap.trim();
    }
    for (const handle of live.keys()) heap.free(handle);
    other.close();
    heap.trim();
    assert.is(heap.stats.total, 0n);
    heap.close();
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  });
}

test("a shared pool that is too large says how much that is, and which call helps", () => {
  const { heap } = ready({ grow: false });
  heap.grow(2n * MiB);
  const { message, facts } = failure("ERR_HEAP_EXHAUSTED", () => heap.sharedPool({ size: 2048, count: 4000 }));
  assert.is(facts?.bytes, 2048 * 4000);
  const advised = /heap\.grow\((\d+)\)/.exec(message)?.[1];
  assert.ok(advised, message);
  heap.grow(BigInt(advised as string));
  heap.sharedPool({ size: 2048, count: 4000 }).close();
  heap.close();
});

test("in a heap with guards a shared pool keeps what it holds, and says of nobody that it was written to", () => {
  const { heap } = ready({ guard: true });
  const pool = heap.sharedPool({ size: 64, count: 4 });
  const handles = Array.from({ length: 4 }, () => pool.get());
  const blocks = Array.from({ length: 4 }, () => heap.alloc(64));
  for (const handle of handles) pool.bytes(handle).fill(7);
  assert.equal(heap.check(), []);
  for (const block of blocks) heap.free(block);
  for (const handle of handles) assert.equal(pool.bytes(handle), new Uint8Array(64).fill(7));
  pool.close({ force: true });
  assert.equal(heap.check(), []);
  heap.close();
});

test("what a pool with guards held when it was closed is as free as any other memory", () => {
  const { heap } = ready({ guard: true });
  const pool = heap.pool({ size: 64, count: 4 });
  for (let i = 0; i < 4; i++) pool.bytes(pool.get()).fill(7);
  pool.close({ force: true });
  assert.equal(heap.check(), []);
  for (let i = 0; i < 10; i++) heap.alloc(64);
  heap.close({ force: true });
});

test("the growth that is advised helps, also where an alignment or a boundary takes more", () => {
  for (const [bytes, align, boundary] of [
    [64, 2 ** 25, undefined],
    [2 ** 23, 64, 2 ** 23],
    [3 * 2 ** 20, 2 ** 22, 2 ** 22],
  ] as const) {
    const { heap } = ready({ grow: false }, { platform: "type1" }, { maxBytes: 128n * MiB });
    heap.grow(2n * MiB);
    heap.alloc(64);
    const { message } = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(bytes, align, boundary));
    heap.grow(BigInt(/heap\.grow\((\d+)\)/.exec(message)?.[1] as string));
    heap.alloc(bytes, align, boundary);
    heap.close({ force: true });
  }
});

test("a slot that cannot be zeroed now is nobody's, and free", () => {
  const { heap } = ready({ zero: true });
  for (const pool of [heap.pool({ size: 64, count: 4 }), heap.sharedPool({ size: 64, count: 4 })]) {
    exclusively("a test", () => failure("ERR_BUSY", () => pool.get()));
    assert.is(pool.live, 0);
  }
  heap.close();
});

test.run();
