import { test } from "uvu";
import * as assert from "uvu/assert";
import { core } from "../../src/core.ts";
import type { DmaWindowError } from "../../src/errors.ts";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { KiB, MiB, type Program, ready } from "../support/program.ts";

const PAGE = 4096n;

/** Three maps that are no neighbours. */
function three(options = {}) {
  const { program, window, va } = ready(options);
  for (const i of [0n, 2n, 4n]) window.map({ va: va + i * PAGE, length: PAGE, iova: i * PAGE });
  program.record.take();
  return { program, window, va };
}

/** Nothing of the program is left in the kernel: only faults of the test's own could have kept something. */
function gone(program: Program): void {
  assert.equal(program.model.leaks(), []);
  assert.is(program.model.lockedMemory().used, 0n);
}

test("closing a container unmaps, then unregisters, then removes the window, then closes groups and container", () => {
  const { program } = three();
  program.container.close();
  const names = program.record.takeNames();
  assert.equal(new Set(names), new Set(["UNMAP_DMA", "UNREGISTER_MEMORY", "TCE_REMOVE", "close"]));
  assert.equal(names.slice(-3), ["TCE_REMOVE", "close", "close"]);
  const pairs = names.slice(0, -3);
  assert.equal(pairs, [
    "UNMAP_DMA",
    "UNREGISTER_MEMORY",
    "UNMAP_DMA",
    "UNREGISTER_MEMORY",
    "UNMAP_DMA",
    "UNREGISTER_MEMORY",
  ]);
  gone(program);
});

test("no UNREGISTER goes out before all of its memory is unmapped, in whatever pieces it was", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 8n * PAGE });
  window.unmap({ iova: 2n * PAGE, length: PAGE });
  window.unmap({ iova: 5n * PAGE, length: PAGE });
  program.record.take();
  window.close();
  assert.equal(program.record.takeNames(), ["UNMAP_DMA", "UNMAP_DMA", "UNMAP_DMA", "UNREGISTER_MEMORY", "TCE_REMOVE"]);
  assert.equal(program.model.snapshot().zombies, []);
});

test("nothing live is cleared by anything but an UNMAP", () => {
  const { program } = three();
  const cleared: string[] = [];
  program.model.watch(({ call }) => cleared.push(call));
  program.container.close();
  assert.equal(cleared, ["VFIO_IOMMU_UNMAP_DMA", "VFIO_IOMMU_UNMAP_DMA", "VFIO_IOMMU_UNMAP_DMA"]);
});

test("closing once more does nothing, for windows and containers", () => {
  const { program, window } = three();
  window.close();
  window.close();
  program.record.take();
  program.container.close();
  assert.equal(program.record.takeNames(), ["close", "close"]);
  program.container.close();
  window.close();
  assert.equal(program.record.takeNames(), []);
  assert.ok(window.closed && program.container.closed);
  assert.equal(program.container.windows, []);
  gone(program);
});

test("using closes at the end of the block", () => {
  const { program } = three();
  {
    using container = program.container;
    assert.is(container.closed, false);
  }
  assert.ok(program.container.closed);
  gone(program);

  const other = three();
  {
    using window = other.window;
    assert.is(window.closed, false);
  }
  assert.ok(other.window.closed);
  assert.equal(other.program.seen.windows, []);
});

test("the core's tables are given back too", () => {
  three().program.container.close(); // the columns and lists that stay from now on are there
  const before = core.bytesInUse();
  for (let i = 0; i < 10; i++) three().program.container.close();
  assert.is(core.bytesInUse(), before);
});

test("a window that cannot be emptied stays, and says exactly what is in it; the rest is unmapped", () => {
  const { program, window, va } = three();
  program.kernel.fail({ call: "UNMAP_DMA", nth: 1, answer: no.EIO });
  const error = failure("ERR_WINDOW_IN_USE", () => window.close());
  assert.equal(error.residue?.left, ["4 KiB at IOVA 0x2000 is still mapped"]);
  assert.match(error.message, "the window at 0x0 stays");
  assert.is(window.closed, false);
  assert.equal([...window.maps()], [{ va: va + 2n * PAGE, iova: 2n * PAGE, length: PAGE }]);
  assert.not(program.record.takeNames().includes("TCE_REMOVE"));
  agree(program, window);
  // It is a window as before, and closes when it can.
  window.map({ va, length: PAGE, iova: 0n });
  window.close();
  assert.equal(program.seen.windows, []);
});

test("a window that the kernel does not remove stays, empty, and closes when it can", () => {
  const { program, window } = three();
  program.kernel.fail({ call: "TCE_REMOVE", answer: no.EINVAL });
  const error = failure("ERR_KERNEL", () => window.close());
  assert.is(error.syscall, "VFIO_IOMMU_SPAPR_TCE_REMOVE");
  assert.is(window.closed, false);
  assert.is(window.liveBytes, 0n);
  assert.equal(program.container.windows, [window]);
  agree(program, window);
  window.close();
  program.container.close();
  gone(program);
});

test("a registration that cannot be ended does not keep the window, and is not kept secret", () => {
  const { program, window, va } = three();
  program.kernel.fail(
    { call: "UNREGISTER_MEMORY", nth: 1, answer: no.EIO },
    { call: "UNREGISTER_MEMORY", nth: 3, answer: no.EIO },
  );
  const error = failure("ERR_STILL_REGISTERED", () => window.close());
  assert.equal(error.residue?.left, [
    `4 KiB of memory at 0x${(va + 2n * PAGE).toString(16)} are still registered (locked)`,
  ]);
  assert.ok(window.closed);
  assert.equal(program.seen.windows, []);
  assert.equal(program.seen.registrations, [{ va: va + 2n * PAGE, size: PAGE, mapped: 0 }]);
  program.container.close();
  gone(program);
});

test("a registration that is ended at the second try is no error", () => {
  const { program, window } = three();
  program.kernel.fail({ call: "UNREGISTER_MEMORY", nth: 1, answer: no.EIO });
  window.close();
  assert.equal(program.seen.registrations, []);
});

test("whatever fails on the way, a container closes its files, and the kernel ends the rest", () => {
  const calls = ["UNMAP_DMA", "UNREGISTER_MEMORY", "TCE_REMOVE"];
  for (const call of calls) {
    const { program, window } = three();
    program.kernel.fail({ call, times: 100, answer: no.EIO });
    const error = failure("ERR_CLOSE", () => program.container.close());
    assert.ok((error.residue?.left.length ?? 0) > 0, call);
    assert.instance(error.cause, Error);
    assert.ok(program.container.closed && window.closed);
    assert.equal(program.container.windows, []);
    gone(program);
  }
});

test("two files that do not close are two errors, and both were tried", () => {
  const { program } = three();
  program.kernel.fail({ call: "close", times: 2, answer: no.EIO });
  const error = failure("ERR_CLOSE", () => program.container.close());
  assert.is(error.residue?.left.length, 2);
  assert.match(error.message, "close: EIO");
  assert.ok(program.container.closed);
});

test("after close everything answers ERR_CLOSED, and nothing reaches the kernel", () => {
  for (const what of ["window", "container"] as const) {
    const { program, window, va } = three();
    (what === "window" ? window : program.container).close();
    program.record.take();
    const asks: (() => unknown)[] = [
      () => window.map({ va, length: PAGE }),
      () => window.mapMany([]),
      () => window.unmap({ iova: 0n, length: PAGE }),
      () => window.unmapMany([]),
      () => window.translate(va),
      () => window.iovaOf(va),
      () => window.vaOf(0n),
      () => window.translateInto(new BigUint64Array(1), new BigUint64Array(1)),
      () => window.contains(0n, 1n),
      () => window.headroom(0n),
      () => window.liveBytes,
      () => window.largestHole,
      () => [...window.maps()],
    ];
    for (const ask of asks) failure("ERR_CLOSED", ask);
    assert.equal(program.record.takeNames(), [], what);
  }
});

test("a generator of maps that outlives its window says so", () => {
  const { program, window } = ready();
  const va = program.allocate(8n * MiB);
  // More runs than are read at a time.
  for (let i = 0n; i < 1024n; i++) window.map({ va: va + 2n * i * PAGE, length: PAGE, iova: i * PAGE });
  const maps = window.maps();
  maps.next();
  window.close();
  failure("ERR_CLOSED", () => [...maps]);
});

test("two windows of a container close one by one, each with its own maps only", () => {
  const { program, window, va } = three();
  const second = program.window(64n * KiB);
  second.map({ va, length: PAGE });
  window.close();
  assert.is(second.translate(va), second.start);
  agree(program, second);
  program.container.close();
  gone(program);
});

test("what closing met with is told as the kernel said it first", () => {
  const { program } = three();
  program.kernel.fail({ call: "TCE_REMOVE", answer: no.EPERM });
  const error = failure("ERR_CLOSE", () => program.container.close());
  assert.match(error.message, /^closing the container met with an error: /);
  assert.equal([error.syscall, error.errno], ["VFIO_IOMMU_SPAPR_TCE_REMOVE", no.EPERM]);
  assert.equal(error.facts, (error.cause as DmaWindowError).facts);
  assert.ok(error.facts !== undefined);
  const two = three();
  two.program.kernel.fail({ call: "close", answer: no.EIO, times: 2 });
  const both = failure("ERR_CLOSE", () => two.program.container.close());
  assert.match(both.message, /^closing the container met with 2 errors: /);
  assert.equal([both.syscall, both.errno], ["close", no.EIO]);
});

test.run();
