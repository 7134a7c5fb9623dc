import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { MapFlag, type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { replay } from "../../src/trace/index.ts";
import { no } from "../support/faulty.ts";
import { recording } from "../support/recording.ts";
import { answering, holdsNoMemory, PAGE, RW, started, Tape, traceOf, words } from "./tape.ts";

const GiB = 1n << 30n;

const memory = suite("the memory of a replay");

memory("lies elsewhere, region by region as far from the others and as it lay to the largest pages", () => {
  const tape = started();
  const low = tape.mmap(3);
  const high = tape.mmap(5);
  assert.is(low - high, 5n * PAGE);
  // Over the border between the two: the answer depends on how they lie.
  tape.register(high, 8n * PAGE);
  const model = modelKernel();
  model.mmap(0n, 3n * PAGE, RW, 0, 0);
  const seen = recording(model);
  assert.equal(replay(tape.lines, seen), { calls: tape.lines.length - 1, differences: [], moved: 0 });
  const va = seen.take().find(({ call }) => call === "REGISTER_MEMORY")?.va;
  assert.not.equal(va, high);
  assert.is(((va as bigint) - high) % (16n * GiB), 0n);
});

memory("is counted as moved where it cannot lie as it lay", () => {
  const tape = started();
  tape.mmap(1);
  tape.mmap(1);
  // Only the kernel's own choice is to be had, and that is always the same place.
  const stubborn = answering({
    mmap: (_near, _length, _protection, flags) =>
      (flags & MapFlag.FIXED_NOREPLACE) === 0 ? 0x7000_0000_1000n : BigInt(no.EEXIST),
  });
  assert.is(replay(tape.lines, stubborn).moved, 2);
});

memory("that the program had in another way is kept apart, and is there where the kernel took it", () => {
  let fd = 3;
  const pinning = answering({
    open: () => fd++,
    ioctlStruct: (_fd, call, struct, at) => {
      if (call !== VfioCall.IOMMU_SPAPR_REGISTER_MEMORY) return 0;
      return new DataView(struct.buffer).getBigUint64(at + 8, true) === 0x5555_0000_2000n ? no.EFAULT : 0;
    },
  });
  const tape = new Tape(pinning).start();
  tape.register(0x5555_0000_0000n, 2n * PAGE);
  tape.register(0x5555_0000_2000n, PAGE);
  tape.map(0x5555_0000_1000n, 0n, PAGE);
  const model = modelKernel();
  assert.equal(words(replay(tape.lines, model).differences), []);
  holdsNoMemory(model);
});

memory(
  "that the program mapped at addresses of its own finding is where it found them, beside what else is there",
  () => {
    const found = { call: "mmap", near: "x1+0x3000", length: "0x2000", protection: "rw", flags: ["fixedNoreplace"] };
    const again = { ...found, near: "m1+0x1000", length: "0x1000" };
    const model = modelKernel();
    const lines = traceOf({ ...found, answer: "m1" }, { ...again, answer: "EEXIST" });
    assert.equal(replay(lines, model).differences, []);
    holdsNoMemory(model);
  },
);

memory.run();

const real = suite("a replay on a real kernel");

/** A model that says it is Linux. */
function likeLinux(): {
  readonly kernel: Syscalls;
  readonly calls: () => string[];
  /** The descriptors that were closed. */
  readonly closed: () => unknown[];
} {
  const seen = recording(modelKernel());
  const named = new Proxy(seen, {
    get: (target, key) => {
      if (key === "name") return "linux";
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const closed = () => seen.take().flatMap(({ call, fd }) => (call === "close" ? [fd] : []));
  return { kernel: named, calls: () => seen.takeNames(), closed };
}

const wholeMmap = { call: "mmap", near: null, length: "0x4000", protection: "rw", flags: [], answer: "m1" };
const NOT_OURS = "not made: it would reach memory that is not the replay's own";

real("answers as on any other", () => {
  const tape = started();
  const va = tape.mmap(4);
  tape.register(va, 4n * PAGE);
  tape.kernel.mmap(va, PAGE, RW, MapFlag.FIXED, 0);
  tape.kernel.munmap(va, 4n * PAGE);
  tape.kernel.close(tape.group);
  assert.equal(replay(tape.lines, likeLinux().kernel).differences, []);
});

real("opens nothing that is not VFIO's", () => {
  const { kernel, calls } = likeLinux();
  const paths = ["/etc/passwd", "/dev/vfio/../mem", "/dev/vfio/", "/dev/vfio/devices/vfio0", "vfio"];
  const { differences } = replay(traceOf(...paths.map((path) => ({ call: "open", path, answer: "ENOENT" }))), kernel);
  assert.equal(
    differences.map(({ got }) => got),
    paths.map(() => "not opened: it is not in /dev/vfio"),
  );
  assert.equal(calls(), []);
});

real("maps and unmaps nothing over memory that is not its own", () => {
  const { kernel, calls } = likeLinux();
  const fixed = { ...wholeMmap, flags: ["fixed"] };
  const traces: readonly (readonly object[])[] = [
    [{ ...fixed, near: "0x400000" }],
    [wholeMmap, { ...fixed, near: "m1", length: "0x5000", answer: "m1" }],
    [wholeMmap, { call: "munmap", address: "m1", length: "0x5000", answer: 0 }],
    [{ call: "munmap", address: "0x400000", length: "0x1000", answer: 0 }],
    [
      wholeMmap,
      { call: "munmap", address: "m1", length: "0x1000", answer: 0 },
      { call: "munmap", address: "m1", length: "0x1000", answer: 0 },
    ],
  ];
  for (const trace of traces) {
    const { differences } = replay(traceOf(...trace), kernel);
    assert.equal(
      differences.map(({ got }) => got),
      [NOT_OURS],
      JSON.stringify(trace),
    );
  }
  for (const name of calls()) assert.ok(["mmap", "munmap"].includes(name), name);
});

real("closes no descriptor of the process that is not the trace's", () => {
  const { kernel, closed } = likeLinux();
  const mine = kernel.open("/dev/vfio/vfio");
  const { differences } = replay(
    traceOf(
      { call: "close", fd: mine, answer: "EBADF" },
      { call: "open", path: "/dev/vfio/26", answer: "f1" },
      { call: "close", fd: "f1", answer: 0 },
      { call: "close", fd: "f1", answer: "EBADF" },
    ),
    kernel,
  );
  assert.equal(differences, []);
  const none = 2 ** 31 - 1;
  assert.equal(closed(), [none, mine + 1, none]);
  assert.is(kernel.close(mine), 0, "it was still open");
});

real.run();
