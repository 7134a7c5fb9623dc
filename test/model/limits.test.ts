import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { IommuType, MapFlag, Protection } from "../../src/syscalls.ts";
import { errno, KiB, MiB, Rig, RW } from "./rig.ts";

const page = 4n * KiB;
const outOfRange = (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE";
const wrongType = (error: { code: string }) => error.code === "ERR_INVALID_ARG_TYPE";

const locking = suite("limitLockedMemory");

locking("counts from then on, and lets what is locked stay locked", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(8n * page);
  program.register(va, 4n * page);
  kernel.limitLockedMemory({ limit: 2n * page });
  assert.is(program.register(va + 4n * page, page), 0, "privileged still");
  kernel.limitLockedMemory({ privileged: false });
  assert.equal(kernel.lockedMemory(), { limit: 2n * page, used: 5n * page, privileged: false });
  assert.is(program.register(va + 5n * page, page), -errno.ENOMEM);
  assert.is(program.unregister(va, 4n * page), 0);
  assert.is(program.register(va + 5n * page, page), 0);
  assert.is(program.register(va + 6n * page, page), -errno.ENOMEM);
  kernel.limitLockedMemory({ limit: null });
  assert.is(program.register(va + 6n * page, 2n * page), 0);
});

locking("may come too late for a first UNMAP, and not for the next call: the default window is tried again", () => {
  const kernel = modelKernel({ lockedMemory: { limit: MiB, privileged: false } });
  const program = new Rig(kernel).start();
  const va = program.allocate(page);
  program.register(va, page);
  assert.is(program.unmap(0n, page), -errno.ENOMEM);
  kernel.limitLockedMemory({ limit: 9n * MiB });
  assert.is(program.map(va, 0n, page), 0);
  assert.is(program.locked, 8n * MiB + page);
});

locking("leaves the options that the model was made with alone", () => {
  const lockedMemory = { limit: 4n * page, privileged: false };
  const [kernel, other] = [modelKernel({ lockedMemory }), modelKernel({ lockedMemory })];
  kernel.limitLockedMemory({ limit: page });
  assert.is(lockedMemory.limit, 4n * page);
  assert.is(other.lockedMemory().limit, 4n * page);
});

locking("is of one process, though others of its machine were made alike", () => {
  const kernel = modelKernel();
  const other = kernel.spawn();
  other.limitLockedMemory({ limit: 0n, privileged: false });
  assert.is(kernel.lockedMemory().privileged, true);
  const program = new Rig(other).start();
  assert.is(program.register(program.allocate(page), page), -errno.ENOMEM);
});

locking("refuses what cannot be", () => {
  const kernel = modelKernel();
  assert.throws(() => kernel.limitLockedMemory({ limit: -1n }), outOfRange);
  assert.throws(() => kernel.limitLockedMemory({ limit: 1.5 }), outOfRange);
  assert.throws(() => kernel.limitLockedMemory({ limit: "1" as never }), wrongType);
  assert.throws(() => kernel.limitLockedMemory({ privileged: 1 as never }), wrongType);
  assert.equal(kernel.lockedMemory(), { limit: 8n * MiB, used: 0n, privileged: true });
});

locking.run();

const protection = suite("protect");

for (const platform of ["powernv", "type1"] as const) {
  protection(`decides what is pinned from then on, and takes back no pin that is there (${platform})`, () => {
    const kernel = modelKernel({ platform });
    const isSpapr = platform === "powernv";
    const program = new Rig(kernel).start(26, isSpapr ? IommuType.SPAPR_TCE_V2 : IommuType.TYPE1v2);
    const va = program.allocate(3n * page);
    // sPAPR pins at REGISTER, for writing whatever is mapped later.
    const pin = (at: bigint) => (isSpapr ? program.register(at, page) : program.map(at, at - va, page));
    assert.is(pin(va), 0);
    kernel.protect(va, 2n * page, Protection.READ);
    assert.is(pin(va + page), -errno.EFAULT);
    assert.is(pin(va + 2n * page), 0, "the page behind it");
    if (isSpapr) assert.is(program.map(va, 0n, page), 0);
    assert.is(kernel.device(26).write(0n, Uint8Array.of(1)).bytes, 1);
    kernel.protect(va, 3n * page, Protection.READ | Protection.WRITE);
    assert.is(pin(va + page), 0);
  });
}

protection("takes whole pages that are mmapped, and what Protection has", () => {
  const kernel = modelKernel();
  const va = kernel.mmap(0n, page, RW, 0, 0);
  assert.throws(() => kernel.protect(va, 2n * page, RW), outOfRange);
  assert.throws(() => kernel.protect(va + 1n, page, RW), outOfRange);
  for (const bits of [-1, 4, 1.5]) assert.throws(() => kernel.protect(va, page, bits), outOfRange);
});

protection.run();

const unpinnable = suite("makeUnpinnable");

unpinnable("lets REGISTER answer how many pages it pinned, with nothing registered and nothing charged", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(8n * page);
  kernel.makeUnpinnable(va + 3n * page, 2n * page);
  assert.is(program.register(va, 8n * page), 3);
  assert.is(program.register(va + 3n * page, page), -errno.EFAULT);
  assert.is(program.register(va + 4n * page, 4n * page), -errno.EFAULT);
  assert.is(program.locked, 0n);
  assert.is(program.register(va, 3n * page), 0);
  assert.is(program.register(va + 5n * page, 3n * page), 0);
  assert.is(kernel.view(va, 8n * page).length, 8 * 4096, "the process uses it as before");
});

unpinnable("lets a MAP of type1 answer EFAULT, with nothing left", () => {
  const kernel = modelKernel({ platform: "type1" });
  const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
  const va = program.allocate(2n * page);
  kernel.makeUnpinnable(va + page, page);
  assert.is(program.map(va, 0n, 2n * page), -errno.EFAULT);
  assert.is(program.map(va + page, 0n, page, { flags: 1 }), -errno.EFAULT);
  assert.is(program.locked, 0n);
  assert.is(program.map(va, 0n, page), 0);
});

unpinnable("ends with the munmap, and takes back no pin that is there", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(2n * page);
  program.register(va, 2n * page);
  kernel.makeUnpinnable(va, 2n * page);
  assert.is(program.map(va, 0n, 2n * page), 0);
  assert.is(kernel.device(26).write(0n, Uint8Array.of(1)).bytes, 1);
  program.unmap(0n, 2n * page);
  program.unregister(va, 2n * page);
  assert.is(program.register(va, 2n * page), -errno.EFAULT);
  kernel.mmap(va, 2n * page, RW, MapFlag.FIXED, 0);
  assert.is(program.register(va, 2n * page), 0);
});

unpinnable("takes whole pages that are mmapped, of whatever size, and no others", () => {
  const kernel = modelKernel({ pageSize: 65536 });
  const va = kernel.mmap(0x3000_0000_0000n, 2n * MiB, RW, MapFlag.HUGETLB, 21);
  kernel.mmap(va + 2n * MiB, 64n * KiB, RW, 0, 0);
  const cannotBe: [bigint, bigint][] = [
    [va, page],
    [va, 64n * KiB],
    [va + 64n * KiB, 2n * MiB],
    [va, 0n],
    [va, 4n * MiB],
    [va - 64n * KiB, 64n * KiB],
    [va + 1n, 64n * KiB],
    [-1n, 64n * KiB],
    [2n ** 64n - 65536n, 131072n],
  ];
  for (const [at, length] of cannotBe) {
    assert.throws(() => kernel.makeUnpinnable(at, length), outOfRange, `${at} ${length}`);
  }
  assert.throws(() => kernel.makeUnpinnable(0 as never, 1n), wrongType);
  kernel.makeUnpinnable(va, 2n * MiB + 64n * KiB);
});

unpinnable.run();
