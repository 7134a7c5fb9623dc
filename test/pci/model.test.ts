/** Devices of a model are found, bound and given back as those of a machine are. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { edu, type ModelPciDevice, modelKernel } from "../../src/model/index.ts";
import { bindToVfio, unbindFromVfio } from "../../src/pci/bind.ts";
import { pciDevice, pciDevices } from "../../src/pci/devices.ts";
import { type MachineFiles, VfioCall } from "../../src/syscalls.ts";
import { failure, refused, thrownBy } from "../support/failure.ts";

const [EACCES, EISDIR, EBUSY, ENODEV, EINVAL, ENOENT, EROFS] = [-13, -21, -16, -19, -22, -2, -30];

/** A device of this class without a behaviour. */
function device(more: Partial<ModelPciDevice> = {}, facts: Partial<ModelPciDevice["facts"]> = {}): ModelPciDevice {
  return {
    facts: {
      vendor: 0x1b36,
      device: 0x10,
      class: 0x010802,
      bars: [{ index: 0, bytes: 0x4000 }],
      msix: { vectors: 4 },
      ...facts,
    },
    plug: () => ({ read: () => 0, write: () => undefined, reset: () => undefined }),
    ...more,
  };
}

const ADDRESS = "0000:01:00.0";
const driven = (more: Partial<ModelPciDevice> = {}) => device({ address: ADDRESS, group: 7, driver: "nvme", ...more });

const finding = suite("devices of a model");

finding("are found with all that a machine says of one", () => {
  const [found, ...others] = pciDevices({ kernel: modelKernel({ platform: "type1", devices: [driven()] }) });
  assert.equal(others, []);
  assert.equal(
    { ...found, problems: [], resetMethods: found?.resetMethods },
    {
      address: ADDRESS,
      vendor: 0x1b36,
      device: 0x10,
      subsystemVendor: 0,
      subsystemDevice: 0,
      revision: 0,
      class: 0x010802,
      className: "NVMe controller",
      bars: [{ index: 0, bytes: 0x4000n, kind: "memory", bits: 64, prefetchable: false }],
      group: 7,
      noIommu: false,
      driver: "nvme",
      neighbours: [],
      physicalFunction: undefined,
      resetMethods: ["flr", "bus"],
      numaNode: 0,
      powerState: "D0",
      reservedRegions: [{ start: 0xfee0_0000n, last: 0xfeef_ffffn, kind: "msi" }],
      problems: [],
      inUse: [],
    },
  );
  assert.equal(found?.problems.length, 1);
  assert.match(found?.problems[0] as string, `${ADDRESS} is with its driver nvme`);
});

for (const platform of ["powernv", "pseries", "type1"] as const) {
  finding(`are ready where nothing else was asked, on ${platform}`, () => {
    for (const kernel of [modelKernel({ platform }), modelKernel({ platform, devices: [edu(), device()] })]) {
      for (const { driver, problems, group } of pciDevices({ kernel })) {
        assert.equal([driver, problems], ["vfio-pci", []]);
        openContainer({ kernel, groups: [group as number] }).close();
      }
      assert.equal(kernel.leaks(), []);
    }
  });
}

finding("have ports, prefetchable and narrow BARs as their facts have them", () => {
  const bars = [
    { index: 0, bytes: 0x1000, bits: 32 },
    { index: 2, bytes: 2 ** 32, prefetchable: true },
    { index: 4, bytes: 0x20, bits: 32, ports: true },
  ] as const;
  const kernel = modelKernel({
    platform: "type1",
    devices: [device({ address: ADDRESS }, { bars, msix: undefined as never })],
  });
  assert.equal(
    pciDevice(ADDRESS, { kernel }).bars.map(({ index, bytes, kind, bits, prefetchable }) => [
      index,
      bytes,
      kind,
      bits,
      prefetchable,
    ]),
    [
      [0, 0x1000n, "memory", 32, false],
      [2, 1n << 32n, "memory", 64, true],
      [4, 0x20n, "ports", 32, false],
    ],
  );
});

finding("say less on an older Linux, and name their neighbours", () => {
  const kernel = modelKernel({
    platform: "type1",
    linux: "5.10",
    devices: [driven(), device({ group: 7, address: "0000:01:00.1" })],
  });
  const { resetMethods, powerState, neighbours, problems } = pciDevice("0000:01:00.1", { kernel });
  assert.equal([resetMethods, powerState, neighbours], [undefined, undefined, [ADDRESS]]);
  assert.match(problems.join(), `${ADDRESS} belongs to group 7 too and is in use by nvme`);
});

finding("have a driver that is a name, and not VFIO's", () => {
  for (const driver of ["vfio-pci", "", "a/b", "x\n"]) {
    refused("ERR_OUT_OF_RANGE", () => modelKernel({ platform: "type1", devices: [driven({ driver })] }));
  }
  refused("ERR_INVALID_ARG_TYPE", () => modelKernel({ platform: "type1", devices: [driven({ driver: 5 as never })] }));
});

finding.run();

const binding = suite("a device of a model");

for (const platform of ["powernv", "pseries", "type1"] as const) {
  binding(`cannot be used before it is bound, and goes back to its driver, on ${platform}`, () => {
    const kernel = modelKernel({ platform, devices: [driven()] });
    const before = kernel.hash();
    failure("ERR_KERNEL", () => openContainer({ kernel, groups: [7] }));
    const bound = bindToVfio(ADDRESS, { kernel });
    assert.equal([bound.group, bound.previousDriver], [7, "nvme"]);
    assert.is.not(kernel.hash(), before);
    openContainer({ kernel, groups: [7] }).close();
    bound.restore();
    assert.is(pciDevice(ADDRESS, { kernel }).driver, "nvme");
    assert.is(kernel.hash(), before);
    assert.equal(kernel.leaks(), []);
  });
}

binding("makes its group viable once all in it are bound", () => {
  const other = "0000:01:00.1";
  const kernel = modelKernel({ platform: "type1", devices: [driven(), driven({ address: other })] });
  using(bindToVfio(ADDRESS, { kernel }), () => {
    assert.match(failure("ERR_GROUP_NOT_VIABLE", () => openContainer({ kernel, groups: [7] })).message, other);
    using(bindToVfio(other, { kernel }), () => openContainer({ kernel, groups: [7] }).close());
  });
  assert.equal(
    pciDevices({ kernel }).map(({ driver }) => driver),
    ["nvme", "nvme"],
  );
});

function using(bound: { close(): void }, work: () => void): void {
  work();
  bound.close();
}

binding("without an IOMMU has a group from the moment on that VFIO has it", () => {
  const kernel = modelKernel({ platform: "noiommu", devices: [driven()] });
  assert.equal(
    [pciDevice(ADDRESS, { kernel }).group, kernel.files.names("/sys/kernel/iommu_groups")],
    [undefined, ENOENT],
  );
  const bound = bindToVfio(ADDRESS, { kernel });
  assert.is(bound.group, 7);
  assert.is(pciDevice(ADDRESS, { kernel }).noIommu, true);
  bound.restore();
  assert.is(pciDevice(ADDRESS, { kernel }).group, undefined);
});

binding("goes back after its program was killed, from another one", () => {
  const kernel = modelKernel({ platform: "type1", devices: [driven()] });
  const other = kernel.spawn();
  bindToVfio(ADDRESS, { kernel });
  kernel.exit();
  assert.is(unbindFromVfio(ADDRESS, { kernel: other }), "nvme");
  assert.is(other.files.names("/run"), ENOENT);
});

binding("that was with vfio-pci from the beginning goes to its own driver, where it has one", () => {
  const kernel = modelKernel({ platform: "type1", devices: [device({ address: ADDRESS })] });
  assert.is(unbindFromVfio(ADDRESS, { kernel }), "nvme");
  const alone = modelKernel({ platform: "type1" });
  assert.is(unbindFromVfio("0000:00:1a.0", { kernel: alone }), undefined);
  assert.is(alone.open("/dev/vfio/26"), ENOENT);
});

/** Opens the device of a group by calls of its own. */
function opened(kernel: ReturnType<typeof modelKernel>, name: string): number {
  const memory = new Uint8Array(64);
  const [container, group] = [kernel.open("/dev/vfio/vfio"), kernel.open("/dev/vfio/7")];
  new DataView(memory.buffer).setInt32(0, container, true);
  assert.is(kernel.ioctlStruct(group, VfioCall.GROUP_SET_CONTAINER, memory, 0), 0);
  assert.is(kernel.ioctl(container, VfioCall.SET_IOMMU, 3), 0);
  memory.fill(0).set(new TextEncoder().encode(name));
  return kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, memory, 0);
}

binding("is not given back while another process has its group, nor while this one has it open elsewhere", () => {
  const kernel = modelKernel({ platform: "type1", devices: [driven()] });
  const bound = bindToVfio(ADDRESS, { kernel });
  assert.ok(opened(kernel, ADDRESS) > 0);
  assert.match(failure("ERR_BUSY", () => bound.restore()).message, "a thread of this process may have it open");
  const other = kernel.spawn();
  assert.match(
    failure("ERR_BUSY", () => unbindFromVfio(ADDRESS, { kernel: other })).message,
    "process 1000 has its group open",
  );
  const waits = thrownBy(() => kernel.files.write?.("/sys/bus/pci/drivers/vfio-pci/unbind", ADDRESS)) as {
    code?: string;
  };
  assert.is(waits.code, "ERR_MODEL_UNKNOWN");
  kernel.exit();
  assert.is(unbindFromVfio(ADDRESS, { kernel: other }), "nvme");
});

binding("is not given back while its container has it open, and is when it was closed", () => {
  const kernel = modelKernel({ platform: "type1", devices: [driven()] });
  const bound = bindToVfio(ADDRESS, { kernel });
  const container = openContainer({ kernel, devices: [ADDRESS] });
  const opened = container.device(ADDRESS);
  assert.match(failure("ERR_BUSY", () => bound.restore()).message, "this process has it open");
  opened.close();
  container.device(ADDRESS);
  failure("ERR_BUSY", () => bound.restore());
  container.close();
  bound.restore();
  assert.is(pciDevice(ADDRESS, { kernel }).driver, "nvme");
  assert.equal(kernel.leaks(), []);
});

binding("takes its group out of its container when it goes, and what was mapped there", () => {
  const kernel = modelKernel({ platform: "type1", devices: [driven()] });
  const bound = bindToVfio(ADDRESS, { kernel });
  const container = openContainer({ kernel, groups: [7] });
  bound.restore();
  assert.is(pciDevice(ADDRESS, { kernel }).driver, "nvme");
  container.close();
  assert.equal(kernel.leaks(), []);
});

binding("that was pulled out is gone, and restored by doing nothing", () => {
  const kernel = modelKernel({ platform: "type1", devices: [driven()] });
  const bound = bindToVfio(ADDRESS, { kernel });
  kernel.plugged(ADDRESS).unplug();
  bound.restore();
  assert.equal(pciDevices({ kernel }), []);
  failure("ERR_NO_DEVICE", () => bindToVfio(ADDRESS, { kernel }));
});

binding.run();

const writes = suite("what is written to a model's sysfs");

const home = `/sys/bus/pci/devices/${ADDRESS}`;

writes("is answered as the kernel answers it", () => {
  const kernel = modelKernel({ platform: "type1", devices: [driven(), edu()] });
  const { text, names, link, write, keep, remove } = kernel.files as Required<MachineFiles>;
  if (write === undefined || keep === undefined || remove === undefined) throw new Error("a model can be written to");
  const answers: readonly (readonly [string, string, number])[] = [
    ["/sys/bus/pci/drivers_probe", "0000:09:00.0\n", ENODEV],
    ["/sys/bus/pci/drivers_probe", `${ADDRESS}\n`, 0],
    ["/sys/bus/pci/drivers/vfio-pci/unbind", ADDRESS, ENODEV],
    ["/sys/bus/pci/drivers/vfio-pci/bind", ADDRESS, ENODEV],
    [`${home}/driver_override`, "vfio-pci\n", 0],
    ["/sys/bus/pci/drivers/vfio-pci/bind", ADDRESS, EBUSY],
    [`${home}/driver/unbind`, "0000:09:00.0", ENODEV],
    [`${home}/driver/unbind`, `${ADDRESS}\n`, 0],
    [`${home}/driver/unbind`, `${ADDRESS}\n`, ENOENT],
    ["/sys/bus/pci/drivers/nvme/bind", ADDRESS, ENODEV],
    ["/sys/bus/pci/drivers/vfio-pci/bind", ADDRESS, 0],
    [`${home}/vendor`, "0x1234", EACCES],
    [home, "x", EISDIR],
    ["/sys/nothing", "x", ENOENT],
    ["/dev/vfio/vfio", "x", EINVAL],
  ];
  for (const [path, what, answer] of answers) assert.is(write(path, what), answer, `${what} to ${path}`);
  assert.is(text(`${home}/driver_override`), "vfio-pci\n");
  assert.is(text("/sys/bus/pci/drivers_probe"), EACCES);
  assert.is(link(`${home}/driver`), "../../../bus/pci/drivers/vfio-pci");
  assert.equal(names("/sys/bus/pci/drivers"), ["nvme", "vfio-pci"]);
  assert.equal(names(`${home}/driver`), ["0000:00:1a.0", ADDRESS, "bind", "unbind"]);
  assert.equal(
    [keep("/etc/x", ""), keep("/run/a/b", "text"), text("/run/a/b"), remove("/run/a/b"), remove("/run/a/b")],
    [EROFS, 0, "text", 0, ENOENT],
  );
});

writes("does not let a driver of the kernel take a device while a program has its group", () => {
  const other = "0000:01:00.1";
  const kernel = modelKernel({ platform: "type1", devices: [driven(), driven({ address: other })] });
  bindToVfio(ADDRESS, { kernel });
  bindToVfio(other, { kernel });
  const container = openContainer({ kernel, groups: [7] });
  assert.match(failure("ERR_BUSY", () => unbindFromVfio(other, { kernel })).message, "Close the container first");
  const { write } = kernel.files;
  write?.(`/sys/bus/pci/devices/${other}/driver_override`, "\n");
  write?.(`/sys/bus/pci/devices/${other}/driver/unbind`, other);
  assert.is(write?.("/sys/bus/pci/drivers_probe", other), 0);
  assert.is(pciDevice(other, { kernel }).driver, undefined);
  container.close();
  assert.is(write?.("/sys/bus/pci/drivers_probe", other), 0);
  assert.is(pciDevice(other, { kernel }).driver, "nvme");
});

writes.run();
