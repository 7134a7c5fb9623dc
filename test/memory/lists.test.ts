import { test } from "uvu";
import * as assert from "uvu/assert";
import { core } from "../../src/core.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument, thrownBy } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { GiB, KiB, MiB } from "../support/program.ts";
import { recording } from "../support/recording.ts";

const TOP = 1n << 64n;

test("a list of the table's own is address space alone: aligned, and not memory yet", () => {
  const kernel = recording(modelKernel());
  const table = new MemsegTable({ kernel });
  const list = table.addList({ pageSize: 2n * MiB, maxBytes: GiB });
  assert.is(list.base % (2n * MiB), 0n);
  assert.equal([list.length, list.pageSize, list.external, list.heap], [GiB, 2n * MiB, false, false]);
  assert.equal(table.lists, [list]);
  assert.equal([table.bytes, table.size, table.highest], [0n, 0, undefined]);
  const [mmap, ...rest] = kernel.take();
  assert.equal([mmap?.call, mmap?.protection, mmap?.length, mmap?.answer], ["mmap", 0, GiB, list.base]);
  assert.equal(rest, []);
  assert.throws(() => kernel.view(list.base, 4096n), /readable and writable/);
});

test("two lists do not overlap, and closing gives all address space back", () => {
  const model = modelKernel();
  const table = new MemsegTable({ kernel: model });
  const [a, b] = [
    table.addList({ pageSize: 4096, maxBytes: MiB }),
    table.addList({ pageSize: 2n * MiB, maxBytes: Number(4n * MiB) }),
  ];
  assert.ok(a.base + a.length <= b.base || b.base + b.length <= a.base);
  table.close();
  // FIXED_NOREPLACE is EEXIST where anything is mapped.
  for (const list of [a, b]) assert.is(model.mmap(list.base, list.length, 0, 2, 0), list.base);
  table.close();
  failure("ERR_CLOSED", () => table.addList({ pageSize: 4096, maxBytes: MiB }));
});

test("closing gives the core's memory back too", () => {
  const use = () => {
    const table = new MemsegTable();
    const list = table.addList({ pageSize: 4096, maxBytes: MiB, base: GiB });
    table.add(list, { va: GiB, length: 8192n });
    table.close();
  };
  use();
  const before = core.bytesInUse();
  for (let i = 0; i < 10; i++) use();
  assert.is(core.bytesInUse(), before);
});

test("near is where the address space lies, if it is free there", () => {
  const model = modelKernel();
  const table = new MemsegTable({ kernel: model });
  assert.is(table.addList({ pageSize: 2n * MiB, maxBytes: 8n * MiB, near: GiB }).base, GiB);
  const taken = table.addList({ pageSize: 2n * MiB, maxBytes: 8n * MiB, near: GiB });
  assert.ok(taken.base >= GiB + 8n * MiB);
  const unaligned = table.addList({ pageSize: 2n * MiB, maxBytes: 2n * MiB, near: 3n * GiB + 4096n });
  assert.is(unaligned.base, 3n * GiB + 2n * MiB);
});

test("a list with a base is the program's: no kernel is needed, and none is asked", () => {
  const kernel = recording(modelKernel());
  const table = new MemsegTable({ kernel });
  const list = table.addList({ pageSize: 4096, maxBytes: MiB, base: GiB, external: true, heap: true });
  assert.equal([list.base, list.external, list.heap], [GiB, true, true]);
  assert.is(new MemsegTable().addList({ pageSize: 4096, maxBytes: MiB, base: 0n }).base, 0n);
  table.removeList(list);
  table.close();
  assert.equal(kernel.calls, []);
});

test("without a kernel a list needs a base", () => {
  failure("ERR_NO_KERNEL", () => new MemsegTable().addList({ pageSize: 4096, maxBytes: MiB }));
});

test("the smallest page is that of the lists that are mapped with the table: not of external memory that is no heap", () => {
  const table = new MemsegTable();
  assert.is(table.smallestPageSize, undefined);
  table.addList({ pageSize: 4096, maxBytes: 1 << 20, base: 0x1000_0000n, external: true });
  assert.is(table.smallestPageSize, undefined);
  table.addList({ pageSize: 2 << 20, maxBytes: 4 << 20, base: 0x4000_0000n });
  assert.is(table.smallestPageSize, 0x20_0000n);
  const heap = table.addList({ pageSize: 65536, maxBytes: 1 << 20, base: 0x2000_0000n, external: true, heap: true });
  assert.is(table.smallestPageSize, 0x1_0000n);
  table.removeList(heap);
  assert.is(table.smallestPageSize, 0x20_0000n);
  table.close();
});

test("lists may not overlap, and may touch", () => {
  const table = new MemsegTable();
  const at = (base: bigint) => table.addList({ pageSize: 4096, maxBytes: MiB, base });
  at(GiB);
  for (const base of [GiB, GiB + 4096n, GiB - 4096n, GiB + MiB - 4096n]) failure("ERR_OVERLAPS", () => at(base));
  at(GiB + MiB);
  at(GiB - MiB);
  assert.equal(
    table.lists.map(({ base }) => base),
    [GiB, GiB + MiB, GiB - MiB],
  );
});

test("a list may end with the address space, and not behind it", () => {
  const table = new MemsegTable();
  assert.is(table.addList({ pageSize: 4096, maxBytes: 8192n, base: TOP - 8192n }).base, TOP - 8192n);
  failure("ERR_WRAPS", () => new MemsegTable().addList({ pageSize: 4096, maxBytes: 8192n, base: TOP - 4096n }));
});

test("more pages than can be kept track of are refused, and the address space is given back", () => {
  const kernel = recording(modelKernel());
  const table = new MemsegTable({ kernel });
  failure("ERR_TOO_LARGE", () => new MemsegTable().addList({ pageSize: 4096, maxBytes: 1n << 49n, base: 0n }));
  const error = failure("ERR_KERNEL", () => table.addList({ pageSize: 4096, maxBytes: 1n << 48n }));
  assert.equal([error.errno, error.syscall], [no.ENOMEM, "mmap"]);
  assert.equal(table.lists, []);
});

test("a page smaller than the CPU's is refused for memory from the kernel, which has none so small", () => {
  const kernel = recording(modelKernel({ pageSize: 65536 }));
  const table = new MemsegTable({ kernel });
  const error = refusesArgument(() => table.addList({ pageSize: 4096, maxBytes: 12288n }));
  assert.match(error.message, "64 KiB");
  assert.equal(kernel.calls, []);
  assert.is(table.addList({ pageSize: 65536, maxBytes: 65536n }).length, 65536n);
});

test("a list is removed with its address space; one with memory in it is not", () => {
  const model = modelKernel();
  const table = new MemsegTable({ kernel: model });
  const list = table.addList({ pageSize: 4096, maxBytes: MiB });
  const segment = table.allocate(list, 1);
  failure("ERR_BUSY", () => table.removeList(list));
  assert.equal(table.lists, [list]);
  table.free(segment);
  table.removeList(list);
  assert.equal(table.lists, []);
  assert.is(model.mmap(list.base, MiB, 0, 2, 0), list.base);
  failure("ERR_NOT_FOUND", () => table.removeList(list));
});

test("the slot of a removed list serves the next; the old list is not the new one", () => {
  const table = new MemsegTable();
  const old = table.addList({ pageSize: 4096, maxBytes: MiB, base: GiB });
  table.removeList(old);
  const next = table.addList({ pageSize: 4096, maxBytes: MiB, base: GiB });
  failure("ERR_NOT_FOUND", () => table.add(old, { va: GiB, length: 4096n }));
  table.add(next, { va: GiB, length: 4096n });
  assert.is(table.size, 1);
});

test("another table's list is unknown here", () => {
  const [one, other] = [new MemsegTable(), new MemsegTable()];
  const options = { pageSize: 4096, maxBytes: MiB, base: GiB };
  const [mine, foreign] = [one.addList(options), other.addList(options)];
  for (const run of [
    () => one.removeList(foreign),
    () => one.add(foreign, { va: GiB, length: 4096n }),
    () => one.allocate(foreign, 1),
    () => one.removeList({ ...mine }),
  ]) {
    failure("ERR_NOT_FOUND", run);
  }
});

test("a kernel that gives no address space leaves no list", () => {
  const kernel = faulty(modelKernel(), { call: "mmap", answer: no.ENOMEM });
  const table = new MemsegTable({ kernel });
  const error = failure("ERR_KERNEL", () => table.addList({ pageSize: 2n * MiB, maxBytes: MiB * 4n }));
  assert.match(error.message, "of 4 MiB of address space for 2 MiB pages: ENOMEM");
  assert.equal(table.lists, []);
  table.addList({ pageSize: 2n * MiB, maxBytes: MiB * 4n });
});

test("a list of pages that the kernel has not got is refused when it is added, not when it is used", () => {
  const table = new MemsegTable({ kernel: modelKernel({ hugepages: { 21: 0 } }) });
  const error = failure("ERR_KERNEL", () => table.addList({ pageSize: 64n * KiB, maxBytes: MiB }));
  assert.equal([error.errno, error.syscall], [no.EINVAL, "mmap"]);
  assert.match(error.message, "the kernel has no pages of that size");
  assert.equal(table.lists, []);
});

test("a list lies near the address that was named, at a multiple of its page size", () => {
  const table = new MemsegTable({ kernel: modelKernel() });
  const near = GiB + 4096n;
  assert.is(table.addList({ pageSize: 4096, maxBytes: MiB, near }).base, near);
  assert.is(table.addList({ pageSize: 2n * MiB, maxBytes: 4n * MiB, near }).base, GiB + 2n * MiB);
});

test("a removed list is gone, also when the kernel does not take its address space back", () => {
  const kernel = faulty(modelKernel());
  const table = new MemsegTable({ kernel });
  const list = table.addList({ pageSize: 4096, maxBytes: MiB });
  kernel.fail({ call: "munmap", answer: no.EINVAL });
  const error = failure("ERR_KERNEL", () => table.removeList(list));
  assert.equal(error.residue?.left, [`1 MiB of address space at 0x${list.base.toString(16)} are not given back`]);
  assert.equal(table.lists, []);
  failure("ERR_NOT_FOUND", () => table.removeList(list));
});

test("address space that the kernel does not take back is named, and closing ends all the same", () => {
  const kernel = faulty(modelKernel());
  const table = new MemsegTable({ kernel });
  const lists = [GiB, 2n * GiB].map((near) => table.addList({ pageSize: 4096, maxBytes: MiB, near }));
  kernel.fail({ call: "munmap", answer: no.EINVAL });
  const error = failure("ERR_CLOSE", () => table.close());
  assert.is(error.residue?.left.length, 1);
  assert.match(error.residue?.left[0] ?? "", `0x${lists[0]?.base.toString(16)}`);
  // The second list was given back, and a second close touches neither: others may be there by now.
  const record = recording(kernel);
  table.close();
  assert.equal(record.calls, []);
  assert.is(kernel.mmap(2n * GiB, MiB, 0, 2, 0), 2n * GiB);
});

test("bad options are refused before the kernel is asked", () => {
  const kernel = recording(modelKernel());
  const table = new MemsegTable({ kernel });
  const right = { pageSize: 4096, maxBytes: MiB };
  const wrong: Readonly<Record<string, readonly (readonly [string, unknown])[]>> = {
    pageSize: [...badValues(), ["2 KiB", 2048], ["3 KiB", 3072n], ["2 TiB", 1n << 41n], ["0", 0]],
    maxBytes: [...badValues(), ["0", 0], ["half a page", 2048n], ["a page and a half", 6144]],
    base: [...badValues("undefined"), ["a number", 4096]],
    near: [...badValues("undefined"), ["a number", 4096]],
    external: [...badValues("undefined", "true"), ["1", 1]],
    heap: [...badValues("undefined", "true"), ["1", 1]],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const [name, value] of values) {
      try {
        refusesArgument(() => table.addList({ ...right, [field]: value }));
      } catch (error) {
        throw new Error(`${field} = ${name}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  for (const [, value] of badValues("an object", "an array")) refusesArgument(() => table.addList(value as never));
  assert.is(thrownBy(() => table.addList({ ...right, base: 4097n })).code, "ERR_UNALIGNED_VA");
  assert.equal(kernel.calls, []);
  assert.equal(table.lists, []);
});

test("bad options of the table itself are refused", () => {
  for (const [, value] of badValues("undefined", "an object", "an array"))
    refusesArgument(() => new MemsegTable(value as never));
  for (const [, value] of badValues("undefined")) {
    refusesArgument(() => new MemsegTable({ kernel: value as never }));
    if (value !== true) refusesArgument(() => new MemsegTable({ physical: value as never }));
  }
  assert.is(new MemsegTable({}).bytes, 0n);
  assert.is(KiB, 1024n);
});

test.run();
