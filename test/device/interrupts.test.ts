/** Interrupts: switched on, heard, polled, and off again. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Vector } from "../../src/device/vector.ts";
import type { Vectors } from "../../src/device/vectors.ts";
import type { ModelKernel } from "../../src/model/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { driven, hiding, machineNames, Probe, type Refusal, refusing, type SiteOptions, turns } from "./site.ts";

const interrupts = suite("the interrupts of a device");

const polls = (vectors: Vectors) => [...vectors].map((vector) => vector.poll());

/** With bus mastering on: without it no message comes. */
function sending(probe: Probe = new Probe(), options: SiteOptions = {}) {
  const site = driven(probe, options);
  site.device.busMaster = true;
  return site;
}

interrupts("of MSI-X: one, all, and one too many, which is refused before the kernel is asked", () => {
  for (const machine of machineNames) {
    let asked = 0;
    const counting = (model: ModelKernel): Syscalls =>
      hiding(model, [], {
        ioctlStruct: (fd, call, memory, at) => {
          if (call === 0x10a) asked++;
          return model.ioctlStruct(fd, call, memory, at);
        },
      });
    const { model, container, device, probe } = sending(new Probe(), { machine, through: counting });
    for (const count of [1, 65]) {
      const vectors = device.irqs.msix(count);
      assert.equal([vectors.count, vectors.mode, device.irqs.mode], [count, "msix", "msix"]);
      probe.bus.raise(0);
      probe.bus.raise(count - 1);
      probe.bus.raise(count - 1);
      const expected = new Array(count).fill(0);
      expected[0] = 1;
      expected[count - 1] += 2;
      assert.equal(polls(vectors), expected);
      assert.equal(polls(vectors), new Array(count).fill(0));
      vectors.disable();
      vectors.disable();
      assert.equal([vectors.count, device.irqs.mode], [0, "none"]);
    }
    asked = 0;
    const error = failure("ERR_TOO_MANY_VECTORS", () => device.irqs.msix(66));
    assert.match(error.message, "66 vectors of MSI-X cannot be switched on");
    assert.match(error.message, "it has 65, so ask for 1 to 65");
    assert.equal([error.facts?.asked, error.facts?.limit, asked], [66, 65, 0]);
    failure("ERR_TOO_MANY_VECTORS", () => device.irqs.msix(0));
    for (const wrong of [-1, 1.5, "1", 1n]) refusesArgument(() => device.irqs.msix(wrong as never));
    container.close();
    assert.equal(model.leaks(), []);
  }
});

interrupts("of a kind that the device has not: the message names those that it has", () => {
  const { container, device } = driven(new Probe({ msix: undefined, msi: 4, express: false } as never));
  assert.match(
    failure("ERR_NO_MSIX", () => device.irqs.msix()).message,
    "it has MSI with 4 (irqs.msi()), interrupt line",
  );
  const vectors = device.irqs.msi(4);
  assert.match(failure("ERR_INTERRUPTS_ON", () => device.irqs.intx()).message, "MSI of device");
  assert.match(failure("ERR_INTERRUPTS_ON", () => device.irqs.msi()).message, "vectors.grow() adds to them");
  vectors.disable();
  assert.is(device.irqs.intx().mode, "intx");
  container.close();
  const mute = driven(new Probe({ msix: undefined, intx: false } as never));
  assert.match(failure("ERR_NO_INTX", () => mute.device.irqs.intx()).message, "no interrupts at all, so poll it");
  assert.match(failure("ERR_NO_MSI", () => mute.device.irqs.msi()).message, "has no MSI");
  mute.container.close();
});

interrupts("are heard by listeners, with how many came, until they end", async () => {
  const { container, device, probe } = sending();
  const vectors = device.irqs.msix(3);
  const heard: string[] = [];
  const listen = (name: string) => (count: number) => heard.push(`${name} ${count}`);
  const stop = vectors.vector(1).on(listen("one"));
  const also = vectors.vector(1).on(listen("also"));
  vectors.vector(2).on(listen("two"));
  for (const vector of [1, 1, 2]) probe.bus.raise(vector);
  await turns();
  assert.equal(heard.splice(0).sort(), ["also 2", "one 2", "two 1"]);
  stop();
  stop();
  probe.bus.raise(1);
  await turns();
  assert.equal(heard.splice(0), ["also 1"]);
  also();
  probe.bus.raise(1);
  await turns();
  assert.equal(heard, []);
  assert.is(vectors.vector(1).poll(), 1); // it was counted all the same
  refusesArgument(() => vectors.vector(1).on(5 as never));
  refusesArgument(() => vectors.vector(3));
  vectors.vector(2).unref().ref().unref();
  container.close();
  failure("ERR_CLOSED", () => vectors.vector(2));
});

interrupts("are tried without the device by a trigger", () => {
  for (const machine of machineNames) {
    const { container, device } = driven(new Probe(), { machine });
    const vectors = device.irqs.msix(4);
    vectors.vector(2).trigger();
    assert.equal(polls(vectors), [0, 0, 1, 0]);
    vectors.disable();
    const [line] = device.irqs.intx();
    line?.trigger();
    assert.is(line?.poll(), 1);
    container.close();
    failure("ERR_CLOSED", () => line?.trigger());
    failure("ERR_CLOSED", () => line?.poll());
    failure("ERR_CLOSED", () => line?.on(() => {}));
  }
});

interrupts("are iterated over, and the loop ends when they are off", async () => {
  const { container, device, probe } = sending();
  const [vector] = device.irqs.msix(1) as unknown as [Vector];
  const counts: number[] = [];
  const loop = (async () => {
    for await (const count of vector) {
      counts.push(count);
      if (counts.length === 3) break;
    }
  })();
  for (const times of [1, 2, 1]) {
    for (let i = 0; i < times; i++) probe.bus.raise(0);
    await turns();
  }
  await loop;
  assert.equal(counts, [1, 2, 1]);
  const waiting = vector[Symbol.asyncIterator]();
  const next = [waiting.next(), waiting.next()];
  device.irqs.disable();
  assert.equal(await Promise.all(next), [
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
  assert.equal(await waiting.next(), { done: true, value: undefined });
  failure("ERR_CLOSED", () => vector[Symbol.asyncIterator]());
  container.close();
});

interrupts("what a listener throws is nobody else's: the others are told", async () => {
  const { container, device, probe } = sending();
  const vector = device.irqs.msix().vector(0);
  const thrown: unknown[] = [];
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => thrown.push(error.message));
  try {
    let heard = 0;
    vector.on(() => {
      throw new Error("a driver's mistake");
    });
    vector.on((count) => {
      heard += count;
    });
    probe.bus.raise(0);
    await turns();
    assert.equal([heard, thrown], [1, ["a driver's mistake"]]);
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  }
  container.close();
});

interrupts("of a line are unmasked when they were dealt with: listener, iterator, and poll", async () => {
  for (const machine of machineNames) {
    const { container, device, probe } = driven(new Probe(), { machine });
    const [vector] = device.irqs.intx() as unknown as [Vector];
    vector.unref(); // a test that fails ends
    // Polled: what is still raised at the next poll is an event again.
    probe.bus.line(true);
    assert.is(vector.poll(), 1);
    assert.is(vector.poll(), 1);
    probe.bus.line(false);
    vector.poll();
    assert.is(vector.poll(), 0);
    probe.bus.line(true);
    assert.is(vector.poll(), 1);
    probe.bus.line(false);
    // A listener: masked while it runs.
    let heard = 0;
    const stop = vector.on(() => {
      heard++;
      probe.bus.line(false);
    });
    for (let i = 1; i <= 5; i++) {
      probe.bus.line(true);
      await turns();
      assert.is(heard, i, machine);
    }
    stop();
    // An iterator: masked until it asks for more.
    const events = vector[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) {
      const next = events.next();
      probe.bus.line(true);
      assert.equal(await Promise.race([next, turns(10)]), { done: false, value: 1 });
      await turns();
      probe.bus.line(false);
    }
    await events.return?.();
    container.close();
  }
});

interrupts("grow, where the kernel can add to them and where it cannot; those that were on stay", () => {
  for (const machine of machineNames) {
    const { model, container, device, probe } = sending(new Probe(), { machine });
    const vectors = device.irqs.msix(2);
    const first = vectors.vector(0);
    vectors.grow(5);
    vectors.grow(3); // no fewer
    assert.equal([vectors.count, first.closed, vectors.vector(0) === first], [5, false, true]);
    polls(vectors); // where all were off for a moment those that were on are signalled
    for (const vector of [0, 4, 4]) probe.bus.raise(vector);
    assert.equal(polls(vectors), [1, 0, 0, 0, 2], machine);
    failure("ERR_TOO_MANY_VECTORS", () => vectors.grow(66));
    container.close();
    failure("ERR_CLOSED", () => vectors.grow(6));
    assert.equal(model.leaks(), []);
  }
});

interrupts("that could not grow are those that there were, and are heard", () => {
  for (const machine of ["x86", "pnv"] as const) {
    const refusal: Refusal = { call: "DEVICE_SET_IRQS", answer: no.EBADF, after: machine === "x86" ? 1 : 2 };
    const { model, container, device, probe } = sending(new Probe(), {
      machine,
      through: (kernel) => refusing(kernel, refusal),
    });
    const vectors = device.irqs.msix(2);
    const error = failure("ERR_KERNEL", () => vectors.grow(4));
    assert.equal([error.residue, vectors.count, device.irqs.mode], [undefined, 2, "msix"]);
    polls(vectors);
    probe.bus.raise(1);
    assert.equal(polls(vectors), [0, 1]);
    container.close();
    assert.equal(model.leaks(), []);
  }
});

interrupts("that could not even be restored are off, and the error says so", () => {
  const { model, container, device } = driven(new Probe(), {
    machine: "pnv",
    through: (kernel) => refusing(kernel, { call: "DEVICE_SET_IRQS", answer: no.EBADF, after: 2, times: 2 }),
  });
  const vectors = device.irqs.msix(2);
  const error = failure("ERR_KERNEL", () => vectors.grow(4));
  assert.match(error.residue?.left[0] ?? "", "could not be switched on again");
  assert.equal([vectors.count, device.irqs.mode], [0, "none"]);
  assert.is(device.irqs.msix(2).count, 2);
  container.close();
  assert.equal(model.leaks(), []);
});

interrupts("of which the machine has fewer: how many there are", () => {
  const { model, container, device } = driven(new Probe(), {
    through: (kernel) => refusing(kernel, { call: "DEVICE_SET_IRQS", answer: 3 }),
  });
  const error = failure("ERR_TOO_MANY_VECTORS", () => device.irqs.msix(8));
  assert.match(error.message, "ask for 3");
  assert.equal([error.facts?.asked, error.facts?.available, device.irqs.mode], [8, 3, "none"]);
  container.close();
  assert.equal(model.leaks(), []);
});

interrupts("for which there are too few descriptors leave none open; an interface that throws likewise", () => {
  for (const refusal of [
    { call: "eventfd", answer: no.EMFILE, after: 5 },
    { call: "eventfd", answer: "throws", after: 5 },
    { call: "DEVICE_SET_IRQS", answer: "throws" },
    { call: "DEVICE_SET_IRQS", answer: no.EINVAL },
  ] as const) {
    const { model, container, device } = driven(new Probe(), { through: (kernel) => refusing(kernel, refusal) });
    const before = model.snapshot().descriptors.length;
    const error = failure(refusal.answer === "throws" ? "ERR_INTERFACE" : "ERR_KERNEL", () => device.irqs.msix(8));
    if (refusal.answer === no.EMFILE) assert.match(error.message, "eventfd: EMFILE");
    assert.is(model.snapshot().descriptors.length, before, `${refusal.call} ${refusal.answer}`);
    assert.is(device.irqs.mode, "none");
    assert.is(device.irqs.msix(8).count, 8);
    container.close();
    assert.equal(model.leaks(), []);
  }
});

interrupts("survive a reset of the device", () => {
  const { container, device, probe } = sending();
  const vectors = device.irqs.msix(2);
  const bar = device.bar(0);
  bar.write32(0x14, 1);
  device.reset();
  assert.equal([bar.read32(0x14), device.busMaster, device.irqs.mode, probe.resets > 0], [0, true, "msix", true]);
  probe.bus.raise(1);
  assert.equal(polls(vectors), [0, 1]);
  container.close();
});

interrupts.run();

const notices = suite("what the kernel tells of a device");

notices("that somebody wants it back, and that it met with an error", async () => {
  const { model, container, device, plugged } = driven();
  const heard: string[] = [];
  const stop = device.on("request", (count) => heard.push(`request ${count}`));
  device.on("request", () => heard.push("request, another"));
  device.on("error", (count) => heard.push(`error ${count}`));
  plugged.request();
  plugged.error();
  await turns();
  assert.equal(heard.splice(0).sort(), ["error 1", "request 1", "request, another"]);
  stop();
  plugged.request();
  await turns();
  assert.equal(heard.splice(0), ["request, another"]);
  refusesArgument(() => device.on("wish" as never, () => {}));
  refusesArgument(() => device.on("error", undefined as never));
  container.close();
  assert.equal(model.leaks(), []);
  const plain = driven(new Probe({ express: false }));
  failure("ERR_NO_NOTICE", () => plain.device.on("error", () => {}));
  plain.container.close();
});

notices("a program that closes when it is asked gives the device back", async () => {
  const { container, device, plugged } = driven();
  device.on("request", () => container.close());
  device.bar(0);
  await plugged.unbind();
  assert.equal([plugged.isOpen, plugged.isBound, device.closed], [false, false, true]);
});

notices.run();
