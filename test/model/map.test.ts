import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type ModelKernel,
  ModelKernelOops,
  type ModelOptions,
  ModelUnknown,
  modelKernel,
} from "../../src/model/index.ts";
import { MapFlag } from "../../src/syscalls.ts";
import { answer, errno, GiB, HIGH, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;
const platforms = ["powernv", "pseries"] as const;

interface Mapped {
  readonly kernel: ModelKernel;
  readonly program: Rig;
  /** 32 registered pages, and unregistered ones behind. */
  readonly va: bigint;
}

function registered(options: ModelOptions = {}): Mapped {
  const kernel = modelKernel(options);
  const program = new Rig(kernel).start();
  const va = program.allocate(64n * page);
  assert.is(program.register(va, 32n * page), 0);
  return { kernel, program, va };
}

const mapping = suite("MAP");

const rows: [string, (program: Rig, va: bigint) => number, number][] = [
  ["a registered page", (p, va) => p.map(va, 0n, page), 0],
  ["a longer struct", (p, va) => p.map(va, 0n, page, { argsz: 99 }), 0],
  ["size 0", (p, va) => p.map(va, 0n, 0n), 0],
  ["size 0 of memory that is not registered", (p) => p.map(0n, 0n, 0n), 0],
  ["a page that is not registered", (p, va) => p.map(va + 32n * page, 0n, page), -errno.EINVAL],
  ["vaddr above every process", (p) => p.map(2n ** 64n - page, 0n, 2n * page), -errno.EINVAL],
  ["flags 0", (p, va) => p.map(va, 0n, page, { flags: 0 }), -errno.EINVAL],
  ["unknown flags", (p, va) => p.map(va, 0n, page, { flags: 7 }), -errno.EINVAL],
  ["a short struct", (p, va) => p.map(va, 0n, page, { argsz: 31 }), -errno.EINVAL],
  ["an unaligned vaddr", (p, va) => p.map(va + 1n, 0n, page), -errno.EINVAL],
  ["an unaligned size", (p, va) => p.map(va, 0n, page + 1n), -errno.EINVAL],
  ["an unaligned iova", (p, va) => p.map(va, 1n, page), 1],
  ["an unaligned iova and size 0", (p, va) => p.map(va, 1n, 0n), 1],
  ["an unaligned iova and vaddr", (p, va) => p.map(va + 1n, 1n, page), -errno.EINVAL],
  ["an unaligned iova and flags 0", (p, va) => p.map(va, 1n, page, { flags: 0 }), -errno.EINVAL],
  ["an iova outside every window", (p, va) => p.map(va, 1n << 50n, page), -errno.ENXIO],
  ["that, and flags 0", (p, va) => p.map(va, 1n << 50n, page, { flags: 0 }), -errno.ENXIO],
  ["that, and unknown flags", (p, va) => p.map(va, 1n << 50n, page, { flags: 4 }), -errno.EINVAL],
  ["that, and size 0", (p, va) => p.map(va, 1n << 50n, 0n), -errno.ENXIO],
  ["the last iova there is", (p, va) => p.map(va, 2n ** 64n - page, 2n * page), -errno.ENXIO],
];

for (const platform of platforms) {
  for (const [situation, act, expected] of rows) {
    mapping(`${platform}: ${situation} answers ${answer(expected)}`, () => {
      const { program, va } = registered({ platform });
      assert.is(act(program, va), expected);
    });
  }
}

mapping("may span two ranges that adjoin", () => {
  const { kernel, program, va } = registered();
  program.register(va + 32n * page, page);
  assert.is(program.map(va + 31n * page, 0n, 2n * page), 0);
  assert.is(kernel.tceAt(26, page)?.va, va + 32n * page);
});

mapping("replaces what was there without a word", () => {
  const { kernel, program, va } = registered();
  program.map(va, 0n, 2n * page);
  assert.is(program.map(va + 8n * page, 0n, page), 0);
  assert.is(kernel.tceAt(26, 0n)?.va, va + 8n * page);
  assert.is(kernel.tceAt(26, page)?.va, va + page);
});

mapping("that fails halfway clears what it wrote, and what was there before", () => {
  const { kernel, program, va } = registered();
  program.map(va, 0n, 4n * page);
  assert.is(program.map(va + 30n * page, 0n, 3n * page), -errno.EINVAL);
  assert.is(kernel.tceAt(26, 0n), undefined);
  assert.is(kernel.tceAt(26, page), undefined);
  assert.is(kernel.tceAt(26, 2n * page)?.va, va + 2n * page, "the page that it did not reach");
});

mapping("READ only blocks writing; WRITE only blocks reading on pSeries, and not on PowerNV", () => {
  for (const platform of platforms) {
    const { kernel, program, va } = registered({ platform });
    program.map(va, 0n, page, { flags: 1 });
    program.map(va, page, page, { flags: 2 });
    assert.equal(kernel.tceAt(26, 0n), { va, read: true, write: false });
    assert.equal(kernel.tceAt(26, page), { va, read: platform === "powernv", write: true });
  }
});

mapping("that ends at the window's end is fine", () => {
  for (const platform of platforms) {
    const { program, va } = registered({ platform });
    assert.is(program.map(va, GiB - 2n * page, 2n * page), 0);
  }
});

mapping("past the window's end is accepted on PowerNV; the device does not get there, and UNMAP undoes it", () => {
  const { kernel, program, va } = registered();
  assert.is(program.map(va, 2n * GiB - page, 2n * page), 0);
  assert.is(kernel.tceAt(26, 2n * GiB), undefined);
  assert.is(kernel.snapshot().containers[0]?.windows[0]?.liveTces, 2);
  assert.is(program.unmap(2n * GiB - page, 2n * page), 0);
  assert.is(program.unregister(va, 32n * page), 0);
  assert.equal(kernel.snapshot().zombies, []);
});

mapping("past the window's end crashes the kernel on pSeries, unless a page before is not registered", () => {
  const { program, va } = registered({ platform: "pseries" });
  assert.is(program.map(va + 31n * page, GiB - page, 2n * page), -errno.EINVAL);
  assert.throws(
    () => program.map(va, GiB - page, 2n * page),
    (error: unknown) => error instanceof ModelKernelOops && error.code === "ERR_MODEL_KERNEL_OOPS",
  );
});

mapping("with 4K TCE pages takes a quarter of a CPU page of 64K", () => {
  const kernel = modelKernel({ pageSize: 65536 });
  const program = new Rig(kernel).start();
  const va = program.allocate(64n * KiB);
  program.register(va, 64n * KiB);
  assert.is(program.map(va + page, 0n, page), 0);
  assert.is(kernel.tceAt(26, 7n)?.va, va + page + 7n);
});

mapping.run();

const hugepages = suite("MAP with large TCE pages");

function hugeWindow(shift = 21): { kernel: ModelKernel; program: Rig } {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  program.remove(0n);
  assert.is(program.create(shift, 64n * GiB), 0);
  return { kernel, program };
}

hugepages("takes hugetlb memory of that size or larger", () => {
  for (const [shift, tce] of [
    [21, 21],
    [30, 21],
    [30, 30],
  ] as const) {
    const { kernel, program } = hugeWindow(tce);
    const va = program.allocateHuge(GiB, shift);
    program.register(va, GiB);
    assert.is(program.map(va, 0n, GiB), 0, `${shift} through ${tce}`);
    assert.is(kernel.tceAt(26, GiB - 1n)?.va, va + GiB - 1n);
  }
});

hugepages("refuses ordinary memory, however it is aligned, and smaller hugepages", () => {
  const { program } = hugeWindow();
  const ordinary = program.kernel.mmap(0x3000_0000_0000n, 4n * MiB, 3, MapFlag.FIXED_NOREPLACE, 0);
  program.register(ordinary, 4n * MiB);
  assert.is(program.map(ordinary, 0n, 2n * MiB), -errno.EINVAL);
  const { program: gigantic } = hugeWindow(30);
  const small = gigantic.kernel.mmap(0x3000_0000_0000n, GiB, 3, MapFlag.HUGETLB | MapFlag.FIXED_NOREPLACE, 21);
  gigantic.register(small, GiB);
  assert.is(gigantic.map(small, 0n, GiB), -errno.EINVAL);
});

hugepages("refuses a registered range that does not start and end on TCE pages", () => {
  const { program } = hugeWindow();
  const va = program.allocateHuge(8n * MiB, 21);
  program.register(va, 3n * MiB);
  assert.is(program.map(va, 0n, 2n * MiB), -errno.EINVAL);
  program.unregister(va, 3n * MiB);
  program.register(va + page, 4n * MiB);
  assert.is(program.map(va + 2n * MiB, 0n, 2n * MiB), -errno.EINVAL);
});

hugepages("wants vaddr, iova and size in its own pages", () => {
  const { program } = hugeWindow();
  const va = program.allocateHuge(8n * MiB, 21);
  program.register(va, 8n * MiB);
  assert.is(program.map(va + page, 0n, 2n * MiB), -errno.EINVAL);
  assert.is(program.map(va, 0n, page), -errno.EINVAL);
  assert.is(program.map(va, page, 2n * MiB), 1);
  assert.is(program.map(va, 4n * MiB, 4n * MiB), 0);
});

/** A registered range of 4 MiB: a hugepage, and 2 MiB of ordinary pages behind it or before it. */
function mixed(program: Rig, hugepageAt: bigint): bigint {
  const va = 0x3000_0000_0000n;
  for (const at of [0n, 2n * MiB]) {
    const flags = MapFlag.FIXED | (at === hugepageAt ? MapFlag.HUGETLB : 0);
    program.kernel.mmap(va + at, 2n * MiB, 3, flags, at === hugepageAt ? 21 : 0);
  }
  assert.is(program.register(va, 4n * MiB), 0);
  return va;
}

hugepages("refuses all of a registered range that begins with ordinary pages", () => {
  const { program } = hugeWindow();
  const va = mixed(program, 2n * MiB);
  assert.is(program.map(va, 0n, 2n * MiB), -errno.EINVAL);
  assert.is(program.map(va + 2n * MiB, 0n, 2n * MiB), -errno.EINVAL);
});

hugepages(
  "takes the hugepages of a range that begins with them; of the ordinary pages behind, the model does not know",
  () => {
    const { program } = hugeWindow();
    const va = mixed(program, 0n);
    assert.is(program.map(va, 0n, 2n * MiB), 0);
    assert.throws(
      () => program.map(va + 2n * MiB, 2n * MiB, 2n * MiB),
      (error: unknown) => error instanceof ModelUnknown && error.situation.includes("registered behind hugepages"),
    );
  },
);

hugepages.run();

const unmapping = suite("UNMAP");

const unmapRows: [string, (program: Rig) => number, number][] = [
  ["what is mapped", (p) => p.unmap(0n, 4n * page), 0],
  ["a part", (p) => p.unmap(page, page), 0],
  ["more than is mapped", (p) => p.unmap(0n, MiB), 0],
  ["what never was", (p) => p.unmap(MiB, MiB), 0],
  ["size 0", (p) => p.unmap(0n, 0n), 0],
  ["past the window's end", (p) => p.unmap(GiB - page, 2n * GiB), 0],
  ["flags", (p) => p.unmap(0n, page, { flags: 1 }), -errno.EINVAL],
  ["a short struct", (p) => p.unmap(0n, page, { argsz: 23 }), -errno.EINVAL],
  ["an unaligned size", (p) => p.unmap(0n, page + 1n), -errno.EINVAL],
  ["an unaligned iova", (p) => p.unmap(1n, page), 1],
  ["an unaligned iova and size 0", (p) => p.unmap(1n, 0n), 1],
  ["both unaligned", (p) => p.unmap(1n, 1n), -errno.EINVAL],
  ["outside every window", (p) => p.unmap(1n << 50n, page), -errno.ENXIO],
  ["outside every window, size 0", (p) => p.unmap(1n << 50n, 0n), -errno.ENXIO],
];

for (const platform of platforms) {
  for (const [situation, act, expected] of unmapRows) {
    unmapping(`${platform}: ${situation} answers ${answer(expected)}`, () => {
      const { program, va } = registered({ platform });
      program.map(va, 0n, 4n * page);
      assert.is(act(program), expected);
    });
  }
}

unmapping("clears every TCE in the range and no other, and leaves the size as it was", () => {
  const { kernel, program, va } = registered();
  program.map(va, 0n, 4n * page);
  assert.is(program.unmap(page, 2n * page), 0);
  assert.is(program.u64(16), 2n * page);
  const reached = [0n, 1n, 2n, 3n].map((at) => kernel.tceAt(26, at * page)?.va);
  assert.equal(reached, [va, undefined, undefined, va + 3n * page]);
});

unmapping("with the struct of MAP clears everything below the target, and keeps the target mapped", () => {
  const { kernel, program, va } = registered();
  program.remove(0n);
  program.create(12, 8n * GiB);
  const target = 0x140000000n;
  for (const iova of [0n, GiB, target - page, target]) assert.is(program.map(va, iova, page), 0);
  assert.is(program.unmapWithMapStruct(0n, target, 0x200000n), 0);
  for (const iova of [0n, GiB, target - page]) assert.is(kernel.tceAt(26, iova), undefined);
  assert.is(kernel.tceAt(26, target)?.va, va);
});

unmapping("with the struct of MAP in a window that starts high answers ENXIO: there is no IOVA 0", () => {
  const { program } = registered({ platform: "pseries" });
  program.remove(0n);
  program.create(16, 16n * GiB);
  assert.is(program.unmapWithMapStruct(0n, HIGH + 0x140000000n, 0x200000n), -errno.ENXIO);
});

unmapping("with the struct of MAP in the default window of pSeries: A and B go, the target stays", () => {
  const { kernel, program, va } = registered({ platform: "pseries" });
  const [a, b, target] = [0n, 4n * MiB, 8n * MiB];
  for (const iova of [a, b, target]) program.map(va, iova, page);
  assert.is(program.unmapWithMapStruct(0n, b, page), 0);
  assert.is(kernel.tceAt(26, a), undefined);
  assert.is(kernel.tceAt(26, b)?.va, va);
  assert.is(kernel.tceAt(26, target)?.va, va);
});

unmapping.run();
