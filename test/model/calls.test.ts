/** System calls as the model takes them, whatever they are about: descriptors, numbers for structs, calls that there are not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { type VfioCall as Call, IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, Rig } from "./rig.ts";

const page = 4n * KiB;

const paths = suite("paths and descriptors");

paths("a descriptor is the lowest number that is free, from 3 on", () => {
  const kernel = modelKernel({ groups: [26, 7] });
  assert.equal([kernel.open("/dev/vfio/vfio"), kernel.open("/dev/vfio/vfio"), kernel.open("/dev/vfio/26")], [3, 4, 5]);
  kernel.close(4);
  assert.equal([kernel.open("/dev/vfio/7"), kernel.open("/dev/vfio/vfio")], [4, 6]);
});

paths("a device's is one too, and its group goes with the last of both", () => {
  const kernel = modelKernel();
  new Rig(kernel).start();
  const name = new TextEncoder().encode("0000:00:1a.0\0");
  assert.is(kernel.ioctlStruct(4, VfioCall.GROUP_GET_DEVICE_FD, name, 0), 5);
  assert.is(kernel.close(4), 0);
  assert.is(kernel.close(3), 0);
  assert.equal(kernel.snapshot().containers[0]?.groups, [26]);
  assert.is(kernel.snapshot().containers[0]?.fd, null);
  assert.is(kernel.close(5), 0);
  assert.equal(kernel.snapshot().containers, []);
});

paths("there is nothing on the machine but /dev/vfio", () => {
  const kernel = modelKernel();
  for (const path of ["/dev/vfio/1", "/dev/vfio/1/", "/dev/vfio/noiommu-26", "/dev/null"]) {
    assert.is(kernel.open(path), -errno.ENOENT, path);
  }
  for (const path of ["/", "/dev", "/dev/vfio/"]) assert.is(kernel.open(path), -errno.EISDIR, path);
  assert.is(kernel.open("/dev/vfio/26//"), -errno.ENOTDIR);
});

paths.run();

const calls = suite("calls");

calls("answer EFAULT when a struct's place is taken by a number: sPAPR, after EPERM", () => {
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
  program.register(program.allocate(page), page);
  assert.is(call(VfioCall.IOMMU_MAP_DMA), -errno.EFAULT);
  assert.is(call(VfioCall.IOMMU_UNMAP_DMA), -errno.EFAULT);
});

calls("answer EFAULT when a struct's place is taken by a number: type1, and a group", () => {
  const kernel = modelKernel({ platform: "type1" });
  const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
  for (const call of [
    VfioCall.IOMMU_SPAPR_TCE_GET_INFO,
    VfioCall.IOMMU_MAP_DMA,
    VfioCall.IOMMU_UNMAP_DMA,
    VfioCall.IOMMU_SPAPR_REGISTER_MEMORY,
  ]) {
    assert.is(kernel.ioctl(program.container, call, 3), -errno.EFAULT);
  }
  for (const call of [VfioCall.GROUP_GET_STATUS, VfioCall.GROUP_SET_CONTAINER, VfioCall.GROUP_GET_DEVICE_FD]) {
    assert.is(kernel.ioctl(4, call, program.container), -errno.EFAULT);
  }
});

calls("that there are not answer ENOTTY, from every driver and from a group", () => {
  for (const [platform, group, type] of [
    ["powernv", "26", IommuType.SPAPR_TCE_V2],
    ["type1", "26", IommuType.TYPE1v2],
    ["noiommu", "noiommu-26", IommuType.NOIOMMU],
  ] as const) {
    const program = new Rig(modelKernel({ platform })).start(group, type);
    assert.is(program.kernel.ioctl(program.container, 99 as Call, 0), -errno.ENOTTY, platform);
    assert.is(program.kernel.ioctl(4, 99 as Call, 0), -errno.ENOTTY, platform);
  }
});

calls("of sPAPR v1 are not modelled, and its SET_IOMMU says so", () => {
  const kernel = modelKernel();
  const container = kernel.open("/dev/vfio/vfio");
  new Rig(kernel).setContainer(kernel.open("/dev/vfio/26"), container);
  assert.throws(
    () => kernel.ioctl(container, VfioCall.SET_IOMMU, IommuType.SPAPR_TCE),
    (error: unknown) => error instanceof ModelUnknown && error.code === "ERR_MODEL_UNKNOWN",
  );
});

calls.run();
