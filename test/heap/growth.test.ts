/** Growth: off the hot path, by whole pages, with the window and all that is mapped as they were; and its failures. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaHeap } from "../../src/heap/heap.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GROUP, KiB, MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { attached, dmaRead, dmaWrite, HUGE, PLATFORMS, type Ready, ready, turn } from "./ready.ts";

/** Windows, and what each live IOVA leads to. */
function mapsOf({ model, window }: Ready) {
  return { start: window.start, size: window.size, live: model.live(GROUP) };
}

/** Fails where something that was live is not, or leads elsewhere. */
function isKept(before: ReturnType<typeof mapsOf>, all: Ready): void {
  const { model, window } = all;
  assert.is(window.start, before.start);
  assert.is(window.size, before.size);
  for (const { iova, length, va } of before.live) {
    for (const at of [0n, length - 1n]) assert.is(model.tceAt(GROUP, iova + at)?.va, va + at);
  }
}

for (const platform of PLATFORMS) {
  test(`${platform}: a heap grows eightfold while a device transfers, and nothing that is live changes`, async () => {
    const all = ready({ grow: { step: HUGE } }, { platform });
    const { heap, model, kernel } = all;
    const cleared: unknown[] = [];
    const stop = model.watch((event) => cleared.push(event));
    const random = new Random(5);
    const blocks: { readonly handle: number; readonly seed: number }[] = [];
    const first = heap.stats.total;
    let wrong = 0;
    while (heap.stats.total < 8n * first) {
      const before = mapsOf(all);
      for (let i = 0; i < 60; i++) {
        const bytes = 64 + random.below(32 * 1024);
        const handle = heap.alloc(bytes, 64, 65536);
        const seed = random.below(256);
        dmaWrite(all, heap.iovaOf(handle), new Uint8Array(bytes).fill(seed));
        blocks.push({ handle, seed });
        const old = random.pick(blocks);
        if (heap.bytes(old.handle)[0] !== old.seed) wrong++;
        if (dmaRead(all, heap.iovaOf(old.handle) + 63n, 1)[0] !== old.seed) wrong++;
      }
      isKept(before, all);
      await turn();
    }
    for (const { handle, seed } of blocks) {
      if (heap.bytes(handle)[0] !== seed) wrong++;
      heap.free(handle);
    }
    assert.is(wrong, 0);
    assert.equal(cleared, [], "no IOVA went away");
    assert.equal(kernel.refused, []);
    stop();
    heap.close();
  });
}

test("below the low mark it grows a turn later, off the hot path, and no program is kept from ending", async () => {
  const { heap, kernel } = ready({ grow: { step: HUGE, low: MiB } });
  const calls = kernel.calls;
  const handles = Array.from({ length: 30 }, () => heap.alloc(64 * 1024));
  assert.is(kernel.calls, calls, "no call of the kernel in alloc");
  assert.is(heap.stats.growths, 1);
  await turn();
  assert.is(heap.stats.growths, 2);
  await turn();
  assert.is(heap.stats.growths, 2, "enough is free");
  for (const handle of handles) heap.free(handle);
  heap.close();
});

test("sync: false never asks the kernel in alloc, and says what would help", async () => {
  const { heap, kernel } = ready({ name: "rx", grow: { step: HUGE, low: 64 * 1024, sync: false } });
  const calls = kernel.calls;
  const handles: number[] = [];
  for (let handle = heap.tryAlloc(65536); handle > 0; handle = heap.tryAlloc(65536)) handles.push(handle);
  assert.is(handles.length, 32);
  const error = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(65536));
  assert.is(kernel.calls, calls);
  assert.equal(
    { ...error.facts, hugepages: undefined },
    {
      bytes: 65536,
      live: HUGE,
      free: 0n,
      largest: 0n,
      total: HUGE,
      max: 64n * MiB,
      listRoom: 62n * MiB,
      windowRoom: 62n * MiB,
      hugepages: undefined,
    },
  );
  assert.type(error.facts?.hugepages, "number");
  assert.match(error.message, 'heap "rx" has no 64 KiB free');
  assert.match(error.message, "Call heap.grow(2097152)");
  await turn();
  assert.ok(heap.alloc(65536) > 0, "it grew in the background");
});

test("sync: false without a low mark grows when somebody could not have what he asked for", async () => {
  const { heap } = ready({ grow: { step: HUGE, low: 0, sync: false } });
  assert.is(heap.tryAlloc(5 * 1024 * 1024), -1);
  await turn();
  assert.is(heap.stats.total, 8n * MiB);
  assert.ok(heap.alloc(5 * 1024 * 1024) > 0);
});

test("where physical memory is in pieces, a block that is longer is refused, and does not make the heap grow for ever", () => {
  const { heap } = ready({ grow: { step: HUGE } }, { platform: "noiommu" });
  for (let i = 0; i < 20; i++) {
    if (heap.tryAlloc(12 * 1024 * 1024) > 0) assert.unreachable("12 MiB in a row");
  }
  assert.ok(heap.stats.total <= 16n * MiB, `${heap.stats.total}`);
  assert.ok(heap.alloc(2 * 1024 * 1024 - 64) > 0);
});

test("sync growth is by what is asked, where that is more than a step, and never beyond max", () => {
  const { heap } = ready({ grow: { step: HUGE, max: 8n * MiB } });
  const handle = heap.alloc(5 * 1024 * 1024);
  assert.is(heap.stats.total, 8n * MiB);
  const error = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(3 * 1024 * 1024));
  assert.match(error.message, "grow.max, 8 MiB");
  failure("ERR_HEAP_MAXIMUM", () => heap.grow(1));
  heap.free(handle);
  heap.alloc(3 * 1024 * 1024);
});

test("grow: false grows by hand only", () => {
  const { heap } = ready({ grow: false });
  const error = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(64));
  assert.match(error.message, "heap.grow(2097152)");
  assert.is(heap.tryAlloc(64), -1);
  heap.grow(3n * MiB);
  assert.is(heap.stats.total, 4n * MiB);
  heap.alloc(64);
  failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(5 * 1024 * 1024));
});

test("neighbours become one for a block that fits in neither, and every block can be shown", () => {
  for (const platform of PLATFORMS) {
    const all = ready({ grow: false }, { platform });
    const { heap, window } = all;
    for (let i = 0; i < 3; i++) heap.grow(HUGE);
    const small = heap.alloc(64);
    heap.bytes(small)[0] = 1; // which shows the first segment alone
    assert.is(heap.stats.largest, HUGE);
    const handle = heap.tryAlloc(3 * 1024 * 1024);
    if (handle < 0) {
      assert.is(platform, "noiommu", "where physical memory is in whatever order");
      continue;
    }
    const [iova, va] = [heap.iovaOf(handle), heap.vaOf(handle)];
    const bytes = heap.bytes(handle);
    assert.is(bytes.length, 3 * 1024 * 1024);
    for (const at of [0, 2 ** 21 - 1, 2 ** 21, bytes.length - 1]) {
      bytes[at] = at & 127;
      assert.is(dmaRead(all, iova + BigInt(at), 1)[0], at & 127);
      assert.is(window.translate(va + BigInt(at)), iova + BigInt(at));
      const into = new Uint8Array(1);
      heap.read(handle, at, into);
      assert.is(into[0], at & 127);
    }
    const across = 2 ** 21 - Number(va % HUGE) - 2;
    heap.write(handle, across, Uint8Array.of(1, 2, 3, 4));
    assert.equal(bytes.slice(across, across + 4), Uint8Array.of(1, 2, 3, 4));
    assert.is(heap.bytes(small)[0], 1);
    heap.free(handle);
    // Blocks lie on what was a border now, and can be shown too.
    const many: number[] = [];
    for (let one = heap.tryAlloc(5000); one > 0; one = heap.tryAlloc(5000)) many.push(one);
    for (const [i, one] of many.entries()) heap.bytes(one).fill(i);
    for (const [i, one] of many.entries()) assert.is(dmaRead(all, heap.iovaOf(one) + 4999n, 1)[0], i & 255);
    for (const one of [...many, small]) heap.free(one);
    assert.is(heap.trim().returned, 3n * HUGE);
  }
});

test("all of several segments are one block, with an alignment and within a boundary", () => {
  for (const [bytes, align, boundary] of [
    [4 * 2 ** 20, undefined, undefined],
    [4 * 2 ** 20, 2 ** 21, undefined],
    [4 * 2 ** 20, 4096, 4 * 2 ** 20],
    [3 * 2 ** 20, 64, 4 * 2 ** 20],
  ] as const) {
    const { heap } = ready({ grow: false }, { platform: "type1" });
    heap.grow(HUGE);
    heap.grow(HUGE);
    const handle = heap.alloc(bytes, align, boundary);
    assert.is(heap.bytes(handle).length, bytes);
    heap.free(handle);
    assert.is(heap.tryAlloc(bytes + 2 ** 21, align), -1);
    heap.close();
  }
});

/** Two segments of a page each, side by side, full of blocks of 1 KiB: by address. */
function fullNeighbours(): { readonly heap: DmaHeap; readonly blocks: readonly number[] } {
  const { heap } = ready({ grow: false }, { platform: "type1" }, { pageSize: 4096n, maxBytes: 4n * MiB });
  for (let i = 0; i < 2; i++) heap.grow(4096n);
  const blocks = Array.from({ length: 8 }, () => heap.alloc(1024)).sort((a, b) =>
    heap.vaOf(a) < heap.vaOf(b) ? -1 : 1,
  );
  assert.is(heap.tryAlloc(64), -1);
  return { heap, blocks };
}

test("a search between neighbours that was in vain for an alignment says nothing of a block without it", () => {
  for (const [align, boundary] of [
    [2 ** 17, undefined],
    [64, 2048],
  ] as const) {
    const { heap, blocks } = fullNeighbours();
    for (const i of [3, 4]) heap.free(blocks[i] as number);
    assert.is(heap.tryAlloc(1536, align, boundary), -1);
    assert.is(heap.tryAlloc(1536, align, boundary), -1);
    const handle = heap.alloc(1536);
    assert.is(heap.bytes(handle).length, 1536);
    heap.close({ force: true });
  }
});

test("as many bytes that are free elsewhere by now are looked at between neighbours", () => {
  const { heap, blocks } = fullNeighbours();
  for (const i of [1, 6]) heap.free(blocks[i] as number);
  assert.is(heap.tryAlloc(1536), -1);
  for (let i = 0; i < 2; i++) heap.alloc(1024);
  for (const i of [3, 4]) heap.free(blocks[i] as number);
  assert.is(heap.bytes(heap.alloc(1536)).length, 1536);
  heap.close({ force: true });
});

test("borders between more than two neighbours: whatever is allocated there can be shown", () => {
  const random = new Random(77);
  for (let round = 0; round < 30; round++) {
    const all = ready({ grow: false }, { platform: "type1" }, { pageSize: 4096n, maxBytes: 4n * MiB });
    const { heap } = all;
    const live = new Map<number, number>();
    for (let step = 0; step < 120; step++) {
      if (random.once(12) && heap.stats.total < 512n * 1024n) heap.grow(65536);
      if (random.once(25)) heap.trim();
      if (live.size > 0 && random.once(2)) {
        const handle = random.pick([...live.keys()]);
        if (random.once(2)) assert.is(heap.bytes(handle)[0], live.get(handle));
        live.delete(handle);
        heap.free(handle);
        continue;
      }
      const handle = heap.tryAlloc(random.once(3) ? 65536 + random.below(200_000) : 64 + random.below(30_000));
      if (handle < 0) continue;
      const [iova, length] = [heap.iovaOf(handle), heap.sizeOf(handle)];
      if (random.once(2)) heap.bytes(handle).fill(step);
      else dmaWrite(all, iova, new Uint8Array(length).fill(step));
      assert.is(dmaRead(all, iova + BigInt(length - 1), 1)[0], step);
      live.set(handle, step);
    }
    for (const [handle, seed] of live) {
      assert.ok(heap.bytes(handle).every((byte) => byte === seed));
      heap.free(handle);
    }
    const { total, segments } = heap.stats;
    assert.equal(heap.trim(), { returned: total, segments, kept: 0n });
  }
});

test("trim gives back whole segments, says what stays, and the heap grows again", () => {
  const { heap, memory } = ready({ grow: { step: HUGE, low: 0 } });
  const handles = Array.from({ length: 96 }, () => heap.alloc(65536));
  assert.is(heap.stats.segments, 3);
  for (const [i, handle] of handles.entries()) if (i !== 40) heap.free(handle);
  assert.equal(heap.trim(), { returned: 2n * HUGE, segments: 2, kept: HUGE - 65536n });
  assert.is(memory.size, 1);
  assert.is(heap.bytes(handles[40] as number).length, 65536);
  for (let i = 0; i < 64; i++) heap.alloc(65536);
  assert.is(heap.stats.segments, 3);
  heap.close({ force: true });
});

const EVERYTHING = ["mmap", "mbind", "REGISTER_MEMORY", "MAP_DMA"] as const;

for (const platform of PLATFORMS) {
  test(`${platform}: every call of a growth fails once: heap, table, window and kernel are as they were`, () => {
    const all = ready({ grow: false }, { platform });
    const { heap, kernel, model, memory, window } = all;
    heap.grow(HUGE);
    const handle = heap.alloc(1000);
    heap.trim();
    const state = () => ({ stats: heap.stats, hash: model.hash(), memsegs: memory.size, live: window.liveBytes });
    const before = state();
    let failed = 0;
    for (const call of EVERYTHING) {
      for (let nth = 0; ; nth++) {
        const seen = kernel.refused.length;
        kernel.fail({ call, nth, answer: no.ENOMEM });
        let error: { code?: string; residue?: unknown } | undefined;
        try {
          heap.grow(HUGE);
        } catch (caught) {
          error = caught as typeof error;
        }
        kernel.heal();
        if (kernel.refused.length === seen) {
          heap.trim();
          break;
        }
        failed++;
        assert.is(error?.code, "ERR_KERNEL", `${call} ${nth}`);
        assert.is(error?.residue, undefined);
        assert.equal(state(), { ...before, stats: { ...before.stats, growths: heap.stats.growths } }, `${call} ${nth}`);
        assert.is(heap.bytes(handle).length, 1024);
      }
    }
    assert.ok(failed >= (platform === "noiommu" ? 1 : 2));
  });
}

test("a growth that is mapped, and does not fit into the allocator, is undone", () => {
  const { heap, kernel, memory } = ready({ grow: false }, { platform: "type1" });
  heap.grow(HUGE);
  // The pages that come cannot be taken back: then the residue says so, and the memory has them.
  kernel.fail({ call: "MAP_DMA", answer: no.ENOMEM }, { call: "mmap", nth: 1, answer: no.ENOMEM });
  const error = failure("ERR_KERNEL", () => heap.grow(HUGE));
  assert.ok((error.residue?.left.length ?? 0) > 0);
  assert.is(memory.size, 1);
  assert.is(heap.stats.segments, 1);
});

test("a growth in the background that fails is kept, told by alloc, and thrown nowhere; the heap tries again", async () => {
  const { heap, kernel } = ready({ grow: { step: HUGE, low: MiB, sync: false } });
  kernel.fail({ call: "MAP_DMA", times: Number.POSITIVE_INFINITY, answer: no.ENOMEM });
  const handles = Array.from({ length: 32 }, () => heap.alloc(65536));
  await turn();
  assert.is((heap.growthError as { code: string }).code, "ERR_KERNEL");
  const error = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(65536));
  assert.is(error.cause, heap.growthError);
  assert.match(error.message, "It could not grow: ");
  kernel.heal();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.is(heap.tryAlloc(64), -1);
  await turn();
  for (const handle of handles) heap.free(handle);
  assert.is(heap.growthError, undefined);
  assert.is(heap.stats.segments, 2);
});

test("a constructor whose first growth fails leaves nothing", () => {
  const all = attached();
  const { memory, list, window, kernel, model, container } = all;
  new DmaHeap({ memory, list, window }).close(); // address space that had pages is another area to the model
  const before = model.hash();
  for (const call of ["mmap", "REGISTER_MEMORY", "MAP_DMA"]) {
    kernel.fail({ call, answer: no.ENOMEM });
    failure("ERR_KERNEL", () => new DmaHeap({ memory, list, window }));
    kernel.heal();
    assert.is(model.hash(), before);
  }
  container.detach(memory);
  memory.removeList(list);
});

test("a trim that cannot unmap keeps the segment, and tells why", () => {
  const { heap, kernel, window, memory } = ready({ grow: { step: HUGE } }, { platform: "type1" });
  heap.grow(HUGE);
  kernel.fail({ call: "UNMAP_DMA", answer: no.EINVAL });
  failure("ERR_KERNEL", () => heap.trim());
  assert.is(memory.size, 1, "the other went");
  assert.is(heap.stats.total, HUGE);
  assert.is(window.liveBytes, HUGE);
  heap.free(heap.alloc(1024 * 1024));
  assert.is(heap.trim().returned, HUGE);
});

test("a list that is full, a pool of hugepages that is empty: said with numbers, and what would help", () => {
  const full = ready({ grow: { step: HUGE } }, {}, { maxBytes: HUGE });
  full.heap.alloc(2 * 1024 * 1024 - 64);
  assert.match(failure("ERR_HEAP_EXHAUSTED", () => full.heap.alloc(4096)).message, "memory.addList(");
  const empty = ready({ grow: false }, { hugepages: { 21: 1 } });
  empty.heap.grow(HUGE);
  const error = failure("ERR_HEAP_EXHAUSTED", () => empty.heap.alloc(2 ** 21 + 1));
  assert.is(error.facts?.hugepages, 0);
  assert.match(error.message, "The pool has 0 hugepages of 2 MiB free");
  const shared = attached({}, { maxBytes: 2n * HUGE });
  const { memory, list, window } = shared;
  const segment = memory.allocate(list, 1);
  const heap = new DmaHeap({ memory, list, window, grow: { step: HUGE } });
  const exhausted = failure("ERR_HEAP_EXHAUSTED", () => heap.alloc(2 ** 21 + 64));
  assert.is(exhausted.facts?.listRoom, 0n);
  assert.match(exhausted.message, "memory.addList(");
  memory.free(segment);
});

test("in the middle of another operation blocks come and go, and what would grow is refused", () => {
  const { heap, kernel, memory, list } = ready({ grow: { step: HUGE, low: 0 } });
  const log: string[] = [];
  const code = (run: () => unknown) => {
    try {
      run();
      return "done";
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  };
  const keep = heap.alloc(64);
  kernel.fail({
    call: "MAP_DMA",
    before: () => {
      const handle = heap.alloc(64);
      heap.free(handle);
      log.push(code(() => heap.free(handle)));
      log.push(code(() => heap.grow(1)));
      log.push(code(() => heap.trim()));
      log.push(code(() => heap.close({ force: true })));
      log.push(code(() => heap.alloc(3 * 1024 * 1024)));
      log.push(code(() => heap.iovaOf(keep)));
    },
  });
  const segment = memory.allocate(list, 1);
  const exhausted = "ERR_HEAP_EXHAUSTED";
  assert.equal(log, ["ERR_NOT_LIVE", "ERR_BUSY", "ERR_BUSY", "ERR_BUSY", exhausted, "done"]);
  memory.free(segment);
  heap.alloc(3 * 1024 * 1024);
  assert.is(heap.stats.segments, 2);
  kernel.heal();
});

test("random exhaustion: heap, table, window and kernel agree whatever fails", () => {
  const random = new Random(11);
  const all = ready(
    { grow: { step: 256n * KiB, max: 4n * MiB } },
    { platform: "pseries" },
    { pageSize: 4096n, maxBytes: 8n * MiB },
  );
  const { heap, kernel, memory, model, window } = all;
  const live = new Map<number, number>();
  let [exhausted, grown] = [0, 0];
  for (let step = 0; step < 6000; step++) {
    if (random.once(50))
      kernel.fail({
        call: random.pick(["mmap", "REGISTER_MEMORY", "MAP_DMA"]),
        nth: random.below(2),
        answer: no.ENOMEM,
      });
    if (random.once(60)) kernel.heal();
    if (random.once(200)) heap.trim();
    if (live.size > 0 && random.below(100) < 42) {
      const handle = random.pick([...live.keys()]);
      assert.is(heap.bytes(handle)[0], live.get(handle));
      live.delete(handle);
      heap.free(handle);
      continue;
    }
    const before = heap.stats.growths;
    const handle = heap.tryAlloc(64 + random.below(40_000));
    if (heap.stats.growths > before) grown++;
    if (handle < 0) {
      exhausted++;
      const one = random.pick([...live.keys()]);
      live.delete(one);
      heap.free(one);
      continue;
    }
    heap.bytes(handle)[0] = step & 255;
    live.set(handle, step & 255);
  }
  assert.ok(exhausted > 20 && grown > 10, `${exhausted} exhausted, ${grown} grown`);
  kernel.heal();
  assert.is(window.liveBytes, memory.bytes);
  assert.is(heap.stats.total, memory.bytes);
  for (const [handle, seed] of live) {
    assert.is(dmaRead(all, heap.iovaOf(handle), 1)[0], seed);
    heap.free(handle);
  }
  heap.trim();
  assert.is(memory.bytes, 0n);
  assert.equal(model.live(GROUP), []);
});

test.run();
