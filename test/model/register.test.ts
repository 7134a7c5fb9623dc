import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { answer, errno, GiB, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;
const start = () => new Rig(modelKernel()).start();

const registering = suite("REGISTER");

// [situation, what, argsz and flags, answer]; va is the first of 16 pages that can be pinned.
const rows: [string, (program: Rig, va: bigint) => number, number][] = [
  ["memory that is there", (p, va) => p.register(va, 16n * page), 0],
  ["a struct that claims to be longer", (p, va) => p.register(va, page, { argsz: 64 }), 0],
  ["an unaligned address", (p, va) => p.register(va + 1n, page), -errno.EINVAL],
  ["an unaligned size", (p, va) => p.register(va, page + 1n), -errno.EINVAL],
  ["an end above 2^64", (p) => p.register(2n ** 64n - page, 2n * page), -errno.EINVAL],
  ["an end of exactly 2^64", (p) => p.register(2n ** 64n - page, page), -errno.EINVAL],
  ["flags", (p, va) => p.register(va, page, { flags: 1 }), -errno.EINVAL],
  ["a short struct", (p, va) => p.register(va, page, { argsz: 23 }), -errno.EINVAL],
  ["size 0", (p, va) => p.register(va, 0n), -errno.ENOMEM],
  ["address 0", (p) => p.register(0n, page), -errno.EFAULT],
  ["what is not mmapped", (p, va) => p.register(va - MiB, page), -errno.EFAULT],
  ["PROT_NONE", (p) => p.register(p.allocate(page, Protection.NONE), page), -errno.EFAULT],
  ["read-only memory", (p) => p.register(p.allocate(page, Protection.READ), page), -errno.EFAULT],
  ["3 pages of which the last is missing", (p, va) => p.register(va + 14n * page, 3n * page), 2],
  ["4 TiB, of which 16 pages are there", (p, va) => p.register(va, 2n ** 42n), 16],
  [
    "the whole address space: there is no room for the list of its pages",
    (p, va) => p.register(va, 2n ** 63n),
    -errno.ENOMEM,
  ],
];

for (const [situation, act, expected] of rows) {
  registering(`of ${situation} answers ${answer(expected)}`, () => {
    const program = start();
    // Room above it, so that nothing adjoins.
    const va = program.kernel.mmap(0x3000_0000_0000n, 16n * page, 3, MapFlag.FIXED_NOREPLACE, 0);
    assert.is(act(program, va), expected);
    if (expected !== 0) assert.is(program.locked, 0n);
  });
}

registering("of a size or address that is no whole page of a 64K kernel answers EINVAL", () => {
  const program = new Rig(modelKernel({ pageSize: 65536 })).start();
  const va = program.allocate(128n * KiB);
  assert.is(program.register(va + page, 64n * KiB), -errno.EINVAL);
  assert.is(program.register(va, page), -errno.EINVAL);
  assert.is(program.register(va, 128n * KiB), 0);
  assert.is(program.locked, 128n * KiB);
});

registering("of the same range again answers EBUSY, also after munmap and a new mmap there", () => {
  const program = start();
  const va = program.allocate(2n * page);
  assert.is(program.register(va, 2n * page), 0);
  assert.is(program.register(va, 2n * page), -errno.EBUSY);
  program.kernel.munmap(va, 2n * page);
  assert.is(program.register(va, 2n * page), -errno.EBUSY);
  program.kernel.mmap(va, 2n * page, 3, MapFlag.FIXED, 0);
  assert.is(program.register(va, 2n * page), -errno.EBUSY);
  assert.is(program.unregister(va, 2n * page), 0);
});

registering("of what overlaps answers EINVAL, adjacent is fine", () => {
  const program = start();
  const va = program.allocate(16n * page);
  assert.is(program.register(va + 4n * page, 4n * page), 0);
  for (const [from, pages] of [
    [3n, 2n],
    [7n, 2n],
    [3n, 6n],
    [5n, 1n],
    [4n, 3n],
    [5n, 3n],
    [4n, 5n],
  ] as const) {
    assert.is(program.register(va + from * page, pages * page), -errno.EINVAL, `${pages} pages from ${from}`);
  }
  assert.is(program.locked, 4n * page);
  assert.is(program.register(va + 3n * page, page), 0);
  assert.is(program.register(va + 8n * page, page), 0);
});

registering("charges, pins, and only then looks for an overlap", () => {
  const lockedMemory = { limit: 4n * page, privileged: false };
  const program = new Rig(modelKernel({ lockedMemory })).start();
  const va = program.kernel.mmap(0x3000_0000_0000n, 4n * page, 3, MapFlag.FIXED_NOREPLACE, 0);
  program.register(va, 2n * page);
  assert.is(program.register(va, 3n * page), -errno.ENOMEM);
  lockedMemory.limit = 64n * page;
  assert.is(program.register(va, 8n * page), 4);
  assert.is(program.register(va, 3n * page), -errno.EINVAL);
});

registering("is fine exactly at the limit, ENOMEM one page above, and never refused with privilege", () => {
  const lockedMemory = { limit: 4n * page + 100n, privileged: false };
  const program = new Rig(modelKernel({ lockedMemory })).start();
  const va = program.allocate(16n * page);
  assert.is(program.register(va, 4n * page), 0);
  assert.is(program.register(va + 4n * page, page), -errno.ENOMEM);
  lockedMemory.privileged = true;
  assert.is(program.register(va + 4n * page, page), 0);
  assert.equal(program.kernel.lockedMemory(), { limit: 4n * page + 100n, used: 5n * page, privileged: true });
});

registering(
  "of the same range in a second container answers 0 and is charged once; any other overlap is EINVAL",
  () => {
    const kernel = modelKernel({ groups: [1, 2] });
    const [one, two] = [new Rig(kernel).start(1), new Rig(kernel).start(2)];
    const va = one.allocate(2n * page);
    one.register(va, 2n * page);
    assert.is(two.map(va, 0n, page), -errno.EPERM, "nothing was registered here");
    assert.is(two.register(va, page), -errno.EINVAL);
    assert.is(two.register(va, 2n * page), 0);
    assert.is(one.locked, 2n * page);
    assert.is(one.unregister(va, 2n * page), 0);
    assert.is(one.locked, 2n * page);
    assert.is(two.unregister(va, 2n * page), 0);
    assert.is(one.locked, 0n);
  },
);

registering("in one container lets another of the process map it, once that registered anything", () => {
  const kernel = modelKernel({ groups: [1, 2] });
  const [one, two] = [new Rig(kernel).start(1), new Rig(kernel).start(2)];
  const va = one.allocate(2n * page);
  one.register(va, page);
  two.register(va + page, page);
  assert.is(two.map(va, 0n, page), 0);
  assert.is(two.unregister(va, page), -errno.ENOENT);
});

registering.run();

const unregistering = suite("UNREGISTER");

unregistering("takes exactly a registered range", () => {
  const program = start();
  const va = program.allocate(4n * page);
  program.register(va, 4n * page);
  assert.is(program.unregister(va, page), -errno.ENOENT);
  assert.is(program.unregister(va + page, 3n * page), -errno.ENOENT);
  assert.is(program.unregister(va, 5n * page), -errno.ENOENT);
  assert.is(program.unregister(va, 0n), -errno.ENOENT);
  assert.is(program.unregister(va + 1n, page), -errno.EINVAL);
  assert.is(program.unregister(va, page + 1n), -errno.EINVAL);
  assert.is(program.unregister(va, 4n * page, { flags: 1 }), -errno.EINVAL);
  assert.is(program.unregister(va, 4n * page, { argsz: 16 }), -errno.EINVAL);
  assert.is(program.unregister(va, 4n * page), 0);
  assert.is(program.unregister(va, 4n * page), -errno.ENOENT);
  assert.is(program.locked, 0n);
});

unregistering(
  "answers EPERM before anything used the container, ENOENT after a CREATE, a REMOVE or a failed REGISTER",
  () => {
    for (const use of [
      (program: Rig) => program.create(12, MiB),
      (program: Rig) => program.remove(0n),
      (program: Rig) => program.register(1n, page),
    ]) {
      const program = start();
      assert.is(program.unregister(0n, page), -errno.EPERM);
      program.info();
      assert.is(program.unregister(0n, page), -errno.EPERM);
      use(program);
      assert.is(program.unregister(0n, page), -errno.ENOENT);
      assert.is(program.map(0n, 0n, page), -errno.EPERM, "MAP and UNMAP want a REGISTER that went well");
      assert.is(program.unmap(0n, page), -errno.EPERM);
    }
  },
);

unregistering("answers 0 after munmap, and after REMOVE of the window that mapped it", () => {
  const program = start();
  const va = program.allocate(2n * page);
  program.register(va, page);
  program.register(va + page, page);
  program.map(va, 0n, 2n * page);
  program.kernel.munmap(va, page);
  program.remove(0n);
  assert.is(program.unregister(va, page), 0);
  assert.is(program.unregister(va + page, page), 0);
  assert.is(program.locked, 0n);
});

unregistering("leaves MAP allowed: what was enabled once stays so", () => {
  const program = start();
  const va = program.allocate(page);
  program.register(va, page);
  program.unregister(va, page);
  assert.is(program.map(va, 0n, page), -errno.EINVAL);
});

unregistering.run();

const zombies = suite("a range that is unregistered while mapped");

function zombie() {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(4n * page);
  program.register(va, 2n * page);
  program.map(va, 0n, 2n * page);
  assert.is(program.unregister(va, 2n * page), 0, "it says that all is well");
  return { kernel, program, va };
}

zombies("is still reached by the device, can still be mapped, and stays charged", () => {
  const { kernel, program, va } = zombie();
  assert.equal(kernel.tceAt(26, page + 5n), { va: va + page + 5n, read: true, write: true });
  assert.is(program.map(va, MiB, page), 0);
  assert.is(program.locked, 8n * MiB + 2n * page);
  assert.equal(kernel.snapshot().zombies, [{ va, size: 2n * page, mapped: 3 }]);
});

zombies("answers ENOENT to UNREGISTER, and EINVAL to a REGISTER that overlaps it", () => {
  const { program, va } = zombie();
  assert.is(program.unregister(va, 2n * page), -errno.ENOENT);
  assert.is(program.register(va + page, 2n * page), -errno.EINVAL);
  assert.is(program.register(va, page), -errno.EINVAL);
});

zombies("comes back by a REGISTER of exactly its range, and is a zombie again after the UNREGISTER", () => {
  const { kernel, program, va } = zombie();
  const before = program.locked;
  assert.is(program.register(va, 2n * page), 0);
  assert.is(program.locked, before, "without another charge");
  assert.is(program.register(va, 2n * page), -errno.EBUSY);
  program.unmap(0n, 2n * page);
  assert.is(program.unregister(va, 2n * page), 0);
  assert.is(program.unregister(va, 2n * page), -errno.ENOENT);
  assert.is(program.map(va, 0n, page), 0);
  assert.is(kernel.snapshot().zombies.length, 1);
});

zombies("outlives unmap and close", () => {
  const { kernel, program, va } = zombie();
  program.unmap(0n, 2n * page);
  for (const { fd } of kernel.snapshot().descriptors) assert.is(kernel.close(fd), 0);
  assert.is(program.locked, 2n * page);
  assert.equal(kernel.snapshot().zombies, [{ va, size: 2n * page, mapped: 0 }]);
  assert.is(kernel.leaks().length, 1);
  assert.match(kernel.leaks()[0] ?? "", "stays pinned until the machine is started again");
});

zombies("comes of a MAP past the end too: nothing clears what lies behind a window", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(2n * page);
  program.register(va, 2n * page);
  assert.is(program.map(va, 2n * GiB - page, 2n * page), 0);
  program.remove(0n);
  assert.is(program.unregister(va, 2n * page), 0);
  assert.equal(kernel.snapshot().zombies, [{ va, size: 2n * page, mapped: 1 }]);
});

zombies.run();
