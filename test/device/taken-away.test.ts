/** Listeners and iterators of a vector while others of them, or the device, go. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Vector } from "../../src/device/vector.ts";
import { DmaWindowError } from "../../src/errors.ts";
import type { Listening } from "../../src/syscalls.ts";
import { driven, hiding, Probe, turns } from "./site.ts";

test("a listener that another has taken away, or with which the device was closed, is not told any more", async () => {
  const { container, device, probe, model } = driven();
  device.busMaster = true;
  const vector = device.irqs.msix().vector(0);
  const told: string[] = [];
  let silence = () => {};
  vector.on(() => {
    told.push("first");
    silence();
  });
  silence = vector.on(() => told.push("second"));
  vector.on(() => {
    told.push("third");
    device.close();
  });
  vector.on(() => told.push(`last, ${device.bar(0).read32(0)}`));
  probe.bus.raise(0);
  await turns();
  assert.equal(told, ["first", "third"]);
  container.close();
  assert.equal(model.leaks(), []);
});

test("what nobody could wait for is not lost: the next one who waits is given it", async () => {
  let refuses = true;
  const { container, device, probe } = driven(new Probe(), {
    through: (model) =>
      hiding(model, [], { listen: (fd, listener) => (refuses ? -24 : (model.listen(fd, listener) as Listening)) }),
  });
  device.busMaster = true;
  const vector = device.irqs.msix().vector(0);
  const events = vector[Symbol.asyncIterator]();
  const error = await events.next().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, DmaWindowError);
  refuses = false;
  const waiting = events.next();
  probe.bus.raise(0);
  assert.equal(await waiting, { done: false, value: 1 });
  container.close();
});

test("a listener that could not be set up is not there", async () => {
  let refuses = true;
  const { container, device, probe } = driven(new Probe(), {
    through: (model) =>
      hiding(model, [], { listen: (fd, listener) => (refuses ? -24 : (model.listen(fd, listener) as Listening)) }),
  });
  device.busMaster = true;
  const vector = device.irqs.msix().vector(0);
  const told: string[] = [];
  assert.throws(() => vector.on(() => told.push("refused")));
  refuses = false;
  vector.on(() => told.push("set up"));
  probe.bus.raise(0);
  await turns();
  assert.equal(told, ["set up"]);
  container.close();
});

/** How many hold the event loop, of those that listen. */
function holding() {
  const held = new Set<object>();
  const site = driven(new Probe(), {
    through: (model) =>
      hiding(model, [], {
        listen(fd, listener) {
          const inner = model.listen(fd, listener) as Listening;
          const listening: Listening = {
            ref() {
              held.add(listening);
              inner.ref();
            },
            unref() {
              held.delete(listening);
              inner.unref();
            },
            end() {
              held.delete(listening);
              inner.end();
            },
          };
          held.add(listening);
          return listening;
        },
      }),
  });
  site.device.busMaster = true;
  return { ...site, held };
}

test("an iterator holds the event loop while somebody waits, and not once it was left", async () => {
  const { container, device, probe, held } = holding();
  const vector = device.irqs.msix().vector(0);
  const events = vector[Symbol.asyncIterator]();
  assert.is(held.size, 0);
  const first = events.next();
  assert.is(held.size, 1);
  probe.bus.raise(0);
  assert.equal(await first, { done: false, value: 1 });
  assert.is(held.size, 0); // nobody waits: the program may end, though it never said so to the iterator
  probe.bus.raise(0);
  probe.bus.raise(0);
  await turns();
  assert.equal(await events.next(), { done: false, value: 2 }); // counted all the same
  const again = events.next();
  assert.is(held.size, 1);
  vector.unref();
  assert.is(held.size, 0);
  vector.ref();
  const silence = vector.on(() => {});
  probe.bus.raise(0);
  await again;
  assert.is(held.size, 1); // of the listener
  silence();
  assert.is(held.size, 0);
  await events.return?.();
  container.close();
});

test("many iterators, some left behind, end with the device, and none waits for ever", async () => {
  const { container, device, model } = holding();
  const [one, other] = device.irqs.msix(2) as unknown as [Vector, Vector];
  const waiting = [one, other, one].flatMap((vector) => {
    const events = vector[Symbol.asyncIterator]();
    return [events.next(), events.next()];
  });
  container.close();
  for (const result of await Promise.all(waiting)) assert.equal(result, { done: true, value: undefined });
  assert.equal(model.leaks(), []);
});

test.run();
