/** Lists whose pages come from one NUMA node. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel, shimAvailable } from "../../src/linux/index.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { readNodes } from "../../src/system/nodes.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refused, refusesArgument } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { recording } from "../support/recording.ts";

const MiB = 1n << 20n;
const PAGE = 2n * MiB;

function table(node: number | undefined, nodes: ModelOptions["nodes"] = [{ 21: 4 }, { 21: 4 }]) {
  const model = modelKernel({ nodes: nodes as NonNullable<typeof nodes> });
  const record = recording(model);
  const kernel = faulty(record);
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * MiB, ...(node === undefined ? {} : { node }) });
  record.take();
  const free = () => readNodes(model.files).map(({ hugepages }) => hugepages[0]?.free);
  return { model, record, kernel, memory, list, free };
}

test("pages come from the node that the list names, and go back to it", () => {
  const { memory, list, record, free } = table(1);
  assert.is(list.node, 1);
  const segment = memory.allocate(list, 3);
  assert.equal(record.takeNames(), ["mmap", "mbind"]);
  assert.equal(free(), [4, 1]);
  segment.bytes.fill(1);
  memory.free(segment);
  assert.equal(free(), [4, 4]);
  memory.allocate(list, 4);
  assert.equal(free(), [4, 0]);
  memory.close();
  assert.equal(free(), [4, 4]);
});

test("without a node nothing is bound", () => {
  const { memory, list, record, free } = table(undefined);
  assert.not("node" in list);
  memory.allocate(list, 6);
  assert.equal(record.takeNames(), ["mmap"]);
  assert.equal(free(), [0, 2]);
});

test("a node that has too few pages is refused with its numbers before the kernel is asked, whatever others have", () => {
  const { memory, list, record, free } = table(0, [{ 21: 2 }, { 21: 8 }]);
  const error = failure("ERR_NODE_FULL", () => memory.allocate(list, 3));
  assert.match(
    error.message,
    /node 0 has 2 of 2 pages of 2 MiB free, and 3 are asked for.*node0\/hugepages\/hugepages-2048kB/,
  );
  assert.match(error.message, "free pages, promised to others or not, and 0 that the kernel may borrow");
  assert.equal(error.facts, { node: 0, pageSize: PAGE, wanted: 3, free: 2, total: 2, surplus: 0, borrowable: 0 });
  assert.equal([record.calls, free(), memory.size], [[], [2, 8], 0]);
  memory.allocate(list, 2);
});

test("pages that the kernel may borrow count, less those that it has borrowed, and then it has the last word", () => {
  const model = modelKernel({ nodes: [{ 21: 2 }, { 21: 8 }] });
  const pool = (directory: string) => `${directory}/hugepages/hugepages-2048kB`;
  const more: Readonly<Record<string, string>> = {
    [`${pool("/sys/kernel/mm")}/nr_overcommit_hugepages`]: "5\n",
    [`${pool("/sys/kernel/mm")}/surplus_hugepages`]: "2\n",
    [`${pool("/sys/devices/system/node/node0")}/surplus_hugepages`]: "1\n",
  };
  const files = { ...model.files, text: (path: string) => more[path] ?? model.files.text(path) };
  const kernel = new Proxy(model, {
    get: (target, name) => {
      if (name === "files") return files;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }) as Syscalls;
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * MiB, node: 0 });
  const full = failure("ERR_NODE_FULL", () => memory.allocate(list, 6));
  assert.match(full.message, "1 of all are surplus, and leave it when they are freed");
  assert.match(full.message, "and 3 that the kernel may borrow (nr_overcommit_hugepages)");
  assert.equal([full.facts?.free, full.facts?.surplus, full.facts?.borrowable], [2, 1, 3]);
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 5));
  assert.is(error.syscall, "madvise", "which this kernel does not");
  memory.close();
});

test("a page that was taken by another in between: the kernel's word, and nothing is left", () => {
  const model = modelKernel({ nodes: [{ 21: 2 }, { 21: 8 }] });
  // Its files are those of a moment before.
  const kernel = new Proxy(model, {
    get: (target, name) => {
      if (name === "files") return modelKernel({ nodes: [{ 21: 8 }, { 21: 8 }] }).files;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }) as Syscalls;
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * MiB, node: 0 });
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 3));
  assert.equal([error.syscall, error.errno, error.residue], ["madvise", no.EFAULT, undefined]);
  assert.equal(
    readNodes(model.files).map(({ hugepages }) => hugepages[0]?.free),
    [2, 8],
  );
  assert.is(memory.allocate(list, 2).va, list.base);
  memory.close();
});

test("an mbind that fails leaves the address space kept and nothing in it", () => {
  const { memory, list, kernel, free } = table(1);
  kernel.fail({ call: "mbind", answer: no.EPERM });
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 1));
  assert.match(error.message, /^mbind of 2 MiB at 0x[0-9a-f]+ to NUMA node 1: EPERM: a seccomp profile/);
  assert.equal([free(), memory.size, error.facts?.node], [[4, 4], 0, 1]);
  assert.is(memory.allocate(list, 1).va, list.base);
});

test("a node that is not there is refused, with those that are", () => {
  const { memory, record } = table(undefined);
  const error = failure("ERR_NO_NODE", () => memory.addList({ pageSize: PAGE, maxBytes: MiB * 2n, node: 2 }));
  assert.match(error.message, "no NUMA node 2 on this machine; there are 0, 1");
  assert.equal(error.facts, { node: 2, nodes: [0, 1] });
  assert.equal(record.calls, []);
});

test("what can be no node is refused, and so is one for the program's own memory", () => {
  const { memory, record } = table(undefined);
  const add = (node: unknown, more = {}) =>
    memory.addList({ pageSize: PAGE, maxBytes: 2n * MiB, node: node as never, ...more });
  for (const [, value] of badValues("undefined")) refusesArgument(() => add(value));
  refused("ERR_OUT_OF_RANGE", () => add(1024));
  refused("ERR_OUT_OF_RANGE", () => add(0, { base: 1n << 30n }));
  assert.equal(record.calls, []);
});

test("a kernel of a program's own that cannot bind says so; ordinary pages are bound as well", () => {
  const { model, memory, list } = table(undefined);
  const own = new Proxy(model, {
    get: (target, name) => (name === "bindNode" ? undefined : Reflect.get(target, name, target)),
  });
  const older = new MemsegTable({ kernel: own as Syscalls });
  failure("ERR_NO_NODE_BINDING", () => older.addList({ pageSize: PAGE, maxBytes: PAGE, node: 0 }));
  const small = memory.addList({ pageSize: 4096, maxBytes: MiB, node: 1 });
  assert.is(memory.allocate(small, 3).bytes.length, 3 * 4096);
  assert.ok(list);
});

if (shimAvailable() && readNodes().length > 0) {
  test("on this machine: pages of its first node", () => {
    const kernel = linuxKernel();
    const [node] = readNodes().filter(({ memory }) => (memory?.free ?? 0n) > 0n);
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: kernel.pageSize, maxBytes: MiB, node: node?.id ?? 0 });
    try {
      const segment = memory.allocate(list, 4);
      segment.bytes.fill(7);
      assert.is(segment.bytes.at(-1), 7);
    } catch (error) {
      // Container tools let mbind through with CAP_SYS_NICE only, and a kernel may have been built without.
      assert.ok([no.EPERM, no.ENOSYS].includes((error as { errno?: number }).errno ?? 0), String(error));
    }
    memory.close();
  });
}

test.run();
