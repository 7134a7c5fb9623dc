import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { type VfioCall as Call, IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, GiB, HIGH, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;

const descriptors = suite("descriptors");

descriptors("open the container as often as asked, a group once, and nothing else", () => {
  const kernel = modelKernel({ groups: [26, 7] });
  assert.ok(kernel.open("/dev/vfio/vfio") >= 0);
  assert.ok(kernel.open("/dev/vfio/vfio") >= 0);
  const group = kernel.open("/dev/vfio/26");
  assert.is(kernel.open("/dev/vfio/26"), -errno.EBUSY);
  assert.is(kernel.close(group), 0);
  assert.is(kernel.open("/dev/vfio/26"), group);
  for (const path of ["/dev/vfio/1", "/dev/vfio/026", "/dev/vfio/1/", "/dev/null", ""]) {
    assert.is(kernel.open(path), -errno.ENOENT, path);
  }
  for (const path of ["/", "/dev", "/dev/vfio", "/dev/vfio/"]) assert.is(kernel.open(path), -errno.EISDIR, path);
  for (const path of ["/dev/vfio/vfio/", "/dev/vfio/26//"]) assert.is(kernel.open(path), -errno.ENOTDIR, path);
});

descriptors("that are not open answer EBADF", () => {
  const kernel = modelKernel();
  const memory = new Uint8Array(64);
  assert.is(kernel.close(3), -errno.EBADF);
  assert.is(kernel.ioctl(-1, VfioCall.GET_API_VERSION, 0), -errno.EBADF);
  assert.is(kernel.ioctlStruct(99, VfioCall.IOMMU_MAP_DMA, memory, 0), -errno.EBADF);
  const fd = kernel.open("/dev/vfio/vfio");
  kernel.close(fd);
  assert.is(kernel.close(fd), -errno.EBADF);
});

descriptors(
  "of the wrong kind: ENOTTY from a group, EINVAL from a container without a driver, ENOTTY from one with",
  () => {
    const kernel = modelKernel();
    const program = new Rig(kernel);
    program.container = kernel.open("/dev/vfio/vfio");
    const group = kernel.open("/dev/vfio/26");
    assert.is(kernel.ioctlStruct(group, VfioCall.IOMMU_MAP_DMA, program.memory, 0), -errno.ENOTTY);
    assert.is(kernel.ioctl(group, VfioCall.SET_IOMMU, 7), -errno.ENOTTY);
    assert.is(program.groupStatus(program.container), -errno.EINVAL);
    program.setContainer(group);
    kernel.ioctl(program.container, VfioCall.SET_IOMMU, 7);
    assert.is(program.groupStatus(program.container), -errno.ENOTTY);
  },
);

descriptors.run();

const containers = suite("containers");

containers("know their extensions, and the API's version", () => {
  for (const [platform, known] of [
    ["powernv", [2, 5, 7]],
    ["pseries", [2, 7]],
  ] as const) {
    const kernel = modelKernel({ platform });
    const fd = kernel.open("/dev/vfio/vfio");
    assert.is(kernel.ioctl(fd, VfioCall.GET_API_VERSION, 0), 0);
    const answers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((type) => kernel.ioctl(fd, VfioCall.CHECK_EXTENSION, type));
    assert.equal(answers, known);
  }
});

containers("take an IOMMU once, with a group, of a type that the platform has", () => {
  for (const platform of ["powernv", "pseries"] as const) {
    const kernel = modelKernel({ platform });
    const program = new Rig(kernel);
    const container = kernel.open("/dev/vfio/vfio");
    const setIommu = (type: number) => kernel.ioctl(container, VfioCall.SET_IOMMU, type);
    assert.is(setIommu(7), -errno.EINVAL);
    assert.is(setIommu(1), -errno.EINVAL);
    program.setContainer(kernel.open("/dev/vfio/26"), container);
    for (const type of [1, 3, 4, 6, 8, 0, 99, -1]) assert.is(setIommu(type), -errno.ENODEV, String(type));
    assert.is(setIommu(5), platform === "powernv" ? -errno.EINVAL : -errno.ENODEV);
    assert.is(setIommu(IommuType.SPAPR_TCE_V2), 0);
    assert.is(setIommu(IommuType.SPAPR_TCE_V2), -errno.EINVAL);
    assert.is(setIommu(1), -errno.EINVAL);
  }
});

containers("do not model v1, and say so", () => {
  const kernel = modelKernel();
  const container = kernel.open("/dev/vfio/vfio");
  new Rig(kernel).setContainer(kernel.open("/dev/vfio/26"), container);
  assert.throws(
    () => kernel.ioctl(container, VfioCall.SET_IOMMU, IommuType.SPAPR_TCE),
    (error: unknown) => error instanceof ModelUnknown && error.code === "ERR_MODEL_UNKNOWN",
  );
});

containers("answer EINVAL to every call of a driver that they do not have yet", () => {
  const program = new Rig(modelKernel());
  program.container = program.kernel.open("/dev/vfio/vfio");
  assert.is(program.info(), -errno.EINVAL);
  assert.is(program.register(0n, page), -errno.EINVAL);
  assert.is(program.unregister(0n, page), -errno.EINVAL);
  assert.is(program.map(0n, 0n, page), -errno.EINVAL);
  assert.is(program.unmap(0n, page), -errno.EINVAL);
  assert.is(program.create(12, MiB), -errno.EINVAL);
  assert.is(program.remove(0n), -errno.EINVAL);
});

containers("of v2 have no ENABLE and no DISABLE", () => {
  const program = new Rig(modelKernel()).start();
  assert.is(program.kernel.ioctl(program.container, VfioCall.IOMMU_ENABLE, 0), -errno.ENOTTY);
  assert.is(program.kernel.ioctl(program.container, VfioCall.IOMMU_DISABLE, 0), -errno.ENOTTY);
  assert.is(program.kernel.ioctl(program.container, 99 as Call, 0), -errno.ENOTTY);
});

containers("answer EFAULT when a struct's place is taken by a number, after EPERM", () => {
  const program = new Rig(modelKernel()).start();
  const call = (number: Call) => program.kernel.ioctl(program.container, number, 3);
  assert.is(call(VfioCall.IOMMU_MAP_DMA), -errno.EPERM);
  assert.is(call(VfioCall.IOMMU_UNMAP_DMA), -errno.EPERM);
  assert.is(call(VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY), -errno.EPERM);
  assert.is(call(VfioCall.IOMMU_SPAPR_TCE_GET_INFO), -errno.EFAULT);
  assert.is(call(VfioCall.IOMMU_SPAPR_TCE_CREATE), -errno.EFAULT);
  assert.is(call(VfioCall.IOMMU_SPAPR_TCE_REMOVE), -errno.EFAULT);
  assert.is(call(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY), -errno.EFAULT);
  assert.is(call(VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY), -errno.EFAULT);
});

for (const [platform, size, pgsizes, levels] of [
  ["powernv", 2n * GiB, 0x40211000n, 5],
  ["pseries", GiB, 0x1211000n, 1],
] as const) {
  containers(`${platform}: GET_INFO writes as much as argsz has room for`, () => {
    const program = new Rig(modelKernel({ platform })).start();
    assert.is(program.info(8), -errno.EINVAL);
    assert.is(program.u32(4), 0xeeee_eeee);
    for (const argsz of [16, 20, 31]) {
      assert.is(program.info(argsz), 0);
      assert.equal([program.u32(0), program.u32(4), program.u32(8)], [argsz, 1, 0]);
      assert.is(program.u32(12), Number(size));
      assert.is(program.u32(16), 0xeeee_eeee, "ddw is not written");
    }
    for (const argsz of [32, 40]) {
      assert.is(program.info(argsz), 0);
      assert.is(program.u64(16), pgsizes);
      assert.equal([program.u32(24), program.u32(28), program.u32(32)], [2, levels, 0xeeee_eeee]);
    }
  });
}

containers.run();

const groups = suite("groups");

groups("say whether they are in a container", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel);
  program.container = kernel.open("/dev/vfio/vfio");
  const group = kernel.open("/dev/vfio/26");
  assert.is(program.groupStatus(group, 4), -errno.EINVAL);
  assert.is(program.groupStatus(group), 0);
  assert.is(program.u32(4), 1);
  program.setContainer(group);
  program.groupStatus(group);
  assert.is(program.u32(4), 3);
  assert.is(kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  assert.is(kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0), -errno.EINVAL);
});

groups("go into one container, and only into a container", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel);
  program.container = kernel.open("/dev/vfio/vfio");
  const group = kernel.open("/dev/vfio/26");
  assert.is(program.setContainer(group, 99), -errno.EBADF);
  assert.is(program.setContainer(group, group), -77, "EBADFD");
  assert.is(kernel.ioctl(group, VfioCall.GROUP_SET_CONTAINER, program.container), -errno.EFAULT, "it takes a pointer");
  assert.is(program.setContainer(group), 0);
  assert.is(program.setContainer(group), -errno.EINVAL);
});

groups("give their device once SET_IOMMU was there, and stay open and in their container with it", () => {
  const kernel = modelKernel({ groups: [26] });
  const program = new Rig(kernel);
  program.container = kernel.open("/dev/vfio/vfio");
  const group = kernel.open("/dev/vfio/26");
  const named = (name: string) => new TextEncoder().encode(`${name}\0`);
  const device = (name = "0000:00:1a.0") => kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, named(name), 0);
  assert.is(device(), -errno.EINVAL, "no container");
  assert.is(device("0000:00:01.0"), -errno.ENODEV);
  assert.is(program.setContainer(group), 0);
  assert.is(device(), -errno.EINVAL, "no IOMMU");
  kernel.ioctl(program.container, VfioCall.SET_IOMMU, IommuType.SPAPR_TCE_V2);
  const fd = device();
  assert.is(fd, 5);
  assert.is(kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0), -errno.EBUSY);
  assert.is(kernel.close(group), 0);
  assert.is(kernel.open("/dev/vfio/26"), -errno.EBUSY, "the device keeps it");
  assert.is(kernel.snapshot().containers[0]?.groups[0], 26);
  assert.is(kernel.close(fd), 0);
  assert.equal(kernel.snapshot().containers[0]?.groups, []);
  assert.is(kernel.open("/dev/vfio/26"), 4);
});

groups("take the driver along when the last one leaves: windows, registrations and charges go", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(page);
  program.register(va, page);
  program.map(va, 0n, page);
  const group = kernel.snapshot().descriptors[1]?.fd as number;
  assert.is(kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  assert.is(program.locked, 0n);
  assert.is(program.unmap(0n, page), -errno.EINVAL);
  program.setContainer(group);
  assert.is(program.map(va, 0n, page), -errno.EINVAL);
  assert.is(kernel.ioctl(program.container, VfioCall.SET_IOMMU, 7), 0);
  assert.is(program.map(va, 0n, page), -errno.EPERM);
});

groups("keep a container alive that was closed", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(page);
  program.register(va, page);
  const group = kernel.snapshot().descriptors[1]?.fd as number;
  kernel.close(program.container);
  assert.is(program.locked, page);
  assert.is(kernel.snapshot().containers[0]?.fd, null);
  kernel.close(group);
  assert.is(program.locked, 0n);
  assert.equal(kernel.snapshot().containers, []);
});

groups("share the windows of a container on PowerNV", () => {
  const kernel = modelKernel({ groups: [1, 2] });
  const program = new Rig(kernel).start(1);
  const va = program.allocate(2n * page);
  program.register(va, 2n * page);
  program.map(va, 0n, page);
  const second = kernel.open("/dev/vfio/2");
  assert.is(program.setContainer(second), 0);
  assert.is(kernel.tceAt(2, 0n)?.va, va);
  assert.is(program.map(va + page, page, page), 0);
  assert.is(kernel.tceAt(1, page)?.va, va + page);
  assert.is(kernel.ioctl(second, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  assert.is(kernel.tceAt(1, 0n), undefined, "one that leaves clears every TCE of the container");
  assert.is(program.unregister(va, 2n * page), 0);
  assert.is(program.map(va, 0n, page), -errno.EINVAL);
  assert.is(program.locked, 8n * MiB, "the windows stay");
});

groups("on pSeries: a second one is let in, and nothing works until it leaves", () => {
  const kernel = modelKernel({ platform: "pseries", groups: [1, 2] });
  const program = new Rig(kernel).start(1);
  const va = program.allocate(page);
  const second = kernel.open("/dev/vfio/2");
  assert.is(program.setContainer(second), 0);
  assert.is(program.register(va, page), 0);
  assert.is(program.map(va, 0n, page), -errno.EPERM);
  assert.is(program.unmap(0n, page), -errno.EPERM);
  assert.is(program.create(16, 2n * GiB), -errno.EPERM);
  assert.is(program.remove(0n), 0);
  assert.is(program.create(16, 2n * GiB), -errno.EPERM);
  assert.is(program.locked, page, "these charges are given back");
  kernel.ioctl(second, VfioCall.GROUP_UNSET_CONTAINER, 0);
  assert.is(program.create(16, 2n * GiB), 0);
  assert.is(program.startAddress, HIGH);
});

groups("on pSeries: a second one is refused once there is a window, the default one too", () => {
  const kernel = modelKernel({ platform: "pseries", groups: [1, 2] });
  const program = new Rig(kernel).start(1);
  const va = program.allocate(page);
  program.register(va, page);
  program.map(va, 0n, page);
  assert.is(program.setContainer(kernel.open("/dev/vfio/2")), -errno.EPERM);
  assert.is(program.unmap(0n, page), 0);
});

groups.run();
