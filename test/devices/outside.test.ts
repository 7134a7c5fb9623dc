/** What an administrator does, and the machine: unbind, unplug; and how events are heard. */
import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { edu, type IovaEvent, modelKernel } from "../../src/model/index.ts";
import { IommuType, type Listening, VfioCall } from "../../src/syscalls.ts";
import { root } from "../package/imports.ts";
import { DeviceRig, errno, MiB, opened, Probe, REQUEST, turns } from "./rig.ts";

const outside = suite("from outside");

for (const name of ["x86", "ps", "pnv"] as const) {
  outside(
    `${name}: an unbind asks for the device, waits until it is closed, and takes group and maps with it`,
    async () => {
      const { kernel, rig, fd, address } = opened(name);
      const [event] = rig.eventfds(1) as [number];
      rig.setVectors(fd, REQUEST, 0, event);
      const va = rig.allocate(MiB);
      if (name !== "x86") rig.register(va, MiB);
      assert.is(rig.map(va, 0n, MiB), 0);
      const lost: IovaEvent[] = [];
      kernel.watch((one) => lost.push(one));
      let gone = false;
      const unbound = kernel
        .plugged(address)
        .unbind()
        .then(() => {
          gone = true;
        });
      await turns();
      assert.equal([gone, ...rig.fired(event)], [false, 1]);
      assert.is(rig.open(address), -errno.ENODEV, "it is not given out any more");
      assert.is(rig.read(fd, 0n, 4), 0, "who has it goes on");
      assert.is(kernel.ioctl(fd, VfioCall.DEVICE_RESET, 0), -errno.EAGAIN, "whoever unbinds it has its lock");
      kernel.plugged(address).request();
      assert.equal(rig.fired(event), [1], "asked again");
      const bar = rig.registers(fd, 0n, kernel.pageSize);
      kernel.close(fd);
      await turns();
      assert.not(gone, "a map keeps it");
      assert.equal(lost, []);
      bar.unmap();
      await unbound;
      assert.equal(
        lost.map(({ call, length }) => [call, length]),
        [["munmap", MiB]],
      );
      assert.is(rig.unmap(0n, MiB), -errno.EINVAL, "group and maps went with the device");
      assert.is(rig.groupStatus(rig.group), -errno.ENODEV);
      assert.is(rig.setContainer(rig.group), -errno.ENODEV);
      assert.is(kernel.ioctl(rig.group, VfioCall.GROUP_UNSET_CONTAINER, 0), -errno.EINVAL);
      assert.is(kernel.open("/dev/vfio/26"), -errno.ENOENT);
      assert.is(kernel.files.link(`/sys/bus/pci/devices/${address}/driver`), -errno.ENOENT);
      assert.is(kernel.files.text(`/sys/bus/pci/devices/${address}/vendor`), "0x1b36\n", "the device is there");
      assert.not(kernel.plugged(address).isBound);
      for (const one of [rig.group, rig.container, event]) assert.is(kernel.close(one), 0);
      await kernel.plugged(address).unbind();
    },
  );
}

outside("a device that is not open goes at once; another of its group keeps the group", async () => {
  const devices = [new Probe({}, { group: 3 }), new Probe({}, { group: 3 })];
  const kernel = modelKernel({ platform: "type1", devices });
  const rig = new DeviceRig(kernel).begin(3, IommuType.TYPE1v2);
  const [one, two] = kernel.snapshot().devices.map(({ address }) => address) as [string, string];
  rig.map(rig.allocate(4096n), 0n, 4096n);
  await kernel.plugged(one).unbind();
  assert.is(rig.open(one), -errno.ENODEV);
  assert.ok(rig.open(two) > 0);
  assert.is(rig.unmap(0n, 4096n), 0);
});

outside("a device that is pulled out answers nothing, sends nothing, and wants to be closed", async () => {
  const device = new Probe();
  const { kernel, rig, fd, address } = opened("x86", device);
  const [event] = rig.eventfds(1) as [number];
  rig.setVectors(fd, REQUEST, 0, event);
  rig.setVectors(fd, 2, 0, event);
  rig.setConfig(fd, 4, 2, 6);
  const bar = rig.registers(fd, 0n, 4096);
  const gone = kernel.plugged(address).unplug();
  assert.equal(rig.fired(event), [1]);
  assert.equal([bar.read32(0), bar.write32(0, 1), rig.read(fd, 0n, 4)], [-errno.EIO, -errno.EIO, -errno.EIO]);
  assert.equal([rig.setConfig(fd, 4, 2, 0), rig.config(fd, 0, 2)], [2, 0x1b36], "its name is the kernel's copy");
  assert.equal([rig.config(fd, 8, 4), rig.config(fd, 4, 2)], [0xffffffff, 0xfbff], "and the bus reads ones");
  device.bus.raise(0);
  assert.is(device.bus.write(0n, Uint8Array.of(1)).bytes, 0);
  assert.equal(rig.fired(event), [0]);
  bar.unmap();
  kernel.close(fd);
  await gone;
  assert.is(kernel.files.text(`/sys/bus/pci/devices/${address}/vendor`), -errno.ENOENT);
});

outside("an address that no device has is refused with those that there are", () => {
  const kernel = modelKernel({ devices: [edu()] });
  assert.throws(() => kernel.plugged("0000:99:00.0"), /0000:01:00.0/);
});

const events = suite("eventfds");

events("are counted, taken as a whole, and refused where there is none", () => {
  const { kernel, rig } = opened();
  const event = kernel.eventfd();
  assert.equal(
    [kernel.takeEvents(event), kernel.takeEvents(rig.container), kernel.takeEvents(99)],
    [0, -errno.EINVAL, -errno.EBADF],
  );
  assert.is(
    kernel.listen(99, () => undefined),
    -errno.EBADF,
  );
  assert.is(
    kernel.listen(rig.group, () => undefined),
    -errno.EINVAL,
  );
  assert.throws(
    () => kernel.listen(event, 1 as never),
    (error: { code?: string }) => error.code === "ERR_INVALID_ARG_TYPE",
  );
  assert.ok(kernel.leaks().some((leak) => leak.includes("eventfd")));
});

events("are heard in a turn of their own, of all that came together at once, and not after the end", async () => {
  const device = new Probe();
  const { kernel, rig, fd } = opened("x86", device);
  const [event] = rig.eventfds(1) as [number];
  rig.setVectors(fd, 2, 0, event);
  device.bus.raise(0);
  const heard: number[] = [];
  const listening = kernel.listen(event, (count) => heard.push(count)) as Listening;
  assert.equal(heard, [], "not within the call");
  device.bus.raise(0);
  await turns();
  assert.equal(heard, [2]);
  device.bus.raise(0);
  kernel.takeEvents(event);
  await turns();
  assert.equal(heard, [2], "somebody else took them");
  device.bus.raise(0);
  listening.end();
  listening.end();
  listening.ref();
  await turns();
  assert.equal(heard, [2]);
  assert.is(kernel.takeEvents(event), 1, "they are there still");
  assert.is(kernel.snapshot().listening, 0);
});

events("that are closed are heard no more, and no error says so", async () => {
  const device = new Probe();
  const { kernel, rig, fd } = opened("x86", device);
  const [event] = rig.eventfds(1) as [number];
  rig.setVectors(fd, 2, 0, event);
  const heard: number[] = [];
  const listening = kernel.listen(event, (count) => heard.push(count)) as Listening;
  kernel.close(event);
  device.bus.raise(0);
  await turns();
  assert.equal(heard, []);
  listening.end();
});

events("of a process that has ended are heard no more", async () => {
  const { kernel, rig } = opened();
  const [event] = rig.eventfds(1) as [number];
  kernel.listen(event, () => assert.unreachable());
  kernel.exit();
  assert.is(kernel.snapshot().listening, 0);
  assert.throws(() => kernel.eventfd(), /has ended/);
  await turns();
});

/** A program of its own; how it ended, and what it printed. */
function run(program: string) {
  const { status, stdout, signal } = spawnSync(process.execPath, ["--import", "tsx", "--eval", program], {
    cwd: root,
    encoding: "utf8",
    timeout: 20_000,
  });
  return { status, signal, lines: stdout.trim().split("\n") };
}

const program = (rest: string) => `
  import("./test/devices/rig.ts").then(({ opened, Probe }) => {
    const device = new Probe();
    const { kernel, rig, fd } = opened("x86", device);
    const event = kernel.eventfd();
    rig.setVectors(fd, 2, 0, event);
    const listening = kernel.listen(event, (count) => { console.log("heard", count); listening.end(); });
    ${rest}
  });
`;

events("keep the event loop alive until the end, and not when they are unref'd", () => {
  const waits = run(
    program('setTimeout(() => device.bus.raise(0), 50).unref(); process.on("exit", () => console.log("end"));'),
  );
  assert.equal(waits, { status: 0, signal: null, lines: ["heard 1", "end"] });
  const unref = run(program('listening.unref(); process.on("exit", () => console.log("end"));'));
  assert.equal(unref, { status: 0, signal: null, lines: ["end"] });
});

outside.run();
events.run();
