/** The kernel, or the window, says no while a memory is attached: what was asked for did not happen, and all is as before. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Segment } from "../../src/memory/segment.ts";
import { agree, stateOf } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { MiB, ready } from "../support/program.ts";

const PAGE = 4096n;

function made() {
  const { program, window } = ready();
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * PAGE });
  return { program, window, memory, list, container: program.container };
}

/** An attached table with segments of 1, 2 and 3 pages. */
function attached() {
  const all = made();
  all.container.attach(all.memory);
  const segments = [1, 2, 3].map((pages) => all.memory.allocate(all.list, pages)) as [Segment, Segment, Segment];
  all.program.record.take();
  return { ...all, segments };
}

type Made = ReturnType<typeof made>;

/** The table, the window and the kernel: what must be as before. */
const everything = ({ program, window, memory }: Made) => ({
  ...(stateOf(program, window) as object),
  memsegs: [...memory.memsegs()].map(({ va, length }) => [va, length]),
});

const answers = [no.EINVAL, no.ENOMEM, 1];

test("allocate: whichever step the kernel refuses, there is no segment, and its address space is kept", () => {
  for (const call of ["mmap", "REGISTER_MEMORY", "MAP_DMA"]) {
    for (const answer of answers) {
      const all = attached();
      const { program, window, memory, list } = all;
      if (call === "mmap" && answer > 0) continue; // an address
      const before = everything(all);
      const next = list.base + 6n * PAGE;
      program.kernel.fail({ call, answer });
      const error = failure(call === "REGISTER_MEMORY" && answer > 0 ? "ERR_PINNED_PARTLY" : "ERR_KERNEL", () =>
        memory.allocate(list, 4),
      );
      assert.is(error.residue, undefined);
      assert.equal(everything(all), before);
      agree(program, window);
      assert.throws(() => program.model.view(next, PAGE), /readable and writable/);
      assert.is(program.model.mmap(next, 4n * PAGE, 0, 2, 0), BigInt(no.EEXIST), "the address space is kept");
      assert.is(memory.allocate(list, 4).va, next);
      agree(program, window);
    }
  }
});

test("allocate: what stays mapped because its undo failed too is named", () => {
  const { program, window, memory, list } = attached();
  program.kernel.fail({ call: "MAP_DMA", answer: no.EINVAL }, { call: "UNREGISTER_MEMORY", answer: no.EIO });
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 1));
  assert.is(error.residue?.left.length, 1);
  assert.match(error.residue?.left[0] ?? "", "4 KiB of memory at");
  assert.is(memory.size, 3);
  agree(program, window);
  // The next map ends it.
  memory.allocate(list, 1);
  agree(program, window);
});

test("free: an UNMAP that fails leaves the segment as it was: in the table, mapped, and writable", () => {
  for (const answer of [no.ENXIO, no.EPERM, 1]) {
    const all = attached();
    const { program, window, memory, segments } = all;
    segments[1].bytes.fill(5);
    const iova = window.iovaOf(segments[1].va);
    const before = everything(all);
    program.kernel.fail({ call: "UNMAP_DMA", answer });
    const error = failure("ERR_KERNEL", () => memory.free(segments[1]));
    assert.is(error.syscall, "VFIO_IOMMU_UNMAP_DMA");
    assert.is(error.residue, undefined, "it is mapped, as it was");
    assert.not.match(error.message, "left behind");
    assert.equal(everything(all), before);
    assert.is(segments[1].freed, false);
    assert.is(segments[1].bytes[4096], 5);
    assert.is(window.iovaOf(segments[1].va), iova);
    agree(program, window);
    memory.free(segments[1]);
    agree(program, window);
  }
});

test("free: an UNREGISTER that fails is told, the segment is gone, and the next map tries again", () => {
  const { program, window, memory, list, segments } = attached();
  const { va } = segments[0];
  program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EIO });
  const error = failure("ERR_STILL_REGISTERED", () => memory.free(segments[0]));
  assert.equal(error.residue?.left, [`4 KiB of memory at 0x${va.toString(16)} are still registered (locked)`]);
  assert.is(segments[0].freed, true);
  assert.is(memory.find(va), undefined);
  assert.is(window.translate(va), undefined);
  assert.equal(
    program.seen.registrations.filter(({ mapped }) => mapped === 0),
    [{ va, size: PAGE, mapped: 0 }],
  );
  program.record.take();
  const again = memory.allocate(list, 1);
  assert.is(again.va, va, "the same address, and other memory");
  assert.equal(program.record.takeNames(), ["mmap", "UNREGISTER_MEMORY", "REGISTER_MEMORY", "MAP_DMA"]);
  agree(program, window);
});

test("free: while the old registration cannot be ended, no new memory is mapped at its address", () => {
  const all = attached();
  const { program, window, memory, list, segments } = all;
  program.kernel.fail({ call: "UNREGISTER_MEMORY", times: 2, answer: no.EIO });
  failure("ERR_STILL_REGISTERED", () => memory.free(segments[0]));
  failure("ERR_STALE_REGISTRATION", () => memory.allocate(list, 1));
  assert.is(memory.find(segments[0].va), undefined);
  agree(program, window);
  memory.allocate(list, 1);
  agree(program, window);
});

test("remove: an UNMAP that fails keeps the memseg", () => {
  const all = made();
  const { program, window, memory, container } = all;
  const va = program.allocate(PAGE);
  const list = memory.addList({ pageSize: PAGE, maxBytes: PAGE, base: va });
  container.attach(memory);
  memory.add(list, { va, length: PAGE });
  const before = everything(all);
  program.kernel.fail({ call: "UNMAP_DMA", answer: no.EIO });
  failure("ERR_KERNEL", () => memory.remove(va));
  assert.equal(everything(all), before);
  agree(program, window);
  memory.remove(va);
  agree(program, window);
});

test("remove: an UNREGISTER that fails is told, and the memseg is gone", () => {
  const { program, window, memory, container } = made();
  const va = program.allocate(PAGE);
  const list = memory.addList({ pageSize: PAGE, maxBytes: PAGE, base: va });
  container.attach(memory);
  memory.add(list, { va, length: PAGE });
  program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EIO });
  failure("ERR_STILL_REGISTERED", () => memory.remove(va));
  assert.is(memory.size, 0);
  agree(program, window);
});

test("add: memory that cannot be mapped is not recorded", () => {
  const all = made();
  const { program, window, memory, container } = all;
  const list = memory.addList({ pageSize: PAGE, maxBytes: 4n * PAGE, base: 0x1000_0000n });
  container.attach(memory);
  const before = everything(all);
  const error = failure("ERR_KERNEL", () => memory.add(list, { va: 0x1000_0000n, length: PAGE }));
  assert.is(error.errno, no.EFAULT, "nothing is there");
  assert.equal(everything(all), before);
  agree(program, window);
});

test("attach: wherever the kernel refuses, nothing is mapped, nothing set aside, and nothing attached", () => {
  for (let nth = 0; nth < 6; nth++) {
    const all = made();
    const { program, window, memory, list, container } = all;
    for (const pages of [1, 2, 3]) memory.allocate(list, pages);
    const before = everything(all);
    program.kernel.fail({ nth, answer: no.ENOMEM });
    const error = failure("ERR_KERNEL", () => container.attach(memory));
    assert.is(error.residue, undefined);
    assert.equal(everything(all), before);
    assert.is(window.largestHole, 16n * MiB);
    memory.allocate(list, 1);
    assert.is(window.liveBytes, 0n, "what comes is not mapped: it is not attached");
    container.attach(memory);
    agree(program, window);
  }
});

test("attach: memory beyond the first crossing that is refused takes back what the first one mapped", () => {
  const { program } = ready();
  const [window] = program.container.windows;
  if (window === undefined) throw new Error("no window");
  program.container.windows[0]?.close();
  const large = program.window(64n * MiB);
  const va = program.allocate(10_000n * PAGE);
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: 10_000n * PAGE, base: va });
  for (let i = 0n; i < 4200n; i++) memory.add(list, { va: va + 2n * i * PAGE, length: PAGE });
  program.kernel.fail({ call: "MAP_DMA", nth: 4150, answer: no.EINVAL });
  failure("ERR_KERNEL", () => program.container.attach(memory));
  assert.equal([large.liveBytes, large.largestHole], [0n, 64n * MiB]);
  assert.equal(program.seen.registrations, []);
  // And detach the other way round: everything is mapped again.
  program.container.attach(memory);
  program.kernel.heal();
  program.kernel.fail({ call: "UNMAP_DMA", nth: 4150, answer: no.EINVAL });
  failure("ERR_KERNEL", () => program.container.detach(memory));
  assert.is(large.liveBytes, 4200n * PAGE);
  agree(program, large);
});

test("detach: an UNMAP that fails keeps everything mapped, and the memory attached", () => {
  for (let nth = 0; nth < 3; nth++) {
    const all = attached();
    const { program, window, memory, list, container } = all;
    const before = everything(all);
    program.kernel.fail({ call: "UNMAP_DMA", nth, answer: no.EIO });
    const error = failure("ERR_KERNEL", () => container.detach(memory));
    assert.is(error.residue, undefined);
    assert.equal(everything(all), before);
    memory.allocate(list, 1);
    agree(program, window);
    container.detach(memory);
    assert.is(window.liveBytes, 0n);
    agree(program, window);
  }
});

test("detach: what cannot be mapped again is named, and detaching again ends what is left", () => {
  const { program, window, memory, container, segments } = attached();
  program.kernel.fail({ call: "UNMAP_DMA", nth: 1, answer: no.EIO }, { call: "MAP_DMA", answer: no.EINVAL });
  const error = failure("ERR_KERNEL", () => container.detach(memory));
  assert.match(error.residue?.left.join("; ") ?? "", "4 KiB at IOVA 0x0 is not mapped again");
  assert.is(error.residue?.left.length, 1);
  assert.is(window.translate(segments[0].va), undefined);
  agree(program, window);
  container.detach(memory);
  assert.is(window.liveBytes, 0n);
  agree(program, window);
  container.attach(memory);
  agree(program, window);
});

test("detach: a registration that stands in the way of mapping again is named with what it keeps from being mapped", () => {
  const { program, window, memory, container, segments } = attached();
  program.kernel.fail(
    { call: "UNMAP_DMA", nth: 1, answer: no.EIO },
    { call: "UNREGISTER_MEMORY", times: 50, answer: no.EIO },
  );
  const error = failure("ERR_KERNEL", () => container.detach(memory));
  const va = `0x${segments[0].va.toString(16)}`;
  assert.match(error.residue?.left[0] ?? "", "4 KiB at IOVA 0x0 is not mapped again");
  assert.is(error.residue?.left[1], `4 KiB of memory at ${va} are still registered (locked)`);
  assert.is(error.residue?.left.length, 2);
  agree(program, window);
});

test("detach: registrations that cannot be ended are told, and the memory is detached", () => {
  const { program, window, memory, container } = attached();
  program.kernel.fail({ call: "UNREGISTER_MEMORY", times: 6, answer: no.EIO });
  const error = failure("ERR_STILL_REGISTERED", () => container.detach(memory));
  assert.is(error.residue?.left.length, 3);
  assert.equal([window.liveBytes, window.largestHole], [0n, 16n * MiB]);
  agree(program, window);
  memory.close();
  container.close();
  assert.equal(program.model.leaks(), []);
});

test("closing the window: an UNMAP of an attached memory that fails keeps both, and the memory attached", () => {
  const all = attached();
  const { program, window, memory, list } = all;
  const before = everything(all);
  program.kernel.fail({ call: "UNMAP_DMA", nth: 1, answer: no.EIO });
  failure("ERR_KERNEL", () => window.close());
  assert.equal(everything(all), before);
  assert.is(window.closed, false);
  memory.allocate(list, 1);
  agree(program, window);
  window.close();
  assert.is(memory.size, 4);
});

test("closing the container lets go of its memory, whatever fails", () => {
  const { program, memory, container, list } = attached();
  program.kernel.fail({ call: "UNMAP_DMA", times: 100, answer: no.EIO });
  failure("ERR_CLOSE", () => container.close());
  assert.equal(program.model.leaks(), []);
  program.record.take();
  memory.allocate(list, 1);
  assert.equal(program.record.takeNames(), ["mmap"], "no container is told");
  memory.close();
});

test.run();
