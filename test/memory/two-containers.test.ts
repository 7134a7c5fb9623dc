/** One memory, attached to two containers of the process: both have it, or neither. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { HIGH, KiB, MiB, Program } from "../support/program.ts";

const PAGE = 4096n;

function made() {
  const first = new Program({ groups: [27, 26] });
  const second = first.beside(27);
  const windows = [first.window(16n * MiB), second.window(8n * MiB)] as const;
  const memory = first.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * PAGE });
  first.container.attach(memory);
  // Something of its own, so that the two have different IOVAs for the same memory.
  windows[1].map({ va: first.allocate(PAGE), length: PAGE, iova: 0n });
  second.container.attach(memory);
  first.record.take();
  const check = () => {
    agree(first, windows[0]);
    agree(second, windows[1]);
  };
  return { first, second, windows, memory, list, check };
}

test("memory is mapped in both, at each one's own IOVA, and charged once", () => {
  const { first, windows, memory, list, check } = made();
  const used = first.model.lockedMemory().used;
  const segment = memory.allocate(list, 2);
  assert.equal(
    windows.map((window) => window.iovaOf(segment.va)),
    [0n, PAGE],
  );
  assert.is(first.model.lockedMemory().used, used + 2n * PAGE);
  check();
  memory.free(segment);
  assert.is(first.model.lockedMemory().used, used);
  check();
});

test("what the second refuses is taken back from the first, and not allocated", () => {
  for (const call of ["REGISTER_MEMORY", "MAP_DMA"]) {
    const { first, windows, memory, list, check } = made();
    first.kernel.fail({ call, nth: 1, answer: no.ENOMEM });
    const error = failure("ERR_KERNEL", () => memory.allocate(list, 2));
    assert.is(error.residue, undefined);
    assert.equal([memory.size, windows[0].liveBytes, windows[1].liveBytes], [0, 0n, PAGE]);
    check();
    memory.allocate(list, 2);
    check();
  }
});

test("what cannot be taken back from the first is named", () => {
  const { first, windows, memory, list, check } = made();
  first.kernel.fail({ call: "MAP_DMA", nth: 1, answer: no.ENOMEM }, { call: "UNMAP_DMA", answer: no.EIO });
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 2));
  assert.equal(error.residue?.left, [
    `8 KiB of memory at 0x${list.base.toString(16)} are still mapped (VFIO_IOMMU_UNMAP_DMA for 8 KiB of memory at 0x${list.base.toString(16)} of the list at 0x${list.base.toString(16)} at IOVA 0x0: EIO)`,
  ]);
  assert.is(memory.size, 0);
  assert.is(windows[0].liveBytes, 2n * PAGE);
  check();
});

test("a registration of the first that cannot be taken back is named too", () => {
  const { first, memory, list, check } = made();
  first.kernel.fail(
    { call: "MAP_DMA", nth: 1, answer: no.ENOMEM },
    { call: "UNREGISTER_MEMORY", nth: 1, answer: no.EIO },
  );
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 2));
  assert.is(error.residue?.left.length, 1);
  assert.match(error.residue?.left[0] ?? "", "8 KiB of memory at");
  check();
});

test("what the second cannot unmap is mapped again in the first, and stays", () => {
  const { first, windows, memory, list, check } = made();
  const segment = memory.allocate(list, 2);
  const before = windows.map((window) => [...window.maps()]);
  first.kernel.fail({ call: "UNMAP_DMA", nth: 1, answer: no.EIO });
  const error = failure("ERR_KERNEL", () => memory.free(segment));
  assert.is(error.residue, undefined);
  assert.is(segment.freed, false);
  assert.equal(
    windows.map((window) => [...window.maps()]),
    before,
  );
  check();
  memory.free(segment);
  check();
});

test("registrations that neither can end are told together, and the memory is gone", () => {
  const { first, memory, list, check } = made();
  const segment = memory.allocate(list, 2);
  first.kernel.fail({ call: "UNREGISTER_MEMORY", times: 2, answer: no.EIO });
  const error = failure("ERR_STILL_REGISTERED", () => memory.free(segment));
  assert.is(error.residue?.left.length, 2);
  assert.is(memory.size, 0);
  check();
});

test("a list for which one of them has no room is refused by both, and its address space given back", () => {
  const { windows, memory, check } = made();
  const holes = windows.map((window) => window.largestHole);
  failure("ERR_NO_HOLE", () => memory.addList({ pageSize: PAGE, maxBytes: 8n * MiB }));
  assert.equal(
    windows.map((window) => window.largestHole),
    holes,
  );
  assert.is(memory.lists.length, 1);
  check();
  memory.addList({ pageSize: PAGE, maxBytes: 4n * MiB });
});

test("detaching one leaves the other as it is", () => {
  const { first, second, windows, memory, list, check } = made();
  const segment = memory.allocate(list, 2);
  first.container.detach(memory);
  assert.is(windows[0].translate(segment.va), undefined);
  assert.is(windows[1].iovaOf(segment.va), PAGE);
  check();
  memory.allocate(list, 1);
  assert.is(windows[0].liveBytes, 0n);
  second.container.close();
  memory.close();
  first.container.close();
  assert.equal(first.model.leaks(), []);
});

test("each window may be of another kind: pages of 4 KiB at 0, and of 64 KiB at 1 << 59", () => {
  const first = new Program({ groups: [27, 26], pageSize: 65536 });
  const second = first.beside(27);
  const small = first.window(16n * MiB, { pageSize: PAGE });
  second.window(64n * KiB);
  const large = second.window(16n * MiB);
  const memory = first.memory();
  const list = memory.addList({ pageSize: 64n * KiB, maxBytes: MiB });
  first.container.attach(memory);
  second.container.attach(memory, large);
  const segment = memory.allocate(list, 3);
  assert.equal([small.iovaOf(segment.va + 9n), large.iovaOf(segment.va + 9n)], [9n, HIGH + 9n]);
  agree(first, small);
  agree(second, large);
  memory.free(segment);
  agree(first, small);
  agree(second, large);
});

test.run();
