/** The configuration space, and what is switched by it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure, refusesArgument } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { driven, machineNames, Probe, refusing } from "./site.ts";

const space = suite("the configuration space");

space("is read by bytes, words and as a whole, and past its end not at all", () => {
  const { container, device } = driven();
  const { config } = device;
  assert.equal([config.length, config.read16(0), config.read16(2), config.read8(0x0b)], [4096, 0x1b36, 0x10, 1]);
  assert.is(config.read32(0), 0x0010_1b36);
  const all = new Uint8Array(4096);
  config.read(all, 0);
  assert.equal([...all.subarray(0, 4)], [0x36, 0x1b, 0x10, 0]);
  const odd = new Uint8Array(3);
  config.read(odd, 1);
  assert.equal([...odd], [0x1b, 0x10, 0]);
  config.read(new Uint8Array(0), 4096);
  for (const wrong of [1, 2, 4094, 4096, -4, 1.5, "0", 0n]) refusesArgument(() => config.read32(wrong as never));
  for (const wrong of [4096, -1]) refusesArgument(() => config.read8(wrong));
  refusesArgument(() => config.read(new Uint8Array(2), 4095));
  refusesArgument(() => config.read([] as never, 0));
  refusesArgument(() => config.write8(0, 256));
  refusesArgument(() => config.write16(0, -1));
  refusesArgument(() => config.set32(0, 2 ** 32, 0));
  container.close();
  failure("ERR_CLOSED", () => config.read8(0));
});

space("gives what a register reads after a write, and set refuses what the kernel ignored", () => {
  const { container, device, address } = driven();
  const { config } = device;
  assert.is(config.write16(0, 0xffff), 0x1b36); // the kernel says nothing
  const error = failure("ERR_WRITE_IGNORED", () => config.set16(0, 0xffff, 0xffff));
  assert.match(error.message, `of device ${address}, and they read 0x1b36`);
  assert.equal([error.facts?.offset, error.facts?.wanted, error.facts?.got], [0, 0xffff, 0x1b36]);
  config.set16(4, 4, 4);
  assert.is(config.command & 6, 6);
  config.set16(4, 4, 0);
  assert.is(config.command & 6, 2);
  const msix = config.find(0x11);
  assert.is(msix?.name, "MSI-X");
  assert.is(config.write16((msix?.offset ?? 0) + 2, 0x8000) & 0x8000, 0); // the enable bit is the kernel's
  assert.is(config.find(0x99), undefined);
  assert.ok(config.capabilities().some(({ id, extended }) => id === 0x10 && !extended));
  assert.is(config.status & 0x10, 0x10);
  container.close();
});

space("lets nobody switch memory off, or to D3, while a BAR is mapped, by whatever register", () => {
  const { container, device } = driven();
  const { config } = device;
  const power = (config.find(1)?.offset ?? 0) + 4;
  const off = [
    () => config.write16(4, 0),
    () => config.write8(4, 4),
    () => config.write32(4, 0),
    () => config.set16(4, 2, 0),
    () => config.write16(power, 3),
    () => config.write8(power, 1),
    () => config.write32(power, 2),
    () => {
      device.memory = false;
    },
    () => {
      device.powerState = "D3hot";
    },
  ];
  const bar = device.bar(0);
  for (const write of off) {
    const error = failure("ERR_MAPPED", write);
    assert.match(error.message, "has bar0 mapped");
    assert.equal(error.facts?.mapped, ["bar0"]);
    assert.equal([device.memory, device.powerState, bar.read32(0)], [true, "D0", 0]);
  }
  config.write8(5, 0); // the upper half of the command register has nothing to do with it
  config.write16(4, 6);
  bar.close();
  device.memory = false;
  assert.is(device.memory, false);
  device.memory = true;
  container.close();
});

space("switches bus mastering and power, and says where the kernel does not", () => {
  for (const machine of machineNames) {
    const { container, device, plugged } = driven(new Probe(), { machine });
    device.busMaster = true;
    assert.equal([device.busMaster, plugged.isBusMaster], [true, true]);
    device.busMaster = false;
    assert.equal([device.busMaster, plugged.isBusMaster], [false, false]);
    const sleep = () => {
      device.powerState = "D3hot";
    };
    if (machine.startsWith("pnv")) failure("ERR_WRITE_IGNORED", sleep);
    else {
      sleep();
      assert.is(device.powerState, "D3hot");
    }
    device.powerState = "D0";
    assert.is(device.powerState, "D0");
    for (const wrong of [1, "on", undefined]) {
      refusesArgument(() => Object.assign(device, { busMaster: wrong }));
      refusesArgument(() => Object.assign(device, { memory: wrong }));
      refusesArgument(() => Object.assign(device, { powerState: wrong }));
    }
    container.close();
  }
});

space("a device without power management is always awake", () => {
  const { container, device } = driven(new Probe({ express: false }));
  assert.equal([device.config.length, device.powerState], [256, "D0"]);
  device.powerState = "D0";
  failure("ERR_NO_POWER_MANAGEMENT", () => {
    device.powerState = "D3hot";
  });
  container.close();
});

space("a call that the kernel refuses, or makes in part, is an error", () => {
  const { container, device } = driven(new Probe(), {
    through: (kernel) => refusing(kernel, { call: "pread", answer: no.EIO, after: 1 }, { call: "pread", answer: 1 }),
  });
  assert.match(failure("ERR_KERNEL", () => device.config.read16(0)).message, "pread of config space at 0x0 of device");
  assert.match(failure("ERR_SHORT_ACCESS", () => device.config.read16(0)).message, "moved 1 of 2 bytes");
  container.close();
});

space.run();
