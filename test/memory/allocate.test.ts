import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument, thrownBy } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { GiB, MiB } from "../support/program.ts";
import { recording } from "../support/recording.ts";

const PAGE = 4096n;

function table(pageSize = PAGE, maxBytes = 16n * pageSize, options: ModelOptions = {}) {
  const record = recording(modelKernel(options));
  const kernel = faulty(record);
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize, maxBytes });
  record.take();
  return { kernel, record, memory, list };
}

test("allocated pages are memory that can be written, in the list, one memseg", () => {
  const { memory, list } = table();
  const segment = memory.allocate(list, 3);
  assert.equal([segment.va, segment.length, segment.list, segment.freed], [list.base, 3n * PAGE, list, false]);
  assert.is(segment.bytes.length, 3 * 4096);
  segment.bytes.fill(7);
  assert.is(segment.bytes.at(-1), 7);
  assert.is(segment.bytes, segment.bytes);
  assert.equal([...memory.memsegs()], [{ va: segment.va, length: 3n * PAGE, list }]);
  assert.equal([memory.bytes, memory.size], [3n * PAGE, 1]);
});

test("the lowest pages in a row that are free are taken", () => {
  const { memory, list } = table();
  const [a, b, c] = [memory.allocate(list, 2), memory.allocate(list, 2), memory.allocate(list, 2)];
  assert.equal(
    [a.va, b.va, c.va],
    [0n, 2n, 4n].map((page) => list.base + page * PAGE),
  );
  memory.free(b);
  assert.is(memory.allocate(list, 3).va, list.base + 6n * PAGE);
  assert.is(memory.allocate(list, 1).va, list.base + 2n * PAGE);
});

test("hugepages come from the pool, and go back to it", () => {
  const { memory, list, record } = table(2n * MiB, 8n * MiB, { hugepages: { 21: 2 } });
  const segment = memory.allocate(list, 2);
  const [mmap] = record.take();
  assert.equal([mmap?.call, mmap?.va, mmap?.length], ["mmap", list.base, 4n * MiB]);
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 1));
  assert.equal([error.errno, error.syscall], [no.ENOMEM, "mmap"]);
  assert.match(error.message, "nr_hugepages");
  assert.equal([memory.size, memory.bytes], [1, 4n * MiB]);
  memory.free(segment);
  assert.is(memory.allocate(list, 2).va, list.base);
});

test("after hugepages ran out the address space is still kept, and nobody else gets it", () => {
  const { memory, list, kernel } = table(2n * MiB, 8n * MiB, { hugepages: { 21: 0 } });
  failure("ERR_KERNEL", () => memory.allocate(list, 1));
  assert.is(kernel.mmap(list.base, 2n * MiB, 0, 2, 0), BigInt(no.EEXIST));
});

test("a list that is full says so, also when it is only in pieces", () => {
  const { memory, list, record } = table(PAGE, 4n * PAGE);
  const segments = [1, 1, 1, 1].map((pages) => memory.allocate(list, pages));
  failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
  memory.free(segments[0] as never);
  memory.free(segments[2] as never);
  record.take();
  const error = failure("ERR_LIST_FULL", () => memory.allocate(list, 2));
  assert.match(error.message, "no 2 pages of 4 KiB in a row free");
  failure("ERR_LIST_FULL", () => memory.allocate(list, 2 ** 53 - 1));
  assert.equal(record.calls, []);
  assert.is(memory.allocate(list, 1).va, list.base);
});

/** Notes when views end among the other calls, which do not come before it. */
function endingViews({ kernel, record }: Pick<ReturnType<typeof table>, "kernel" | "record">): string[] {
  const order: string[] = [];
  const unview = kernel.unview.bind(kernel);
  kernel.unview = (view) => {
    unview(view);
    order.push(...record.takeNames(), "unview");
  };
  return order;
}

test("a freed segment's bytes are gone before its memory is, and its address space is kept", () => {
  const made = table();
  const { memory, list, kernel, record } = made;
  const order = endingViews(made);
  const segment = memory.allocate(list, 2);
  const { bytes } = segment;
  assert.is(bytes.length, 8192);
  record.take();
  memory.free(segment);
  assert.equal([...order, ...record.takeNames()], ["unview", "mmap"]);
  assert.is(bytes.length, 0);
  assert.is(segment.freed, true);
  failure("ERR_FREED", () => segment.bytes);
  assert.is(kernel.mmap(segment.va, PAGE, 0, 2, 0), BigInt(no.EEXIST));
  assert.equal([memory.size, memory.bytes, memory.find(segment.va)], [0, 0n, undefined]);
});

test("a freed segment's memory is no memory any more", () => {
  const { memory, list, kernel } = table();
  const segment = memory.allocate(list, 2);
  memory.free(segment);
  assert.throws(() => kernel.view(segment.va, PAGE), /readable and writable/);
});

test("what comes back at the same address is new memory, zeroed", () => {
  const { memory, list } = table();
  const first = memory.allocate(list, 1);
  first.bytes.fill(9);
  memory.free(first);
  const second = memory.allocate(list, 1);
  assert.is(second.va, first.va);
  assert.ok(second.bytes.every((byte) => byte === 0));
});

test("freeing twice is refused, and so is what is no segment of this table", () => {
  const { memory, list } = table();
  const other = table();
  const foreign = other.memory.allocate(other.list, 1);
  const segment = memory.allocate(list, 1);
  assert.is(thrownBy(() => memory.free(foreign)).code, "ERR_INVALID_ARG_TYPE");
  for (const [, value] of badValues()) refusesArgument(() => memory.free(value as never));
  refusesArgument(() => memory.free({ ...segment } as never));
  memory.free(segment);
  failure("ERR_FREED", () => memory.free(segment));
  assert.is(foreign.freed, false);
});

test("the memory of a segment cannot be removed behind its back", () => {
  const { memory, list } = table();
  const segment = memory.allocate(list, 2);
  for (const va of [segment.va, segment.va + PAGE]) failure("ERR_SEGMENT", () => memory.remove(va));
  assert.is(memory.size, 1);
  memory.free(segment);
});

test("only lists of the table's own can be allocated from", () => {
  const { memory, record } = table();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: GiB });
  assert.is(thrownBy(() => memory.allocate(list, 1)).code, "ERR_INVALID_ARG_TYPE");
  assert.equal(record.calls, []);
});

test("bad numbers of pages are refused before the kernel is asked", () => {
  const { memory, list, record } = table();
  for (const [, value] of [...badValues(), ["0", 0] as const, ["1n", 1n] as const]) {
    refusesArgument(() => memory.allocate(list, value as never));
  }
  for (const [, value] of badValues("an object", "an array")) refusesArgument(() => memory.allocate(value as never, 1));
  assert.equal(record.calls, []);
});

test("no memory: nothing is allocated, and what could not be put right is in the residue", () => {
  const { memory, list, kernel } = table();
  kernel.fail({ call: "mmap", answer: no.ENOMEM });
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 2));
  assert.is(error.residue, undefined);
  assert.match(error.message, "mmap of 8 KiB in 4 KiB pages");
  assert.is(memory.size, 0);
  kernel.fail({ call: "mmap", times: 2, answer: no.ENOMEM });
  const twice = failure("ERR_KERNEL", () => memory.allocate(list, 2));
  assert.match(twice.message, "mmap of 8 KiB in 4 KiB pages");
  assert.match(twice.residue?.left[0] ?? "", "mmap of 8 KiB of address space");
  assert.is(memory.allocate(list, 2).va, list.base);
});

test("pages that the kernel does not take back: the segment is gone, and the error says what stays", () => {
  const { memory, list, kernel } = table();
  const segment = memory.allocate(list, 2);
  kernel.fail({ call: "mmap", answer: no.ENOMEM });
  const error = failure("ERR_KERNEL", () => memory.free(segment));
  assert.equal(error.residue?.left, [`8 KiB of memory at 0x${segment.va.toString(16)} are not given back`]);
  assert.equal([segment.freed, memory.size], [true, 0]);
  assert.is(memory.allocate(list, 2).va, segment.va);
});

test("closing the table ends its segments, before their memory goes", () => {
  const made = table();
  const { memory, list, kernel, record } = made;
  const order = endingViews(made);
  const segment = memory.allocate(list, 1);
  const { bytes } = segment;
  record.take();
  memory.close();
  assert.equal([...order, ...record.takeNames()], ["unview", "munmap"]);
  assert.equal([segment.freed, bytes.length], [true, 0]);
  assert.is(kernel.mmap(list.base, list.length, 0, 2, 0), list.base);
  failure("ERR_FREED", () => memory.free(segment));
});

test("the table closes at the end of the block", () => {
  const kernel = modelKernel();
  let base = 0n;
  {
    using memory = new MemsegTable({ kernel });
    base = memory.addList({ pageSize: 4096, maxBytes: MiB }).base;
  }
  assert.is(kernel.mmap(base, MiB, 0, 2, 0), base);
});

test.run();
