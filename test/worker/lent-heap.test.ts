/** Heaps of workers in memory that the main thread's heap lends: the library's side, on real memory under a software kernel. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DmaHeap } from "../../src/heap/heap.ts";
import { openHeap } from "../../src/heap/worker-heap.ts";
import { linuxMemory } from "../../src/linux/index.ts";
import type { SomeOptions } from "../heap/ready.ts";
import { dmaRead, dmaWrite, ready } from "../heap/ready.ts";
import { failure, refused } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { KiB, MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { Member } from "./member.ts";

const test = suite("heaps of workers");
const memory = linuxMemory();
const seed = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);
const terminations = Number(process.env.DMA_WINDOW_TERMINATIONS ?? 12);

type Place = readonly [va: bigint, iova: bigint, bytes: number];

function lender(options: SomeOptions = {}): ReturnType<typeof ready> {
  return ready({ name: "lender", ...options }, memory ? { memory } : {}, { pageSize: 4n * KiB, maxBytes: 16n * MiB });
}

async function codeLater(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => undefined,
    (error: { code?: unknown }) => error.code,
  );
}

/** Runs `use` with a worker that has memory of the heap's, and ends it. */
async function withHeap(heap: DmaHeap, bytes: bigint, use: (member: Member, loan: number) => Promise<void>) {
  const member = new Member("heaps");
  const token = heap.lend(bytes, member.worker);
  try {
    assert.equal(await member.do("open", token), [token.loan]);
    await use(member, token.loan);
  } finally {
    await member.end();
  }
}

/** Nothing is left of it anywhere. */
function isGone(all: ReturnType<typeof ready>): void {
  all.heap.close({ force: true });
  all.container.close();
  all.memory.close();
  assert.equal(all.model.leaks(), []);
}

function overlaps(places: readonly Place[]): string[] {
  const found: string[] = [];
  for (const by of [0, 1] as const) {
    const sorted = [...places].sort((a, b) => (a[by] < b[by] ? -1 : 1));
    for (let i = 1; i < sorted.length; i++) {
      const [before, one] = [sorted[i - 1] as Place, sorted[i] as Place];
      if (before[by] + BigInt(before[2]) > one[by]) found.push(`${before} and ${one}`);
    }
  }
  return found;
}

test("cannot be made where other threads do not see the memory", () => {
  const { heap, model } = ready();
  const before = model.hash();
  failure("ERR_OTHER_MEMORY", () => heap.lend(4096));
  assert.is(model.hash(), before);
  heap.close();
});

if (memory) {
  test("have blocks of their own, at their IOVAs, which the device and both threads see", async () => {
    const all = lender();
    const { heap } = all;
    const mine = Array.from({ length: 50 }, () => heap.alloc(2000));
    const one = new Member("heaps");
    const two = new Member("heaps");
    try {
      await one.do("open", heap.lend(MiB));
      await two.do("open", heap.lend(300n * KiB));
      assert.is(heap.stats.lent, MiB + 300n * KiB);
      const handles = await Promise.all([one, two].map((member) => member.do<number[]>("allocMany", 100, 2000)));
      const places: Place[] = mine.map((handle) => [heap.vaOf(handle), heap.iovaOf(handle), heap.sizeOf(handle)]);
      for (const [i, member] of [one, two].entries()) places.push(...(await member.do<Place[]>("places", handles[i])));
      assert.is(places.length, 250);
      assert.equal(overlaps(places), []);
      const [handle = 0] = handles[0] as number[];
      const [[, iova] = [0n, 0n, 0]] = await one.do<Place[]>("places", [handle]);
      await one.do("fill", handle, 0x5a);
      assert.equal(dmaRead(all, iova, 2000), new Uint8Array(2000).fill(0x5a));
      dmaWrite(all, iova + 64n, Uint8Array.of(1, 2, 3));
      assert.is(await one.do("read", handle, 63, 5), "5a0102035a");
      await one.do("write", handle, 1, Uint8Array.of(9, 8));
      assert.equal(dmaRead(all, iova, 3), Uint8Array.of(0x5a, 9, 8));
      const [, slotIova] = await two.do<[bigint, bigint]>("pool", 512, 10);
      assert.equal(dmaRead(all, slotIova, 512), new Uint8Array(512).fill(7));
      const [bufferIova] = await two.do<[bigint, number]>("buffer", 100);
      dmaWrite(all, bufferIova, new Uint8Array(100));
      await one.do("freeMany", handles[0]);
      assert.is(await one.do("live"), 0);
      assert.is(await codeLater(one.do("free", handle)), "ERR_NOT_LIVE");
      assert.is(await codeLater(one.do("close")), undefined);
      assert.is(await codeLater(two.do("close")), "ERR_HEAP_IN_USE");
      await two.do("close", true);
      assert.equal(heap.loans, []);
      assert.is(heap.stats.lent, 0n);
    } finally {
      await Promise.all([one.end(), two.end()]);
    }
    isGone(all);
  });

  test("say that what they were lent is exhausted, and take more", async () => {
    const all = lender();
    const { heap } = all;
    await withHeap(heap, 64n * KiB, async (member) => {
      await member.do("allocMany", 16, 4096);
      assert.is(await codeLater(member.do("alloc", 64)), "ERR_HEAP_EXHAUSTED");
      await member.do("add", heap.lend(128n * KiB));
      const handle = await member.do<number>("alloc", 100_000);
      await member.do("fill", handle, 3);
      const { total, segments } = await member.do<{ total: bigint; segments: number }>("stats");
      assert.equal([total, segments], [192n * KiB, 2]);
      await member.do("free", handle);
      // A loan in which nothing is live goes back.
      await member.do("trim");
      assert.equal(
        heap.loans.map(({ loan, state }) => [loan, state]),
        [[1, "joined"]],
      );
    });
    assert.is(heap.recover(1), 64n * KiB);
    assert.is(heap.recover(1), 0n);
    isGone(all);
  });

  test("hold the lender's heap, window, list and memory while they have any of it, by name", async () => {
    const all = lender();
    const { heap, memory: table, list, window, container, model } = all;
    await withHeap(heap, 64n * KiB, async (member) => {
      const segment = [...table.memsegs()]
        .map(({ va }) => table.segmentAt(va))
        .find((one) => one?.length === 64n * KiB);
      assert.ok(segment);
      const before = model.hash();
      for (const take of [
        () => table.free(segment as NonNullable<typeof segment>),
        () => table.close(),
        () => table.removeList(list),
        () => container.detach(table),
        () => window.close(),
        () => container.close(),
      ]) {
        assert.match(failure("ERR_HELD", take).message, "loan 1 (64 KiB) lent to other threads");
      }
      for (const close of [() => heap.close(), () => heap.close({ force: true })]) {
        const error = failure("ERR_HELD", close);
        assert.match(error.message, "loan 1 (64 KiB)");
        assert.equal(error.facts, { loans: [1] });
      }
      assert.is(model.hash(), before);
      assert.is(heap.trim().returned, 2n * MiB, "what it has besides goes as ever");
      failure("ERR_WORKER_RUNNING", () => heap.recover(1));
      failure("ERR_WORKER_RUNNING", () => heap.recover(member.worker));
      await member.do("close");
      // The memory is the lender's, without a message.
      heap.trim();
      assert.is(table.size, 0);
    });
    isGone(all);
  });

  test("are opened by a token once, that is void when it was revoked, or the heap is closed", async () => {
    const all = lender({ grow: false });
    const { heap } = all;
    const member = new Member("heaps");
    try {
      const token = heap.lend(1);
      assert.is(token.length, 4n * KiB);
      assert.is(heap.recover(token.loan), 4n * KiB);
      assert.is(await codeLater(member.do("open", token)), "ERR_TOKEN_USED");
      const again = heap.lend(4096);
      assert.is(again.va, token.va, "what came back is lent again");
      assert.is(await codeLater(member.do("open", token)), "ERR_TOKEN_USED");
      assert.is(await codeLater(member.do("open", again, {}, "model")), "ERR_OTHER_MEMORY");
      assert.is(await codeLater(member.do("open", again, { nmae: "x" })), "ERR_INVALID_ARG_TYPE");
      await member.do("open", again);
      assert.is(await codeLater(member.do("add", again)), "ERR_TOKEN_USED");
      await member.do("close");
      const unused = heap.lend(4096);
      heap.close();
      assert.is(await codeLater(member.do("open", unused)), "ERR_TOKEN_USED");
      failure("ERR_CLOSED", () => heap.lend(4096));
      failure("ERR_CLOSED", () => heap.recover(1));
    } finally {
      await member.end();
    }
    isGone(all);
  });

  test("do not mix IOVAs of two windows", async () => {
    const [one, two] = [lender(), lender()];
    await withHeap(one.heap, 4n * KiB, async (member) => {
      const other = two.heap.lend(4096);
      assert.is(await codeLater(member.do("add", other)), "ERR_OTHER_WINDOW");
      assert.is(two.heap.recover(other.loan), 4n * KiB);
    });
    one.heap.recover(1);
    isGone(one);
    isGone(two);
  });

  test("refuse what is no token, and no worker", () => {
    const all = lender();
    const { heap } = all;
    const kernel = memory as never;
    for (const wrong of [undefined, null, 1, {}, { kind: "dma-window.shared-pool" }, JSON.parse("{}")]) {
      refused("ERR_INVALID_ARG_TYPE", () => openHeap(wrong, { kernel }));
    }
    const token = heap.lend(4096);
    const copy = { ...token, memory: undefined };
    refused("ERR_INVALID_ARG_TYPE", () => openHeap(copy as never, { kernel }));
    for (const wrong of [0, -1, Number.NaN, 1.5, 99]) refused("ERR_OUT_OF_RANGE", () => heap.recover(wrong));
    for (const wrong of [undefined, null, {}, "1"]) refused("ERR_INVALID_ARG_TYPE", () => heap.recover(wrong as never));
    refused("ERR_INVALID_ARG_TYPE", () => heap.lend(4096, {} as never));
    refused("ERR_OUT_OF_RANGE", () => heap.lend(0));
    refused("ERR_OUT_OF_RANGE", () => heap.lend(-1));
    failure("ERR_HEAP_MAXIMUM", () => heap.lend(16n * MiB));
    assert.equal(
      heap.loans.map(({ state }) => state),
      ["reserved"],
    );
    isGone(all);
  });

  test("count for what the lender's heap may have", async () => {
    const all = lender({ grow: { step: 64n * KiB, max: 256n * KiB } });
    const { heap } = all;
    const token = heap.lend(192n * KiB);
    assert.is(heap.tryAlloc(100_000), -1);
    failure("ERR_HEAP_MAXIMUM", () => heap.lend(4096));
    heap.recover(token.loan);
    const handle = heap.alloc(100_000);
    heap.bytes(handle).fill(1);
    heap.free(handle);
    assert.is(heap.stats.total, 256n * KiB);
    isGone(all);
  });

  test("leave the lender as it was where the kernel does not map what is to be lent", () => {
    const all = lender({ grow: false });
    const { heap, kernel, model } = all;
    heap.recover(heap.lend(64n * KiB).loan);
    heap.trim();
    const before = model.hash();
    for (const call of ["mmap", "REGISTER_MEMORY", "MAP_DMA"] as const) {
      for (let nth = 0, seen = -1; seen !== kernel.refused.length; nth++) {
        seen = kernel.refused.length;
        kernel.fail({ call, nth, answer: no.ENOMEM });
        try {
          heap.recover(heap.lend(64n * KiB).loan);
        } catch (error) {
          assert.is((error as { code?: string }).code, "ERR_KERNEL", `${call} ${nth}`);
        }
        kernel.heal();
        heap.trim();
        assert.is(model.hash(), before, `${call} ${nth}`);
      }
    }
    assert.ok(kernel.refused.length >= 2);
    assert.equal(heap.loans, []);
    assert.is(heap.stats.lent, 0n);
    isGone(all);
  });

  test("have guards of their own, and the lender's guards are there when memory comes back", async () => {
    const all = lender({ guard: true });
    const { heap } = all;
    const member = new Member("heaps");
    try {
      await member.do("open", heap.lend(64n * KiB), { guard: true, name: "mine" });
      const handle = await member.do<number>("alloc", 100);
      await member.do("fill", handle, 1);
      await member.do("close", true);
      assert.equal(heap.loans, []);
      assert.equal(heap.check(), []);
    } finally {
      await member.end();
    }
    isGone(all);
  });

  test("keep a loan while an array that was moved away leads to it", async () => {
    const all = lender();
    await withHeap(all.heap, 64n * KiB, async (member) => {
      const handle = await member.do<number>("alloc", 100);
      if (!(await member.do<boolean>("moveAway", handle))) return;
      assert.is(await codeLater(member.do("close", true)), "ERR_HELD");
      failure("ERR_HELD", () => all.heap.close());
      assert.is(await member.do("live"), 1, "it is open as before");
      await member.do("drop");
      // The collector frees it in a thread of its own.
      for (let i = 0; i < 200 && (await codeLater(member.do("close", true))) === "ERR_HELD"; i++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.equal(all.heap.loans, []);
    });
    all.heap.recover(1);
    isGone(all);
  });

  test(`are recovered wherever their worker was terminated: ${terminations} of them (DMA_WINDOW_SEED=${seed})`, async () => {
    const random = new Random(seed);
    const all = lender({ grow: false });
    const { heap } = all;
    const locked = all.model.lockedMemory();
    for (let done = 0; done < terminations; done += 2) {
      const members = [new Member("heaps"), new Member("heaps")];
      try {
        await Promise.all(
          members.map(async (member, i) => {
            await member.do("open", heap.lend(256n * KiB, member.worker));
            const begun = new Promise((resolve) =>
              member.worker.on("message", ({ id }) => {
                if (id === -1) resolve(0);
              }),
            );
            void member.do("storm", random.below(2 ** 30) * 2 + i).catch(() => {});
            await begun;
          }),
        );
        for (const member of members) {
          await new Promise((resolve) => setTimeout(resolve, random.below(15)));
          await member.end();
          assert.is(heap.recover(member.worker), 256n * KiB);
        }
      } finally {
        await Promise.all(members.map((member) => member.end()));
      }
      assert.equal(heap.loans, []);
      assert.ok(heap.stats.total <= 512n * KiB, "and lent again, not anew");
    }
    // All of it is one piece of free memory after the other.
    heap.trim();
    assert.is(all.memory.size, 0);
    assert.equal(all.model.lockedMemory(), locked);
    isGone(all);
  });

  test("give their memory back to whatever the lender needs it for", async () => {
    const all = lender({ grow: false });
    const { heap } = all;
    await withHeap(heap, 64n * KiB, async (member) => {
      await member.do("alloc", 100);
      failure("ERR_HEAP_EXHAUSTED", () => heap.pool({ size: 4096, count: 16 }));
      await member.do("close", true);
      heap.pool({ size: 4096, count: 16 }).close();
    });
    isGone(all);
  });
}

test.run();
