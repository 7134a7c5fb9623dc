/** Where a device finds a segment, and how `using` ends one. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { failure, refused } from "../support/failure.ts";
import { HIGH, MiB, Program, ready } from "../support/program.ts";

const PAGE = 4096n;

function attached(options = {}, pageSize = PAGE) {
  const program = new Program(options);
  const memory = program.memory();
  const list = memory.addList({ pageSize, maxBytes: 64n * pageSize });
  const window = program.window(64n * pageSize, { memory, pageSize });
  program.container.attach(memory, window);
  return { program, memory, list, window };
}

test("a segment is where its window has it, exact also above 2^53", () => {
  const { memory, list, window } = attached({ platform: "pseries" }, 2n * MiB);
  const [first, second] = [memory.allocate(list, 1), memory.allocate(list, 2)];
  assert.ok(first.iova(window) >= HIGH);
  assert.is(first.iova(window), window.iovaOf(first.va));
  assert.is(second.iova(window), first.iova(window) + 2n * MiB);
});

test("one that is mapped by itself is found too, in each window where it is", () => {
  const { program, window: other } = ready();
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB });
  const segment = memory.allocate(list, 2);
  const said = failure("ERR_NOT_LIVE", () => segment.iova(other));
  assert.match(said.message, "container.attach(memory, window)");
  assert.match(said.message, "window.map(segment)");
  assert.equal(said.facts, { va: segment.va, length: 2n * PAGE, start: other.start });
  other.map({ va: segment.va, length: 2n * PAGE, iova: MiB });
  assert.is(segment.iova(other), MiB);
  other.unmap({ iova: MiB + PAGE, length: PAGE });
  assert.equal(failure("ERR_NOT_LIVE", () => segment.iova(other)).facts, { va: segment.va + PAGE });
});

test("one of an external list is told of as such", () => {
  const { program, memory, window } = attached();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, external: true });
  const segment = memory.allocate(list, 1);
  const said = failure("ERR_NOT_LIVE", () => segment.iova(window));
  assert.match(said.message, "its list is external");
  assert.not.match(said.message, "attach");
  assert.ok(program.container.windows.includes(window));
});

test("one in several runs has no single IOVA, and is told how to get them", () => {
  const { program, window } = ready();
  const memory = program.memory();
  const segment = memory.allocate(memory.addList({ pageSize: PAGE, maxBytes: MiB }), 2);
  window.map({ va: segment.va, length: PAGE, iova: MiB });
  window.map({ va: segment.va + PAGE, length: PAGE, iova: 0n });
  const said = failure("ERR_NOT_CONTIGUOUS", () => segment.iova(window));
  assert.match(said.message, "window.runs(va, length)");
  assert.equal(said.facts, { va: segment.va, length: 2n * PAGE, runs: 2 });
});

test("what is no window, or has ended, is refused by its name", () => {
  const { memory, list, window } = attached();
  const segment = memory.allocate(list, 1);
  for (const wrong of [undefined, null, 26, {}, memory, segment]) {
    refused("ERR_INVALID_ARG_TYPE", () => segment.iova(wrong as never));
  }
  refused("ERR_INVALID_ARG_TYPE", () => segment.iova(new Proxy(window, {})));
  memory.free(segment);
  failure("ERR_FREED", () => segment.iova(window));
  const other = memory.allocate(list, 1);
  window.close();
  failure("ERR_CLOSED", () => other.iova(window));
});

const dispose = (object: object): void => (object as Record<symbol, () => void>)[Symbol.dispose]?.();

if (typeof Symbol.dispose === "symbol") {
  test("using frees a segment as memory.free does, once, and after its table it does nothing", () => {
    const { program, memory, list, window } = attached();
    const segment = memory.allocate(list, 2);
    const { bytes } = segment;
    dispose(segment);
    assert.ok(segment.freed);
    assert.is(bytes.length, 0);
    assert.is(window.liveBytes, 0n);
    dispose(segment);
    const last = memory.allocate(list, 1);
    program.container.close();
    memory.close();
    dispose(last);
    assert.equal(program.model.leaks(), []);
  });

  test("a segment whose unmap fails stays as it was, and can be disposed of again", () => {
    const { program, memory, list, window } = attached();
    const segment = memory.allocate(list, 2);
    program.kernel.fail({ call: "VFIO_IOMMU_UNMAP_DMA", answer: -22 });
    failure("ERR_KERNEL", () => dispose(segment));
    assert.not.ok(segment.freed);
    assert.is(window.liveBytes, 2n * PAGE);
    dispose(segment);
    assert.ok(segment.freed);
  });
}

test("a table knows that it is closed", () => {
  const table = new MemsegTable();
  assert.is(table.closed, false);
  table.close();
  assert.is(table.closed, true);
});

test.run();
