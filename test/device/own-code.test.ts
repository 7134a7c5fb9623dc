/** What a program's own code throws (a device on the model, registers of a kernel of its own, a listener): who hears of it, and what is left. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import type { Registers } from "../../src/syscalls.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { driven, hiding, Probe, turns } from "./site.ts";

/** A device of which any part may throw. */
class Broken extends Probe {
  readonly parts = new Set<string>();

  #check(part: string): void {
    if (this.parts.has(part)) throw new Error(`its own ${part}`);
  }

  override plug(...given: Parameters<Probe["plug"]>) {
    this.#check("plug");
    return super.plug(...given);
  }

  override read(...given: Parameters<Probe["read"]>) {
    this.#check("read");
    return super.read(...given);
  }

  override write(...given: Parameters<Probe["write"]>) {
    this.#check("write");
    super.write(...given);
  }

  override reset(): void {
    this.#check("reset");
    super.reset();
  }
}

/** What became uncaught while `run` was under way, as text. */
async function uncaughtOf(run: () => Promise<unknown>): Promise<string[]> {
  const said: string[] = [];
  const hear = (error: Error) => said.push(error.message);
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", hear);
  try {
    await run();
    await turns();
  } finally {
    process.off("uncaughtException", hear);
    for (const other of others) process.on("uncaughtException", other);
  }
  return said;
}

const devices = suite("a device of one's own that throws");

devices("at an access: whoever made it hears so, as it is, and the next one goes on", () => {
  const probe = new Broken();
  const { container, device, model } = driven(probe);
  const bar = device.bar(0);
  const accesses = {
    read: [() => bar.read8(0), () => bar.read16(0), () => bar.read32(0), () => bar.read64(0), () => bar.read64LoHi(0)],
    write: [() => bar.write8(0, 1), () => bar.write32(0, 1), () => bar.write64(0, 1n), () => bar.write64LoHi(0, 1n)],
  };
  for (const [part, each] of Object.entries(accesses)) {
    for (const access of each) {
      probe.parts.add(part);
      assert.is(thrownBy(access).message, `its own ${part}`);
      probe.parts.clear();
      access();
    }
  }
  container.close();
  assert.equal(model.leaks(), []);
});

devices("at a reset: ERR_INTERFACE, and it closes all the same", async () => {
  const probe = new Broken();
  const { container, device, model, plugged } = driven(probe);
  device.busMaster = true;
  probe.parts.add("reset");
  const error = failure("ERR_INTERFACE", () => device.reset());
  assert.is((error.cause as Error).message, "its own reset");
  assert.is(
    await device.resetAsync().then(
      () => "reset",
      ({ code }) => code,
    ),
    "ERR_INTERFACE",
  );
  assert.match(failure("ERR_CLOSE", () => device.close()).message, "its own reset");
  assert.equal([device.closed, plugged.isOpen], [true, false]);
  probe.parts.clear();
  container.device().close();
  container.close();
  assert.equal(model.leaks(), []);
});

devices("as it is plugged in: modelKernel does", () => {
  const probe = new Broken();
  probe.parts.add("plug");
  assert.is(thrownBy(() => modelKernel({ devices: [probe] })).message, "its own plug");
});

devices("in what it does later: an uncaught exception, and the machine goes on", async () => {
  const { container, probe, model } = driven();
  let isDone = false;
  const said = await uncaughtOf(async () => {
    probe.bus.later(() => {
      throw new Error("its own later");
    });
    probe.bus.later(() => {
      isDone = true;
    });
  });
  assert.equal([said, isDone], [["its own later"], true]);
  container.close();
  assert.equal(model.leaks(), []);
});

devices.run();

const registers = suite("registers of one's own that throw");

registers("pass what an access throws, and close: unmapping is ERR_INTERFACE", () => {
  const names = ["read8", "read16", "read32", "read64", "write8", "write16", "write32", "write64", "bytes", "unmap"];
  const thrown = Object.fromEntries(
    names.map((name) => [
      name,
      () => {
        throw new Error(`its own ${name}`);
      },
    ]),
  );
  const { container, device, model } = driven(new Probe(), {
    through: (kernel) =>
      hiding(kernel, [], { registers: () => ({ length: 16384, ...thrown }) as unknown as Registers }),
  });
  const bar = device.bar(0);
  assert.is(thrownBy(() => bar.read32(0)).message, "its own read32");
  assert.is(thrownBy(() => bar.write64(0, 1n)).message, "its own write64");
  assert.is(thrownBy(() => bar.bytes({ force: true })).message, "its own bytes");
  const error = failure("ERR_CLOSE", () => device.close());
  assert.match(error.message, "its own unmap");
  assert.match(String(error.residue?.left), "may still be mapped");
  assert.is(device.closed, true);
  container.close();
  assert.equal(model.leaks(), []);
});

registers.run();

const listeners = suite("a listener that throws");

listeners("is an uncaught exception: the others hear, and so does it the next time", async () => {
  const { container, device, probe, plugged } = driven();
  device.busMaster = true;
  const heard: string[] = [];
  const throwing = (name: string) => () => {
    heard.push(name);
    throw new Error(`listener ${name}`);
  };
  const vector = device.irqs.msix(1).vector(0);
  vector.on(throwing("first"));
  vector.on(() => heard.push("second"));
  device.on("request", throwing("request"));
  device.on("request", () => heard.push("request, second"));
  const said: string[] = [];
  for (let i = 0; i < 2; i++) said.push(...(await uncaughtOf(async () => probe.bus.raise(0))));
  assert.equal(said, ["listener first", "listener first"]);
  let unbound: Promise<unknown> | undefined;
  assert.equal(
    await uncaughtOf(async () => {
      unbound = plugged.unbind();
      await turns();
    }),
    ["listener request"],
  );
  assert.equal(heard, ["first", "second", "first", "second", "request", "request, second"]);
  container.close();
  await unbound;
});

listeners("of an interrupt line leaves it unmasked: the next interrupt comes", async () => {
  const { container, device, probe } = driven();
  let heard = 0;
  device.irqs
    .intx()
    .vector(0)
    .on(() => {
      heard++;
      probe.bus.line(false);
      throw new Error("listener of the line");
    });
  for (let i = 0; i < 3; i++) {
    const said = await uncaughtOf(async () => probe.bus.line(true));
    assert.equal(said, ["listener of the line"]);
  }
  assert.is(heard, 3);
  container.close();
});

listeners.run();
