import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type MemorySource, ModelProcessEnded, ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { IommuType, MapFlag, VfioCall } from "../../src/syscalls.ts";
import { errno, GiB, KiB, MiB, Rig, RW } from "./rig.ts";

const page = 4n * KiB;

/** The same program in a child: it knows the descriptors. */
function childOf(program: Rig, kernel: ReturnType<typeof modelKernel>): Rig {
  const child = new Rig(kernel);
  child.container = program.container;
  return child;
}

const forks = suite("fork");

forks("gives the child the same open files: a group stays busy until both have closed it", () => {
  const kernel = modelKernel();
  new Rig(kernel).start();
  const child = kernel.fork();
  assert.equal(child.snapshot().descriptors, kernel.snapshot().descriptors);
  kernel.close(4);
  assert.is(kernel.open("/dev/vfio/26"), -errno.EBUSY);
  assert.is(child.open("/dev/vfio/26"), -errno.EBUSY);
  assert.is(kernel.snapshot().containers[0]?.groups.length, 1);
  child.close(4);
  assert.is(kernel.snapshot().containers[0]?.groups.length, 0);
  assert.is(child.open("/dev/vfio/26"), 4);
  assert.is(kernel.open("/dev/vfio/26"), -errno.EBUSY);
});

forks("keeps an open device's group for whoever has the device", () => {
  const kernel = modelKernel();
  new Rig(kernel).start();
  const name = new TextEncoder().encode("0000:00:1a.0\0");
  const device = kernel.ioctlStruct(4, VfioCall.GROUP_GET_DEVICE_FD, name, 0);
  const child = kernel.fork();
  for (const fd of [3, 4, device]) kernel.close(fd);
  for (const fd of [3, 4]) child.close(fd);
  assert.is(kernel.snapshot().groups[0]?.devicesOpen, 1);
  assert.is(kernel.open("/dev/vfio/26"), -errno.EBUSY);
  child.close(device);
  assert.is(kernel.open("/dev/vfio/26"), 3);
});

forks("copies memory: the device keeps to the parent's, and either may write its own", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(2n * page);
  program.register(va, 2n * page);
  program.map(va, 0n, 2n * page);
  kernel.device(26).write(0n, Uint8Array.of(1, 2));
  const child = kernel.fork();
  const [ours, its] = [kernel.view(va, page), child.view(va, page)];
  assert.equal(its.slice(0, 2), Uint8Array.of(1, 2));
  its[0] = 9;
  kernel.device(26).write(1n, Uint8Array.of(8));
  assert.equal([ours[0], ours[1], its[0], its[1]], [1, 8, 9, 2]);
  child.munmap(va, 2n * page);
  assert.is(kernel.device(26).write(4096n, Uint8Array.of(1)).bytes, 1);
});

forks("takes no hugepages, locks nothing, and hands the limits on", () => {
  const kernel = modelKernel({ hugepages: { 21: 1 }, lockedMemory: { limit: 8n * MiB, privileged: true } });
  const program = new Rig(kernel).start();
  const va = program.allocateHuge(2n * MiB, 21);
  program.register(va, 2n * MiB);
  kernel.limitLockedMemory({ limit: page, privileged: false });
  const child = kernel.fork();
  assert.equal(child.lockedMemory(), { limit: page, used: 0n, privileged: false });
  child.limitLockedMemory({ limit: null });
  assert.is(kernel.lockedMemory().limit, page);
  child.munmap(va, 2n * MiB);
  assert.equal(kernel.snapshot().hugepages, [{ pageShift: 21, free: 0 }]);
});

forks("is not known of a process that runs on real memory", () => {
  const memory: MemorySource = {
    mmap: () => 0x3000_0000_0000n,
    munmap: () => 0,
    view: () => new Uint8Array(0),
    unview() {},
    physicalAddresses: () => new BigUint64Array(0),
  };
  const kernel = modelKernel({ memory });
  assert.throws(
    () => kernel.fork(),
    (error: unknown) => error instanceof ModelUnknown,
  );
  assert.ok(kernel.spawn().mmap(0n, page, RW, 0, 0) > 0n);
});

forks.run();

const spawns = suite("spawn");

spawns("begins another program on the same machine, which has nothing but the limits", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  program.register(program.allocate(page), page);
  const other = kernel.spawn();
  assert.equal(other.snapshot().descriptors, []);
  assert.is(other.open("/dev/vfio/26"), -errno.EBUSY);
  assert.equal(other.lockedMemory(), { limit: 8n * MiB, used: 0n, privileged: true });
  assert.is(other.open("/dev/vfio/vfio"), 3, "descriptors of its own");
  assert.equal(
    [kernel, other].map((one) => one.snapshot().process),
    [0, 1],
  );
  assert.equal(
    other.snapshot().processes.map(({ id, lockedBytes }) => [id, lockedBytes]),
    [
      [0, page],
      [1, 0n],
    ],
  );
});

spawns("has charges of its own", () => {
  const kernel = modelKernel({ groups: [1, 2] });
  const other = kernel.spawn();
  for (const [index, one] of [kernel, other].entries()) {
    const program = new Rig(one).start(index + 1);
    program.register(program.allocate(page), page);
    program.create(16, (1n + BigInt(index)) * GiB);
    const { charges, lockedBytes } = one.snapshot();
    assert.is(charges.tableBytes + charges.pinnedBytes, lockedBytes);
  }
  assert.is.not(kernel.snapshot().lockedBytes, other.snapshot().lockedBytes);
  assert.equal(
    kernel.snapshot().containers.map(({ windows }) => windows.map(({ process }) => process)),
    [
      [0, 0],
      [1, 1],
    ],
  );
});

spawns("shares the pool, and gives back to it what it has when it ends", () => {
  const kernel = modelKernel({ hugepages: { 21: 2 } });
  const other = kernel.spawn();
  other.mmap(0n, 4n * MiB, RW, MapFlag.HUGETLB, 21);
  assert.is(kernel.mmap(0n, 2n * MiB, RW, MapFlag.HUGETLB, 21), BigInt(-errno.ENOMEM));
  other.exit();
  assert.ok(kernel.mmap(0n, 4n * MiB, RW, MapFlag.HUGETLB, 21) > 0n);
});

spawns.run();

const exits = suite("exit");

exits("closes what is open and frees what is locked, leaked charges too", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(page);
  program.register(va, page);
  program.map(va, 0n, page);
  program.create(12, 16n * GiB);
  const next = kernel.spawn();
  kernel.exit();
  assert.equal(kernel.leaks(), []);
  assert.is(kernel.snapshot().lockedBytes, 0n);
  assert.equal(kernel.snapshot().charges, { tableBytes: 0n, pinnedBytes: 0n, leakedBytes: 0n });
  assert.equal(next.snapshot().containers, []);
  assert.is(new Rig(next).start().info(), 0);
});

exits("does not unpin zombies: their hugepages never come back to the pool", () => {
  const kernel = modelKernel({ hugepages: { 21: 2 } });
  const program = new Rig(kernel).start();
  const va = program.allocateHuge(4n * MiB, 21);
  program.register(va, 4n * MiB);
  program.map(va, 0n, 4n * MiB);
  program.unregister(va, 4n * MiB);
  kernel.exit();
  assert.equal(kernel.snapshot().hugepages, [{ pageShift: 21, free: 0 }]);
  assert.is(kernel.snapshot().lockedBytes, 0n);
  assert.is(kernel.leaks().length, 1);
  assert.match(kernel.leaks()[0] ?? "", "stays pinned until the machine is started again");
});

exits("leaves a container to a child that has it open: it serves nobody, and frees all when it goes", () => {
  const kernel = modelKernel({ hugepages: { 21: 1 } });
  const program = new Rig(kernel).start();
  const va = program.allocateHuge(2n * MiB, 21);
  program.register(va, 2n * MiB);
  program.map(va, 0n, 2n * MiB);
  const child = kernel.fork();
  kernel.exit();
  assert.is(childOf(program, child).unmap(0n, page), -errno.EPERM);
  assert.is(
    child.device(26).write(0n, Uint8Array.of(1)).bytes,
    1,
    "the device still reaches the memory of the one that ended",
  );
  assert.equal(child.snapshot().hugepages, [{ pageShift: 21, free: 0 }]);
  assert.is(child.open("/dev/vfio/26"), -errno.EBUSY);
  for (const fd of [3, 4]) child.close(fd);
  assert.equal(child.snapshot().hugepages, [{ pageShift: 21, free: 1 }]);
  assert.equal([child.leaks(), kernel.leaks()], [[], []]);
  assert.is(kernel.snapshot().lockedBytes, 0n, "nothing is paid back to an account that has ended");
  assert.is(child.open("/dev/vfio/26"), 3);
});

exits("does not make firmware forget that it refused a window", () => {
  const kernel = modelKernel({ platform: "pseries" });
  const program = new Rig(kernel).start();
  assert.is(program.remove(0n), 0);
  assert.is(program.create(16, 2n * GiB), 0);
  assert.is(program.create(16, 4n * GiB), -errno.ENODEV);
  const next = new Rig(kernel.spawn());
  kernel.exit();
  next.start();
  assert.is(next.create(16, 2n * GiB), -errno.ENODEV);
});

exits("makes every call throw, however it is made, while the machine can still be looked at", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(page);
  const view = kernel.view(va, page);
  kernel.exit();
  kernel.exit();
  const struct = new Uint8Array(64);
  const calls: Record<string, () => unknown> = {
    open: () => kernel.open("/dev/vfio/vfio"),
    close: () => kernel.close(3),
    ioctl: () => kernel.ioctl(3, VfioCall.CHECK_EXTENSION, IommuType.SPAPR_TCE_V2),
    ioctlStruct: () => kernel.ioctlStruct(3, VfioCall.IOMMU_MAP_DMA, struct, 0),
    ioctlBatch: () => kernel.ioctlBatch(3, struct, 0, 1),
    mmap: () => kernel.mmap(0n, page, RW, 0, 0),
    munmap: () => kernel.munmap(va, page),
    view: () => kernel.view(va, page),
    unview: () => kernel.unview(view),
    physicalAddresses: () => kernel.physicalAddresses(va, 1, 4096),
    lockedMemory: () => kernel.lockedMemory(),
    fork: () => kernel.fork(),
    limitLockedMemory: () => kernel.limitLockedMemory({}),
    protect: () => kernel.protect(va, page, RW),
    makeUnpinnable: () => kernel.makeUnpinnable(va, page),
  };
  for (const [name, call] of Object.entries(calls)) {
    assert.throws(call, (error: unknown) => error instanceof ModelProcessEnded, name);
  }
  assert.equal(kernel.snapshot().descriptors, []);
  assert.is(kernel.device(26).write(0n, struct).fault?.why, "the group is in no container");
  assert.is(kernel.hash(), kernel.hash());
});

exits.run();
