/** A memory that is attached in steps: what comes, goes and fails in between, wherever IOVAs come from. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DmaHeap } from "../../src/heap/heap.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { MiB, Program } from "../support/program.ts";
import { rejection, turnsIn, used } from "./long.ts";

const PAGE = 4096n;

type Mode = "rebased" | "pa";

/** Where the memory's pages lie, if it is asked: no two neighbours follow each other. */
const physical = (va: bigint, pages: number) =>
  Array.from({ length: pages }, (_, i) => (((va / PAGE + BigInt(i)) ^ 1n) % 8192n) * PAGE);

/** A memory of many segments, and a window that it fits in. */
function large(iovaMode: Mode, count = 2500) {
  const program = new Program();
  const memory = new MemsegTable({ kernel: program.kernel, ...(iovaMode === "pa" ? { physical } : {}) });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 32n * MiB });
  const segments = Array.from({ length: count }, () => memory.allocate(list, 1));
  const window = program.window(64n * MiB, { memory, iovaMode });
  used(program, window);
  return { program, memory, list, window, segments };
}

const mappedIn = (window: { translate(va: bigint): bigint | undefined }, segments: readonly { va: bigint }[]) =>
  segments.filter(({ va }) => window.translate(va) !== undefined).length;

for (const iovaMode of ["rebased", "pa"] as const) {
  const attaching = suite(`attaching in steps, IOVA mode ${iovaMode}`);

  attaching("a memory is attached in steps, and then as attach does it", async () => {
    const { program, memory, window, segments, list } = large(iovaMode);
    const told: number[] = [];
    const turns = await turnsIn(() =>
      program.container.attachAsync(memory, window, { onProgress: ({ done }) => told.push(Number(done / PAGE)) }),
    );
    assert.equal(told, [1024, 2048, 2500]);
    assert.ok(turns >= 3);
    assert.is(mappedIn(window, segments), 2500);
    agree(program, window);
    failure("ERR_ATTACHED", () => program.container.attach(memory, window));
    const later = memory.allocate(list, 1);
    assert.is(
      later.iova(window),
      iovaMode === "pa" ? memory.translate(later.va) : BigInt.asUintN(64, later.va + window.iovaOffset(list)),
    );
    program.container.detach(memory);
    assert.is(window.liveBytes, 0n);
  });

  attaching("memory that comes and goes meanwhile is mapped and unmapped, wherever it lies", async () => {
    const { program, memory, list, window, segments } = large(iovaMode);
    const [first, last] = [segments[3], segments[2400]];
    let added: { va: bigint }[] = [];
    await program.container.attachAsync(memory, window, {
      onProgress({ done }) {
        if (done !== 1024n * PAGE || first === undefined || last === undefined) return;
        memory.free(first);
        memory.free(last);
        added = [memory.allocate(list, 1), memory.allocate(list, 1), memory.allocate(list, 2)];
        const more = memory.addList({ pageSize: PAGE, maxBytes: MiB });
        added.push(memory.allocate(more, 1));
      },
    });
    const live = segments.filter(({ freed }) => !freed);
    assert.is(live.length, 2498);
    assert.is(mappedIn(window, [...live, ...added]), 2498 + 4);
    agree(program, window);
  });

  attaching("an abort of attaching unmaps all, in steps, and the memory can be attached again", async () => {
    const { program, memory, list, window, segments } = large(iovaMode);
    const before = program.model.hash();
    const controller = new AbortController();
    const aborted = program.container.attachAsync(memory, window, {
      signal: controller.signal,
      onProgress: ({ done }) => done === 2048n * PAGE && controller.abort(),
    });
    const error = await rejection("ERR_ABORTED", aborted);
    assert.is(error.residue, undefined);
    assert.is(program.model.hash(), before);
    assert.equal(memory.mapped, []);
    const more = memory.allocate(list, 1);
    assert.is(window.translate(more.va), undefined);
    program.container.attach(memory, window);
    assert.is(mappedIn(window, segments), 2500);
  });

  attaching("a step that fails undoes those before it, and says which memory it was", async () => {
    const { program, memory, window } = large(iovaMode);
    const before = program.model.hash();
    program.kernel.fail({ call: "VFIO_IOMMU_MAP_DMA", nth: 1500, answer: -12 });
    const error = await rejection("ERR_KERNEL", program.container.attachAsync(memory, window));
    assert.is(error.facts?.index, 1500);
    assert.ok(error.facts?.segment);
    assert.is(program.model.hash(), before);
    program.kernel.fail(
      { call: "VFIO_IOMMU_MAP_DMA", nth: 1500, answer: -12 },
      { call: "VFIO_IOMMU_UNMAP_DMA", nth: 500, times: 100_000, answer: -22 },
    );
    const left = await rejection("ERR_KERNEL", program.container.attachAsync(memory, window));
    assert.ok((left.residue?.left.length ?? 0) > 0);
    program.kernel.heal();
    agree(program, window);
    assert.equal(memory.mapped, []);
    program.container.close();
    memory.close();
    assert.equal(program.model.leaks(), []);
  });

  attaching("whoever detaches it, or closes its window or container, ends attaching", async () => {
    for (const end of ["detach", "window", "container"] as const) {
      const { program, memory, window } = large(iovaMode);
      const { container } = program;
      const attaching = container.attachAsync(memory, window, {
        onProgress({ done }) {
          if (done !== 1024n * PAGE) return;
          if (end === "detach") container.detach(memory);
          else (end === "window" ? window : container).close();
        },
      });
      const error = await rejection("ERR_NOT_ATTACHED", attaching);
      assert.is(error.residue, undefined, end);
      if (end === "detach") assert.is(window.liveBytes, 0n);
      container.close();
      memory.close();
      assert.equal(program.model.leaks(), [], end);
    }
  });

  attaching("no heap stands on a memory that is being attached", async () => {
    const { program, memory, list, window } = large(iovaMode);
    let refused: unknown;
    await program.container.attachAsync(memory, window, {
      onProgress({ done }) {
        if (done !== 1024n * PAGE) return;
        refused = failure("ERR_NOT_ATTACHED", () => new DmaHeap({ memory, list, window }));
      },
    });
    assert.ok(refused);
    new DmaHeap({ memory, list, window }).close();
  });

  attaching("what attach refuses is refused by a promise, with nothing done", async () => {
    const { program, memory, window } = large(iovaMode, 3);
    const { container } = program;
    const calls = program.kernel.calls;
    await rejection("ERR_INVALID_ARG_TYPE", container.attachAsync({} as never, window));
    await rejection("ERR_INVALID_ARG_TYPE", container.attachAsync(memory, {} as never));
    await rejection("ERR_INVALID_ARG_TYPE", container.attachAsync(memory, window, { progress: 1 } as never));
    await rejection("ERR_ABORTED", container.attachAsync(memory, window, { signal: AbortSignal.abort() }));
    assert.is(program.kernel.calls, calls);
    assert.equal(memory.mapped, []);
    await container.attachAsync(memory);
    await rejection("ERR_ATTACHED", container.attachAsync(memory, window));
  });

  attaching.run();
}

const beside = suite("attaching in steps, beside the program's own maps of the same memory");

/** The program maps a page of the memory itself: where that lies there is one IOVA for it. */
function ownMap({ memory, window }: ReturnType<typeof large>, { va }: { readonly va: bigint }): bigint {
  return window.map({ va, length: PAGE, iova: memory.translate(va) as bigint });
}

beside("is refused as attach refuses it, and the program's map stays, also one that is made meanwhile", async () => {
  for (const meanwhile of [false, true]) {
    const all = large("pa");
    const { program, memory, window, segments } = all;
    const own = segments[2200] as (typeof segments)[number];
    let iova = meanwhile ? 0n : ownMap(all, own);
    const before = meanwhile ? undefined : failure("ERR_ALREADY_LIVE", () => program.container.attach(memory, window));
    const error = await rejection(
      "ERR_ALREADY_LIVE",
      program.container.attachAsync(memory, window, {
        onProgress({ done }) {
          if (meanwhile && done === 1024n * PAGE) iova = ownMap(all, own);
        },
      }),
    );
    if (before !== undefined) assert.is(error.message, before.message);
    assert.is(error.residue, undefined);
    assert.equal([...window.maps()], [{ va: own.va, iova, length: PAGE }]);
    agree(program, window);
    window.unmap({ iova, length: PAGE });
    program.container.attach(memory, window);
    assert.is(mappedIn(window, segments), 2500);
  }
});

beside("leaves the program's map where it is ended: by an abort, by detach, by whatever fails", async () => {
  for (const end of ["abort", "detach", "fail"] as const) {
    const all = large("pa");
    const { program, memory, window, segments } = all;
    const own = segments[2200] as (typeof segments)[number];
    const iova = ownMap(all, own);
    const controller = new AbortController();
    if (end === "fail") program.kernel.fail({ call: "VFIO_IOMMU_MAP_DMA", nth: 1500, answer: -12 });
    await rejection(
      { abort: "ERR_ABORTED", detach: "ERR_NOT_ATTACHED", fail: "ERR_KERNEL" }[end],
      program.container.attachAsync(memory, window, {
        signal: controller.signal,
        onProgress({ done }) {
          if (done !== 1024n * PAGE) return;
          if (end === "abort") controller.abort();
          if (end === "detach") program.container.detach(memory);
        },
      }),
    );
    assert.equal([...window.maps()], [{ va: own.va, iova, length: PAGE }], end);
    agree(program, window);
    window.unmap({ iova, length: PAGE });
    program.container.attach(memory, window);
    assert.is(mappedIn(window, segments), 2500, end);
  }
});

beside("leaves it where memory that is not mapped yet is freed, and where it comes again", async () => {
  const all = large("pa");
  const { program, memory, list, window, segments } = all;
  const [freed, again] = [segments[2300], segments[2400]] as [(typeof segments)[number], (typeof segments)[number]];
  const iova = ownMap(all, freed);
  await program.container.attachAsync(memory, window, {
    onProgress({ done }) {
      if (done !== 1024n * PAGE) return;
      memory.free(freed);
      assert.is(window.translate(freed.va), iova, "it is the program's");
      window.unmap({ iova, length: PAGE });
      memory.free(again);
      assert.is(memory.allocate(list, 1).va, freed.va);
    },
  });
  assert.is(
    mappedIn(
      window,
      segments.filter((one) => one !== again),
    ),
    2499,
  );
  agree(program, window);
  program.container.detach(memory);
  assert.is(window.liveBytes, 0n);
});

beside("leaves it where memory comes that cannot be mapped for it, and when that is tried again", async () => {
  const { program, memory, list, window } = large("pa", 3);
  await program.container.attachAsync(memory, window);
  const next = memory.allocate(list, 1);
  const iova = memory.translate(next.va) as bigint;
  memory.free(next);
  const va = program.allocate(PAGE);
  window.map({ va, length: PAGE, iova });
  failure("ERR_ALREADY_LIVE", () => memory.allocate(list, 1));
  failure("ERR_ALREADY_LIVE", () => memory.allocate(list, 1));
  assert.is(window.translate(va), iova);
  agree(program, window);
  program.container.detach(memory);
  assert.equal([...window.maps()], [{ va, iova, length: PAGE }]);
});

beside("leaves it where the memory itself comes, and the program has it there already", async () => {
  const { program, memory, window } = large("pa", 3);
  await program.container.attachAsync(memory, window);
  const [va, iova] = [program.allocate(2n * PAGE), 9000n * PAGE];
  const list = memory.addList({ pageSize: PAGE, maxBytes: 2n * PAGE, base: va, external: true, heap: true });
  window.map({ va, length: PAGE, iova });
  const before = [...window.maps()];
  for (let i = 0; i < 2; i++) failure("ERR_ALREADY_LIVE", () => memory.add(list, { va, length: PAGE, iova }));
  memory.add(list, { va: va + PAGE, length: PAGE, iova: 9001n * PAGE });
  memory.remove(va + PAGE);
  assert.equal([...window.maps()], before);
  agree(program, window);
});

beside.run();
