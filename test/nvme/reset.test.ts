/** What goes wrong: commands without an answer, controllers that fail, do not stop, or are gone. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readSurely } from "../../examples/nvme/guards.mjs";
import type { Namespace } from "../../examples/nvme/namespace.mjs";
import { closeLeft, inFront, isSame, makeRig, outcome, pattern } from "./rig.ts";

const DISK = 4 << 20;
const CAP = 0x00;
const CC = 0x14;
const CSTS = 0x1c;
const READ = 2;

const counted = (outcomes: readonly string[]) => {
  const counts: Record<string, number> = {};
  for (const one of outcomes) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
};

for (const completions of ["poll", "msix"] as const) {
  test(`commands without an answer are given up, with all that was under way, and the rest is done after a reset: ${completions}`, async () => {
    const disk = pattern(DISK);
    let loses = true;
    const rig = await makeRig({
      disk,
      completions: "later",
      faults: ({ queue, opcode, dwords }) =>
        loses && queue > 0 && opcode === READ && dwords[0] === 0 ? "lost" : undefined,
    });
    const controller = await rig.open({ completions, queues: 2, depth: 4, timeoutMs: 60 });
    const namespace = controller.namespaces[0] as Namespace;
    const lost = namespace.read(0, new Uint8Array(512)).catch((reason: Error) => reason.message);
    const others = [1, 2, 3].map((lba) => outcome(namespace.read(lba, new Uint8Array(512))));
    assert.match(
      String(await lost),
      /^read of 1 block at LBA 0 was under way when the controller was stopped: read of 1 block at LBA 0 had no answer for 60 ms\. .*ask again$/,
    );
    assert.equal(await Promise.all(others), ["done", "done", "done"]);
    assert.is(controller.resets, 1);
    loses = false;
    assert.ok(isSame(await readSurely(namespace, 0, DISK / 512), disk));
    assert.is(controller.state, "ready");
    await controller.close();
    rig.end();
  });
}

test("a reset under load: each promise is settled, what was under way is rejected, what waited is read", async () => {
  const disk = pattern(DISK);
  const rig = await makeRig({ disk, completions: { seed: 5 } });
  const controller = await rig.open({ queues: 2, depth: 8 });
  const namespace = controller.namespaces[0] as Namespace;
  for (let round = 0; round < 5; round++) {
    const buffers = Array.from({ length: 100 }, () => new Uint8Array(4096));
    const reads = buffers.map((into, i) => outcome(namespace.read(8 * i, into)));
    await Promise.resolve(); // now they are under way
    await controller.reset("a test wants it");
    const outcomes = await Promise.all(reads);
    const counts = counted(outcomes);
    assert.is((counts.done ?? 0) + (counts.ERR_NVME_RESET ?? 0), 100, JSON.stringify(counts));
    assert.ok((counts.ERR_NVME_RESET ?? 0) > 0, "some were under way");
    for (const [i, into] of buffers.entries()) {
      if (outcomes[i] === "done") assert.ok(isSame(into, disk.subarray(4096 * i, 4096 * (i + 1))), `read ${i}`);
    }
  }
  assert.is(controller.resets, 5);
  assert.ok(isSame(await readSurely(namespace, 0, DISK / 512), disk));
  await controller.close();
  rig.end();
});

test("two resets at once are one", async () => {
  const rig = await makeRig();
  const controller = await rig.open();
  const [one, other] = [controller.reset("one"), controller.reset("other")];
  await Promise.all([one, other]);
  assert.is(controller.resets, 1);
  await controller.close();
  rig.end();
});

test("a controller that says that it failed is started anew", async () => {
  let fails = true;
  const rig = await makeRig({
    completions: "later",
    faults: ({ queue }) => {
      if (queue === 0 || !fails) return undefined;
      fails = false;
      return "fatal";
    },
  });
  const controller = await rig.open({ timeoutMs: 100 });
  const namespace = controller.namespaces[0] as Namespace;
  const error = await namespace.read(0, new Uint8Array(512)).catch((reason: Error) => reason.message);
  assert.match(String(error), /stopped: the controller says that it failed \(CSTS\.CFS\)/);
  await namespace.read(0, new Uint8Array(512));
  assert.is(controller.resets, 1);
  await controller.close();
  rig.end();
});

test("one that does not stop loses its bus mastering, and is reset as a device, before its memory is anybody's", async () => {
  const disk = pattern(DISK);
  const rig = await makeRig({ disk, completions: "later" });
  const steps: string[] = [];
  let isStubborn = false;
  const own = rig.device.bar(0);
  const device = inFront(
    rig.device,
    {
      read32: (offset) => {
        const value = own.read32(offset);
        if (offset === CAP) return (value & 0x00ff_ffff) | (1 << 24); // half a second, so that nobody waits for long
        return isStubborn && offset === CSTS ? value | 1 : value;
      },
    },
    {
      get busMaster() {
        return rig.device.busMaster;
      },
      set busMaster(on) {
        if (isStubborn) steps.push(`bus master ${on}`);
        rig.device.busMaster = on;
      },
      async resetAsync() {
        await rig.device.resetAsync();
        steps.push("reset");
        isStubborn = false;
      },
    },
  );
  const controller = await rig.open({ completions: "poll" }, device);
  const namespace = controller.namespaces[0] as Namespace;
  isStubborn = true;
  await controller.reset("a test wants it");
  assert.equal(steps, ["bus master false", "reset"]);
  assert.ok(rig.device.busMaster);
  assert.ok(isSame(await readSurely(namespace, 0, 64), disk.subarray(0, 64 * 512)));
  await controller.close();
  rig.end();
});

test("one that is gone rejects all that was asked and will be, and closes", async () => {
  const rig = await makeRig({ completions: "later" });
  const own = rig.device.bar(0);
  let isGone = false;
  const device = inFront(rig.device, { read32: (offset) => (isGone ? 0xffff_ffff : own.read32(offset)) });
  const controller = await rig.open({ completions: "poll" }, device);
  const namespace = controller.namespaces[0] as Namespace;
  isGone = true;
  assert.match(
    String(await controller.reset().catch((reason: Error) => reason.message)),
    /^the controller failed, and did not come back: the controller does not answer: CSTS reads 0xffffffff/,
  );
  assert.is(controller.state, "failed");
  assert.is(await outcome(namespace.read(0, new Uint8Array(512))), "ERR_NVME_FAILED");
  assert.is(await outcome(controller.reset()), "ERR_NVME_FAILED");
  await controller.close();
  rig.end();
});

test("queues are known before bus mastering is on, and that is on before the controller is", async () => {
  const rig = await makeRig();
  const steps: string[] = [];
  const own = rig.device.bar(0);
  const device = inFront(
    rig.device,
    {
      write32: (offset, value) => {
        if (offset === 0x24) steps.push("AQA");
        if (offset === 0x28 || offset === 0x2c) steps.push("ASQ");
        if (offset === 0x30 || offset === 0x34) steps.push("ACQ");
        if (offset === CC && (value & 1) === 1) steps.push("enable");
        if (offset >= 0x1000) {
          assert.ok(rig.device.busMaster, "a doorbell while bus mastering is off is fatal");
          if (steps.at(-1) !== "doorbell") steps.push("doorbell");
        }
        own.write32(offset, value);
      },
    },
    {
      get busMaster() {
        return rig.device.busMaster;
      },
      set busMaster(on) {
        steps.push(`bus master ${on}`);
        rig.device.busMaster = on;
      },
    },
  );
  const controller = await rig.open({}, device);
  assert.equal(steps.splice(0), ["AQA", "ASQ", "ASQ", "ACQ", "ACQ", "bus master true", "enable", "doorbell"]);
  await controller.close();
  assert.equal(steps.at(-1), "bus master false");
  rig.end();
});

test("no ring and no identify page lies at IOVA 0", async () => {
  const rig = await makeRig(); // powernv: its window begins there
  const own = rig.device.bar(0);
  const addresses: number[] = [];
  const device = inFront(rig.device, {
    write32: (offset, value) => {
      if (offset === 0x28 || offset === 0x30) addresses.push(value);
      own.write32(offset, value);
    },
  });
  const controller = await rig.open({}, device);
  assert.is(addresses.length, 2);
  for (const address of addresses) assert.is.not(address, 0);
  await controller.close();
  rig.end();
});

test("interrupts that never come lose nothing: what is late is found by looking, and counted", async () => {
  const disk = pattern(DISK);
  const rig = await makeRig({ disk });
  const silent = { count: 2, vector: () => ({ on: () => () => {} }), disable() {} };
  const device = inFront(rig.device, {}, { irqs: { msix: () => silent, intx: () => silent } });
  const controller = await rig.open({ completions: "msix", timeoutMs: 40 }, device);
  const got = new Uint8Array(4096);
  await (controller.namespaces[0] as Namespace).read(0, got);
  assert.ok(isSame(got, disk.subarray(0, 4096)));
  assert.ok(controller.missed > 0);
  assert.is(controller.resets, 0);
  await controller.close();
  rig.end();
});

test("a device without the interrupts that are wanted says which it has instead", async () => {
  const rig = await makeRig();
  const none = { count: 0 };
  const device = inFront(rig.device, {}, { info: { irqs: { msix: none, intx: none } } });
  const error = await rig.open({ completions: "msix" }, device).catch((reason: Error) => reason.message);
  assert.match(String(error), /0000:01:00\.0 has no MSI-X: take "intx" or "poll"/);
  rig.end();
});

test("an opening that fails half way leaves nothing, and the device stopped", async () => {
  for (const opcode of [6, 9, 5, 1]) {
    const rig = await makeRig({
      faults: (command) => (command.queue === 0 && command.opcode === opcode ? 6 : undefined),
    });
    const error = await rig.open().catch((reason: Error) => reason.message);
    assert.match(String(error), /internal error \(status 0x6/);
    assert.not(rig.device.busMaster);
    assert.is(rig.device.bar(0).read32(CC) & 1, 0);
    rig.end();
  }
});

test("admin commands without an answer end an opening, too", async () => {
  const rig = await makeRig({ faults: ({ queue, opcode }) => (queue === 0 && opcode === 6 ? "lost" : undefined) });
  const error = await rig.open({ timeoutMs: 40 }).catch((reason: Error) => reason.message);
  assert.match(String(error), /identify controller was under way .* had no answer for 40 ms/);
  rig.end();
});

test("one that fails while it is opened says so, and is not waited for", async () => {
  const rig = await makeRig({ faults: ({ queue, opcode }) => (queue === 0 && opcode === 6 ? "fatal" : undefined) });
  const error = await rig.open({ timeoutMs: 400 }).catch((reason: Error) => reason.message);
  assert.match(String(error), /identify controller was under way .*: the controller says that it failed \(CSTS\.CFS\)/);
  rig.end();
});

test("a controller that another program left on, with queues of its own, is started afresh", async () => {
  const disk = pattern(DISK);
  const rig = await makeRig({ disk });
  const bar = rig.device.bar(0);
  const others = rig.heap.buffer(8192, { align: 4096 });
  for (const [offset, value] of [
    [0x24, 0x001f_001f],
    [0x28, Number(others.iova & 0xffff_ffffn)],
    [0x2c, Number(others.iova >> 32n)],
    [0x30, Number(others.iova & 0xffff_ffffn) + 4096],
    [0x34, Number(others.iova >> 32n)],
    [CC, 0x0046_0001],
  ] as const) {
    bar.write32(offset, value);
  }
  assert.is(bar.read32(CSTS) & 1, 1, "it is on");
  const controller = await rig.open({ completions: "poll" });
  const before = others.bytes.slice();
  assert.ok(isSame(await readSurely(controller.namespaces[0] as Namespace, 0, 64), disk.subarray(0, 64 * 512)));
  assert.ok(isSame(others.bytes, before), "what the other had is left alone");
  await controller.close();
  others.close();
  rig.end();
});

test.after(closeLeft);
test.run();
