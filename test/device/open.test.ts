/** From an address to a device, and what stands in the way. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { modelKernel } from "../../src/model/index.ts";
import { heldBy, ownerOf } from "../../src/open-devices.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { opened } from "../devices/rig.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { driven, hiding, machineNames, machines, Probe, refusing } from "./site.ts";

const opening = suite("opening a device");

opening("finds its group by its address, and says what it is", () => {
  for (const machine of machineNames) {
    const { container, device, address, model } = driven(new Probe(), { machine });
    assert.equal([device.address, device.group, device.closed, device.gone], [address, 26, false, false]);
    assert.is(device.canReset, true);
    assert.is(device.busMaster, false);
    assert.equal(
      device.regions.filter(({ bytes }) => bytes > 0n).map(({ name, bytes, mappable }) => [name, bytes, mappable]),
      [
        ["bar0", 16384n, true],
        ["config", 4096n, false],
      ],
    );
    const { msix, msi, intx, error, request } = device.info.irqs;
    assert.equal([msix.count, msi.count, intx.count, error.count, request.count], [65, 0, 1, 1, 1]);
    assert.is(msix.canResize, machine === "x86");
    assert.is(intx.autoMasked, true);
    assert.is(container.device(address), device);
    assert.is(container.device(), device);
    assert.equal(container.devices, [device]);
    assert.equal(container.groups, [26]);
    assert.is(heldBy(ownerOf(model)), 1);
    container.close();
    assert.equal([device.closed, container.devices.length, heldBy(ownerOf(model))], [true, 0, 0]);
    assert.equal(model.leaks(), []);
  }
});

opening("by an address of capitals too, and refuses what is none before any path is made of it", () => {
  const kernel = modelKernel({ platform: "type1", devices: [new Probe({}, { address: "0000:0a:00.0" })] });
  const container = openContainer({ kernel, devices: ["0000:0A:00.0"] });
  assert.is(container.device("0000:0A:00.0"), container.device("0000:0a:00.0"));
  for (const wrong of ["0a:00.0", "../../etc", "0000:0a:00.0/..", "", "0000:0a:00.8"]) {
    refusesArgument(() => container.device(wrong));
    refusesArgument(() => openContainer({ kernel, devices: [wrong] }));
  }
  refusesArgument(() => container.device(5 as never));
  container.close();
});

opening("names what is in the way: an address that is not there, another group, none of several", () => {
  const kernel = modelKernel({ platform: "type1", devices: [new Probe(), new Probe()] });
  const [first, second] = [kernel.device(26).name, kernel.device(27).name];
  assert.match(failure("ERR_NO_DEVICE", () => openContainer({ kernel, devices: ["0000:ff:00.0"] })).message, first);
  const container = openContainer({ kernel, devices: [first] });
  const error = failure("ERR_NOT_IN_CONTAINER", () => container.device(second));
  assert.match(error.message, `${second} is in group 27, and the container has 26: container.addGroup(27) first`);
  container.addGroup(27);
  assert.is(container.device().address, first); // the one that it was opened for
  assert.is(container.device(second).group, 27);
  container.close();
  const both = openContainer({ kernel, groups: [26, 27] });
  assert.match(failure("ERR_WHICH_DEVICE", () => both.device()).message, `${first}, ${second}`);
  both.close();
  assert.equal(kernel.leaks(), []);
});

opening("says what the group has where the name is not there, and that it is open elsewhere", () => {
  const model = modelKernel({ platform: "type1", devices: [new Probe()] });
  const address = model.device(26).name;
  for (const [errno, words] of [
    ["ENODEV", /the group has 0000:\S+ with vfio-pci/],
    ["EBUSY", /open already/],
  ] as const) {
    const kernel = refusing(model, { call: "GROUP_GET_DEVICE_FD", answer: no[errno] });
    const container = openContainer({ kernel, groups: [26] });
    const error = failure("ERR_KERNEL", () => container.device(address));
    assert.match(error.message, words);
    assert.is(error.syscall, "VFIO_GROUP_GET_DEVICE_FD");
    assert.equal(container.devices, []);
    container.close();
  }
  assert.equal(model.leaks(), []);
});

opening("where the machine says nothing of itself, the groups are asked", () => {
  const model = modelKernel({ platform: "type1", devices: [new Probe(), new Probe()] });
  const second = model.device(27).name;
  const kernel = hiding(model, ["files"]);
  failure("ERR_NO_DEVICE_FILES", () => openContainer({ kernel, devices: [second] }));
  const container = openContainer({ kernel, groups: [26, 27] });
  failure("ERR_NO_DEVICE", () => container.device());
  assert.is(container.device(second).group, 27);
  assert.is(container.device().address, second);
  assert.equal(container.device().numaNode, undefined);
  container.close();
  assert.equal(model.leaks(), []);
});

opening("whichever call is refused, nothing stays open", () => {
  const calls = ["DEVICE_GET_INFO", "DEVICE_GET_REGION_INFO", "DEVICE_GET_IRQ_INFO"];
  for (const call of calls) {
    const model = modelKernel({ platform: "type1", devices: [new Probe()] });
    const container = openContainer({ kernel: refusing(model, { call, answer: no.EIO }), groups: [26] });
    const error = failure("ERR_KERNEL", () => container.device());
    assert.is(error.syscall, `VFIO_${call}`);
    assert.is(model.plugged(model.device(26).name).isOpen, false);
    container.device().close(); // the fault was for once
    container.close();
    assert.equal(model.leaks(), []);
  }
});

opening("an interface that is older than devices says what it lacks, and crashes nothing", () => {
  const model = modelKernel({ platform: "type1", devices: [new Probe()] });
  const before = hiding(model, ["pread", "pwrite", "registers", "eventfd", "takeEvents", "listen", "ioctlLater"]);
  const container = openContainer({ kernel: before, groups: [26] });
  const error = failure("ERR_NO_DEVICE_CALLS", () => container.device());
  assert.match(error.message, "no pread, pwrite, registers");
  container.close();
  const deaf = openContainer({ kernel: hiding(model, ["listen"]), groups: [26] });
  assert.match(failure("ERR_NO_DEVICE_CALLS", () => deaf.device().irqs.msix()).message, "no listen");
  deaf.close();
  assert.equal(model.leaks(), []);
});

opening("bus mastering that a program left on, of a device without a reset, is off", () => {
  const { kernel, rig, fd, address } = opened("x86", new Probe({ flr: false }));
  assert.is(rig.setConfig(fd, 4, 2, 6), 2);
  for (const open of [fd, rig.group, rig.container]) kernel.close(open);
  assert.is(kernel.plugged(address).isBusMaster, true);
  const container = openContainer({ kernel, devices: [address] });
  assert.is(container.device().busMaster, false);
  assert.is(kernel.plugged(address).isBusMaster, false);
  container.close();
});

opening("on another thread: one device for all who ask, and the container stays until then", async () => {
  const model = modelKernel({ platform: "type1", devices: [new Probe()] });
  let answer: (() => void) | undefined;
  const kernel: Syscalls = hiding(model, [], {
    ioctlLater: (fd, call, struct, argument) =>
      new Promise((resolve) => {
        answer = () =>
          resolve(struct ? model.ioctlStruct(fd, call, struct, argument) : model.ioctl(fd, call, argument));
      }),
  });
  const container = openContainer({ kernel, groups: [26] });
  const [one, other] = [container.openDevice(), container.openDevice()];
  failure("ERR_BUSY", () => container.close());
  answer?.();
  const device = await one;
  assert.is(await other, device);
  assert.is(await container.openDevice(), device);
  const reset = device.resetAsync();
  failure("ERR_BUSY", () => device.close());
  failure("ERR_BUSY", () => container.close());
  answer?.();
  await reset;
  device.close();
  const late = container.openDevice();
  const meanwhile = container.device(); // which does not wait
  answer?.();
  assert.is(await late, meanwhile);
  container.close();
  assert.equal(model.leaks(), []);
});

/** The code of what a promise is rejected with. */
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing",
    ({ code }) => code,
  );

opening("without another thread it waits here, and gives the same", async () => {
  for (const machine of machineNames) {
    const model = modelKernel({ ...machines[machine], devices: [new Probe()] });
    const container = openContainer({ kernel: model, groups: [26] });
    const device = await container.openDevice();
    assert.is(container.device(), device);
    await device.resetAsync();
    container.close();
    assert.is(await rejection(container.openDevice()), "ERR_CLOSED");
    assert.is(await rejection(device.resetAsync()), "ERR_CLOSED");
  }
});

opening.run();
