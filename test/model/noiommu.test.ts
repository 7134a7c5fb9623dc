import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { type VfioCall as Call, IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;
const ROOT = { limit: 8n * MiB, privileged: true };
const NOBODY = { limit: 8n * MiB, privileged: false };

function ready(options: ModelOptions = {}) {
  const kernel = modelKernel({ platform: "noiommu", ...options });
  const program = new Rig(kernel).start("noiommu-26", IommuType.NOIOMMU);
  return { kernel, program };
}

const groups = suite("no-IOMMU: groups");

groups("are found under their own name, and open once", () => {
  const kernel = modelKernel({ platform: "noiommu", groups: [3, 26] });
  assert.is(kernel.open("/dev/vfio/26"), -errno.ENOENT);
  const group = kernel.open("/dev/vfio/noiommu-26");
  assert.ok(group >= 0);
  assert.is(kernel.open("/dev/vfio/noiommu-26"), -errno.EBUSY);
  assert.is(new Rig(kernel).groupStatus(group), 0);
  assert.equal(
    kernel.snapshot().descriptors.map(({ path }) => path),
    ["/dev/vfio/noiommu-26"],
  );
});

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
  assert.equal(extensionsOf(kernel, program.container), [1, 3, 6, 8, 9], "type1 is loaded, and so is vfio itself");
  const fake = kernel.open("/dev/vfio/noiommu-2");
  program.setContainer(fake);
  assert.equal(extensionsOf(kernel, program.container), [8]);
  kernel.ioctl(program.container, VfioCall.SET_IOMMU, IommuType.NOIOMMU);
  assert.equal(extensionsOf(kernel, program.container), [8]);
  const other = kernel.open("/dev/vfio/vfio");
  program.setContainer(kernel.open("/dev/vfio/1"), other);
  assert.equal(extensionsOf(kernel, other), [1, 3, 6, 9]);
  const alone = modelKernel({ platform: "noiommu" });
  assert.equal(extensionsOf(alone, alone.open("/dev/vfio/vfio")), [1, 3, 6, 8, 9]);
  const safe = modelKernel({ platform: "type1" });
  assert.equal(extensionsOf(safe, safe.open("/dev/vfio/vfio")), [1, 3, 6, 9], "the unsafe mode is off");
});

containers("take type 8 and no other, once, with a group", () => {
  const kernel = modelKernel({ platform: "noiommu" });
  const program = new Rig(kernel);
  const container = kernel.open("/dev/vfio/vfio");
  const setIommu = (type: number) => kernel.ioctl(container, VfioCall.SET_IOMMU, type);
  assert.is(setIommu(8), -errno.EINVAL);
  program.setContainer(kernel.open("/dev/vfio/noiommu-26"), container);
  for (const type of [0, 1, 2, 3, 6, 7, 9, 99]) assert.is(setIommu(type), -errno.ENODEV, String(type));
  assert.is(setIommu(8), 0);
  assert.is(setIommu(8), -errno.EINVAL);
});

containers("without an IOMMU have no call that is about memory", () => {
  const { kernel, program } = ready();
  const va = program.allocate(page);
  assert.is(program.map(va, 0n, page), -errno.ENOTTY);
  assert.is(program.unmap(0n, page), -errno.ENOTTY);
  assert.is(program.info(), -errno.ENOTTY);
  assert.is(program.register(va, page), -errno.ENOTTY);
  assert.is(program.create(12, MiB), -errno.ENOTTY);
  assert.is(kernel.ioctl(program.container, VfioCall.IOMMU_ENABLE, 0), -errno.ENOTTY);
  assert.is(kernel.ioctl(program.container, 99 as Call, 0), -errno.ENOTTY);
  assert.is(program.locked, 0n);
});

containers("take several groups, and lose their driver with the last", () => {
  const { kernel, program } = ready({ groups: [26, 27] });
  const second = kernel.open("/dev/vfio/noiommu-27");
  assert.is(program.setContainer(second), 0);
  const first = kernel.snapshot().descriptors[1]?.fd as number;
  kernel.ioctl(first, VfioCall.GROUP_UNSET_CONTAINER, 0);
  assert.is(program.map(0n, 0n, page), -errno.ENOTTY);
  kernel.ioctl(second, VfioCall.GROUP_UNSET_CONTAINER, 0);
  assert.is(program.map(0n, 0n, page), -errno.EINVAL);
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

const options = suite("options of the model");

const refused: [ModelOptions, string][] = [
  [{ platform: "x86" as "type1" }, '"noiommu"'],
  [{ platform: "toString" as "type1" }, '"noiommu"'],
  [{ platform: "powernv", pageSize: 16384 }, "4096, 65536 on powernv"],
  [{ platform: "type1", pageSize: 8192 }, "4096, 16384, 65536"],
  [{ platform: "powernv", ranges: [] }, "belongs to type1"],
  [{ dmaEntryLimit: 1 }, "belongs to type1"],
  [{ platform: "pseries", iommuVersion: 1 }, "belongs to type1"],
  [{ platform: "noiommu", readsThroughWriteOnly: true }, "belongs to type1"],
  [{ platform: "noiommu", infoCapabilities: true }, "belongs to type1"],
  [{ platform: "noiommu", noIommuGroups: [1] }, "belongs to type1"],
  [{ platform: "noiommu", pgsizes: 0x1000n }, "belongs to powernv, pseries, type1"],
  [{ platform: "type1", defaultWindowSize: 1n << 30n }, "belongs to powernv, pseries"],
  [{ platform: "type1", pgsizes: 0x20_0000n }, "pages of 4096 bytes"],
  [{ platform: "type1", pgsizes: 0n }, "pages of 4096 bytes"],
  [{ platform: "type1", pgsizes: 1n << 64n }, "64 bits"],
  [{ platform: "type1", dmaEntryLimit: -1 }, "0..2^32-1"],
  [{ platform: "type1", dmaEntryLimit: 1.5 }, "0..2^32-1"],
  [{ platform: "type1", iommuVersion: 3 as 2 }, "1 or 2"],
  [{ platform: "type1", groups: [1, 2], noIommuGroups: [2] }, "named only once"],
  [{ platform: "type1", noIommuGroups: [4, 4] }, "named only once"],
  [{ platform: "type1", ranges: [] }, "at least one"],
  [{ platform: "type1", ranges: [{ start: 1n, last: 0xfffn }] }, "ranges[0].start"],
  [{ platform: "type1", ranges: [{ start: 0n, last: 0x1000n }] }, "ranges[0].last"],
  [{ platform: "type1", ranges: [{ start: 0x2000n, last: 0xfffn }] }, "ranges[0].last"],
  [{ platform: "type1", ranges: [{ start: 0n, last: (1n << 58n) - 1n }] }, "2^57"],
  [
    {
      platform: "type1",
      ranges: [
        { start: 0n, last: 0x1fffn },
        { start: 0x1000n, last: 0x2fffn },
      ],
    },
    "ranges[1].start",
  ],
];

for (const [given, expected] of refused) {
  options(`that cannot be are refused: ${expected}, ${Object.keys(given).join(" and ")}`, () => {
    assert.throws(
      () => modelKernel(given),
      (error: unknown) => error instanceof RangeError && error.message.includes(expected),
    );
  });
}

const wrongKind: [unknown, string][] = [
  [{ pgsizes: 4096 }, "pgsizes"],
  [{ ranges: 7 }, "ranges"],
  [{ ranges: [null] }, "ranges[0].start"],
  [{ ranges: [{ start: 0n, last: 4095 }] }, "ranges[0].last"],
  [{ readsThroughWriteOnly: 1 }, "readsThroughWriteOnly"],
  [{ infoCapabilities: null }, "infoCapabilities"],
  [{ noIommuGroups: "3" }, "noIommuGroups"],
];

for (const [given, name] of wrongKind) {
  options(`of the wrong kind are refused: ${name}`, () => {
    assert.throws(
      () => modelKernel({ platform: "type1", ...(given as ModelOptions) }),
      (error: unknown) => error instanceof TypeError && error.message.startsWith(name),
    );
  });
}

options.run();
