import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { planWindow } from "../../src/plan/index.ts";
import { agree } from "../support/agreement.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { GiB, HIGH, KiB, MiB, Program, ready } from "../support/program.ts";

const PAGE = 4096n;

/** A program with a table and a list of 16 pages in it, not attached. */
function made() {
  const { program, window } = ready();
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: 16n * PAGE });
  program.record.take();
  return { program, window, memory, list, container: program.container };
}

const mapsOf = (window: Window) => [...window.maps()];

test("attaching maps what is there; from then on what comes is mapped, and what goes is unmapped first", () => {
  const { program, window, memory, list, container } = made();
  const before = memory.allocate(list, 2);
  program.record.take();
  container.attach(memory);
  assert.equal(program.record.takeNames(), ["REGISTER_MEMORY", "MAP_DMA"]);
  assert.is(window.iovaOf(before.va), 0n);

  const after = memory.allocate(list, 1);
  assert.equal(program.record.takeNames(), ["mmap", "REGISTER_MEMORY", "MAP_DMA"]);
  assert.is(window.iovaOf(after.va), 2n * PAGE);
  agree(program, window);

  memory.free(before);
  assert.equal(program.record.takeNames(), ["UNMAP_DMA", "UNREGISTER_MEMORY", "mmap"]);
  assert.is(window.translate(before.va), undefined);
  agree(program, window);

  container.detach(memory);
  assert.equal(program.record.takeNames(), ["UNMAP_DMA", "UNREGISTER_MEMORY"]);
  assert.equal(mapsOf(window), []);
  memory.free(after);
  assert.equal(program.record.takeNames(), ["mmap"]);
});

test("rebased: contiguous memory is contiguous for the device, in whatever order its pages came", () => {
  const { window, memory, list, container } = made();
  container.attach(memory);
  const segments = [1, 2, 1].map((pages) => memory.allocate(list, pages));
  memory.free(segments[1] as never);
  memory.allocate(list, 2);
  assert.equal(mapsOf(window), [{ va: list.base, iova: 0n, length: 4n * PAGE }]);
});

test("what is freed leaves its IOVAs to the same memory, and to nothing else", () => {
  const { program, window, memory, list, container } = made();
  container.attach(memory);
  const segment = memory.allocate(list, 4);
  const iova = window.iovaOf(segment.va);
  memory.free(segment);
  const va = program.allocate(PAGE);
  assert.is(window.map({ va, length: PAGE }), 16n * PAGE, "a map of the program's goes behind the list's IOVAs");
  failure("ERR_RESERVED", () => window.map({ va: program.allocate(PAGE), length: PAGE, iova }));
  assert.is(window.iovaOf(memory.allocate(list, 4).va), iova);
  agree(program, window);
});

test("the program cannot unmap what belongs to an attached memory", () => {
  const { program, window, memory, list, container } = made();
  container.attach(memory);
  const segment = memory.allocate(list, 1);
  const error = failure("ERR_RESERVED", () => window.unmap({ iova: window.iovaOf(segment.va), length: PAGE }));
  assert.match(error.message, "allocate and free, or detach");
  agree(program, window);
});

test("lists are placed at a multiple of their page size, and a new list gets room when it comes", () => {
  const { program, window, memory, container } = made();
  container.attach(memory);
  const huge = memory.addList({ pageSize: 2n * MiB, maxBytes: 4n * MiB });
  assert.is(window.iovaOf(memory.allocate(huge, 1).va), 2n * MiB);
  const small = memory.addList({ pageSize: PAGE, maxBytes: MiB });
  assert.is(window.iovaOf(memory.allocate(small, 1).va), 16n * PAGE);
  assert.is(window.largestHole, 10n * MiB);
  agree(program, window);
});

test("a removed list gives its IOVAs back", () => {
  const { window, memory, list, container } = made();
  container.attach(memory);
  const other = memory.addList({ pageSize: PAGE, maxBytes: 8n * MiB });
  assert.is(window.largestHole, 8n * MiB - 16n * PAGE);
  memory.removeList(other);
  memory.removeList(list);
  assert.is(window.largestHole, 16n * MiB);
});

test("a window at 1 << 59: memory is rebased into it", () => {
  const program = new Program({ platform: "pseries", pageSize: 65536 });
  const memory = program.memory();
  const list = memory.addList({ pageSize: 64n * KiB, maxBytes: 4n * GiB });
  const plan = planWindow({ memory, info: program.container.info() });
  assert.is(plan.start, HIGH);
  const window = program.container.createWindow(plan);
  program.container.attach(memory);
  assert.is(window.largestHole, 0n, "the window is exactly as large as the memory can become");
  const segment = memory.allocate(list, 3);
  assert.is(window.iovaOf(segment.va + 5n), HIGH + 5n);
  agree(program, window);
});

test("the plan for a memory holds all its lists, and attaching uses no more than was planned", () => {
  const program = new Program({ pageSize: 65536 });
  const memory = program.memory();
  const sizes: readonly (readonly [bigint, bigint])[] = [
    [64n * KiB, 64n * KiB],
    [2n * MiB, 6n * MiB],
    [64n * KiB, MiB + 64n * KiB],
    [16n * MiB, 32n * MiB],
  ];
  const lists = sizes.map(([pageSize, maxBytes]) => memory.addList({ pageSize, maxBytes }));
  const plan = planWindow({ memory, info: program.container.info() });
  const window = program.container.createWindow(plan);
  program.container.attach(memory);
  for (const list of lists) {
    const segment = memory.allocate(list, Number(list.length / list.pageSize));
    assert.is(window.iovaOf(segment.va) % list.pageSize, 0n);
  }
  const reached = mapsOf(window).map(({ iova, length }) => iova + length);
  assert.ok(reached.every((end) => end <= plan.needed));
  agree(program, window);
});

test("va: lists are mapped where they are", () => {
  const { program } = ready();
  program.container.windows[0]?.close();
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, near: 64n * MiB });
  const window = program.window(128n * MiB, { iovaMode: "va" });
  program.container.attach(memory);
  const segment = memory.allocate(list, 2);
  assert.is(window.iovaOf(segment.va), segment.va);
  agree(program, window);
});

test("external memory is its owner's to map, unless it is a heap", () => {
  const { program, window, memory, container } = made();
  const va = program.allocate(16n * PAGE);
  const external = memory.addList({ pageSize: PAGE, maxBytes: 8n * PAGE, base: va, external: true });
  const heap = memory.addList({
    pageSize: PAGE,
    maxBytes: 8n * PAGE,
    base: va + 8n * PAGE,
    external: true,
    heap: true,
  });
  container.attach(memory);
  memory.add(external, { va, length: PAGE });
  memory.add(heap, { va: va + 8n * PAGE, length: PAGE });
  assert.is(window.translate(va), undefined);
  assert.is(window.translate(va + 8n * PAGE), 16n * PAGE);
  // Its owner maps it where nothing is set aside.
  assert.is(window.map({ va, length: PAGE }), 24n * PAGE);
  memory.remove(va);
  assert.is(window.translate(va), 24n * PAGE, "removing external memory unmaps nothing of its owner's");
  agree(program, window);
});

test("external memory is not mapped either when it states an IOVA", () => {
  const { program, window, memory, container } = made();
  const va = program.allocate(PAGE);
  const external = memory.addList({ pageSize: PAGE, maxBytes: PAGE, base: va, external: true });
  memory.add(external, { va, length: PAGE, iova: MiB });
  container.attach(memory);
  memory.remove(va);
  memory.add(external, { va, length: PAGE, iova: MiB });
  assert.equal(mapsOf(window), []);
});

test("IOVAs of a removed list that another memory has by now stay that memory's", () => {
  const { program, window, memory, container } = made();
  const gone = memory.addList({ pageSize: PAGE, maxBytes: MiB });
  container.attach(memory);
  memory.removeList(gone);
  const other = program.memory();
  const list = other.addList({ pageSize: PAGE, maxBytes: MiB });
  container.attach(other);
  const iova = window.iovaOf(other.allocate(list, 1).va);
  container.detach(memory);
  failure("ERR_RESERVED", () => window.map({ va: program.allocate(PAGE), length: PAGE, iova: iova + PAGE }));
  agree(program, window);
});

test("memory that the program adds and removes is mapped and unmapped with the table", () => {
  const { program, window, memory, container } = made();
  const va = program.allocate(4n * PAGE);
  const list = memory.addList({ pageSize: PAGE, maxBytes: 4n * PAGE, base: va });
  container.attach(memory);
  memory.add(list, { va: va + PAGE, length: 2n * PAGE });
  assert.is(window.iovaOf(va + PAGE), 17n * PAGE);
  agree(program, window);
  memory.remove(va + PAGE);
  assert.equal(mapsOf(window), []);
  agree(program, window);
});

test("a list that does not fit is refused with the numbers, when it is added and when it is attached", () => {
  const { program, window, memory, container } = made();
  container.attach(memory);
  const added = failure("ERR_NO_HOLE", () => memory.addList({ pageSize: PAGE, maxBytes: 16n * MiB }));
  assert.match(added.message, "no room for a list of 16 MiB");
  assert.match(added.message, `its largest hole has ${16n * MiB - 16n * PAGE} bytes`);
  assert.match(added.message, "growTo");
  assert.is(memory.lists.length, 1);
  assert.is(window.largestHole, 16n * MiB - 16n * PAGE);

  const large = program.memory();
  large.addList({ pageSize: PAGE, maxBytes: MiB });
  large.addList({ pageSize: PAGE, maxBytes: 16n * MiB });
  failure("ERR_NO_HOLE", () => container.attach(large));
  assert.is(window.largestHole, 16n * MiB - 16n * PAGE, "nothing is set aside for the list that would have fitted");
  // It is not attached: it goes without the container.
  large.close();
});

test("va: a list outside the window is refused with both ranges", () => {
  const { program } = ready();
  program.container.windows[0]?.close();
  const memory = program.memory();
  program.window(64n * MiB, { iovaMode: "va" });
  program.container.attach(memory);
  const error = failure("ERR_OUTSIDE_WINDOW", () => memory.addList({ pageSize: PAGE, maxBytes: MiB, near: 64n * MiB }));
  assert.match(error.message, "0x4000000-0x40fffff: the window is 0x0-0x3ffffff");
  assert.equal(memory.lists, []);
  assert.is(program.model.mmap(64n * MiB, MiB, 0, 2, 0), 64n * MiB, "its address space was given back");
});

test("a memory is attached once, and detached as often as wanted", () => {
  const { memory, container } = made();
  container.attach(memory);
  failure("ERR_ATTACHED", () => container.attach(memory));
  container.detach(memory);
  container.detach(memory);
  container.attach(memory);
});

test("a table cannot be closed while it is attached, and can when its container is gone", () => {
  const { program, memory, list, container } = made();
  container.attach(memory);
  memory.allocate(list, 1);
  failure("ERR_ATTACHED", () => memory.close());
  container.close();
  assert.equal(program.model.leaks(), []);
  memory.allocate(list, 1);
  memory.close();
});

test("closing the window detaches its memory: unmapped first, and the table goes on without it", () => {
  const { program, window, memory, list, container } = made();
  container.attach(memory);
  const segment = memory.allocate(list, 2);
  program.record.take();
  window.close();
  assert.equal(program.record.takeNames(), ["UNMAP_DMA", "UNREGISTER_MEMORY", "TCE_REMOVE"]);
  memory.free(segment);
  assert.equal(program.record.takeNames(), ["mmap"]);
  const next = program.window(16n * MiB);
  container.attach(memory);
  assert.is(next.iovaOf(memory.allocate(list, 1).va), 0n);
});

test("with several windows the one that is meant is named", () => {
  const { program, window, memory, list, container } = made();
  const second = program.window(16n * MiB);
  failure("ERR_WHICH_WINDOW", () => container.attach(memory));
  container.attach(memory, second);
  const segment = memory.allocate(list, 1);
  assert.equal([window.translate(segment.va), second.translate(segment.va)], [undefined, HIGH]);
  agree(program, second);
});

test("what cannot be attached, or attached to, is refused", () => {
  const { window, memory, container } = made();
  for (const [, value] of badValues()) {
    refusesArgument(() => container.attach(value as never));
    refusesArgument(() => container.detach(value as never));
    if (value !== undefined) refusesArgument(() => container.attach(memory, value as never));
  }
  const other = made();
  failure("ERR_CLOSED", () => container.attach(memory, other.window));
  const gone = new MemsegTable();
  gone.close();
  failure("ERR_CLOSED", () => container.attach(gone));
  window.close();
  failure("ERR_CLOSED", () => container.attach(memory, window));
  failure("ERR_NO_WINDOW", () => container.attach(memory));
  container.close();
  failure("ERR_CLOSED", () => container.attach(memory));
  failure("ERR_CLOSED", () => container.detach(memory));
});

test("more memsegs than go to the kernel at a time are all mapped, and all unmapped", () => {
  const program = new Program();
  const window = program.window(64n * MiB);
  const va = program.allocate(10_000n * PAGE);
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: 10_000n * PAGE, base: va });
  for (let i = 0n; i < 5000n; i++) memory.add(list, { va: va + 2n * i * PAGE, length: PAGE });
  program.container.attach(memory);
  assert.is(window.liveBytes, 5000n * PAGE);
  assert.is(window.iovaOf(va + 9998n * PAGE), 9998n * PAGE);
  program.container.detach(memory);
  assert.is(window.liveBytes, 0n);
  assert.equal(program.seen.registrations, []);
});

test("what only passes for a memory or a window is refused as an argument", () => {
  const { program, window } = ready();
  const memory = program.memory();
  const { container } = program;
  for (const imitation of [new Proxy(memory, {}), Object.create(MemsegTable.prototype) as MemsegTable]) {
    for (const run of [() => container.attach(imitation), () => container.detach(imitation)]) {
      const error = refusesArgument(run);
      assert.instance(error, TypeError);
      assert.match(error.message, "memory must be a MemsegTable itself; got a Proxy of one");
    }
  }
  assert.match(refusesArgument(() => container.attach(memory, new Proxy(window, {}))).message, "a Window itself");
  container.attach(memory, window);
});

test.run();
