/** GET_IRQ_INFO and SET_IRQS: every answer that was seen, and what becomes of what a device sends. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { edu } from "../../src/model/index.ts";
import { VfioCall } from "../../src/syscalls.ts";
import {
  BOOL,
  ERROR,
  EVENTFD,
  errno,
  INTX,
  MASK,
  type MachineName,
  MSI,
  MSIX,
  machines,
  NONE,
  nvmeFacts,
  opened,
  Probe,
  REQUEST,
  TRIGGER,
  UNMASK,
} from "./rig.ts";

const every = Object.keys(machines) as MachineName[];
const irqs = suite("interrupts");

const grows = (name: MachineName) => name === "x86";
const CONTROL = 0x42;

for (const name of every) {
  irqs(`${name}: GET_IRQ_INFO`, () => {
    const { rig, fd } = opened(name);
    const info = (index: number, argsz = 16) => {
      const answer = rig.ask(fd, VfioCall.DEVICE_GET_IRQ_INFO, argsz, 0, index, 0);
      return answer === 0 ? [rig.words(4)[3], rig.words(2)[1]] : answer;
    };
    assert.equal(
      [0, 1, 2, 3, 4].map((index) => info(index)),
      [
        [1, 7],
        [0, 9],
        [65, grows(name) ? 1 : 9],
        [1, 9],
        [1, 9],
      ],
    );
    assert.equal([info(5), info(0xffffffff), info(0, 12)], [-errno.EINVAL, -errno.EINVAL, -errno.EINVAL]);
    assert.is(rig.kernel.ioctl(fd, VfioCall.DEVICE_GET_IRQ_INFO, 0), -errno.EFAULT);
  });

  irqs(`${name}: SET_IRQS refuses what is malformed, and nothing is on then`, () => {
    const { rig, kernel, fd } = opened(name);
    const [event] = rig.eventfds(1) as [number];
    const set = (argsz: number, flags: number, index: number, start: number, count: number, ...fds: number[]) =>
      rig.ask(fd, VfioCall.DEVICE_SET_IRQS, argsz, flags, index, start, count, ...fds);
    const trigger = EVENTFD | TRIGGER;
    const answers = {
      "disable what is not on": set(20, NONE | TRIGGER, MSIX, 0, 0),
      "fire what is not on": set(20, NONE | TRIGGER, MSIX, 0, 1),
      "argsz 16": set(16, trigger, MSIX, 0, 1, event),
      "argsz 20": set(20, trigger, MSIX, 0, 1, event),
      "no flags": set(24, 0, MSIX, 0, 1, event),
      "two kinds of data": set(24, EVENTFD | BOOL | TRIGGER, MSIX, 0, 1, event),
      "an unknown flag": set(24, trigger | 64, MSIX, 0, 1, event),
      "index 5": set(24, trigger, 5, 0, 1, event),
      "a vector too many": set(20 + 66 * 4, trigger, MSIX, 0, 66, event),
      "start behind the last": set(24, trigger, MSIX, 65, 1, event),
      "a start that wraps": set(28, trigger, MSIX, 0xffffffff, 2, event, event),
      "MSI, which it has not": set(24, trigger, MSI, 0, 1, event),
      "a file": set(24, trigger, MSIX, 0, 1, rig.container),
    };
    for (const [what, answer] of Object.entries(answers)) assert.is(answer, -errno.EINVAL, what);
    assert.is(set(24, EVENTFD, MSIX, 0, 1, event), -errno.ENOTTY, "no action");
    assert.is(set(24, trigger | MASK, MSIX, 0, 1, event), -errno.ENOTTY, "two actions");
    assert.is(set(20, NONE | MASK, MSIX, 0, 1), -errno.ENOTTY);
    assert.is(set(20, NONE | UNMASK, MSIX, 0, 1), -errno.ENOTTY);
    assert.is(set(20, trigger, MSIX, 0, 0), -errno.ERANGE, "none at all");
    assert.is(set(24, trigger, MSIX, 0, 1, 99), -errno.EBADF);
    assert.is(kernel.ioctl(fd, VfioCall.DEVICE_SET_IRQS, 0), -errno.EFAULT);
    assert.is(rig.config(fd, CONTROL, 2), 0x40, "MSI-X is not on");
  });

  irqs(
    `${name}: MSI-X is on with nobody listening, and more vectors come ${grows(name) ? "later" : "all at once"}`,
    () => {
      const { rig, fd } = opened(name);
      const [event] = rig.eventfds(1) as [number];
      for (const negative of [-1, -2]) {
        assert.is(rig.setVectors(fd, MSIX, 0, negative), 0);
        assert.is(rig.config(fd, CONTROL, 2), 0x8040);
        assert.is(rig.setVectors(fd, MSIX, 2, event), grows(name) ? 0 : -errno.EINVAL, "one more");
        assert.is(rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 0), 0);
        assert.is(rig.config(fd, CONTROL, 2), 0x40);
        assert.is(rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 0), -errno.EINVAL, "off already");
      }
      assert.is(rig.setVectors(fd, MSIX, 2, event), 0, "from 2 on, where nothing is on: three vectors are");
      assert.is(rig.setVectors(fd, MSIX, 0, event), 0);
      rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 0);
      const all = rig.kernel.eventfd();
      assert.is(rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 0), -errno.EINVAL);
      const memory = new Uint8Array(512);
      const words = new DataView(memory.buffer);
      for (const [place, word] of [280, EVENTFD | TRIGGER, MSIX, 0, 65, ...Array(65).fill(all)].entries()) {
        words.setInt32(place * 4, word, true);
      }
      assert.is(rig.kernel.ioctlStruct(fd, VfioCall.DEVICE_SET_IRQS, memory, 0), 0, "all 65");
    },
  );

  irqs(`${name}: DATA_NONE and DATA_BOOL fire without the device; vectors are replaced, shared and left out`, () => {
    const { rig, fd } = opened(name);
    const [a, b, c, d, e] = rig.eventfds(5) as [number, number, number, number, number];
    const fire = (start: number, count: number) => rig.setIrqs(fd, MSIX, NONE | TRIGGER, start, count);
    assert.is(rig.setVectors(fd, MSIX, 0, a, b, c, d), 0);
    assert.is(rig.config(fd, 4, 2) & 0x400, 0, "the kernel's INTx disable is not shown");
    for (let vector = 0; vector < 4; vector++) assert.is(fire(vector, 1), 0);
    assert.equal(rig.fired(a, b, c, d), [1, 1, 1, 1]);
    assert.is(rig.setIrqs(fd, MSIX, BOOL | TRIGGER, 0, 4, [1, 0, 1, 1]), 0);
    assert.equal(rig.fired(a, b, c, d), [1, 0, 1, 1]);
    assert.is(rig.setVectors(fd, MSIX, 4, e), grows(name) ? 0 : -errno.EINVAL);
    assert.is(fire(4, 1), 0);
    assert.equal(rig.fired(e), [grows(name) ? 1 : 0]);
    assert.is(rig.setVectors(fd, MSIX, 1, -1), 0);
    fire(1, 1);
    assert.equal(rig.fired(b), [0], "one vector off");
    assert.is(rig.setVectors(fd, MSIX, 0, b), 0);
    fire(0, 1);
    assert.equal(rig.fired(a, b), [0, 1], "replaced");
    assert.is(rig.setVectors(fd, MSIX, 2, e, e), 0);
    fire(2, 2);
    assert.equal(rig.fired(e), [2], "two vectors on one");
  });

  irqs(`${name}: a bad descriptor leaves every vector up to it deaf, and the others as they were`, () => {
    const device = new Probe();
    const { rig, fd } = opened(name, device);
    const [old0, old1, old2, new0] = rig.eventfds(4) as [number, number, number, number];
    assert.is(rig.setVectors(fd, MSIX, 0, old0, old1, old2), 0);
    assert.is(rig.setVectors(fd, MSIX, 0, new0, 99, new0), -errno.EBADF);
    rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 3);
    assert.equal(rig.fired(old0, old1, old2, new0), [0, 0, 1, 0]);
    for (const vector of [0, 1, 2]) device.bus.raise(vector);
    assert.equal(rig.fired(old0, old1, old2, new0), [0, 0, 1, 0]);
  });

  irqs(`${name}: one kind at a time; the kernel has a reference of its own to an eventfd`, () => {
    const { rig, kernel, fd } = opened(name);
    const [a, b] = rig.eventfds(2) as [number, number];
    rig.setVectors(fd, MSIX, 0, a);
    assert.is(rig.setVectors(fd, INTX, 0, b), -errno.EINVAL);
    kernel.close(a);
    assert.is(rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 1), 0);
    rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 0);
    assert.is(rig.setVectors(fd, INTX, 0, b), 0);
    assert.is(rig.setVectors(fd, MSIX, 0, b), -errno.EINVAL);
  });

  irqs(`${name}: INTx is masked as it is heard, and looked at again when it is unmasked`, () => {
    const device = new Probe();
    const { rig, fd } = opened(name, device);
    const [event] = rig.eventfds(1) as [number];
    const mask = (action: number) => rig.setIrqs(fd, INTX, NONE | action, 0, 1);
    assert.is(mask(MASK), -errno.EINVAL, "not on");
    assert.is(rig.setVectors(fd, INTX, 0, event, event), -errno.EINVAL, "two of them");
    assert.is(rig.setVectors(fd, INTX, 0, event), 0);
    assert.is(rig.setIrqs(fd, INTX, NONE | TRIGGER, 0, 1), 0);
    assert.equal(rig.fired(event), [1], "a loop-back");
    device.bus.line(true);
    device.bus.line(true);
    assert.is(rig.config(fd, 6, 2) & 8, 8, "the status register says so");
    assert.equal(rig.fired(event), [1], "once, until it is unmasked");
    assert.is(mask(UNMASK), 0);
    assert.equal(rig.fired(event), [1], "it is up still");
    device.bus.line(false);
    assert.is(mask(UNMASK), 0);
    assert.equal(rig.fired(event), [0]);
    assert.is(mask(MASK), 0);
    device.bus.line(true);
    assert.equal(rig.fired(event), [0]);
    assert.is(rig.setIrqs(fd, INTX, BOOL | UNMASK, 0, 1, [0]), 0);
    assert.equal(rig.fired(event), [0]);
    assert.is(rig.setIrqs(fd, INTX, BOOL | UNMASK, 0, 1, [1]), 0);
    assert.equal(rig.fired(event), [1]);
    assert.is(rig.setIrqs(fd, INTX, NONE | TRIGGER, 0, 0), 0);
    assert.is(rig.setIrqs(fd, INTX, NONE | TRIGGER, 0, 0), -errno.EINVAL);
  });

  irqs(`${name}: INTx is unmasked by another eventfd`, () => {
    const device = new Probe();
    const { rig, fd } = opened(name, device);
    const [event, unmask] = rig.eventfds(2) as [number, number];
    rig.setVectors(fd, INTX, 0, event);
    const by = (value: number) => rig.setIrqs(fd, INTX, EVENTFD | UNMASK, 0, 1, [value]);
    assert.equal([by(99), by(rig.container)], [-errno.EBADF, -errno.EINVAL]);
    assert.equal([by(unmask), by(unmask)], [0, -errno.EBUSY]);
    device.bus.line(true);
    assert.equal(rig.fired(event), [1]);
    // Whoever signals it: here a request.
    rig.setVectors(fd, REQUEST, 0, unmask);
    rig.setIrqs(fd, REQUEST, NONE | TRIGGER, 0, 1);
    assert.equal(rig.fired(event, unmask), [1, 0]);
    assert.equal([by(-1), by(unmask)], [0, 0]);
    assert.is(rig.setIrqs(fd, INTX, EVENTFD | MASK, 0, 1, [unmask]), -errno.ENOTTY);
  });

  irqs(`${name}: ERR and REQ are set, fired as a loop-back, and taken away`, () => {
    const { kernel, rig, fd, address } = opened(name);
    for (const [index, happens] of [
      [ERROR, () => kernel.plugged(address).error()],
      [REQUEST, () => kernel.plugged(address).request()],
    ] as const) {
      const [event] = rig.eventfds(1) as [number];
      assert.is(rig.setIrqs(fd, index, NONE | TRIGGER, 0, 0), -errno.EINVAL);
      assert.is(rig.setIrqs(fd, index, NONE | MASK, 0, 1), -errno.ENOTTY);
      assert.is(rig.setVectors(fd, index, 0, 99), -errno.EBADF);
      assert.is(rig.setVectors(fd, index, 0, event), 0);
      assert.is(rig.setIrqs(fd, index, NONE | TRIGGER, 0, 1), 0);
      assert.is(rig.setIrqs(fd, index, BOOL | TRIGGER, 0, 1, [1]), 0);
      happens();
      assert.equal(rig.fired(event), [3]);
      assert.is(rig.setVectors(fd, index, 0, -1), 0);
      happens();
      assert.equal(rig.fired(event), [0]);
      rig.setVectors(fd, index, 0, event);
      assert.is(rig.setIrqs(fd, index, NONE | TRIGGER, 0, 0), 0);
      assert.is(rig.setIrqs(fd, index, NONE | TRIGGER, 0, 1), -errno.EINVAL);
    }
  });
}

irqs("a message of a vector that nobody hears is pending, and comes when somebody does", () => {
  const device = new Probe();
  const { rig, fd } = opened("x86", device);
  const [event] = rig.eventfds(1) as [number];
  device.bus.raise(3);
  assert.is(rig.setVectors(fd, MSIX, 0, event), 0);
  const bar = rig.registers(fd, 0n, 16384);
  assert.is(bar.read32(0x3000), 0, "what was sent while MSI-X was off is lost");
  device.bus.raise(3);
  device.bus.raise(3);
  assert.is(bar.read32(0x3000), 8);
  rig.setVectors(fd, MSIX, 3, event);
  assert.equal([bar.read32(0x3000), ...rig.fired(event)], [0, 1]);
  device.bus.raise(64);
  assert.is(bar.read32(0x3008), 1);
  device.bus.raise(65);
  device.bus.raise(-1);
  device.bus.raise(0.5);
});

irqs("a vector that the program masks in the mapped table is pending until it unmasks it", () => {
  const device = new Probe();
  const { rig, fd } = opened("x86", device);
  const [event] = rig.eventfds(1) as [number];
  rig.setVectors(fd, MSIX, 0, event);
  const bar = rig.registers(fd, 0n, 16384);
  bar.write32(0x200c, 1);
  device.bus.raise(0);
  assert.equal([bar.read32(0x3000), ...rig.fired(event)], [1, 0]);
  bar.write32(0x200c, 0);
  assert.equal([bar.read32(0x3000), ...rig.fired(event)], [0, 1]);
  bar.write32(0x2008, 0x1234);
  device.bus.raise(0);
  assert.equal(rig.fired(event), [0], "a message that the program led astray");
});

irqs("MSI is sent as far as it was enabled, and lost where nobody hears it", () => {
  const device = new Probe({ msi: 4, msix: undefined as never });
  const { rig, fd } = opened("x86", device);
  const [a, b] = rig.eventfds(2) as [number, number];
  assert.is(rig.setVectors(fd, MSI, 0, a, b), 0);
  device.bus.raise(0);
  device.bus.raise(1);
  assert.equal(rig.fired(a, b), [1, 1]);
  device.bus.raise(2);
  assert.equal(rig.fired(a, b), [1, 0], "a device with two messages sends the third as the first");
  assert.is(rig.setVectors(fd, MSI, 2, a), -errno.EINVAL, "MSI grows nowhere");
  rig.setVectors(fd, MSI, 0, -1);
  device.bus.raise(0);
  rig.setVectors(fd, MSI, 0, a);
  assert.equal(rig.fired(a), [0]);
});

irqs("INTx disable of the command register silences the line, and lets it be heard again", () => {
  const device = new Probe();
  const { rig, fd } = opened("x86", device);
  const [event] = rig.eventfds(1) as [number];
  rig.setVectors(fd, INTX, 0, event);
  rig.setConfig(fd, 4, 2, 0x406);
  device.bus.line(true);
  rig.setIrqs(fd, INTX, NONE | UNMASK, 0, 1);
  rig.setIrqs(fd, INTX, NONE | TRIGGER, 0, 1);
  assert.equal(rig.fired(event), [0]);
  rig.setConfig(fd, 4, 2, 6);
  assert.equal(rig.fired(event), [1]);
});

irqs("errors are not reported off PCI Express", () => {
  const { rig, fd } = opened("x86", edu());
  assert.is(rig.ask(fd, VfioCall.DEVICE_GET_IRQ_INFO, 16, 0, ERROR, 0), -errno.EINVAL);
  assert.is(rig.setVectors(fd, ERROR, 0, rig.kernel.eventfd()), -errno.EINVAL);
});

irqs("of a line that was up before are heard when the line is", () => {
  const device = new Probe(nvmeFacts);
  const { rig, fd } = opened("x86", device);
  device.bus.line(true);
  const [event] = rig.eventfds(1) as [number];
  rig.setVectors(fd, INTX, 0, event);
  assert.equal(rig.fired(event), [1]);
});

for (const [linux, flags] of [
  ["6.1.192", 9],
  ["6.12.117", 1],
] as const) {
  irqs(`vectors of MSI-X on x86, Linux ${linux}: flags ${flags}`, () => {
    const { rig, fd } = opened("x86", new Probe(), { linux });
    assert.is(rig.ask(fd, VfioCall.DEVICE_GET_IRQ_INFO, 16, 0, MSIX, 0), 0);
    assert.is(rig.words(2)[1], flags);
  });
}

irqs.run();
