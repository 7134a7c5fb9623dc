/** What is called in the middle of an operation, from a kernel interface, is refused with nothing touched, or only looks. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bar } from "../../src/device/bar.ts";
import { ConfigSpace } from "../../src/device/config.ts";
import { Device } from "../../src/device/device.ts";
import { Interrupts } from "../../src/device/interrupts.ts";
import { Vector } from "../../src/device/vector.ts";
import { Vectors } from "../../src/device/vectors.ts";
import { failure } from "../support/failure.ts";
import { driven, hiding } from "./site.ts";

/** A driver at work, and what it may do. */
function site() {
  let during: (() => void) | undefined;
  const made = driven(undefined, {
    through: (model) =>
      hiding(model, [], {
        ioctl(fd, call, argument) {
          during?.();
          return model.ioctl(fd, call, argument);
        },
      }),
  });
  const { device } = made;
  const bar = device.bar(0);
  const vectors = device.irqs.msix(2);
  const vector = vectors.vector(1);
  const { config, irqs } = device;
  const operations: Record<string, () => unknown> = {
    "Device.busMaster": () => Object.assign(device, { busMaster: true }),
    "Device.memory": () => Object.assign(device, { memory: true }),
    "Device.powerState": () => Object.assign(device, { powerState: "D0" }),
    "Device.bar": () => device.bar(0, { endian: "big" }),
    "Device.reset": () => device.reset(),
    "Device.hotReset": () => device.hotReset(),
    "Device.on": () => device.on("request", () => {}),
    "Device.close": () => device.close(),
    "Bar.close": () => bar.close(),
    "ConfigSpace.write8": () => config.write8(4, 2),
    "ConfigSpace.write16": () => config.write16(4, 2),
    "ConfigSpace.write32": () => config.write32(4, 2),
    "ConfigSpace.set8": () => config.set8(4, 2, 2),
    "ConfigSpace.set16": () => config.set16(4, 2, 2),
    "ConfigSpace.set32": () => config.set32(4, 2, 2),
    "Interrupts.disable": () => irqs.disable(),
    "Vectors.grow": () => vectors.grow(3),
    "Vectors.disable": () => vectors.disable(),
  };
  const questions: Record<string, () => unknown> = {
    "Device.closed": () => device.closed,
    "Device.gone": () => device.gone,
    "Device.regions": () => device.regions,
    "Device.canReset": () => device.canReset,
    "Device.hotResetReason": () => device.hotResetReason(),
    "ConfigSpace.read8": () => config.read8(0),
    "ConfigSpace.read16": () => config.read16(0),
    "ConfigSpace.read32": () => config.read32(0),
    "ConfigSpace.read": () => config.read(new Uint8Array(4), 0),
    "ConfigSpace.command": () => config.command,
    "ConfigSpace.status": () => config.status,
    "ConfigSpace.capabilities": () => config.capabilities(),
    "ConfigSpace.find": () => config.find(5),
    "Interrupts.mode": () => irqs.mode,
    "Vectors.count": () => vectors.count,
    "Vectors.vector": () => vectors.vector(0),
    "Vector.closed": () => vector.closed,
    // Of the device, or of an eventfd, and of nothing that an operation holds:
    "Bar.closed": () => bar.closed,
    "Bar.read8": () => bar.read8(0),
    "Bar.read16": () => bar.read16(0),
    "Bar.read32": () => bar.read32(0),
    "Bar.read64": () => bar.read64(0),
    "Bar.read64LoHi": () => bar.read64LoHi(0),
    "Bar.write8": () => bar.write8(0, 1),
    "Bar.write16": () => bar.write16(0, 1),
    "Bar.write32": () => bar.write32(0, 1),
    "Bar.write64": () => bar.write64(0, 1n),
    "Bar.write64LoHi": () => bar.write64LoHi(0, 1n),
    "Vector.on": () => vector.on(() => {})(),
    "Vector.poll": () => vector.poll(),
    "Vector.trigger": () => vector.trigger(),
    "Vector.ref": () => vector.ref(),
    "Vector.unref": () => vector.unref(),
  };
  return {
    ...made,
    operations,
    questions,
    during: (back?: () => void) => {
      during = back;
    },
  };
}

/** Tried elsewhere, or the library's own. */
const OTHERS = [
  ...[
    "Device.resetAsync",
    "Device.checkIdle",
    "Device.mayWrite",
    "Device.end",
    "Interrupts.msix",
    "Interrupts.msi",
    "Interrupts.intx",
  ],
  ...["Interrupts.end", "Bar.bytes", "Bar.end", "ConfigSpace.change", "Vector.heard", "Vector.end"],
];

test("each public method is known to be an operation or a question", () => {
  const { operations, questions, container } = site();
  const known = [...Object.keys(operations), ...Object.keys(questions), ...OTHERS];
  for (const [name, made] of Object.entries({ Device, Bar, ConfigSpace, Interrupts, Vectors, Vector })) {
    for (const key of Object.getOwnPropertyNames(made.prototype)) {
      if (key !== "constructor") assert.ok(known.includes(`${name}.${key}`), `what of ${name}.${key}?`);
    }
  }
  container.close();
});

test("operations are refused in the middle of a reset and change nothing; questions are answered", () => {
  const names = Object.keys(site().operations);
  for (const name of names) {
    const { device, model, operations, during, container } = site();
    let calls = 0;
    during(() => {
      during();
      const hash = model.hash();
      failure("ERR_BUSY", () => operations[name]?.());
      assert.is(model.hash(), hash, name);
      calls++;
    });
    device.reset();
    assert.equal([calls, device.closed, device.irqs.mode], [1, false, "msix"]);
    container.close();
  }
  const { device, questions, during, container } = site();
  during(() => {
    during();
    for (const ask of Object.values(questions)) ask();
  });
  device.reset();
  container.close();
});

test("interrupts that are switched on in the middle of an operation are refused", () => {
  const { device, container, during } = site();
  device.irqs.disable();
  for (const start of [() => device.irqs.msix(), () => device.irqs.intx()]) {
    let calls = 0;
    during(() => {
      during();
      failure("ERR_BUSY", start);
      calls++;
    });
    device.reset();
    assert.equal([calls, device.irqs.mode], [1, "none"]);
  }
  container.close();
});

test.run();
