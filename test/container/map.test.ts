import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GROUP, KiB, MiB, ready } from "../support/program.ts";

const PAGE = 4096n;

test("a map is one REGISTER and one MAP, with the structs that the kernel expects", () => {
  const { program, window, va } = ready();
  assert.is(window.map({ va, length: 3n * PAGE, iova: MiB }), MiB);
  const fd = program.seen.fd;
  assert.equal(program.record.take(), [
    { call: "REGISTER_MEMORY", fd, argsz: 24, flags: 0, va, size: 3n * PAGE, answer: 0 },
    { call: "MAP_DMA", fd, argsz: 32, flags: 3, va, iova: MiB, size: 3n * PAGE, answer: 0 },
  ]);
  agree(program, window);
});

test("an unmap is one UNMAP, with the struct of an unmap, and one UNREGISTER", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 2n * PAGE, iova: MiB });
  const fd = program.seen.fd;
  program.record.take();
  window.unmap({ iova: MiB, length: 8192 });
  assert.equal(program.record.take(), [
    { call: "UNMAP_DMA", fd, argsz: 24, flags: 0, iova: MiB, size: 2n * PAGE, answer: 0 },
    { call: "UNREGISTER_MEMORY", fd, argsz: 24, flags: 0, va, size: 2n * PAGE, answer: 0 },
  ]);
  agree(program, window);
  assert.equal(program.seen.registrations, []);
});

test("permissions reach the device: read only, write only, both", () => {
  const { program, window, va } = ready({ platform: "pseries" }); // on bare metal who may write may read as well
  const reach = (read?: boolean, write?: boolean) => {
    const permissions = { ...(read === undefined ? {} : { read }), ...(write === undefined ? {} : { write }) };
    const iova = window.map({ va, length: PAGE, ...permissions });
    const found = program.model.tceAt(GROUP, iova);
    window.unmap({ iova, length: PAGE });
    return [found?.read, found?.write];
  };
  assert.equal(reach(), [true, true]);
  assert.equal(reach(true, false), [true, false]);
  assert.equal(reach(false, true), [false, true]);
  assert.equal(reach(undefined, false), [true, false]);
  assert.equal(reach(false), [false, true]);
});

test("without an IOVA the lowest hole that is large enough is taken", () => {
  const { window, va } = ready();
  window.map({ va, length: 2n * PAGE, iova: PAGE });
  assert.is(window.map({ va: va + 2n * PAGE, length: 2n * PAGE }), 3n * PAGE);
  assert.is(window.map({ va: va + 4n * PAGE, length: PAGE }), 0n);
  assert.is(window.map({ va: va + 5n * PAGE, length: PAGE }), 5n * PAGE);
});

test("in IOVA mode va the default is the address itself", () => {
  const { program } = ready();
  program.container.windows[0]?.close();
  const window = program.window(256n * MiB, { iovaMode: "va" });
  const va = program.model.mmap(64n * MiB, 64n * KiB, 3, 0, 0);
  assert.is(va, 64n * MiB);
  assert.is(window.map({ va, length: 64n * KiB }), va);
  assert.is(window.iovaOf(va + 5n), va + 5n);
  failure("ERR_OUTSIDE_WINDOW", () => window.map({ va: program.allocate(PAGE), length: PAGE }));
  agree(program, window);
});

test("in IOVA mode pa every map says its IOVA", () => {
  const { program } = ready();
  program.container.windows[0]?.close();
  const window = program.window(256n * MiB, { iovaMode: "pa" });
  const va = program.allocate(PAGE);
  assert.throws(() => window.map({ va, length: PAGE }), /requests\[0\]\.iova must be a bigint in IOVA mode pa/);
  assert.is(window.map({ va, length: PAGE, iova: 0x123000n }), 0x123000n);
});

test("a map that ends exactly at the window's end is right", () => {
  const { program, window, va } = ready();
  assert.is(window.map({ va, length: 2n * PAGE, iova: 16n * MiB - 2n * PAGE }), 16n * MiB - 2n * PAGE);
  assert.is(window.headroom(16n * MiB - PAGE), PAGE);
  agree(program, window);
  window.unmap({ iova: 16n * MiB - PAGE, length: PAGE });
  agree(program, window);
});

test("a window can be filled to its last page, and emptied again", () => {
  const { program, window } = ready({}, 64n * KiB);
  const va = program.allocate(64n * KiB);
  assert.is(window.map({ va, length: 64n * KiB }), 0n);
  assert.is(window.largestHole, 0n);
  assert.is(window.liveBytes, 64n * KiB);
  failure("ERR_NO_HOLE", () => window.map({ va: program.allocate(PAGE), length: PAGE }));
  agree(program, window);
  window.unmap({ iova: 0n, length: 64n * KiB });
  assert.is(window.largestHole, 64n * KiB);
  agree(program, window);
});

test("a part of a map can be unmapped; its registration stays until the last page goes", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 4n * PAGE });
  program.record.take();
  window.unmap({ iova: PAGE, length: 2n * PAGE });
  window.unmap({ iova: 0n, length: PAGE });
  assert.equal(program.record.takeNames(), ["UNMAP_DMA", "UNMAP_DMA"]);
  agree(program, window);
  assert.equal(program.seen.registrations, [{ va, size: 4n * PAGE, mapped: 1 }]);
  window.unmap({ iova: 3n * PAGE, length: PAGE });
  const calls = program.record.take();
  assert.equal(
    calls.map(({ call, va: at, size }) => [call, at, size]),
    [
      ["UNMAP_DMA", undefined, PAGE],
      ["UNREGISTER_MEMORY", va, 4n * PAGE],
    ],
  );
  agree(program, window);
});

test("what was unmapped of a registration that is still there can be mapped again, without a REGISTER", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 4n * PAGE });
  window.unmap({ iova: PAGE, length: 2n * PAGE });
  program.record.take();
  assert.is(window.map({ va: va + PAGE, length: PAGE, iova: MiB }), MiB);
  assert.equal(program.record.takeNames(), ["MAP_DMA"]);
  agree(program, window);
});

test("one unmap over several maps ends each registration that it empties, after the UNMAP", () => {
  const { program, window, va } = ready();
  for (const i of [0n, 1n, 2n]) window.map({ va: va + i * PAGE, length: PAGE });
  program.record.take();
  window.unmap({ iova: 0n, length: 3n * PAGE });
  assert.equal(program.record.takeNames(), [
    "UNMAP_DMA",
    "UNREGISTER_MEMORY",
    "UNREGISTER_MEMORY",
    "UNREGISTER_MEMORY",
  ]);
  agree(program, window);
});

test("a batch goes out in order, and its IOVAs come back in order", () => {
  const { program, window, va } = ready();
  const requests = [
    { va: va + 8n * PAGE, length: PAGE },
    { va, length: 2n * PAGE, iova: MiB },
    { va: va + 4n * PAGE, length: PAGE },
  ];
  assert.equal(window.mapMany(requests), [0n, MiB, PAGE]);
  assert.equal(
    program.record.take().map(({ call, va: at }) => [call, at]),
    requests.flatMap(({ va: at }) => [
      ["REGISTER_MEMORY", at],
      ["MAP_DMA", at],
    ]),
  );
  agree(program, window);
  window.unmapMany([
    { iova: MiB, length: 2n * PAGE, va },
    { iova: 0n, length: PAGE },
  ]);
  agree(program, window);
  assert.equal([...window.maps()], [{ va: va + 4n * PAGE, iova: PAGE, length: PAGE }]);
});

test("an empty batch does nothing", () => {
  const { program, window } = ready();
  assert.equal(window.mapMany([]), []);
  window.unmapMany([]);
  assert.equal(program.record.calls, []);
});

test("a CPU page larger than the window's: memory is registered in CPU pages, and mapped in the window's", () => {
  const { program } = ready({ pageSize: 65536 });
  program.container.windows[0]?.close();
  const window = program.window(16n * MiB, { pageSize: PAGE });
  const va = program.allocate(128n * KiB);
  failure("ERR_UNALIGNED_LENGTH", () => window.map({ va, length: PAGE }));
  failure("ERR_UNALIGNED_VA", () => window.map({ va: va + PAGE, length: 64n * KiB }));
  window.map({ va, length: 64n * KiB });
  window.unmap({ iova: 2n * PAGE, length: PAGE });
  agree(program, window);
  // Registered already: now it may be mapped page by page.
  assert.is(window.map({ va: va + 2n * PAGE, length: PAGE, iova: MiB }), MiB);
  agree(program, window);
});

test("a window of hugepages maps hugepages, and its pages are the unit of everything", () => {
  const { program } = ready();
  program.container.windows[0]?.close();
  const window = program.window(64n * MiB, { pageSize: 2n * MiB });
  assert.is(window.pageShift, 21);
  const va = program.allocate(8n * MiB, 21);
  assert.is(window.map({ va, length: 4n * MiB }), 0n);
  failure("ERR_UNALIGNED_LENGTH", () => window.map({ va: va + 4n * MiB, length: PAGE }));
  failure("ERR_UNALIGNED_IOVA", () => window.map({ va: va + 4n * MiB, length: 2n * MiB, iova: MiB }));
  assert.is(window.iovaOf(va + 2n * MiB + 17n), 2n * MiB + 17n);
  agree(program, window);
});

test("memory in small pages cannot be mapped by large ones: the kernel says so, and all is undone", () => {
  const { program } = ready();
  program.container.windows[0]?.close();
  const window = program.window(64n * MiB, { pageSize: 2n * MiB });
  const va = program.model.mmap(1n << 40n, 4n * MiB, 3, 0, 0);
  const error = failure("ERR_KERNEL", () => window.map({ va, length: 2n * MiB }));
  assert.equal([error.errno, error.syscall], [no.EINVAL, "VFIO_IOMMU_MAP_DMA"]);
  assert.match(error.message, "pages are smaller than the window's");
  assert.is(error.residue, undefined);
  agree(program, window);
  assert.equal(program.seen.registrations, []);
});

test.run();
