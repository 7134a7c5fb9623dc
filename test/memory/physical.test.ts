/** Memory that knows its physical addresses, for IOVA mode pa. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NO_ADDRESS } from "../../src/core.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { agree } from "../support/agreement.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { MiB, Program } from "../support/program.ts";

const PAGE = 4096n;

/** A table whose pages lie at those physical pages, in order. */
function at(...pages: readonly bigint[]) {
  const program = new Program();
  const asked: unknown[][] = [];
  const physical = (...request: [bigint, number, number]) => {
    asked.push(request);
    return pages.slice(0, request[1]).map((page) => (page === NO_ADDRESS ? page : page * PAGE));
  };
  const memory = new MemsegTable({ kernel: program.kernel, physical });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * PAGE });
  return { program, memory, list, asked };
}

const runs = (memory: MemsegTable, base: bigint) =>
  [...memory.memsegs()].map(({ va, length, iova }) => [
    (va - base) / PAGE,
    length / PAGE,
    iova === undefined ? undefined : iova / PAGE,
  ]);

test("pages that follow each other are one memseg; a break makes another", () => {
  const { memory, list, asked } = at(10n, 11n, 12n, 7n, 8n, 100n);
  const segment = memory.allocate(list, 6);
  assert.equal(asked, [[segment.va, 6, 4096]]);
  assert.equal(runs(memory, list.base), [
    [0n, 3n, 10n],
    [3n, 2n, 7n],
    [5n, 1n, 100n],
  ]);
  assert.is(memory.translate(segment.va + 4n * PAGE + 5n), 8n * PAGE + 5n);
  memory.free(segment);
  assert.is(memory.size, 0);
});

test("with physical: true the table's own kernel is asked", () => {
  const program = new Program();
  const memory = new MemsegTable({ kernel: program.kernel, physical: true });
  const list = memory.addList({ pageSize: 2n * MiB, maxBytes: 16n * MiB });
  const segment = memory.allocate(list, 3);
  const truth = program.model.physicalAddresses(segment.va, 3, Number(2n * MiB));
  for (let i = 0n; i < 3n; i++) {
    assert.is(memory.translate(segment.va + i * 2n * MiB + 9n), (truth[Number(i)] ?? 0n) + 9n);
  }
  assert.is(memory.valid.bytes, 6n * MiB);
  memory.free(segment);
});

test("with physical: true and no kernel nothing can be allocated, as without it", () => {
  const memory = new MemsegTable({ physical: true });
  const list = memory.addList({ pageSize: PAGE, maxBytes: PAGE, base: 0x10000n });
  failure("ERR_NO_KERNEL", () => memory.allocate(list, 1));
});

test("a kernel that does not tell where pages are makes no segment of them", () => {
  const program = new Program();
  const told = new DmaWindowError("ERR_PAGEMAP_HIDDEN", "the kernel hides it");
  program.kernel.physicalAddresses = () => {
    throw told;
  };
  const memory = new MemsegTable({ kernel: program.kernel, physical: true });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 4n * PAGE });
  assert.is(
    failure("ERR_PAGEMAP_HIDDEN", () => memory.allocate(list, 2)),
    told,
  );
  assert.equal([memory.size, memory.bytes], [0, 0n]);
});

test("pages that go downwards, or stand still, are not merged", () => {
  const { memory, list } = at(12n, 11n, 10n, 10n);
  memory.allocate(list, 4);
  assert.is(memory.size, 4);
});

test("an address that is not known stays unknown, and is merged with nothing", () => {
  const { memory, list } = at(1n, NO_ADDRESS, NO_ADDRESS, 4n);
  memory.allocate(list, 4);
  assert.equal(runs(memory, list.base), [
    [0n, 1n, 1n],
    [1n, 1n, undefined],
    [2n, 1n, undefined],
    [3n, 1n, 4n],
  ]);
  assert.equal(memory.valid, { count: 2, bytes: 2n * PAGE });
});

test("the device finds memory at its physical addresses, run by run", () => {
  const { program, memory, list } = at(0x101n, 0x102n, 0x80n);
  const window = program.window(16n * MiB, { iovaMode: "pa" });
  program.container.attach(memory);
  const segment = memory.allocate(list, 3);
  assert.equal(
    [...window.maps()],
    [
      { va: segment.va + 2n * PAGE, iova: 0x80n * PAGE, length: PAGE },
      { va: segment.va, iova: 0x101n * PAGE, length: 2n * PAGE },
    ],
  );
  agree(program, window);
  // Their IOVAs are the memory's: the program cannot map anything else there, nor unmap them.
  failure("ERR_RESERVED", () => window.map({ va: program.allocate(PAGE), length: PAGE, iova: 0x80n * PAGE }));
  failure("ERR_RESERVED", () => window.unmap({ iova: 0x80n * PAGE, length: PAGE }));
  memory.free(segment);
  agree(program, window);
  assert.is(window.largestHole, 16n * MiB);
});

test("memory whose physical address is not known is refused in mode pa, and not allocated", () => {
  const { program, memory, list } = at(0x101n, NO_ADDRESS);
  const window = program.window(16n * MiB, { iovaMode: "pa" });
  program.container.attach(memory);
  const error = failure("ERR_PHYSICAL_UNKNOWN", () => memory.allocate(list, 2));
  const { va, length, index, count } = error.facts as Record<string, unknown>;
  assert.equal([va, length, index, count, "iova" in (error.facts ?? {})], [list.base + PAGE, PAGE, 1, 2, false]);
  assert.equal([memory.size, window.liveBytes, window.largestHole], [0, 0n, 16n * MiB]);
  agree(program, window);
});

for (const platform of ["powernv", "type1"] as const) {
  const ready = (more = {}) => {
    const program = new Program({ platform, ...more });
    const memory = new MemsegTable({ kernel: program.kernel });
    const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * PAGE });
    return { program, memory, list, window: program.window(16n * MiB, { iovaMode: "pa" }) };
  };

  test(`${platform}: a table that does not ask for physical addresses cannot be mapped in mode pa, and the cure is said`, () => {
    const { program, memory, list, window } = ready();
    program.container.attach(memory);
    const error = failure("ERR_PHYSICAL_UNKNOWN", () => memory.allocate(list, 2));
    assert.match(error.message, "or plan with IOVA mode rebased");
    assert.equal([memory.size, window.liveBytes], [0, 0n]);
    program.container.detach(memory);
    memory.allocate(list, 2);
    failure("ERR_PHYSICAL_UNKNOWN", () => program.container.attach(memory));
    assert.equal([...window.maps()], []);
    if (platform === "powernv") agree(program, window);
  });

  test(`${platform}: memory of an owner of its own needs no physical address in mode pa`, () => {
    const { program, memory, window } = ready();
    program.container.attach(memory);
    const foreign = memory.addList({ pageSize: PAGE, maxBytes: PAGE, base: 1n << 40n, external: true });
    memory.add(foreign, { va: foreign.base, length: PAGE });
    assert.equal([...window.maps()], []);
  });
}

test("memory above the window is refused with the numbers, and not allocated", () => {
  const { program, memory, list } = at(0x101n, 0x10000n);
  const window = program.window(16n * MiB, { iovaMode: "pa" });
  program.container.attach(memory);
  const error = failure("ERR_OUTSIDE_WINDOW", () => memory.allocate(list, 2));
  assert.match(error.message, "needs IOVAs 0x10000000-0x10000fff: the window is 0x0-0xffffff; plan it with growTo");
  assert.equal([memory.size, window.liveBytes, window.largestHole], [0, 0n, 16n * MiB]);
  agree(program, window);
});

test("a MAP that fails in mode pa gives the IOVAs back", () => {
  const { program, memory, list } = at(0x101n, 0x80n);
  const window = program.window(16n * MiB, { iovaMode: "pa" });
  program.container.attach(memory);
  program.kernel.fail({ call: "MAP_DMA", nth: 1, answer: no.EINVAL });
  failure("ERR_KERNEL", () => memory.allocate(list, 2));
  assert.equal([memory.size, window.liveBytes, window.largestHole], [0, 0n, 16n * MiB]);
  agree(program, window);
  memory.allocate(list, 2);
  agree(program, window);
});

test("an UNMAP that fails in mode pa keeps memory, IOVAs and reservations as they were", () => {
  const { program, memory, list } = at(0x101n, 0x80n);
  const window = program.window(16n * MiB, { iovaMode: "pa" });
  program.container.attach(memory);
  const segment = memory.allocate(list, 2);
  const before = [...window.maps()];
  program.kernel.fail({ call: "UNMAP_DMA", nth: 1, answer: no.EIO });
  const error = failure("ERR_KERNEL", () => memory.free(segment));
  assert.is(error.residue, undefined);
  assert.is(segment.freed, false);
  assert.equal([...window.maps()], before);
  failure("ERR_RESERVED", () => window.unmap({ iova: 0x80n * PAGE, length: PAGE }));
  agree(program, window);
  memory.free(segment);
  assert.is(window.largestHole, 16n * MiB);
});

test("a resolver that throws, or gives what is no address, leaves nothing allocated", () => {
  const program = new Program();
  const bad: readonly unknown[] = [[], [1], [-1n], [1n << 64n], ["4096"], [4097n], null];
  for (const answer of bad) {
    const memory = new MemsegTable({ kernel: program.kernel, physical: () => answer as never });
    const list = memory.addList({ pageSize: PAGE, maxBytes: MiB });
    const error = thrownBy(() => memory.allocate(list, 1));
    if (answer !== null)
      assert.match(error.code ?? "", /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE|UNALIGNED_IOVA)$/, String(answer));
    assert.is(memory.size, 0);
    assert.throws(() => program.kernel.view(list.base, PAGE), /readable and writable/);
  }
  const physical = () => {
    throw new Error("pagemap says no");
  };
  const memory = new MemsegTable({ kernel: program.kernel, physical });
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB });
  assert.throws(() => memory.allocate(list, 1), /pagemap says no/);
  assert.is(memory.size, 0);
});

test.run();
