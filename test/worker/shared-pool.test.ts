/** A pool that a heap shares with worker threads: the library's side, on real memory of this process under a software kernel. */
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DmaHeap } from "../../src/heap/heap.ts";
import type { SharedPoolOptions } from "../../src/heap/options.ts";
import type { SharedPool } from "../../src/heap/shared-pool.ts";
import { linuxMemory } from "../../src/linux/index.ts";
import { dmaRead, dmaWrite, type Ready, ready } from "../heap/ready.ts";
import { KiB, MiB } from "../support/program.ts";
import { Member } from "./member.ts";

const test = suite("a shared pool");
const memory = linuxMemory();

type Table = Ready & { readonly heap: DmaHeap; readonly pool: SharedPool };

function shared(options: Partial<SharedPoolOptions> = {}): Table {
  const all = ready({}, memory ? { memory } : {}, { pageSize: 4n * KiB, maxBytes: 16n * MiB });
  return { ...all, pool: all.heap.sharedPool({ size: 2048, count: 100, ...options }) };
}

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}

async function codeLater(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => undefined,
    (error: { code?: unknown }) => error.code,
  );
}

/** Runs `use` with a worker that is a member, and ends it. */
async function withMember(pool: SharedPool, use: (member: Member, id: number) => Promise<void>): Promise<void> {
  const member = new Member();
  const token = pool.token(member.worker);
  try {
    assert.is(await member.do("open", token), token.worker);
    await use(member, token.worker);
  } finally {
    await member.end();
  }
}

test("gives each slot once, and refuses what is not live, in the thread that made it", () => {
  const { heap, pool } = shared({ count: 300, boundary: 4096 });
  const handles = Array.from({ length: 300 }, () => pool.get());
  assert.is(new Set(handles.map((handle) => pool.slot(handle))).size, 300);
  assert.is(
    codeOf(() => pool.get()),
    "ERR_POOL_EMPTY",
  );
  assert.is(pool.tryGet(), -1);
  assert.is(pool.live, 300);
  for (const iova of pool.iovas) assert.is(iova / 4096n, (iova + 2047n) / 4096n);
  const [one = 0, two = 0] = handles;
  assert.is(pool.translate((pool.vas[pool.slot(two)] as bigint) + 5n), pool.iovaOf(two) + 5n);
  assert.is(pool.translate(4096n), undefined);
  pool.put(one);
  assert.is(
    codeOf(() => pool.put(one)),
    "ERR_NOT_LIVE",
  );
  assert.ok(pool.get() !== one);
  assert.is(
    codeOf(() => pool.put(one)),
    "ERR_STALE_HANDLE",
  );
  assert.is(
    codeOf(() => pool.put(heap.alloc(64))),
    "ERR_FOREIGN_HANDLE",
  );
  for (const wrong of [0, -1, -two, 2 ** 31, 1.5, Number.NaN, undefined, "1", null, {}]) {
    assert.ok(String(codeOf(() => pool.put(wrong as number))).startsWith("ERR_"), String(wrong));
  }
  assert.is(
    codeOf(() => heap.free(two)),
    "ERR_FOREIGN_HANDLE",
  );
  assert.is(pool.live, 300);
  const many = Int32Array.from([two, handles[2] as number, two, handles[3] as number]);
  assert.is(
    codeOf(() => pool.putMany(many)),
    "ERR_NOT_LIVE",
  );
  assert.is(pool.live, 298);
  const got = new Int32Array(10);
  assert.is(pool.getMany(got), 2);
  assert.is(
    codeOf(() => pool.close()),
    "ERR_POOL_IN_USE",
  );
  assert.is(
    codeOf(() => heap.close()),
    "ERR_HEAP_IN_USE",
  );
  pool.close({ force: true });
  pool.close();
  assert.is(
    codeOf(() => pool.get()),
    "ERR_CLOSED",
  );
  assert.is(
    codeOf(() => pool.token()),
    "ERR_CLOSED",
  );
  heap.close({ force: true });
});

test("cannot be shared where other threads do not see its memory", () => {
  const { heap } = ready();
  const pool = heap.sharedPool({ size: 64, count: 10 });
  assert.is(
    codeOf(() => pool.token()),
    "ERR_OTHER_MEMORY",
  );
  heap.close();
});

test("refuses options that cannot be, and closes with its heap", () => {
  const { heap } = ready();
  for (const wrong of [{ workers: 0 }, { workers: 63 }, { count: 0 }, { size: 0 }, { wrokers: 2 }, { align: 3 }]) {
    assert.ok(
      codeOf(() => heap.sharedPool({ size: 64, count: 10, ...wrong })),
      JSON.stringify(wrong),
    );
  }
  const pool = heap.sharedPool({ size: 64, count: 10, workers: 62 });
  heap.close();
  assert.ok(pool.closed);
});

if (memory) {
  test("is one memory in all threads, and the device's", async () => {
    const all = shared();
    await withMember(all.pool, async (member) => {
      const mine = all.pool.get();
      const theirs = await member.do<number>("get");
      assert.ok(all.pool.slot(mine) !== all.pool.slot(theirs));
      await member.do("fill", theirs, 7);
      assert.equal(new Set(all.pool.bytes(theirs)), new Set([7]));
      const iova = await member.do<bigint>("iova", theirs);
      assert.is(iova, all.pool.iovaOf(theirs));
      assert.equal(new Set(dmaRead(all, iova, 2048)), new Set([7]));
      dmaWrite(all, all.pool.iovaOf(mine), new Uint8Array(2048).fill(9));
      assert.is(await member.do("read", mine), "09".repeat(2048));
      assert.is(await member.do("translate", all.pool.vas[0]), all.pool.iovas[0]);
      // Each puts what the other one got; a second time it is refused wherever it comes from.
      await member.do("put", mine);
      all.pool.put(theirs);
      assert.is(
        codeOf(() => all.pool.put(mine)),
        "ERR_NOT_LIVE",
      );
      assert.is(await codeLater(member.do("put", theirs)), "ERR_NOT_LIVE");
      assert.is(await member.do("leave"), 0);
      assert.is(await codeLater(member.do("get")), "ERR_CLOSED");
      assert.equal(all.pool.workers, []);
    });
    all.heap.close();
  });

  test("takes a token once, and not when it is void, or came another way", async () => {
    const { pool, heap } = shared({ workers: 2 });
    const [one, two] = [pool.token(), pool.token()];
    assert.is(
      codeOf(() => pool.token()),
      "ERR_TOO_MANY_WORKERS",
    );
    const member = new Member();
    await member.do("open", one);
    assert.is(await codeLater(member.do("open", one)), "ERR_TOKEN_USED");
    assert.is(await codeLater(member.do("open", two, "model")), "ERR_OTHER_MEMORY");
    assert.is(await codeLater(member.do("open", { ...two, memory: undefined })), "ERR_INVALID_ARG_TYPE");
    assert.is(await codeLater(member.do("open", {})), "ERR_INVALID_ARG_TYPE");
    for (const [name, values] of Object.entries({
      pool: [0, 128, two.pool + 128, two.pool + 4, 2 ** 30, -128, 1.5, "", NaN, undefined],
      self: [0, one.self, two.self + 3, two.self + 2048, 2 ** 30, undefined],
      seat: [0, 1, one.seat, two.seat + 1, 2 ** 30, null],
      ticket: [0, 1.5, two.ticket + 1, two.ticket - 1, "1"],
      worker: [0, one.worker, two.worker + 1, 64, "2"],
    }))
      for (const value of values) {
        assert.is(await codeLater(member.do("open", { ...two, [name]: value })), "ERR_TOKEN_USED", `${name}: ${value}`);
      }
    assert.is(pool.recover(two.worker), 0);
    assert.is(await codeLater(member.do("open", two)), "ERR_TOKEN_USED");
    const three = pool.token();
    await member.do("leave");
    pool.close();
    // What lies where the pool was is another one's by now.
    const other = heap.sharedPool({ size: 2048, count: 100, workers: 2 });
    const fresh = other.token();
    assert.is(await codeLater(member.do("open", three)), "ERR_TOKEN_USED");
    await member.do("open", fresh);
    await member.end();
    other.recover(fresh.worker);
    heap.close();
  });

  test("keeps its pages while a worker is a member", async () => {
    const all = shared();
    const { pool, heap, window, memory } = all;
    await withMember(pool, async (member, id) => {
      const handle = await member.do<number>("get");
      await member.do("fill", handle, 1);
      const error = codeOf(() => pool.close({ force: true }));
      assert.is(error, "ERR_HELD");
      assert.is(
        codeOf(() => heap.close({ force: true })),
        "ERR_HELD",
      );
      assert.is(
        codeOf(() => heap[Symbol.dispose]()),
        "ERR_HELD",
      );
      assert.ok(codeOf(() => window.close()));
      assert.ok(codeOf(() => memory.close()));
      assert.equal(pool.workers, [{ worker: id, state: "joined", live: 1 }]);
      assert.is(await member.do("read", handle), "01".repeat(2048));
      // An array that was moved away still shows the pages.
      if (await member.do<boolean>("moveAway", handle)) {
        assert.is(await codeLater(member.do("leave")), "ERR_HELD");
        assert.is(
          codeOf(() => pool.close({ force: true })),
          "ERR_HELD",
        );
      }
      assert.is(await member.do("read", handle), "01".repeat(2048));
      await member.do("drop");
      assert.is(
        codeOf(() => pool.recover(id)),
        "ERR_WORKER_RUNNING",
      );
      assert.is(
        codeOf(() => pool.recover(member.worker)),
        "ERR_WORKER_RUNNING",
      );
      await member.end();
      assert.is(pool.recover(member.worker), 1);
      assert.is(pool.recover(id), 0);
    });
    assert.is(pool.live, 0);
    heap.close();
  });

  test("is read and written by copies, in both threads", async () => {
    const { pool, heap } = shared();
    await withMember(pool, async (member) => {
      const handle = await member.do<number>("get");
      await member.do("copyIn", handle, 2040, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
      const into = new Uint8Array(3);
      pool.read(handle, 2045, into);
      assert.equal(into, Uint8Array.of(6, 7, 8));
      pool.write(handle, 2047, Uint8Array.of(9));
      assert.is(await member.do("copyOut", handle, 2046, 2), "0709");
      assert.is(await codeLater(member.do("copyOut", handle, 2046, 3)), "ERR_OUT_OF_RANGE");
      assert.is(
        codeOf(() => pool.write(handle, 2041, new Uint8Array(8))),
        "ERR_OUT_OF_RANGE",
      );
      await member.do("put", handle);
      assert.is(await codeLater(member.do("copyIn", handle, 0, new Uint8Array(1))), "ERR_NOT_LIVE");
      assert.is(
        codeOf(() => pool.read(handle, 0, into)),
        "ERR_NOT_LIVE",
      );
      await member.do("leave");
    });
    heap.close();
  });

  test("takes back what a worker had that was terminated, and not what was taken over", async () => {
    const { pool, heap } = shared();
    await withMember(pool, async (member, id) => {
      const handles = [...(await member.do<Int32Array>("getMany", 40))];
      assert.is(handles.length, 40);
      const [kept = 0, put = 0] = handles;
      pool.adopt(kept);
      pool.put(put);
      assert.is(pool.live, 39);
      void member.do("spin");
      await new Promise((resolve) => setTimeout(resolve, 30));
      await member.end();
      assert.ok(pool.recover(id) >= 38);
      assert.is(pool.live, 1);
      pool.put(kept);
      assert.is(new Set(Array.from({ length: 100 }, () => pool.slot(pool.get()))).size, 100);
    });
    assert.is(
      codeOf(() => pool.recover(pool.worker)),
      "ERR_OUT_OF_RANGE",
    );
    assert.is(
      codeOf(() => pool.recover(new Worker("", { eval: true }))),
      "ERR_WORKER_RUNNING",
    );
    heap.close({ force: true });
  });

  test("finds the last free slot though it lies with a thread that is idle", async () => {
    const { pool, heap } = shared({ count: 60, workers: 2 });
    await withMember(pool, async (member) => {
      // The member puts five, which stay in its magazines; all others are held here.
      const theirs = [...(await member.do<Int32Array>("getMany", 5))];
      const mine = new Int32Array(60);
      const got = pool.getMany(mine);
      for (const handle of theirs) await member.do("put", handle);
      const handles = Array.from(mine.subarray(0, got));
      for (let free = 60 - got; free > 0; free--) {
        await pool.available();
        handles.push(pool.get());
      }
      assert.is(new Set(handles.map((handle) => pool.slot(handle))).size, 60);
      // Nothing is left: who waits is told in order, when there is something again.
      const told: number[] = [];
      const waiting = [1, 2, 3].map(async (number) => {
        await pool.available();
        const handle = pool.get();
        told.push(number);
        return handle;
      });
      const there = member.do<number>("waitAndGet");
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.is(pool.tryGet(), -1);
      assert.equal(told, []);
      for (const handle of handles.slice(0, 4)) pool.put(handle);
      await Promise.all(waiting);
      await there;
      assert.equal(told, [1, 2, 3]);
      assert.is(pool.live, 60);
      const left = pool.available();
      await member.end();
      assert.is(pool.workers.length, 1);
      pool.recover(member.worker);
      await left;
      const last = pool.get();
      assert.ok(last > 0);
    });
    const never = [pool.available(), pool.available()];
    pool.close({ force: true });
    for (const each of never) assert.is(await codeLater(each), "ERR_CLOSED");
    heap.close();
  });
}

test.run();
