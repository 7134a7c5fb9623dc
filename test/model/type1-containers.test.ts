import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type IovaEvent,
  type ModelKernel,
  type ModelOptions,
  ModelUnknown,
  modelKernel,
} from "../../src/model/index.ts";
import { type VfioCall as Call, IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;

function ready(options: ModelOptions = {}, type: number = IommuType.TYPE1v2) {
  const kernel = modelKernel({ platform: "type1", groups: [26, 27], ...options });
  const program = new Rig(kernel).start(26, type);
  return { kernel, program, va: program.allocate(64n * page) };
}

const containers = suite("type1: containers");

containers("take v1 or v2, once, with a group, and no other type", () => {
  for (const type of [IommuType.TYPE1, IommuType.TYPE1v2]) {
    const kernel = modelKernel({ platform: "type1" });
    const program = new Rig(kernel);
    const container = kernel.open("/dev/vfio/vfio");
    const setIommu = (asked: number) => kernel.ioctl(container, VfioCall.SET_IOMMU, asked);
    assert.is(setIommu(type), -errno.EINVAL);
    program.setContainer(kernel.open("/dev/vfio/26"), container);
    for (const other of [0, 2, 4, 5, 7, 8, 10, 99, -1]) assert.is(setIommu(other), -errno.ENODEV, String(other));
    assert.is(setIommu(9), -errno.EINVAL, "an extension that is no type");
    assert.is(setIommu(6), -errno.EINVAL, "VT-d does not nest");
    assert.is(setIommu(type), 0);
    for (const again of [1, 3, 8]) assert.is(setIommu(again), -errno.EINVAL);
  }
});

containers("know no v2 on a kernel that has none, and no nesting that was seen on an SMMU", () => {
  const setIommu = (options: ModelOptions, type: number) => {
    const kernel = modelKernel({ platform: "type1", ...options });
    const program = new Rig(kernel);
    program.container = kernel.open("/dev/vfio/vfio");
    program.setContainer(kernel.open("/dev/vfio/26"));
    return kernel.ioctl(program.container, VfioCall.SET_IOMMU, type);
  };
  assert.is(setIommu({ iommuVersion: 1 }, 3), -errno.ENODEV);
  assert.is(setIommu({ iommuVersion: 1 }, 6), -errno.ENODEV);
  assert.is(setIommu({ iommuVersion: 1 }, 1), 0);
  assert.throws(
    () => setIommu({ pageSize: 65536 }, 6),
    (error: unknown) => error instanceof ModelUnknown && error.situation.includes("nested"),
  );
});

containers("without a driver answer EINVAL to every call of one", () => {
  const program = new Rig(modelKernel({ platform: "type1" }));
  program.container = program.kernel.open("/dev/vfio/vfio");
  assert.is(program.info(), -errno.EINVAL);
  assert.is(program.map(0n, 0n, page), -errno.EINVAL);
  assert.is(program.unmap(0n, page), -errno.EINVAL);
});

containers("know none of sPAPR's calls but REGISTER, whose number is DIRTY_PAGES", () => {
  for (const [type, dirtyPages] of [
    [IommuType.TYPE1v2, -errno.EINVAL],
    [IommuType.TYPE1, -errno.EACCES],
  ] as const) {
    const { program, va } = ready({}, type);
    assert.is(program.register(va, page), dirtyPages);
    assert.is(program.unregister(va, page), -errno.ENOTTY);
    assert.is(program.create(12, MiB), -errno.ENOTTY);
    assert.is(program.remove(0n), -errno.ENOTTY);
    for (const call of [VfioCall.IOMMU_ENABLE, VfioCall.IOMMU_DISABLE, 99 as Call]) {
      assert.is(program.kernel.ioctl(program.container, call, 0), -errno.ENOTTY);
    }
  }
});

containers("track no dirty pages: STOP is fine, START is not modelled, the rest is EINVAL", () => {
  const { program } = ready();
  const dirty = (flags: number, argsz = 8) => program.register(0n, 0n, { argsz, flags });
  assert.is(dirty(2), 0);
  assert.is(dirty(2, 7), -errno.EINVAL);
  for (const flags of [0, 3, 4, 6, 8, 0x8000_0001]) assert.is(dirty(flags, 48), -errno.EINVAL, String(flags));
  assert.throws(
    () => dirty(1),
    (error: unknown) => error instanceof ModelUnknown,
  );
  const old = ready({ infoCapabilities: false }).program;
  assert.is(old.register(0n, 0n, { flags: 2 }), -errno.ENOTTY);
});

containers("answer EFAULT when a struct's place is taken by a number", () => {
  const { program } = ready();
  for (const call of [12, 13, 14, 17]) {
    assert.is(program.kernel.ioctl(program.container, call as Call, 3), -errno.EFAULT);
  }
});

containers.run();

const groups = suite("type1: groups");

groups("that join reach what is mapped; one that leaves does not, and the maps stay for the other", () => {
  const { kernel, program, va } = ready();
  const first = kernel.snapshot().descriptors[1]?.fd as number;
  program.map(va, 0n, 4n * page);
  const second = kernel.open("/dev/vfio/27");
  assert.is(kernel.tceAt(27, 0n), undefined);
  assert.is(program.setContainer(second), 0);
  assert.is(kernel.tceAt(27, 0n)?.va, va);
  assert.is(program.locked, 4n * page, "pinned once");
  const heard: IovaEvent[] = [];
  kernel.watch((event) => heard.push(event));
  assert.is(kernel.ioctl(first, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  assert.is(kernel.tceAt(26, 0n), undefined);
  assert.is(kernel.tceAt(27, 0n)?.va, va);
  assert.equal(heard, []);
  assert.is(program.map(va, 0n, page), -errno.EEXIST);
  assert.is(program.locked, 4n * page);
});

groups("take the driver along when the last one leaves: maps and charges go", () => {
  const { kernel, program, va } = ready();
  const group = kernel.snapshot().descriptors[1]?.fd as number;
  program.map(va, 0n, 4n * page);
  program.map(va, 8n * page, page);
  const heard: IovaEvent[] = [];
  kernel.watch((event) => heard.push(event));
  assert.is(kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  assert.equal(
    heard.map(({ call, iova, length }) => [call, iova, length]),
    [
      ["VFIO_GROUP_UNSET_CONTAINER", 0n, 4n * page],
      ["VFIO_GROUP_UNSET_CONTAINER", 8n * page, page],
    ],
  );
  assert.is(program.locked, 0n);
  assert.is(program.map(va, 0n, page), -errno.EINVAL);
  program.setContainer(group);
  assert.is(kernel.ioctl(program.container, VfioCall.SET_IOMMU, IommuType.TYPE1), 0);
  assert.is(program.map(va, 0n, page), 0);
});

groups("keep what is mapped after the container was closed, until they are closed too", () => {
  const { kernel, program, va } = ready();
  const group = kernel.snapshot().descriptors[1]?.fd as number;
  program.map(va, 0n, 4n * page);
  assert.is(kernel.close(program.container), 0);
  assert.is(kernel.tceAt(26, 0n)?.va, va);
  assert.is(program.locked, 4n * page);
  assert.is(kernel.close(group), 0);
  assert.is(kernel.tceAt(26, 0n), undefined);
  assert.is(program.locked, 0n);
  assert.equal(kernel.leaks(), []);
});

groups("open once, and go into one container", () => {
  const { kernel, program } = ready();
  assert.is(kernel.open("/dev/vfio/26"), -errno.EBUSY);
  const group = kernel.snapshot().descriptors[1]?.fd as number;
  assert.is(program.setContainer(group), -errno.EINVAL);
  assert.is(kernel.open("/dev/vfio/noiommu-26"), -errno.ENOENT);
});

groups.run();

const memory = suite("type1: memory");

memory("that is unmapped by the process stays with the device, and new memory there is other memory", () => {
  const { kernel, program, va } = ready();
  program.map(va, 0n, page);
  kernel.munmap(va, page);
  assert.is(kernel.tceAt(26, 0n)?.va, va);
  assert.is(program.locked, page);
  assert.is(kernel.mmap(va, page, 3, 1, 0), va);
  assert.is(program.map(va, page, page), 0, "the new memory, beside the old");
  assert.is(program.locked, 2n * page);
  program.unmap(0n, 4n * page);
  assert.is(program.locked, 0n);
});

memory("of the hugetlb pool goes back when both the process and the device have done with it", () => {
  const lockedMemory = { limit: 4n * MiB, privileged: false };
  const { kernel, program } = ready({ hugepages: { 21: 2 }, lockedMemory });
  const [pair, one] = [4n * MiB, 2n * MiB];
  const huge = program.allocateHuge(pair, 21);
  assert.is(program.map(huge, 0n, one), 0);
  assert.is(program.map(huge, pair, pair), -errno.ENOMEM, "pinned, and let go again");
  kernel.munmap(huge, pair);
  assert.is(program.allocateHuge(pair, 21), BigInt(-errno.ENOMEM), "the device has one of the two");
  program.unmap(0n, one);
  assert.ok(program.allocateHuge(pair, 21) > 0n);
});

memory("shows in a snapshot, and its charges add up", () => {
  const { kernel, program, va } = ready();
  program.map(va + 8n * page, 32n * page, 2n * page, { flags: 1 });
  program.map(va, 0n, page);
  const { containers: shown, charges, lockedBytes } = kernel.snapshot();
  assert.equal(shown[0]?.maps, [
    { iova: 0n, va, size: page, read: true, write: true },
    { iova: 32n * page, va: va + 8n * page, size: 2n * page, read: true, write: false },
  ]);
  assert.equal([shown[0]?.windows, shown[0]?.registrations], [[], []]);
  assert.equal(charges, { tableBytes: 0n, pinnedBytes: 3n * page, leakedBytes: 0n });
  assert.is(lockedBytes, 3n * page);
  assert.is(kernel.leaks().filter((leak) => leak.includes("mapped at IOVA")).length, 2);
});

memory.run();

const processes = suite("type1: several processes");

function family(): { parent: Rig; child: Rig; kernel: ModelKernel; heir: ModelKernel; va: bigint } {
  const { kernel, program, va } = ready();
  program.map(va, 0n, 4n * page);
  program.map(va, 8n * page, 2n * page);
  const heir = kernel.fork();
  const child = new Rig(heir);
  child.container = program.container;
  return { parent: program, child, kernel, heir, va };
}

processes("map their own memory, and each pays for its own, whoever unmaps it", () => {
  const { parent, child, kernel, heir } = family();
  const own = child.allocate(16n * page);
  assert.is(child.map(own, 100n * page, 4n * page), 0);
  assert.equal([parent.locked, child.locked], [6n * page, 4n * page]);
  assert.is(child.map(own, 0n, page), -errno.EEXIST);
  assert.is(child.unmap(8n * page, 2n * page), 0);
  assert.equal([parent.locked, child.locked], [4n * page, 4n * page]);
  assert.is(parent.unmap(0n, 200n * page), 0);
  assert.is(parent.u64(16), 8n * page);
  assert.equal([parent.locked, child.locked], [0n, 0n]);
  assert.equal([kernel.snapshot().lockedBytes, heir.snapshot().charges.pinnedBytes], [0n, 0n]);
});

processes("leave their maps behind when they end, with nobody to pay back", () => {
  const { parent, child, kernel, heir } = family();
  const own = child.allocate(2n * page);
  child.map(own, 200n * page, 2n * page);
  heir.exit();
  assert.is(kernel.tceAt(26, 200n * page)?.va, own);
  assert.is(parent.locked, 6n * page);
  assert.is(parent.unmap(200n * page, 2n * page), 0);
  assert.is(parent.u64(16), 2n * page);
  assert.is(parent.locked, 6n * page);
  const { lockedBytes, charges } = heir.snapshot();
  assert.equal([lockedBytes, charges.pinnedBytes], [0n, 0n]);
});

processes("keep the group busy and the maps alive until the last has closed", () => {
  const { kernel, heir, va } = family();
  kernel.exit();
  assert.is(heir.tceAt(26, 0n)?.va, va);
  assert.is(heir.open("/dev/vfio/26"), -errno.EBUSY);
  heir.exit();
  assert.is(heir.tceAt(26, 0n), undefined);
});

processes.run();
