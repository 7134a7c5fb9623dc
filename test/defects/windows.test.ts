/** Defects of what this library grew out of, in how windows are sized, placed and kept. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { parseIomem } from "../../src/system/iomem.ts";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { GiB, HIGH, KiB, MiB, Program, ready } from "../support/program.ts";

const PAGE = 4096n;

// Defect 4. The window's length and page size were kept once for the process, and other containers got no window.
test("two containers have a window each, of their own size and page size, and keep apart", () => {
  const first = new Program({ groups: [27, 26] });
  const second = first.beside(27);
  const small = first.window(MiB);
  const large = second.window(64n * MiB, { pageSize: 2n * MiB });
  assert.equal([small.size, small.pageShift, large.size, large.pageShift], [MiB, 12, 64n * MiB, 21]);
  const va = first.allocate(4n * MiB, 21);
  large.map({ va, length: 4n * MiB });
  failure("ERR_NO_HOLE", () => small.map({ va, length: 4n * MiB }));
  assert.is(small.translate(va), undefined);
  agree(first, small);
  agree(second, large);
});

// Defect 5, its second part. A window that did not start at 0 was refused, and left behind: LPARs could not work at all.
test("a window that firmware puts at 1 << 59 is used there", () => {
  const program = new Program({ platform: "pseries" });
  const window = program.window(4n * GiB);
  assert.is(window.start, HIGH);
  const va = program.allocate(PAGE);
  const iova = window.map({ va, length: PAGE });
  assert.is(program.model.tceAt(26, iova)?.va, va);
  program.container.close();
  assert.equal(program.model.leaks(), []);
});

// Defect 7. The page size came from one list, and a list with smaller pages failed later; the IOMMU's sizes were not looked at.
test("the window's pages fit every list, and are pages that the IOMMU has", () => {
  const program = new Program({ pageSize: 65536 });
  const memory = program.memory();
  const huge = memory.addList({ pageSize: 16n * MiB, maxBytes: 32n * MiB, near: 1n << 40n });
  const small = memory.addList({ pageSize: 64n * KiB, maxBytes: MiB });
  const plan = planWindow({ memory, info: program.container.info() });
  const window = program.container.createWindow(plan);
  program.container.attach(memory);
  const segments = [memory.allocate(huge, 1), memory.allocate(small, 1)];
  for (const { va } of segments) assert.is(window.vaOf(window.iovaOf(va)), va);
  agree(program, window);
  // 16 MiB pages are the memory's alone: this IOMMU has none of that size.
  const only = { lists: [huge] };
  assert.is(planWindow({ memory: only, info: program.container.info() }).pageShift, 21);
});

// Defect 8, its first part. Memory that a driver plugged in stands indented in /proc/iomem, and was dropped.
test("memory on a CXL or DAX device counts: the window reaches its end", () => {
  const { highest } = parseIomem(
    [
      "00001000-3fffffffff : System RAM",
      "4000000000-7fffffffff : CXL Window 0",
      "  4000000000-7fffffffff : dax0.0",
      "    4000000000-7fffffffff : System RAM (kmem)",
      "",
    ].join("\n"),
  );
  assert.is(highest, 0x7fffffffffn);
  const info = new Program().container.info();
  const memory = { lists: [{ base: 0n, length: GiB, pageSize: 2n * MiB }] };
  assert.is(planWindow({ iovaMode: "pa", memory, info, highestRam: highest }).size, 1n << 39n);
});

// Defect 8, its second part. An unprivileged reader sees zeros, and was told that there is no RAM.
test("addresses that the kernel hides are not taken for a machine without memory", () => {
  const error = failure("ERR_IOMEM_HIDDEN", () => parseIomem("00000000-00000000 : System RAM\n"));
  assert.match(error.message, "CAP_SYS_ADMIN");
});

// Defect 9. Memory that came above the window later could not be mapped, and the program was given it all the same.
test("memory that comes later is inside the window, or is not given to the program", () => {
  const program = new Program();
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB });
  const plan = planWindow({ memory, info: program.container.info() });
  const window = program.container.createWindow(plan);
  program.container.attach(memory);
  const cleared: unknown[] = [];
  program.model.watch((range) => cleared.push(range));
  // Every page that the list can ever hold has its IOVAs.
  for (let i = 0; i < 16; i++) window.iovaOf(memory.allocate(list, 16).va);
  agree(program, window);
  // What was not planned for is refused before there is any memory.
  const before = memory.bytes;
  failure("ERR_NO_HOLE", () => memory.addList({ pageSize: PAGE, maxBytes: MiB }));
  assert.is(memory.bytes, before);
  assert.equal(cleared, [], "and nothing that is live was touched");

  // The same for memory of the program's that the kernel will not map.
  const outside = ready();
  const table = outside.program.memory();
  const absent = table.addList({ pageSize: PAGE, maxBytes: PAGE, base: 0x1000_0000n });
  outside.program.container.attach(table);
  failure("ERR_KERNEL", () => table.add(absent, { va: 0x1000_0000n, length: PAGE }));
  assert.is(table.find(0x1000_0000n), undefined);
});

// Defect 12. With virtual addresses as IOVAs the window reached up to the highest one, and its tables with it.
test("where memory lies does not make the window larger", () => {
  const info = new Program({ pageSize: 65536 }).container.info();
  const planAt = (base: bigint) =>
    planWindow({ memory: { lists: [{ base, length: GiB, pageSize: 64n * KiB }] }, info });
  const [low, high] = [planAt(GiB), planAt((1n << 47n) - GiB)];
  assert.equal([high.size, high.chargeBytes, high.dmaMaskBits], [GiB, 256n * KiB, 30]);
  assert.equal(high, { ...low, rejected: high.rejected });
});

test.run();
