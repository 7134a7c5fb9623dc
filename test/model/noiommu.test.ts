import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;
const ROOT = { limit: 8n * MiB, privileged: true };
const NOBODY = { limit: 8n * MiB, privileged: false };

const groups = suite("no-IOMMU: groups");

groups("want CAP_SYS_RAWIO: to open, to join a container, to give it its driver, and to give their device", () => {
  const lockedMemory = { ...NOBODY };
  const kernel = modelKernel({ platform: "noiommu", lockedMemory });
  const program = new Rig(kernel);
  const as = (privileged: boolean, act: () => number) => {
    lockedMemory.privileged = privileged;
    return act();
  };
  assert.is(kernel.open("/dev/vfio/noiommu-26"), -errno.EPERM);
  const group = as(true, () => kernel.open("/dev/vfio/noiommu-26"));
  assert.is(
    as(false, () => kernel.open("/dev/vfio/noiommu-26")),
    -errno.EPERM,
    "before it is busy",
  );
  program.container = kernel.open("/dev/vfio/vfio");
  assert.ok(program.container >= 0, "anybody may have a container");
  assert.is(program.setContainer(group), -errno.EPERM);
  assert.is(
    as(true, () => program.setContainer(group)),
    0,
  );
  const setIommu = () => kernel.ioctl(program.container, VfioCall.SET_IOMMU, IommuType.NOIOMMU);
  assert.is(as(false, setIommu), -errno.EPERM);
  assert.is(as(true, setIommu), 0);
  const name = new TextEncoder().encode("0000:00:1a.0\0\0\0\0");
  const device = () => kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, name, 0);
  assert.is(as(false, device), -errno.EPERM);
  assert.ok(as(true, device) >= 0);
});

groups("do not mix with groups that have an IOMMU, in either order", () => {
  const kernel = modelKernel({ platform: "type1", groups: [1], noIommuGroups: [2] });
  const program = new Rig(kernel);
  const real = kernel.open("/dev/vfio/1");
  const fake = kernel.open("/dev/vfio/noiommu-2");
  for (const [first, second] of [
    [real, fake],
    [fake, real],
  ] as const) {
    program.container = kernel.open("/dev/vfio/vfio");
    assert.is(program.setContainer(first), 0);
    assert.is(program.setContainer(second), -errno.EPERM);
    assert.is(kernel.ioctl(first, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
    assert.is(program.setContainer(second), 0, "once the other has left");
    assert.is(kernel.ioctl(second, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  }
});

groups.run();

const containers = suite("no-IOMMU: containers");

function extensionsOf(kernel: Rig["kernel"], container: number): number[] {
  const all = Array.from({ length: 12 }, (_, index) => index);
  return all.filter((extension) => kernel.ioctl(container, VfioCall.CHECK_EXTENSION, extension) > 0);
}

containers("know what every loaded driver knows, and with a group only what can serve it", () => {
  const kernel = modelKernel({ platform: "type1", groups: [1], noIommuGroups: [2] });
  const program = new Rig(kernel);
  program.container = kernel.open("/dev/vfio/vfio");
  assert.equal(extensionsOf(kernel, program.container), [1, 3, 8, 9], "type1 is loaded, and so is vfio itself");
  const fake = kernel.open("/dev/vfio/noiommu-2");
  program.setContainer(fake);
  assert.equal(extensionsOf(kernel, program.container), [8]);
  kernel.ioctl(program.container, VfioCall.SET_IOMMU, IommuType.NOIOMMU);
  assert.equal(extensionsOf(kernel, program.container), [8]);
  const other = kernel.open("/dev/vfio/vfio");
  program.setContainer(kernel.open("/dev/vfio/1"), other);
  assert.equal(extensionsOf(kernel, other), [1, 3, 9]);
  const alone = modelKernel({ platform: "noiommu" });
  assert.equal(extensionsOf(alone, alone.open("/dev/vfio/vfio")), [1, 3, 8, 9]);
  const safe = modelKernel({ platform: "type1" });
  assert.equal(extensionsOf(safe, safe.open("/dev/vfio/vfio")), [1, 3, 9], "the unsafe mode is off");
});

containers(
  "let their device reach every page that a process has, at its physical address, with the driver and not before",
  () => {
    const kernel = modelKernel({ platform: "noiommu", lockedMemory: ROOT });
    const program = new Rig(kernel);
    const va = program.allocate(2n * page);
    const [, physical] = kernel.physicalAddresses(va, 2, 4096);
    const reached = () => kernel.tceAt(26, (physical as bigint) + 5n);
    assert.is(reached(), undefined);
    program.start("noiommu-26", IommuType.NOIOMMU);
    assert.equal(reached(), { va: va + page + 5n, read: true, write: true });
    kernel.munmap(va, 2n * page);
    assert.is(reached(), undefined, "nothing pins it");
  },
);

containers.run();
