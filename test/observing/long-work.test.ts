/** Long work in batches: the loop runs between them, progress is told, and an end in the middle leaves nothing, or says what. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Progress } from "../../src/long-work.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { hiding } from "../device/site.ts";
import { agree } from "../support/agreement.ts";
import { MiB, Program, ready } from "../support/program.ts";
import { rejection, turnsIn, used } from "./long.ts";

const PAGE = 4096n;
const HUGE = 2n * MiB;

/** More requests than are made in one batch. */
function manyMaps(count = 2500) {
  const { program, window } = ready({}, 64n * MiB);
  used(program, window);
  const va = program.allocate(BigInt(count) * PAGE);
  const requests = Array.from({ length: count }, (_, i) => ({ va: va + BigInt(i) * PAGE, length: PAGE }));
  return { program, window, va, requests };
}

test("many maps are made as mapMany makes them, with turns between, and progress to the end", async () => {
  const { program, window, requests } = manyMaps();
  const told: Progress[] = [];
  let iovas: bigint[] = [];
  const turns = await turnsIn(async () => {
    iovas = await window.mapManyAsync(requests, { onProgress: (progress) => told.push(progress) });
  });
  assert.ok(turns >= 3, `${turns} turns`);
  assert.equal(
    iovas,
    requests.map(({ va }) => window.translate(va)),
  );
  assert.equal(
    told.map(({ done }) => Number(done / PAGE)),
    [1024, 2048, 2500],
  );
  assert.ok(told.every(({ total }) => total === 2500n * PAGE));
  agree(program, window);
  const other = manyMaps();
  assert.equal(iovas, other.window.mapMany(other.requests));
  assert.equal(await window.mapManyAsync([]), []);
});

test("an abort in the middle unmaps what was mapped, and rejects with the signal's reason as its cause", async () => {
  const { program, window, requests } = manyMaps();
  const before = program.model.hash();
  const controller = new AbortController();
  const onProgress = ({ done }: Progress) => {
    if (done > 1500n * PAGE) controller.abort("enough");
  };
  const error = await rejection(
    "ERR_ABORTED",
    window.mapManyAsync(requests, { signal: controller.signal, onProgress }),
  );
  assert.is(error.cause, "enough");
  assert.equal(error.facts, { operation: "window.mapManyAsync", done: 2048n * PAGE, total: 2500n * PAGE });
  assert.is(error.residue, undefined);
  assert.is(program.model.hash(), before);
  assert.is(window.liveBytes, 0n);
  const calls = program.kernel.calls;
  await rejection("ERR_ABORTED", window.mapManyAsync(requests, { signal: AbortSignal.abort() }));
  assert.is(program.kernel.calls, calls, "the kernel is not asked at all");
});

test("a batch that fails takes those before it along, and names the request among all", async () => {
  const { program, window, requests } = manyMaps();
  const before = program.model.hash();
  program.kernel.fail({ call: "VFIO_IOMMU_MAP_DMA", nth: 2000, answer: -12 });
  const error = await rejection("ERR_KERNEL", window.mapManyAsync(requests));
  assert.is(error.facts?.index, 2000);
  assert.is(error.facts?.count, 2500);
  assert.is(error.residue, undefined);
  assert.is(program.model.hash(), before);
  const wrong = await rejection("ERR_UNALIGNED_LENGTH", window.mapManyAsync([...requests, { va: PAGE, length: 5 }]));
  assert.is(wrong.facts?.index, 2500);
  assert.is(program.model.hash(), before);
});

test("what cannot be unmapped again is named, and stays known", async () => {
  const { program, window, requests } = manyMaps(1500);
  program.kernel.fail({ call: "VFIO_IOMMU_MAP_DMA", nth: 1200, answer: -12 });
  program.kernel.fail({ call: "VFIO_IOMMU_UNMAP_DMA", nth: 200, times: 2, answer: -22 });
  const error = await rejection("ERR_KERNEL", window.mapManyAsync(requests));
  assert.ok((error.residue?.left.length ?? 0) > 0, error.message);
  assert.match(error.residue?.left.join() ?? "", /is still mapped/);
  assert.ok(window.liveBytes > 0n);
  agree(program, window);
});

test("what the program does in between is its own: unmaps stay, and a window that closes ends it", async () => {
  const { program, window, requests, va } = manyMaps();
  let calls = 0;
  const busy = await rejection(
    "ERR_ALREADY_LIVE",
    window.mapManyAsync([...requests, { va: va + 10n * PAGE, length: PAGE, iova: 0n }], {
      onProgress() {
        if (calls++ === 0) window.unmap({ iova: window.iovaOf(va + 5n * PAGE), length: PAGE });
      },
    }),
  );
  assert.is(busy.residue, undefined);
  assert.is(window.liveBytes, 0n);
  const closed = window.mapManyAsync(requests, {
    onProgress: ({ done }) => {
      if (done === 1024n * PAGE) window.close();
    },
  });
  await rejection("ERR_CLOSED", closed);
  assert.equal(program.seen.windows.length, 0);
});

test("what onProgress throws ends it as an abort does", async () => {
  const { program, window, requests } = manyMaps();
  const before = program.model.hash();
  const error = new Error("the program's own");
  const thrown = await window
    .mapManyAsync(requests, {
      onProgress() {
        throw error;
      },
    })
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  assert.is(thrown, error);
  assert.is(program.model.hash(), before);
});

test("options that cannot be are refused, with nothing done", async () => {
  const { program, window, requests } = manyMaps(3);
  const calls = program.kernel.calls;
  for (const [options, words] of [
    [{ signal: {} }, /signal must be an AbortSignal/],
    [{ signal: null }, /signal must be/],
    [{ onProgress: 5 }, /onProgress must be a function/],
    [{ onprogress: () => {} }, /did you mean "onProgress"/],
    [5, /options must be an object/],
  ] as const) {
    const error = await rejection("ERR_INVALID_ARG_TYPE", window.mapManyAsync(requests, options as never));
    assert.match(error.message, words);
  }
  await rejection("ERR_INVALID_ARG_TYPE", window.mapManyAsync({} as never));
  await rejection("ERR_INVALID_ARG_TYPE", window.mapManyAsync([undefined as never]));
  assert.is(program.kernel.calls, calls);
});

/** A memory of hugepages, attached. */
function hugepages(options = {}) {
  const program = new Program(options);
  const memory = program.memory();
  const list = memory.addList({ pageSize: HUGE, maxBytes: 512n * MiB });
  const window = program.window(1024n * MiB, { memory, pageSize: HUGE });
  used(program, window);
  program.container.attach(memory, window);
  return { program, memory, list, window };
}

test("hugepages come a part at a time, and are one segment, mapped where the memory is", async () => {
  const { program, memory, list, window } = hugepages();
  const told: number[] = [];
  const turns = await turnsIn(async () => {
    const segment = await memory.allocateAsync(list, 80, { onProgress: ({ done }) => told.push(Number(done / MiB)) });
    assert.is(segment.length, 160n * MiB);
    assert.equal(
      [...memory.memsegs()].map(({ length }) => length),
      [160n * MiB],
    );
    assert.is(segment.iova(window), window.iovaOf(list.base));
    segment.write(160n * MiB - 4n, Uint8Array.of(1, 2, 3, 4));
    memory.free(segment);
  });
  assert.equal(told, [64, 128, 160]);
  assert.ok(turns >= 3);
  program.container.close();
  memory.close();
  assert.equal(program.model.leaks(), []);
});

test("nobody gets the room meanwhile, and what is allocated in between lies beside it", async () => {
  const { memory, list } = hugepages();
  let beside = memory.allocate(list, 1);
  memory.free(beside);
  const segment = await memory.allocateAsync(list, 80, {
    onProgress({ done }) {
      if (done === 64n * MiB) beside = memory.allocate(list, 2);
    },
  });
  assert.is(segment.va, list.base);
  assert.is(beside.va, list.base + 160n * MiB);
  const [one, two] = await Promise.all([memory.allocateAsync(list, 40), memory.allocateAsync(list, 40)]);
  assert.is.not(one?.va, two?.va);
  memory.free(segment);
  assert.is((await memory.allocateAsync(list, 80)).va, list.base, "the room is free again");
});

test("an abort, or a page that cannot be had, gives all pages back", async () => {
  for (const populates of [true, false]) {
    const program = new Program();
    const kernel = populates ? program.kernel : hiding(program.kernel, ["populate"]);
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: HUGE, maxBytes: 512n * MiB });
    const before = program.model.hash();
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const error = await rejection(
      "ERR_ABORTED",
      memory.allocateAsync(list, 100, { signal: controller.signal, onProgress }),
    );
    assert.equal(error.facts, { operation: "memory.allocateAsync", done: 64n * MiB, total: 200n * MiB });
    assert.is(error.residue, undefined);
    assert.is(program.model.hash(), before);
    program.kernel.fail({ call: "mmap", nth: 2, answer: -12 });
    await rejection("ERR_KERNEL", memory.allocateAsync(list, 100));
    program.kernel.heal();
    assert.is(program.model.hash(), before);
    assert.is((await memory.allocateAsync(list, 100)).va, list.base);
  }
});

test("a map that fails in the end gives them back too", async () => {
  const { program, memory, list } = hugepages();
  const before = program.model.hash();
  program.kernel.fail({ call: "VFIO_IOMMU_MAP_DMA", answer: -12 });
  await rejection("ERR_KERNEL", memory.allocateAsync(list, 40));
  assert.is(program.model.hash(), before);
});

test("a list, or a table, that goes meanwhile ends it, and its addresses go then", async () => {
  for (const end of ["removeList", "close"] as const) {
    const program = new Program();
    const memory = program.memory();
    const list = memory.addList({ pageSize: HUGE, maxBytes: 512n * MiB });
    const onProgress = () => (end === "close" ? memory.close() : memory.removeList(list));
    await rejection(end === "close" ? "ERR_CLOSED" : "ERR_NOT_FOUND", memory.allocateAsync(list, 100, { onProgress }));
    memory.close();
    program.container.close();
    assert.equal(program.model.leaks(), []);
  }
});

test("what allocate refuses is refused by a promise, with nothing done", async () => {
  const { program, memory, list } = hugepages();
  const calls = program.kernel.calls;
  await rejection("ERR_OUT_OF_RANGE", memory.allocateAsync(list, 0));
  await rejection("ERR_NOT_FOUND", memory.allocateAsync({ ...list }, 1));
  await rejection("ERR_LIST_FULL", memory.allocateAsync(list, 300));
  await rejection("ERR_INVALID_ARG_TYPE", memory.allocateAsync(list, 1, { signal: 1 as never }));
  assert.is(program.kernel.calls, calls);
});

test.run();
