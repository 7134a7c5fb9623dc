/** A device from GET_DEVICE_FD to its end: what keeps it open, what resets it, and what survives. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { edu, modelKernel } from "../../src/model/index.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { DeviceRig, errno, type MachineName, MiB, MSIX, machines, NONE, opened, Probe, TRIGGER } from "./rig.ts";

const every = Object.keys(machines) as MachineName[];
const life = suite("a device's life");

for (const name of every) {
  life(`${name}: DEVICE_GET_INFO, and how large its struct is`, () => {
    const { rig, fd } = opened(name);
    const ask = (argsz: number) => rig.ask(fd, VfioCall.DEVICE_GET_INFO, argsz, 0);
    for (const argsz of [0, 8, 12, 15]) {
      assert.is(ask(argsz), -errno.EINVAL);
      assert.equal(rig.words(4), [argsz, 0, 0xeeeeeeee, 0xeeeeeeee]);
    }
    for (const [argsz, capabilities] of [
      [16, 0xeeeeeeee],
      [18, 0xeeee0000],
      [20, 0],
      [64, 0],
    ] as const) {
      assert.is(ask(argsz), 0);
      assert.equal(rig.words(5), [argsz, 3, 9, 5, capabilities]);
    }
    assert.is(rig.kernel.ioctl(fd, VfioCall.DEVICE_GET_INFO, 0), -errno.EFAULT);
    assert.is(rig.ask(fd, 0x163 as VfioCall, 8), -errno.ENOTTY, "a call that nobody knows");
  });

  life(`${name}: is opened by its whole name, a second time without a reset`, () => {
    const device = new Probe();
    const { rig, fd, address } = opened(name, device);
    for (const wrong of ["0000:ff:1f.7", address.slice(5), ""]) assert.is(rig.open(wrong), -errno.ENODEV, wrong);
    rig.setConfig(fd, 4, 2, 6);
    const before = device.resets;
    const second = rig.open(address);
    assert.ok(second > fd);
    assert.is(device.resets, before);
    assert.is(rig.config(second, 4, 2), 6, "the same state");
    rig.kernel.close(fd);
    assert.is(rig.config(second, 4, 2), 6);
    assert.is(device.resets, before);
  });

  life(`${name}: is reset as it is opened and closed, and has bus mastering off again`, () => {
    const device = new Probe();
    const { kernel, rig, fd, address } = opened(name, device);
    assert.is(device.resets, 1);
    rig.setConfig(fd, 4, 2, rig.config(fd, 4, 2) | 4);
    const [event] = rig.eventfds(1) as [number];
    rig.setVectors(fd, MSIX, 0, event);
    assert.ok(kernel.plugged(address).isBusMaster);
    kernel.close(fd);
    assert.is(device.resets, 2);
    assert.not(kernel.plugged(address).isBusMaster);
    device.bus.raise(0);
    assert.equal(rig.fired(event), [0]);
    const again = rig.open(address);
    assert.is(rig.config(again, 4, 2), name === "x86" ? 0x103 : 0x102);
    assert.is(rig.config(again, 0x42, 2), 0x40);
  });

  life(`${name}: a BAR that is still mapped keeps it open: no reset, bus master on, the map works`, () => {
    const device = new Probe();
    const { kernel, rig, fd, address } = opened(name, device);
    rig.setConfig(fd, 4, 2, 6);
    const page = kernel.pageSize;
    const bar = rig.registers(fd, 0n, page);
    bar.write32(0, 0x10400);
    kernel.close(fd);
    assert.equal([device.resets, bar.read32(0)], [1, 0x10400]);
    assert.equal(
      kernel.leaks().filter((leak) => leak.includes("registers")),
      [`${page / 1024} KiB of registers are mapped: ${address}, BAR 0 at 0x0; they keep it open`],
    );
    const again = rig.open(address);
    assert.equal([device.resets, rig.config(again, 4, 2)], [1, 6]);
    kernel.close(again);
    bar.unmap();
    assert.is(device.resets, 2);
    assert.not(kernel.plugged(address).isOpen);
  });

  life(`${name}: DEVICE_RESET leaves what the configuration space says, maps and interrupts`, () => {
    const device = new Probe();
    const { kernel, rig, fd } = opened(name, device);
    const [event] = rig.eventfds(1) as [number];
    rig.setConfig(fd, 4, 2, 6);
    rig.setVectors(fd, MSIX, 0, event);
    const bar = rig.registers(fd, 0n, 16384);
    bar.write32(0x14, 0x460000);
    assert.is(kernel.ioctl(fd, VfioCall.DEVICE_RESET, 0), 0);
    assert.equal([rig.config(fd, 4, 2), rig.config(fd, 0x42, 2), bar.read32(0x14)], [6, 0x8040, 0]);
    rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 1);
    device.bus.raise(0);
    assert.equal(rig.fired(event), [2]);
    assert.is(kernel.ioctl(fd, VfioCall.DEVICE_RESET, 123), 0);
    assert.is(device.resets, 3);
  });

  life(`${name}: DEVICE_FEATURE knows low power alone`, () => {
    const { rig, fd } = opened(name);
    const probe = (feature: number, flags = 0x40000, argsz = 8) =>
      rig.ask(fd, VfioCall.DEVICE_FEATURE, argsz, flags | feature);
    const answers = Array.from({ length: 11 }, (_, feature) => probe(feature));
    assert.equal(
      answers,
      answers.map((_, feature) => (feature >= 3 && feature <= 5 ? 0 : -errno.ENOTTY)),
    );
    assert.equal(
      [probe(3, 0x40000, 7), probe(3, 0x80000), probe(3, 0), probe(3, 0x30000), probe(3, 0x50000)],
      Array(5).fill(-errno.EINVAL),
    );
    assert.throws(() => probe(3, 0x20000), /does not know/);
  });

  life(`${name}: a number of a container's is another call on a device, and the other way round`, () => {
    const { rig, fd } = opened(name);
    assert.is(rig.ask(fd, VfioCall.IOMMU_MAP_DMA, 32, 3, 0, 0, 0, 0, 0, 0), -errno.EINVAL, "PCI_HOT_RESET");
    assert.is(rig.ask(fd, VfioCall.IOMMU_UNMAP_DMA, 24, 0, 0, 0, 0, 0), -errno.ENOTTY);
    const unmap = rig.ask(rig.container, VfioCall.IOMMU_UNMAP_DMA, 24, 0, 0, 0, 0, 0);
    assert.is(rig.ask(rig.container, (VfioCall.IOMMU_UNMAP_DMA + 0x100) as VfioCall, 24, 0, 0, 0, 0, 0), unmap);
    assert.is(rig.ask(rig.group, VfioCall.DEVICE_GET_INFO, 64, 0), -errno.ENOTTY);
  });
}

/** Where the software devices have the control of power management. */
const PM_CONTROL = 0x64;

/** Where a device is, and what a reset of its bus answers there. */
const buses = {
  "x86, on the root bus": ["x86", "0000:00:06.0", "ENODEV"],
  "x86, behind a root port": ["x86", "0000:01:00.0", "ENOTTY"],
  "ps, on the root bus": ["ps", "0000:00:00.0", "ENODEV"],
  "pnv, behind its bridge": ["pnv", "0000:01:00.0", "0"],
  "pnv 64K, behind its bridge": ["pnv 64K", "0000:01:00.0", "0"],
} as const;

for (const [where, [name, address, works]] of Object.entries(buses)) {
  life(`hot reset, ${where}`, () => {
    const device = new Probe({}, { address });
    const { rig, fd } = opened(name, device);
    rig.setConfig(fd, 4, 2, 6);
    const info = (argsz: number) => rig.ask(fd, VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO, argsz, 0xff, 0);
    const reset = (argsz: number, count: number, ...fds: number[]) =>
      rig.ask(fd, VfioCall.DEVICE_PCI_HOT_RESET, argsz, 0, count, ...fds);
    assert.equal([info(0), info(11), reset(8, 1), reset(12, 0)], Array(4).fill(-errno.EINVAL));
    if (works === "ENODEV") {
      for (const argsz of [12, 16, 20, 28]) assert.is(info(argsz), -errno.ENODEV);
      assert.equal([reset(16, 1, rig.group), reset(16, 1, rig.container)], [-errno.ENODEV, -errno.ENODEV]);
      return;
    }
    for (const argsz of [12, 16]) {
      assert.is(info(argsz), -errno.ENOSPC);
      assert.equal(rig.words(3), [argsz, 0, 1]);
    }
    assert.is(info(20), 0);
    assert.equal(rig.words(5), [20, 0, 1, 26, 0x0001_0000]);
    assert.equal(
      [reset(16, 1, rig.container), reset(16, 1, 99), reset(20, 2, rig.group, rig.group)],
      [-errno.EINVAL, -errno.EBADF, -errno.EINVAL],
    );
    const before = device.resets;
    assert.is(reset(16, 1, rig.group), works === "ENOTTY" ? -errno.ENOTTY : 0);
    assert.is(device.resets, before + 1, "also where the bus did not come back in time");
    assert.is(rig.config(fd, 4, 2), 6);
  });
}

life("hot reset wants the groups of all devices on the bus that are open", () => {
  const devices = [new Probe({}, { address: "0000:01:00.0" }), new Probe({}, { address: "0000:01:00.1" })];
  const kernel = modelKernel({ platform: "powernv", devices });
  const rig = new DeviceRig(kernel).begin(26, IommuType.SPAPR_TCE_V2);
  const fd = rig.open("0000:01:00.0");
  const reset = (...fds: number[]) =>
    rig.ask(fd, VfioCall.DEVICE_PCI_HOT_RESET, 12 + 4 * fds.length, 0, fds.length, ...fds);
  assert.is(reset(rig.group), 0, "the other one is not open");
  const other = kernel.open("/dev/vfio/27");
  assert.is(rig.setContainer(other), 0);
  assert.ok(rig.open("0000:01:00.1", other) > 0);
  assert.is(reset(rig.group), -errno.EINVAL);
  assert.is(reset(rig.group, other), 0);
  assert.equal(
    devices.map(({ resets }) => resets),
    [3, 3],
  );
});

life("without a reset the command register stays as the program left it, as e1000e's was seen to", () => {
  const device = new Probe({ flr: false });
  const { kernel, rig, fd, address } = opened("x86", device);
  assert.is(rig.ask(fd, VfioCall.DEVICE_GET_INFO, 24, 0), 0);
  assert.is(rig.words(2)[1], 2, "no reset");
  assert.is(kernel.ioctl(fd, VfioCall.DEVICE_RESET, 0), -errno.EINVAL);
  rig.setConfig(fd, 4, 2, 6);
  kernel.close(fd);
  const again = rig.open(address);
  assert.equal([rig.config(again, 4, 2), device.resets], [6, 0]);
});

life("without FLR, and reset by power management: on the way from D3hot to D0, and by the kernel in that way", () => {
  const device = new Probe({ flr: false, pmReset: true });
  const { kernel, rig, fd, address } = opened("x86", device);
  assert.is(kernel.files.text(`/sys/bus/pci/devices/${address}/reset_method`), "pm\n");
  assert.is(rig.ask(fd, VfioCall.DEVICE_GET_INFO, 24, 0), 0);
  assert.is(rig.words(2)[1], 3, "it can be reset");
  const before = device.resets;
  assert.is(kernel.ioctl(fd, VfioCall.DEVICE_RESET, 0), 0);
  assert.is(device.resets, before + 1);
  rig.setConfig(fd, 4, 2, 6);
  for (const state of [3, 0]) rig.setConfig(fd, PM_CONTROL, 2, state);
  assert.equal([device.resets, rig.config(fd, 4, 2), rig.config(fd, PM_CONTROL, 2)], [before + 2, 6, 0]);
  const other = new Probe();
  const kept = opened("x86", other);
  const resets = other.resets;
  for (const state of [3, 0]) kept.rig.setConfig(kept.fd, PM_CONTROL, 2, state);
  assert.equal(
    [other.resets, kept.rig.config(kept.fd, PM_CONTROL, 2)],
    [resets, 8],
    "it says that it keeps its registers",
  );
});

life("a reset ends what a device put off until later", async () => {
  const device = new Probe();
  const { kernel, fd } = opened("x86", device);
  const done: string[] = [];
  device.bus.later(() => done.push("before"));
  kernel.ioctl(fd, VfioCall.DEVICE_RESET, 0);
  device.bus.later(() => done.push("after"));
  assert.equal(done, []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, ["after"]);
});

life("DMA wants bus mastering, D0 and a map, each at its moment", () => {
  const device = new Probe();
  const { kernel, rig, fd } = opened("x86", device);
  const write = () => device.bus.write(MiB, Uint8Array.of(7));
  const why = () => write().fault?.why;
  assert.is(why(), "bus mastering is off");
  assert.equal(kernel.device(26).write(MiB, Uint8Array.of(7)).fault?.why, "bus mastering is off");
  rig.setConfig(fd, 4, 2, 6);
  assert.is(why(), "not mapped");
  assert.is(rig.map(rig.allocate(4096n), MiB, 4096n), 0);
  assert.equal(write(), { bytes: 1 });
  assert.equal(kernel.device(26).read(MiB, new Uint8Array(1)), { bytes: 1 });
  rig.setConfig(fd, 0x64, 2, 0xb);
  assert.is(why(), "bus mastering is off");
  rig.setConfig(fd, 0x64, 2, 8);
  assert.equal(write(), { bytes: 1 });
  kernel.close(fd);
  assert.is(why(), "bus mastering is off");
});

life("two devices of a group have its maps, and each its own bus mastering", () => {
  const [one, two] = [new Probe({}, { group: 5 }), new Probe({}, { group: 5 })];
  const kernel = modelKernel({ platform: "type1", devices: [one, two] });
  const rig = new DeviceRig(kernel).begin(5, IommuType.TYPE1v2);
  const addresses = kernel.snapshot().devices.map(({ address }) => address);
  const fds = addresses.map((address) => rig.open(address));
  assert.ok(
    fds.every((fd) => fd > 0),
    `${fds}`,
  );
  rig.map(rig.allocate(4096n), 0n, 4096n);
  rig.setConfig(fds[1] as number, 4, 2, 6);
  assert.equal(
    [one, two].map(({ bus }) => bus.write(0n, Uint8Array.of(1)).bytes),
    [0, 1],
  );
  assert.equal(kernel.files.names("/sys/kernel/iommu_groups/5/devices"), [...addresses].sort());
});

life("a group that nobody brought a device for has one without registers", () => {
  const kernel = modelKernel({ platform: "type1" });
  const rig = new DeviceRig(kernel).begin(26, IommuType.TYPE1v2);
  const fd = rig.open("0000:00:1a.0");
  assert.is(rig.config(fd, 0, 4), 0x00001234);
  assert.is(rig.read(fd, 0n, 4), -errno.EINVAL);
  assert.is(rig.setVectors(fd, MSIX, 0, kernel.eventfd()), -errno.EINVAL);
  rig.map(rig.allocate(4096n), 0n, 4096n);
  assert.equal(kernel.device(26).write(0n, Uint8Array.of(1)), { bytes: 1 }, "a test moves data with it all the same");
});

life("a child shares descriptors, eventfds and maps of registers; a process that ends lets go of all", () => {
  const device = new Probe();
  const { kernel, rig, fd, address } = opened("x86", device);
  const [event] = rig.eventfds(1) as [number];
  const bar = rig.registers(fd, 0n, 4096);
  const child = kernel.fork();
  rig.setVectors(fd, MSIX, 0, event);
  device.bus.raise(0);
  assert.equal([child.takeEvents(event), kernel.takeEvents(event)], [1, 0]);
  bar.unmap();
  for (const one of [fd, rig.group, rig.container, event]) kernel.close(one);
  assert.equal(kernel.leaks(), []);
  assert.ok(child.plugged(address).isOpen);
  assert.is(child.pread(fd, new Uint8Array(4), 0n), 4);
  child.exit();
  assert.not(kernel.plugged(address).isOpen);
  assert.is(device.resets, 2);
  const last = opened("x86", edu());
  last.rig.registers(last.fd, 0n, 4096);
  last.kernel.exit();
  assert.equal(last.kernel.leaks(), []);
  assert.not(last.kernel.plugged(last.address).isOpen);
});

life("has a hash: what a program changed of a device is in it, and how it came about is not", () => {
  const { kernel, rig, fd } = opened("x86", edu());
  const before = kernel.hash();
  const bar = rig.registers(fd, 0n, 4096);
  assert.is.not(kernel.hash(), before, "a map keeps it open");
  bar.write32(4, 1);
  bar.unmap();
  const written = kernel.hash();
  assert.is.not(written, before, "a register of a device that says its state");
  const event = kernel.eventfd();
  const quiet = kernel.hash();
  rig.setVectors(fd, 4, 0, event);
  rig.setIrqs(fd, 4, NONE | TRIGGER, 0, 1);
  assert.is.not(kernel.hash(), quiet);
  kernel.takeEvents(event);
  rig.setVectors(fd, 4, 0, -1);
  assert.is(kernel.hash(), quiet);
  kernel.close(event);
  assert.is(kernel.hash(), written);
  rig.setConfig(fd, 4, 2, 7);
  assert.is.not(kernel.hash(), written);
});

life.run();
