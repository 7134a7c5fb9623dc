import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { MapFlag, type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { Through } from "../../src/through.ts";
import { replay } from "../../src/trace/index.ts";
import { refused } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { recording } from "../support/recording.ts";
import { answering, holdsNoMemory, PAGE, RW, started, Tape, traceOf, words } from "./tape.ts";

const HIGH = 1n << 59n;
const GiB = 1n << 30n;

/** Fails unless a fresh model answers as the recorded one did. */
function same(tape: Tape, options: ModelOptions = {}): void {
  const model = modelKernel(options);
  assert.equal(replay(tape.lines, model), { calls: tape.lines.length - 1, differences: [], moved: 0 });
  assert.is(model.open("/dev/vfio/vfio"), 3, "every descriptor is closed");
  holdsNoMemory(model);
}

/** Every kind of call, on a container that takes it, refused and not. */
function everything(tape: Tape): void {
  const { kernel, container, group } = tape;
  kernel.open("/dev/vfio/99");
  kernel.ioctl(container, VfioCall.GET_API_VERSION, 0);
  kernel.ioctl(container, VfioCall.CHECK_EXTENSION, 7);
  kernel.ioctl(container, VfioCall.CHECK_EXTENSION, 99);
  kernel.ioctl(container, VfioCall.IOMMU_ENABLE, 0);
  kernel.ioctl(container, VfioCall.IOMMU_DISABLE, 0);
  kernel.ioctl(-1, VfioCall.IOMMU_ENABLE, 0);
  kernel.lockedMemory();
  tape.struct(group, VfioCall.GROUP_GET_STATUS, [8, 0]);
  tape.struct(group, VfioCall.GROUP_GET_STATUS, [4, 0]);
  tape.struct(group, VfioCall.GROUP_SET_CONTAINER, [99]);
  for (const argsz of [8, 16, 24, 32, 200])
    tape.struct(container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, [argsz, 7, 7n, 7n]);
  const va = tape.mmap(16);
  const none = tape.mmap(1, 0);
  const huge = kernel.mmap(0n, 1n << 22n, RW, MapFlag.HUGETLB, 21);
  kernel.mmap(va + PAGE, PAGE, RW, MapFlag.FIXED | MapFlag.POPULATE, 0);
  kernel.mmap(va, PAGE, RW, MapFlag.FIXED_NOREPLACE, 0);
  kernel.mmap(1n << 32n, PAGE, RW, MapFlag.NORESERVE, 0);
  kernel.mmap(0n, PAGE, RW, MapFlag.HUGETLB, 17);
  tape.register(va, 16n * PAGE);
  tape.register(va, 16n * PAGE);
  tape.register(none, PAGE);
  tape.register(huge, 1n << 22n);
  tape.register(va - 64n * PAGE, 80n * PAGE);
  kernel.lockedMemory();
  tape.create(12, GiB);
  tape.create(12, 3n);
  tape.create(12, GiB);
  for (const iova of [0n, HIGH, HIGH + 8n, GiB << 8n, va]) {
    tape.map(va, iova, 4n * PAGE);
    tape.map(va + PAGE, iova, PAGE, 0);
    tape.map(1n << 50n, iova, PAGE);
    tape.unmap(iova, PAGE);
    tape.unmap(iova, 1n);
  }
  tape.map(va, PAGE, PAGE);
  tape.struct(container, VfioCall.IOMMU_UNMAP_DMA, [32, 0, va, PAGE, PAGE]);
  tape.struct(container, VfioCall.IOMMU_UNMAP_DMA, [24, 1, 0n, PAGE]);
  tape.batch([
    [VfioCall.IOMMU_MAP_DMA, [32, 3, va, 0n, PAGE]],
    [VfioCall.IOMMU_UNMAP_DMA, [24, 0, 0n, PAGE]],
  ]);
  tape.batch([
    [VfioCall.IOMMU_MAP_DMA, [32, 3, va, 1n, PAGE]],
    [VfioCall.IOMMU_UNMAP_DMA, [24, 0, 0n, PAGE]],
  ]);
  tape.unregister(huge, 1n << 22n);
  tape.unregister(huge, 1n << 22n);
  tape.remove(HIGH);
  tape.remove(HIGH);
  kernel.munmap(va, 2n * PAGE);
  kernel.munmap(va + 1n, PAGE);
  tape.register(va, PAGE);
  kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0);
  kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0);
  kernel.close(group);
  kernel.close(group);
}

const alike = suite("a replay on a kernel of the same kind");

const platforms: readonly (readonly [string, ModelOptions])[] = [
  ["PowerNV", { platform: "powernv" }],
  ["PowerNV with pages of 64 KiB", { platform: "powernv", pageSize: 65536 }],
  ["pSeries", { platform: "pseries" }],
  ["pSeries, where little may be locked", { platform: "pseries", lockedMemory: { limit: 70_000n, privileged: false } }],
];

for (const [name, options] of platforms) {
  alike(`has no difference, whichever call it is, on ${name}`, () => {
    const tape = started(options);
    everything(tape);
    const kinds = new Set(tape.lines.map((line) => JSON.parse(line).call));
    assert.ok(kinds.size >= 20, [...kinds].join());
    same(tape, options);
  });
}

alike("makes a batch of a batch", () => {
  const tape = started();
  const va = tape.mmap(1);
  tape.batch([
    [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, [24, 0, va, PAGE]],
    [VfioCall.IOMMU_MAP_DMA, [32, 3, va, 0n, PAGE]],
    [VfioCall.IOMMU_MAP_DMA, [32, 3, va, 1n, PAGE]],
    [VfioCall.IOMMU_UNMAP_DMA, [24, 0, 0n, PAGE]],
  ]);
  const batches: number[] = [];
  class Counting extends Through {
    protected pass<R extends number | bigint>(_call: unknown, make: () => R): R {
      return make();
    }
    override ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
      batches.push(count);
      return this.inner.ioctlBatch(fd, memory, table, count);
    }
  }
  assert.equal(replay(tape.lines, new Counting(modelKernel())).differences, []);
  assert.equal(batches, [4]);
});

alike("hands over the bytes that were handed over, also those behind a struct", () => {
  const tape = started();
  const fields = [48, 5, 12, 0xabcd, 1n << 30n, 1, 0xef01, 0x77n, 0x1122_3344_5566_7788n] as const;
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_CREATE, fields);
  const given: Uint8Array[] = [];
  const seeing = answering({
    ioctlStruct: (_fd, call, memory, at) => {
      if (call === VfioCall.IOMMU_SPAPR_TCE_CREATE) given.push(memory.slice(at, at + 48));
      return 0;
    },
  });
  replay(tape.lines, seeing);
  assert.equal(given, [tape.memory.slice(0, 48)]);
});

alike("asks for a device by its name, and closes the descriptor that it got", () => {
  const devices: string[] = [];
  const closed: number[] = [];
  const kernel = answering({
    ioctlStruct: (_fd, _call, memory, at) => {
      devices.push(Buffer.from(memory.subarray(at, memory.indexOf(0, at))).toString());
      return 9;
    },
    close: (fd) => closed.push(fd) * 0,
  });
  const tape = new Tape(kernel);
  const group = tape.kernel.open("/dev/vfio/26");
  tape.memory.set(Buffer.from("0000:01:00.0"));
  tape.kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, tape.memory, 0);
  assert.equal(replay(tape.lines, kernel).differences, []);
  assert.equal(devices, ["0000:01:00.0", "0000:01:00.0"]);
  assert.equal(closed, [9, 3]);
});

alike("takes whatever page size an mmap was asked for", () => {
  const tape = started();
  tape.kernel.mmap(0n, PAGE, RW, MapFlag.HUGETLB, 4_000_000_000);
  assert.is(tape.last.answer, "EINVAL");
  same(tape);
});

alike("says what is locked since it began, whatever was locked before", () => {
  const tape = started();
  const va = tape.mmap(4);
  tape.register(va, 4n * PAGE);
  tape.kernel.lockedMemory();
  const model = modelKernel({ groups: [26, 27] });
  const other = new Tape(model).start(["/dev/vfio/27"]);
  other.register(other.mmap(2), 2n * PAGE);
  assert.equal(replay(tape.lines, model).differences, []);
  const lines = tape.lines.map((line) => line.replace('"used":"0x4000"', '"used":"0x5000"'));
  assert.equal(words(replay(lines, modelKernel()).differences), [
    "lockedMemory: 0x5000 bytes locked since the trace began, now 0x4000 bytes locked since the trace began",
  ]);
});

alike("has a call that threw as one that throws", () => {
  const crashing: Syscalls = faulty(modelKernel());
  const crash = Object.assign(new Error("gone"), { code: "ERR_CRASH" });
  crashing.close = () => {
    throw crash;
  };
  const tape = new Tape(crashing);
  const fd = tape.kernel.open("/dev/vfio/vfio");
  assert.throws(() => tape.kernel.close(fd), "gone");
  assert.equal(replay(tape.lines, crashing).differences, []);
  assert.equal(words(replay(tape.lines, modelKernel()).differences), ["close: an exception (ERR_CRASH), now 0"]);
  const plain = new Tape(modelKernel());
  plain.kernel.close(plain.kernel.open("/dev/vfio/vfio"));
  assert.equal(words(replay(plain.lines, crashing).differences), ["close: 0, now an exception (ERR_CRASH)"]);
});

alike.run();

const other = suite("a replay on another kernel");

other("lists the answers that are others there, and nothing else", () => {
  const tape = started({ platform: "powernv" });
  tape.struct(tape.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, [32]);
  tape.remove(0n);
  tape.create(12, 64n * GiB, 2);
  tape.create(12, 64n * GiB);
  tape.remove(0n);
  const { differences } = replay(tape.lines, modelKernel({ platform: "pseries" }));
  assert.equal(differences, [
    {
      line: 6,
      call: "GET_INFO",
      expected: '0 with {"size":"0x80000000","pageSizes":"0x40211000","levels":5}',
      got: '0 with {"size":"0x40000000","pageSizes":"0x1211000","levels":1}',
    },
    { line: 8, call: "TCE_CREATE", expected: '0 with {"start":"0x0"}', got: "EINVAL" },
    { line: 9, call: "TCE_CREATE", expected: "ENOMEM", got: '0 with {"start":"0x800000000000000"}' },
    { line: 10, call: "TCE_REMOVE", expected: "0", got: "EINVAL" },
  ]);
});

other("lists the calls whose answers were made up, and those that follow from them", () => {
  const kernel = faulty(
    modelKernel(),
    { call: "REGISTER_MEMORY", nth: 1, answer: 7 },
    { call: "GROUP_GET_STATUS", answer: no.EFAULT },
  );
  const tape = new Tape(kernel).start();
  const va = tape.mmap(2);
  tape.register(va, PAGE);
  tape.register(va + PAGE, PAGE);
  tape.map(va, 0n, 2n * PAGE);
  tape.map(va, 0n, PAGE);
  tape.struct(tape.group, VfioCall.GROUP_GET_STATUS, [8, 0]);
  assert.equal(words(replay(tape.lines, modelKernel()).differences), [
    "REGISTER_MEMORY: 7, now 0",
    "MAP_DMA: EINVAL, now 0",
    'GROUP_GET_STATUS: EFAULT, now 0 with {"flags":3}',
  ]);
});

other("goes on with descriptors and memory that are none, where it got none", () => {
  const tape = started();
  const va = tape.mmap(4);
  tape.register(va, PAGE);
  tape.kernel.munmap(va, PAGE);
  const kernel = faulty(
    modelKernel(),
    { call: "mmap", answer: no.ENOMEM },
    { call: "open", nth: 1, answer: no.EACCES },
  );
  assert.equal(words(replay(tape.lines, kernel).differences), [
    "open: f2, now EACCES",
    "GROUP_SET_CONTAINER: 0, now EBADF",
    "SET_IOMMU: 0, now EINVAL",
    "mmap: m1, now ENOMEM",
    "REGISTER_MEMORY: 0, now EINVAL",
    "munmap: 0, now EINVAL",
  ]);
});

other("goes on where a call threw instead of giving memory or a descriptor", () => {
  const tape = started();
  const va = tape.mmap(1);
  tape.register(va, PAGE);
  const kernel = modelKernel();
  const crash = (): never => {
    throw Object.assign(new Error("gone"), { code: "ERR_CRASH" });
  };
  Object.assign(kernel, { open: crash, mmap: crash });
  const { differences } = replay(tape.lines, kernel);
  assert.equal(
    differences.map(({ got }) => got),
    ["an exception (ERR_CRASH)", "an exception (ERR_CRASH)", "EBADF", "EBADF", "an exception (ERR_CRASH)", "EBADF"],
  );
});

other("gives back at once what the trace did not get", () => {
  const kernel = faulty(modelKernel(), { call: "open", answer: no.EACCES }, { call: "mmap", answer: no.ENOMEM });
  const tape = new Tape(kernel);
  tape.kernel.open("/dev/vfio/26");
  tape.kernel.open("/dev/vfio/26");
  tape.mmap(1);
  const va = tape.mmap(1);
  tape.register(va, PAGE);
  const model = modelKernel();
  const { differences } = replay(tape.lines, model);
  assert.equal(words(differences), ["open: EACCES, now a descriptor", "mmap: ENOMEM, now memory"]);
  holdsNoMemory(model);
});

other("has the calls behind a failure in a batch as not made, and those that were not made as made", () => {
  const batch = (tape: Tape) => {
    const va = tape.mmap(1);
    tape.batch([
      [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, [24, 0, va, PAGE]],
      [VfioCall.IOMMU_MAP_DMA, [32, 3, va, 0n, PAGE]],
    ]);
    return tape.lines;
  };
  const failing = () => faulty(modelKernel(), { call: "REGISTER_MEMORY", answer: no.ENOMEM });
  assert.equal(words(replay(batch(started()), failing()).differences), [
    "REGISTER_MEMORY: 0, now ENOMEM",
    "MAP_DMA: 0, now not made",
  ]);
  assert.equal(words(replay(batch(new Tape(failing()).start()), modelKernel()).differences), [
    "REGISTER_MEMORY: ENOMEM, now 0",
    "MAP_DMA: not made, now 0",
  ]);
});

other("has what a batch threw at the first of its calls without an answer", () => {
  const tape = started();
  tape.register(tape.mmap(1), PAGE);
  const unmap = [VfioCall.IOMMU_UNMAP_DMA, [24, 0, 0n, PAGE]] as const;
  tape.batch([unmap, unmap]);
  const kernel = modelKernel();
  kernel.ioctlBatch = () => {
    throw Object.assign(new Error("gone"), { code: "ERR_CRASH" });
  };
  assert.equal(words(replay(tape.lines, kernel).differences), [
    "UNMAP_DMA: 0, now an exception (ERR_CRASH)",
    "UNMAP_DMA: 0, now not made",
  ]);
});

other("does the same harm with the wrong struct: what is below the target goes, and the target stays", () => {
  const tape = started();
  const va = tape.mmap(3);
  tape.register(va, 3n * PAGE);
  for (const i of [0n, 1n, 2n]) tape.map(va + i * PAGE, i * 16n * PAGE, PAGE);
  tape.struct(tape.container, VfioCall.IOMMU_UNMAP_DMA, [32, 0, 0n, 32n * PAGE, PAGE]);
  const live: boolean[] = [];
  const model = modelKernel();
  const last = answeringAfter(model, () => {
    live.push(...[0n, 16n, 32n].map((page) => model.tceAt(26, page * PAGE) !== undefined));
  });
  assert.equal(replay(tape.lines, last).differences, []);
  assert.equal(live, [false, false, true]);
});

/** Looks once, when the first descriptor is closed. */
function answeringAfter(kernel: Syscalls, look: () => void): Syscalls {
  class Looking extends Through {
    #looked = false;
    protected pass<R extends number | bigint>({ name }: { readonly name: string }, make: () => R): R {
      if (name === "close" && !this.#looked) look();
      this.#looked ||= name === "close";
      return make();
    }
  }
  return new Looking(kernel);
}

other("knows a closed descriptor from one that has its number now", () => {
  const open = { call: "open", path: "/dev/vfio/vfio" };
  const lines = traceOf(
    { ...open, answer: "f1" },
    { call: "close", fd: "f1", answer: 0 },
    { ...open, answer: "f2" },
    { call: "close", fd: "f1", answer: "EBADF" },
    { call: "close", fd: 3, answer: "EBADF" },
    { call: "GET_API_VERSION", fd: "f2", argument: 0, answer: 0 },
  );
  assert.equal(replay(lines, modelKernel()).differences, []);
});

other("opens other groups where they have other numbers, on no-IOMMU's nodes too", () => {
  const tape = started();
  const model = modelKernel({ groups: [3] });
  assert.is(replay(tape.lines, model).differences[0]?.got, "ENOENT");
  assert.equal(replay(tape.lines, model, { groups: new Map([[26, 3]]) }).differences, []);
  const opened = recording(answering({}));
  const lines = traceOf({ call: "open", path: "/dev/vfio/noiommu-26", answer: "f1" });
  replay(lines, opened, { groups: new Map([[26, 3]]) });
  assert.is(opened.take()[0]?.path, "/dev/vfio/noiommu-3");
});

other("takes its groups as a Map and nothing else", () => {
  refused("ERR_INVALID_ARG_TYPE", () => replay(traceOf(), modelKernel(), { groups: { 26: 3 } as never }));
});

other("cannot go where the shim is not there", () => {
  const kernel = answering({
    open: () => {
      throw Object.assign(new Error("no shim"), { code: "ERR_SHIM_UNAVAILABLE" });
    },
  });
  assert.throws(() => replay(started().lines, kernel), "no shim");
});

other.run();
