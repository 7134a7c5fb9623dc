import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { MapFlag, VfioCall } from "../../src/syscalls.ts";
import { recordTrace } from "../../src/trace/index.ts";
import { refused, thrownBy } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { answering, PAGE, RW, Tape } from "./tape.ts";

const HIGH = 1n << 59n;

function started(): Tape {
  const tape = new Tape(modelKernel()).start();
  tape.take();
  return tape;
}

const lines = suite("a trace");

lines("begins with a header, at once: kernel, page size, what may be locked, and a note", () => {
  const written: string[] = [];
  const model = modelKernel({ pageSize: 65536, lockedMemory: { limit: 1n << 20n, privileged: false } });
  recordTrace(model, (line) => written.push(line), { note: "a test" });
  assert.equal(
    written.map((line) => JSON.parse(line)),
    [
      {
        trace: "dma-window",
        version: 1,
        kernel: "model",
        pageSize: 65536,
        lockedMemory: { limit: "0x100000", used: "0x0", privileged: false },
        note: "a test",
      },
    ],
  );
});

lines("has no note and no limit where there is none", () => {
  const written: string[] = [];
  recordTrace(answering({}), (line) => written.push(line));
  const { note, lockedMemory } = JSON.parse(written[0] ?? "");
  assert.equal([note, lockedMemory.limit], [undefined, null]);
});

lines("names descriptors by their opening, in the struct of SET_CONTAINER too", () => {
  const tape = new Tape(modelKernel());
  tape.take();
  tape.start();
  const found = tape.take();
  assert.equal(found, [
    { call: "open", path: "/dev/vfio/vfio", answer: "f1" },
    { call: "open", path: "/dev/vfio/26", answer: "f2" },
    { call: "GROUP_SET_CONTAINER", fd: "f2", container: "f1", answer: 0 },
    { call: "SET_IOMMU", fd: "f1", argument: 7, answer: 0 },
  ]);
});

lines(
  "keeps the name of a closed descriptor until its number is another's, and leaves unknown numbers as they are",
  () => {
    const tape = started();
    const { kernel, container, group } = tape;
    kernel.close(container);
    kernel.close(container);
    kernel.close(99);
    assert.is(kernel.open("/dev/vfio/vfio"), container, "the same number again");
    kernel.ioctl(container, VfioCall.GET_API_VERSION, 0);
    tape.struct(group, VfioCall.GROUP_SET_CONTAINER, [0xffff_ffff]);
    const found = tape.take();
    assert.equal(
      found.map(({ fd }) => fd),
      ["f1", "f1", 99, undefined, "f3", "f2"],
    );
    assert.equal(
      found.map(({ answer }) => answer),
      [0, "EBADF", "EBADF", "f3", 0, "EBADF"],
    );
    assert.is(found[5]?.container, -1);
  },
);

lines("names memory by the mmap that made it, and any address in it by its distance from there", () => {
  const tape = started();
  const va = tape.mmap(16);
  tape.register(va, 8n * PAGE);
  tape.register(va + 8n * PAGE, 8n * PAGE);
  tape.kernel.munmap(va, 16n * PAGE);
  tape.register(va + PAGE + 1n, PAGE);
  const found = tape.take();
  assert.equal(
    found.map(({ vaddr, address }) => vaddr ?? address),
    [undefined, "m1", "m1+0x8000", "m1", "m1+0x1001"],
  );
  assert.equal(found[1], {
    call: "REGISTER_MEMORY",
    fd: "f1",
    argsz: 24,
    flags: 0,
    vaddr: "m1",
    size: "0x8000",
    answer: 0,
  });
});

lines("has errnos by name, positive answers as they are, and errnos without a name as numbers", () => {
  const tape = new Tape(faulty(modelKernel(), { call: "REGISTER_MEMORY", answer: 7 })).start();
  assert.is(tape.register(0n, PAGE), 7);
  assert.is(tape.last.answer, 7);
  assert.is(tape.register(0n, PAGE), no.EFAULT);
  assert.is(tape.last.answer, "EFAULT");
  const odd = new Tape(answering({ ioctl: (_fd, call) => (call === 0 ? -4000 : -77) }));
  odd.kernel.ioctl(3, VfioCall.GET_API_VERSION, 0);
  assert.is(odd.last.answer, -4000);
  odd.kernel.ioctl(3, VfioCall.SET_IOMMU, 0);
  assert.is(odd.last.answer, "EBADFD", "an errno that Node does not name");
});

lines("has what the kernel wrote under out, and nothing there for a call that failed", () => {
  const tape = started();
  tape.struct(tape.group, VfioCall.GROUP_GET_STATUS, [8, 0]);
  assert.equal(tape.last.out, { flags: 3 });
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, [32]);
  const info = { flags: 1, start: "0x0", size: "0x80000000", pageSizes: "0x40211000", windows: 2, levels: 5 };
  assert.equal(tape.last.out, info);
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, [16]);
  assert.equal(tape.last.out, { flags: 1, start: "0x0", size: "0x80000000" });
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, [8]);
  assert.equal([tape.last.answer, tape.last.out], ["EINVAL", undefined]);
  tape.create(12, 1n << 30n);
  assert.equal(tape.last.out, { start: `0x${HIGH.toString(16)}` });
  tape.create(12, 3n);
  assert.is(tape.last.out, undefined);
});

lines("has an UNMAP's struct as the kernel reads it, whichever one it was given", () => {
  const tape = started();
  tape.struct(tape.container, VfioCall.IOMMU_UNMAP_DMA, [32, 0, 0n, 0x1_4000_0000n, 0x20_0000n]);
  const { iova, size, argsz, rest } = tape.last;
  assert.equal({ iova, size, argsz }, { iova: "0x0", size: "0x140000000", argsz: 32 });
  assert.is(rest, "000020", "the size that the program meant lies behind the kernel's struct");
});

lines("keeps bytes behind a struct up to its argsz, and in it those that nobody reads", () => {
  const tape = started();
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_REMOVE, [24, 0, 5n, 0xaabbn]);
  assert.is(tape.last.rest, "bbaa");
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_REMOVE, [16, 0, 5n, 0xaabbn]);
  assert.is(tape.last.rest, undefined, "argsz says that they are not the struct's");
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_CREATE, [40, 0, 12, 9, 0n, 1, 8, 7n]);
  const { unused12, unused28, start } = tape.last;
  assert.equal({ unused12, unused28, start }, { unused12: 9, unused28: 8, start: "0x7" });
});

lines(
  "has a call that was made without a struct by its argument, and a call that VFIO does not have by its number",
  () => {
    const tape = started();
    tape.kernel.ioctl(tape.container, VfioCall.IOMMU_MAP_DMA, 0);
    assert.equal(tape.last, { call: "MAP_DMA", fd: "f1", argument: 0, answer: "EPERM" });
    tape.struct(tape.container, 99, []);
    assert.equal(tape.last, { call: "BASE+99", fd: "f1", answer: "ENOTTY" });
  },
);

lines("marks the calls of a batch, those too that it did not come to", () => {
  const tape = started();
  const va = tape.mmap(2);
  tape.take();
  const done = tape.batch([
    [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, [24, 0, va, PAGE]],
    [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, [24, 0, va, PAGE]],
    [VfioCall.IOMMU_MAP_DMA, [32, 3, va, 0n, PAGE]],
  ]);
  assert.is(done, 1);
  assert.is(new DataView(tape.memory.buffer).getInt32(24, true), no.EBUSY, "the answer is in the entry");
  assert.equal(
    tape.take().map(({ call, batch, answer }) => [call, batch, answer]),
    [
      ["REGISTER_MEMORY", [1, 3], 0],
      ["REGISTER_MEMORY", [2, 3], "EBUSY"],
      ["MAP_DMA", [3, 3], null],
    ],
  );
});

lines("has a call of a batch that could not be made as one that threw, so that none is missing", () => {
  const tape = started();
  tape.register(tape.mmap(1), PAGE);
  tape.write(2048, [24]);
  tape.write(0, [VfioCall.IOMMU_UNMAP_DMA, 2048, 0, 0, VfioCall.IOMMU_UNMAP_DMA, 4, 0, 0]);
  tape.take();
  thrownBy(() => tape.kernel.ioctlBatch(tape.container, tape.memory, 0, 3));
  assert.equal(
    tape.take().map(({ batch, answer, throws }) => [batch, answer ?? throws]),
    [
      [[1, 3], 0],
      [[2, 3], "ERR_OUT_OF_RANGE"],
      [[3, 3], undefined],
    ],
  );
});

lines("has what is locked since it began", () => {
  const model = modelKernel();
  const first = new Tape(model).start();
  const va = first.mmap(4);
  first.register(va, 4n * PAGE);
  first.kernel.lockedMemory();
  assert.equal(first.last, { call: "lockedMemory", used: "0x4000" });
  const second = new Tape(model);
  second.kernel.lockedMemory();
  assert.is(second.last.used, "0x0");
  first.unregister(va, 4n * PAGE);
  assert.is(second.kernel.lockedMemory().used, 0n);
  assert.is(second.last.used, "-0x4000");
});

lines("has mmaps in words: where, how long, what for", () => {
  const tape = started();
  const va = tape.kernel.mmap(0n, (1n << 22n) + 4096n, 0, MapFlag.NORESERVE, 0);
  const { phase, ...first } = tape.last;
  assert.equal(first, {
    call: "mmap",
    near: null,
    length: "0x401000",
    protection: "none",
    flags: ["noreserve"],
    answer: "m1",
  });
  assert.is(phase, `0x${(va & ((1n << 34n) - 1n)).toString(16)}`);
  const aligned = va + (-va & 0x1f_ffffn);
  tape.kernel.mmap(aligned, 1n << 21n, RW, MapFlag.FIXED | MapFlag.POPULATE | MapFlag.HUGETLB, 21);
  const place = `m1+0x${(aligned - va).toString(16)}`;
  assert.equal(tape.last, {
    call: "mmap",
    near: place,
    length: "0x200000",
    protection: "rw",
    flags: ["fixed", "populate", "hugetlb"],
    pageShift: 21,
    answer: place,
  });
  tape.kernel.mmap(0n, 0n, 0, 0, 0);
  assert.equal([tape.last.answer, tape.last.phase], ["EINVAL", undefined]);
  tape.kernel.mmap(0x1_0000_0000n, PAGE, 1, 0, 0);
  assert.equal([tape.last.near, tape.last.protection], ["0x100000000", "r"], "a hint is a wish, and no memory");
});

lines("has the names of devices, and theirs are descriptors too", () => {
  const tape = new Tape(answering({ ioctlStruct: () => 9 }));
  tape.write(0, [0x3030_3030n]);
  tape.kernel.ioctlStruct(3, VfioCall.GROUP_GET_DEVICE_FD, tape.memory, 0);
  assert.equal(tape.last, { call: "GROUP_GET_DEVICE_FD", fd: 3, name: "0000", answer: "f1" });
});

lines("leaves out what no kernel was asked, and views of memory", () => {
  const tape = started();
  const { kernel, memory } = tape;
  const va = tape.mmap(1);
  tape.take();
  thrownBy(() => kernel.ioctlStruct(3, VfioCall.IOMMU_MAP_DMA, memory, 4));
  thrownBy(() => kernel.ioctlStruct(3, VfioCall.IOMMU_MAP_DMA, memory, Number.NaN));
  thrownBy(() => kernel.ioctlStruct(3, VfioCall.IOMMU_MAP_DMA, new Uint8Array(8), 8));
  thrownBy(() => kernel.ioctlBatch(3, memory, 4088, 1));
  thrownBy(() => kernel.ioctlBatch(3, memory, 4, 1));
  thrownBy(() => kernel.mmap(-1n, PAGE, 0, 0, 0));
  thrownBy(() => kernel.mmap(4096 as never, PAGE, 0, 0, 0));
  kernel.unview(kernel.view(va, PAGE));
  assert.equal(tape.take(), []);
});

lines("has a call that threw by the error's code, and the error passes", () => {
  const crash = Object.assign(new Error("crashed"), { code: "ERR_CRASH" });
  const tape = new Tape(
    answering({
      close: () => {
        throw crash;
      },
    }),
  );
  assert.is(
    thrownBy(() => tape.kernel.close(3)),
    crash,
  );
  assert.equal(tape.last, { call: "close", fd: 3, throws: "ERR_CRASH" });
});

lines("needs somewhere to go", () => {
  refused("ERR_INVALID_ARG_TYPE", () => recordTrace(answering({}), "a.jsonl" as never));
});

lines("is of a kernel that answers as the one behind it, view by view and number by number", () => {
  const model = modelKernel({ pageSize: 65536 });
  const kernel = recordTrace(model, () => {});
  assert.equal([kernel.name, kernel.pageSize], ["model", 65536]);
  assert.equal(kernel.lockedMemory(), model.lockedMemory());
  const va = kernel.mmap(0n, 65536n, 3, 0, 0);
  const view = kernel.view(va, 8n);
  view[0] = 5;
  assert.is(model.view(va, 8n)[0], 5);
});

lines.run();

const iovas = suite("an IOVA in a trace");

iovas("is a number, also where it happens to be an address", () => {
  const tape = started();
  const va = tape.mmap(4);
  tape.register(va, 4n * PAGE);
  tape.map(va, 0n, PAGE);
  assert.is(tape.last.iova, "0x0");
  tape.unmap(va, PAGE);
  assert.is(tape.last.iova, `0x${va.toString(16)}`);
  tape.map(va, va + PAGE, PAGE);
  assert.is(tape.last.iova, `0x${(va + PAGE).toString(16)}`);
});

iovas("is named as its memory is where the program mapped it at its own address, and in later calls", () => {
  const tape = started();
  const va = tape.mmap(8);
  tape.map(va, va, 4n * PAGE);
  assert.equal([tape.last.vaddr, tape.last.iova], ["m1", "m1"]);
  tape.unmap(va + PAGE, PAGE);
  assert.is(tape.last.iova, "m1+0x1000");
  tape.unmap(va + 4n * PAGE, PAGE);
  assert.is(tape.last.iova, `0x${(va + 4n * PAGE).toString(16)}`, "behind the map");
  assert.is(tape.last.size, "0x1000");
});

iovas("is another one in another container", () => {
  const model = modelKernel({ groups: [26, 27] });
  const tape = new Tape(model).start();
  const va = tape.mmap(1);
  tape.map(va, va, PAGE);
  tape.start(["/dev/vfio/27"]);
  tape.unmap(va, PAGE);
  assert.is(tape.last.iova, `0x${va.toString(16)}`);
});

iovas("is another one in a container that is new, though its descriptor has the number of an old one", () => {
  const tape = started();
  const va = tape.mmap(1);
  tape.map(va, va, PAGE);
  tape.kernel.close(tape.container);
  assert.is(tape.kernel.open("/dev/vfio/vfio"), tape.container);
  tape.unmap(va, PAGE);
  assert.is(tape.last.iova, `0x${va.toString(16)}`);
});

iovas("of 0 is 0 where the address is too", () => {
  const tape = started();
  tape.map(0n, 0n, PAGE);
  assert.equal([tape.last.vaddr, tape.last.iova], ["0x0", "0x0"]);
});

iovas.run();

const addresses = suite("an address in a trace");

addresses("that no mmap made is named by the 64 GiB that it lies in, in the order of first sight", () => {
  const tape = started();
  const seen = [0x5555_0000_0000n, 0x5555_0000_1000n, 0x1_0000_0000n, 0x5555_0000_0000n].map((va) => {
    tape.register(va, PAGE);
    return tape.last.vaddr;
  });
  assert.equal(seen, ["x1+0x500000000", "x1+0x500001000", "x2+0x100000000", "x1+0x500000000"]);
});

addresses("that can be none stays a number: below 64 KiB, and from 2^48 on", () => {
  const tape = started();
  for (const va of [0n, 4096n, 0xffffn, 1n << 48n, (1n << 64n) - PAGE]) {
    tape.register(va, PAGE);
    assert.is(tape.last.vaddr, `0x${va.toString(16)}`);
  }
  tape.register(0x10000n, PAGE);
  assert.is(tape.last.vaddr, "x1+0x10000");
});

addresses("is the newest region's, and a region that comes where an older one was says so", () => {
  const tape = started();
  const first = tape.mmap(4);
  tape.kernel.munmap(first, 4n * PAGE);
  const second = tape.mmap(6);
  assert.is(second, first - 2n * PAGE, "the model begins at the top again");
  assert.equal([tape.last.answer, tape.last.at], ["m2", "m1-0x2000"]);
  tape.register(first, PAGE);
  assert.is(tape.last.vaddr, "m2+0x2000");
});

addresses("far from all others begins anew, with its place among the largest pages alone", () => {
  let next = 0x7000_0000_1000n;
  const tape = new Tape(answering({ mmap: () => next }));
  tape.mmap(1);
  assert.equal([tape.last.at, tape.last.phase], [undefined, "0x1000"]);
  next += 16n << 30n;
  tape.mmap(1);
  assert.equal([tape.last.at, tape.last.phase], ["m1+0x400000000", undefined], "less than 16 GiB lie between");
  next += (16n << 30n) + PAGE;
  tape.mmap(1);
  assert.equal([tape.last.answer, tape.last.at, tape.last.phase], ["m3", undefined, "0x2000"]);
});

addresses.run();
