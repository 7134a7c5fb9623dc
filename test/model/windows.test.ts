/** Windows of sPAPR where the rows of the conformance suite end: other machines, what nobody knows, a crash, and what it costs. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelKernel, ModelKernelOops, ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { MapFlag } from "../../src/syscalls.ts";
import { errno, GiB, KiB, MiB, Rig, started, withoutDefaultWindow } from "./rig.ts";

const page = 4n * KiB;

const machines = suite("windows of a machine that is made otherwise");

machines("pSeries: lie where its firmware puts them, up to the largest, which is not held against the group", () => {
  const start = 1n << 40n;
  const program = started({ platform: "pseries", firmwareWindowStart: start, firmwareLargestBlock: 65536n });
  const before = program.locked;
  assert.is(program.create(16, 8n * GiB), -errno.EINVAL, "131072 TCEs");
  assert.is(program.locked, before + MiB + 2n * MiB, "the charge stays; and the default window has been made");
  assert.is(program.create(16, 4n * GiB), 0);
  assert.is(program.startAddress, start);
});

machines("PowerNV: take the pages of the pgsizes that it was given", () => {
  const program = withoutDefaultWindow({ pageSize: 65536, pgsizes: 0x4121_1000n });
  assert.is(program.create(24, 1n << 45n), 0, "16 MiB, which its own do not have");
  assert.is(program.locked, 32n * MiB);
});

machines("pSeries: are not known of when their table is larger than any memory", () => {
  const program = withoutDefaultWindow({ platform: "pseries" });
  assert.throws(
    () => program.create(16, 1n << 60n),
    (error: unknown) => error instanceof ModelUnknown,
  );
});

machines("pSeries: crash the kernel, and with it the model, when a MAP runs past their end", () => {
  const program = started({ platform: "pseries" });
  const va = program.allocate(2n * page);
  program.register(va, 2n * page);
  assert.throws(
    () => program.map(va, GiB - page, 2n * page),
    (error: unknown) => error instanceof ModelKernelOops && error.code === "ERR_MODEL_KERNEL_OOPS",
  );
});

machines.run();

const hugepages = suite("large TCE pages");

function hugeWindow(shift = 21): { kernel: ModelKernel; program: Rig } {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  program.remove(0n);
  assert.is(program.create(shift, 64n * GiB), 0);
  return { kernel, program };
}

hugepages("of 1 GiB take a gigantic page, to its last byte, and no smaller hugepages", () => {
  const { kernel, program } = hugeWindow(30);
  const gigantic = program.allocateHuge(GiB, 30);
  program.register(gigantic, GiB);
  assert.is(program.map(gigantic, 0n, GiB), 0);
  assert.is(kernel.tceAt(26, GiB - 1n)?.va, gigantic + GiB - 1n);
  const small = program.kernel.mmap(0x3000_0000_0000n, GiB, 3, MapFlag.HUGETLB | MapFlag.FIXED_NOREPLACE, 21);
  program.register(small, GiB);
  assert.is(program.map(small, GiB, GiB), -errno.EINVAL);
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

hugepages("refuse all of a registered range that begins with ordinary pages", () => {
  const { program } = hugeWindow();
  const va = mixed(program, 2n * MiB);
  assert.is(program.map(va, 0n, 2n * MiB), -errno.EINVAL);
  assert.is(program.map(va + 2n * MiB, 0n, 2n * MiB), -errno.EINVAL);
});

hugepages(
  "take the hugepages of a range that begins with them, and not the ordinary pages behind, though they were taken for such",
  () => {
    const { program } = hugeWindow();
    const va = mixed(program, 0n);
    assert.is(program.map(va, 0n, 2n * MiB), 0);
    assert.is(program.map(va + 2n * MiB, 2n * MiB, 2n * MiB), -errno.EPERM);
    assert.is(program.map(va, 0n, 4n * MiB), -errno.EPERM, "after the first TCE, which is gone then");
    assert.is(program.kernel.lockedMemory().used > 0n && program.unregister(va, 4n * MiB), 0);
  },
);

hugepages.run();

const costs = suite("a huge window");

costs("that is almost empty costs what is live, to UNMAP and to REMOVE", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  program.remove(0n);
  program.create(12, 1n << 46n, 3);
  const va = program.allocate(page);
  program.register(va, page);
  program.map(va, 1n << 45n, page);
  assert.is(program.unmap(0n, 1n << 45n), 0);
  assert.is(kernel.snapshot().containers[0]?.windows[0]?.liveTces, 1);
  assert.is(program.remove(0n), 0);
  assert.is(program.unregister(va, page), 0);
  assert.is(program.locked, 0n);
});

costs.run();
