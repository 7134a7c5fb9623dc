/** Blocks that are freed in another thread than that of their heap. `DMA_WINDOW_TERMINATIONS=500` terminates so many producers. */
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DmaHeap } from "../../src/heap/heap.ts";
import { linuxMemory } from "../../src/linux/index.ts";
import { Pushed, RemoteQueue } from "../../src/worker/remote.ts";
import { openRemoteFree } from "../../src/worker/remote-free.ts";
import { ready, type SomeOptions } from "../heap/ready.ts";
import { failure, refused } from "../support/failure.ts";
import { KiB, MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { Member } from "./member.ts";
import { said, shared } from "./threads.ts";

const test = suite("frees from other threads");
const seed = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);
const terminations = Number(process.env.DMA_WINDOW_TERMINATIONS ?? 12);
const memory = linuxMemory();

function heapOf(options: SomeOptions = {}): ReturnType<typeof ready> {
  return ready(options, memory ? { memory } : {}, { pageSize: 4n * KiB, maxBytes: 16n * MiB });
}

async function withMembers(count: number, use: (members: readonly Member[]) => Promise<void>): Promise<void> {
  const members = Array.from({ length: count }, () => new Member("heaps"));
  try {
    await use(members);
  } finally {
    await Promise.all(members.map((member) => member.end()));
  }
}

async function soon(is: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !is(); i++) await sleep(5);
  assert.ok(is(), "it did not happen in ten seconds");
}

/** All of them: a queue that is asked from outside, so that nothing but what was pushed is known. */
function drained(queue: RemoteQueue): number[] {
  const found: number[] = [];
  queue.drain((handle) => found.push(handle));
  return found;
}

test("a queue gives each handle once, and refuses one that it has", () => {
  const random = new Random(seed);
  for (const room of [1, 63, 64, 65, 2048, 2049, 70_000, 1 << 22]) {
    const queue = new RemoteQueue(room);
    const pushed = new Set<number>();
    for (let i = 0; i < 500; i++) {
      const index = random.once(3) ? room - 1 - random.below(Math.min(room, 70)) : random.below(room);
      assert.is(queue.push(index, index + 1), pushed.has(index + 1) ? Pushed.ALREADY : Pushed.OK);
      pushed.add(index + 1);
    }
    const found = drained(queue);
    assert.is(found.length, pushed.size, `${room} DMA_WINDOW_SEED=${seed}`);
    assert.equal(new Set(found), pushed);
    assert.equal(drained(queue), []);
    assert.is(queue.push(0, 1), Pushed.OK);
    queue.close();
    assert.is(queue.push(room - 1, room), Pushed.CLOSED);
  }
});

test("what was pushed by a thread that was ended before it said so is found by a look at everything", () => {
  const queue = new RemoteQueue(5000);
  const words = new Int32Array(queue.buffer);
  Atomics.store(words, words.length - 1, 5000);
  Atomics.store(words, words.length - 5000, 1);
  assert.equal(drained(queue), []);
  const found: number[] = [];
  assert.is(
    queue.drainAll(5000, (handle) => found.push(handle)),
    2,
  );
  assert.equal(found, [1, 5000]);
});

/** How often a handle was accepted by two threads, of all that were pushed. */
async function doubles(control: boolean): Promise<number> {
  const [count, workers] = [20_000, 2];
  const queue = new RemoteQueue(count);
  const start = shared(1);
  const data = { buffer: queue.buffer, room: count, count, start, workers, control, seed };
  const pair = Array.from(
    { length: workers },
    () => new Worker(new URL("./programs/pushes.mjs", import.meta.url), { workerData: data, execArgv: [] }),
  );
  const answers = await Promise.all(pair.map((worker) => said<{ accepted: number }>(worker)));
  assert.is(drained(queue).length, count);
  return answers.reduce((sum, { accepted }) => sum + accepted, 0) - count;
}

test("of two threads that push the same handles at once one is accepted", async () => {
  for (let i = 0; i < 3; i++) assert.is(await doubles(false), 0);
});

test("without the compare-exchange the same test finds handles that were accepted twice", async () => {
  let found = 0;
  for (let i = 0; i < 20 && found === 0; i++) found += await doubles(true);
  assert.ok(found > 0, "it cannot tell");
});

test(`threads that are ended while they push leave each handle pushed or not (DMA_WINDOW_SEED=${seed})`, async () => {
  const random = new Random(seed);
  for (let done = 0; done < terminations; done++) {
    const count = 20_000;
    const queue = new RemoteQueue(count);
    const data = { buffer: queue.buffer, room: count, count, start: shared(1), workers: 1, endless: true, seed: 0 };
    const worker = new Worker(new URL("./programs/pushes.mjs", import.meta.url), { workerData: data, execArgv: [] });
    await new Promise((resolve) => worker.once("message", resolve));
    const found: number[] = [];
    for (let i = random.below(6); i > 0; i--) {
      queue.drain((handle) => found.push(handle));
      await sleep(random.below(3));
    }
    await worker.terminate();
    queue.drainAll(count, (handle) => found.push(handle));
    assert.ok(found.every((handle) => handle >= 1 && handle <= count));
    // Nobody is blocked, and nothing is in the way of the next one.
    for (let index = 0; index < count; index++) assert.is(queue.push(index, index + 1), Pushed.OK);
    assert.is(drained(queue).length, count);
  }
});

test("what two threads free comes back while the heap's own one sleeps, and after", async () => {
  const { heap } = heapOf({ grow: false });
  heap.grow(MiB);
  const handles: number[] = [];
  for (let handle = heap.tryAlloc(64); handle > 0; handle = heap.tryAlloc(64)) handles.push(handle);
  assert.is(handles.length, 16384);
  await withMembers(2, async (members) => {
    for (const member of members) await member.do("openRemote", "main", heap.remote());
    const done = shared(1);
    const answers = members.map((member, i) =>
      member.do(
        "freeRemote",
        "main",
        handles.filter((_, at) => at % 2 === i),
        done,
      ),
    );
    // This thread does not come to its event loop, and an allocation finds what they freed.
    let again = -1;
    while (again < 0) again = heap.tryAlloc(64);
    while (Atomics.load(done, 0) < 2) Atomics.wait(done, 0, Atomics.load(done, 0), 10);
    heap.free(again);
    assert.is(heap.liveCount, 0);
    assert.equal(heap.stats.remote, { freed: 16384, refused: 0 });
    assert.equal(await Promise.all(answers), [[], []]);
  });
  heap.close();
});

test("the heap's thread is woken when it is idle: what was freed in both threads is told without a call of the heap", async () => {
  const { heap } = heapOf();
  const [handle, other] = [heap.alloc(64), heap.alloc(64)];
  await withMembers(1, async ([member]) => {
    const told: unknown[] = [];
    const onError = ({ code }: Error & { code?: string }) => {
      told.push(code);
    };
    await (member as Member).do("openRemote", "main", heap.remote({ onError }));
    for (const free of [() => heap.free(handle), () => heap.free(other)]) {
      const done = shared(1);
      const which = told.length === 0 ? handle : other;
      const answer = (member as Member).do("freeRemote", "main", [which], done);
      while (Atomics.load(done, 0) === 0) Atomics.wait(done, 0, 0, 10);
      free();
      const before = told.length;
      await soon(() => told.length > before);
      assert.equal(await answer, []);
    }
    assert.equal(told, ["ERR_NOT_LIVE", "ERR_NOT_LIVE"]);
    assert.equal(
      heap.remoteErrors.map((error) => (error as { code?: string }).code),
      told,
    );
    assert.equal(heap.stats.remote, { freed: 0, refused: 2 });
  });
  heap.close();
});

for (const options of [{}, { zero: true }, { callSites: true }, { guard: true }]) {
  test(`an owner that never comes to its event loop takes them when blocks are cut: ${JSON.stringify(options)}`, () => {
    const { heap } = heapOf(options);
    const remote = openRemoteFree(heap.remote());
    for (const allocating of [heap, heapOf().heap]) {
      // Of sizes that no magazine has: each is cut from what is free.
      for (let round = 1; round <= 3; round++) {
        const handles = Array.from({ length: 50 }, () => heap.alloc(64));
        for (const handle of handles) remote.free(handle);
        for (const handle of handles) assert.is(heap.sizeOf(handle), 64, "nobody has taken it yet");
        allocating.alloc(100_000 * round);
        for (const handle of handles) assert.throws(() => heap.sizeOf(handle));
      }
    }
    assert.equal(heap.remoteErrors, []);
    assert.is(heap.stats.remote.freed, 300);
    assert.is(heap.growthError, undefined);
    heap.close({ force: true });
  });
}

test("handles that are wrong are refused where they are freed, and change nothing", async () => {
  const { heap } = heapOf();
  const other = heapOf().heap;
  const pool = heap.pool({ size: 64, count: 4 });
  const remote = openRemoteFree(heap.remote());
  const [one, two, gone] = [heap.alloc(64), heap.alloc(64), heap.alloc(64)];
  heap.free(gone);
  failure("ERR_NOT_LIVE", () => remote.free(gone));
  const next = heap.alloc(64);
  failure("ERR_STALE_HANDLE", () => remote.free(gone));
  for (const foreign of [other.alloc(64), pool.get(), (1 << 21) + 5]) {
    failure("ERR_FOREIGN_HANDLE", () => remote.free(foreign));
  }
  for (const wrong of [0, -1, -one]) failure("ERR_FOREIGN_HANDLE", () => remote.free(wrong));
  for (const wrong of [1.5, Number.NaN, 2 ** 31]) refused("ERR_OUT_OF_RANGE", () => remote.free(wrong));
  for (const wrong of [undefined, null, "1", {}, 1n])
    refused("ERR_INVALID_ARG_TYPE", () => remote.free(wrong as never));
  remote.free(one);
  failure("ERR_NOT_LIVE", () => remote.free(one));
  assert.equal(
    heap
      .leaks()
      .map(({ handle, pool: of }) => (of === undefined ? handle : 0))
      .sort((a, b) => a - b),
    [0, two, next].sort((a, b) => a - b),
  );
  failure("ERR_NOT_LIVE", () => remote.free(one));
  for (const wrong of [undefined, {}, { kind: "dma-window.heap" }]) {
    refused("ERR_INVALID_ARG_TYPE", () => openRemoteFree(wrong as never));
  }
  refused("ERR_INVALID_ARG_TYPE", () => heap.remote({ onError: 1 as never }));
  refused("ERR_INVALID_ARG_TYPE", () => heap.remote({ onErorr: () => {} } as never));
  remote.free(two);
  remote.free(next);
  pool.close({ force: true });
  heap.close();
  assert.ok(remote.closed);
  failure("ERR_CLOSED", () => remote.free(two));
  failure("ERR_CLOSED", () => heap.remote());
  other.close({ force: true });
});

for (const options of [{ guard: true }, { zero: true }, { callSites: true }] satisfies SomeOptions[]) {
  test(`a heap with ${Object.keys(options)} takes them too`, async () => {
    const { heap } = heapOf(options);
    const remote = openRemoteFree(heap.remote());
    const handles = Array.from({ length: 100 }, () => heap.alloc(100));
    for (const handle of handles) remote.free(handle);
    assert.is(heap.liveCount, 0);
    assert.is(heap.stats.remote.freed, 100);
    heap.close();
  });
}

test("a guard that was damaged is told where the heap takes the block", async () => {
  const { heap } = heapOf({ guard: true });
  const told: unknown[] = [];
  const remote = openRemoteFree(heap.remote({ onError: (error) => told.push((error as { code?: unknown }).code) }));
  const handle = heap.alloc(100);
  const view = heap.bytes(handle);
  new Uint8Array(view.buffer, view.byteOffset + 100, 1)[0] = 1;
  remote.free(handle);
  await soon(() => told.length > 0);
  assert.equal(told, ["ERR_GUARD"]);
  assert.equal([heap.liveCount, heap.stats.remote.freed], [0, 1]);
  heap.close();
});

if (memory) {
  test("a worker's heap takes them, and the main thread frees while the worker sleeps", async () => {
    const all = heapOf();
    const { heap }: { readonly heap: DmaHeap } = all;
    await withMembers(2, async ([owner, freer]) => {
      const token = heap.lend(256n * KiB);
      await (owner as Member).do("open", token);
      const handles = await (owner as Member).do<number[]>("allocMany", 200, 1000);
      const remoteToken = await (owner as Member).do<never>("remote");
      const remote = openRemoteFree(remoteToken);
      await (freer as Member).do("openRemote", "owner", remoteToken);
      const slept = (owner as Member).do("sleep", 100);
      for (const handle of handles.slice(0, 100)) remote.free(handle);
      assert.equal(await (freer as Member).do("freeRemote", "owner", handles.slice(100)), []);
      await slept;
      assert.is(await (owner as Member).do("live"), 0);
      assert.equal(await (owner as Member).do("remoteErrors"), []);
      await (owner as Member).do("close");
      failure("ERR_CLOSED", () => remote.free(handles[0] as number));
    });
    heap.close();
    all.container.close();
    all.memory.close();
    assert.equal(all.model.leaks(), []);
  });
}

test.run();
