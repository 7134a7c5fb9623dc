/** Controllers that lie: whatever they say, the driver says what is wrong, moves nothing where it should not, and waits for nobody for ever. */

import type { DmaBuffer, NvmeOptions } from "dma-window";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Namespace } from "../../examples/nvme/namespace.mjs";
import { closeLeft, inFront, makeRig, outcome, pattern, type Rig } from "./rig.ts";
import { Bench, NOTHING, Owner } from "./support.ts";

const CAP = 0x00;
const VS = 0x08;
const AQA = 0x24;
const ASQ = 0x28;
const DOORBELL = 0x1000;
const IDENTIFY = 6;

/** The device with some registers that read otherwise. */
function reading(rig: Rig, lies: Readonly<Record<number, (value: number) => number>>) {
  const own = rig.device.bar(0);
  return inFront(rig.device, { read32: (offset) => (lies[offset] ?? ((value) => value))(own.read32(offset)) >>> 0 });
}

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
  );

/** Lets Identify say something else: what it wrote is changed before its completion can be seen. */
async function identifying(change: (cns: number, data: DataView) => void, nvme: NvmeOptions = {}) {
  const rig = await makeRig({ completions: "now", ...nvme });
  const buffer = rig.heap.buffer;
  const made: DmaBuffer[] = [];
  rig.heap.buffer = (...given) => {
    made.push(buffer.apply(rig.heap, given));
    return made.at(-1) as DmaBuffer;
  };
  const at = (iova: bigint): DataView => {
    const { bytes } = made.find((one) => one.iova === iova) as DmaBuffer;
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  };
  const own = rig.device.bar(0);
  const queue = { base: 0n, entries: 1 };
  const device = inFront(rig.device, {
    write32(offset, value) {
      own.write32(offset, value);
      if (offset === AQA) queue.entries = (value & 0xfff) + 1;
      if (offset === ASQ) queue.base = BigInt(value);
      if (offset === ASQ + 4) queue.base |= BigInt(value) << 32n;
      if (offset !== DOORBELL) return;
      const ring = at(queue.base);
      const last = 64 * ((value + queue.entries - 1) % queue.entries);
      if (ring.getUint8(last) === IDENTIFY) change(ring.getUint8(last + 40), at(ring.getBigUint64(last + 24, true)));
    },
  });
  return { rig, device };
}

test("queues that hold nothing are refused in words", async () => {
  const rig = await makeRig();
  const said = await messageOf(rig.open({}, reading(rig, { [CAP]: (value) => value & ~0xffff })));
  assert.match(said, "ERR_NVME_UNSUPPORTED");
  assert.match(said, "MQES");
  rig.end();
});

test("doorbells behind the end of the BAR are refused in words", async () => {
  const rig = await makeRig();
  const said = await messageOf(rig.open({}, reading(rig, { [CAP + 4]: (value) => value | 0xf })));
  assert.match(said, "ERR_NVME_UNSUPPORTED");
  assert.match(said, "doorbell");
  rig.end();
});

test("page sizes that contradict each other are refused in words, and huge ones too", async () => {
  for (const [least, most] of [
    [4, 1],
    [15, 15],
  ]) {
    const rig = await makeRig();
    const lie = (value: number) => (value & 0xff00_ffff) | ((least as number) << 16) | ((most as number) << 20);
    const said = await messageOf(rig.open({}, reading(rig, { [CAP + 4]: lie })));
    assert.match(said, (most as number) < (least as number) ? /^ERR_NVME_UNSUPPORTED: .*pages/ : /^ERR_/);
    rig.end();
  }
});

test("a controller of version 1.0 with four thousand million namespaces is refused in words", async () => {
  const { rig, device } = await identifying((cns, data) => {
    if (cns === 1) data.setUint32(516, 0xffff_ffff, true);
  });
  const own = device.bar(0).read32;
  const old = inFront(rig.device, {
    write32: device.bar(0).write32,
    read32: (offset) => (offset === VS ? 0x1_0000 : own(offset)),
  });
  const said = await messageOf(rig.open({ completions: "poll" }, old));
  assert.match(said, "ERR_NVME_LIST: ");
  assert.match(said, "4294967295");
  rig.end();
});

test("a list of namespaces that never ends is refused in words", async () => {
  let next = 1;
  const { rig, device } = await identifying((cns, data) => {
    if (cns === 2) for (let i = 0; i < 1024; i++) data.setUint32(4 * i, next++, true);
  });
  assert.match(await messageOf(rig.open({ completions: "poll" }, device)), "ERR_NVME_LIST: ");
  rig.end();
});

test("blocks that no command could move are a namespace's problem", async () => {
  for (const [mdts, shift] of [
    [1, 14],
    [5, 31],
  ] as const) {
    const { rig, device } = await identifying((cns, data) => {
      if (cns === 1) data.setUint8(77, mdts);
      if (cns === 0) data.setUint32(128, shift << 16, true);
      if (cns === 0) data.setUint8(26, 0);
    });
    const controller = await rig.open({ completions: "poll" }, device);
    const [namespace] = controller.namespaces as [Namespace];
    const said = await messageOf(namespace.read(0, new Uint8Array(2 ** Math.min(shift, 14))));
    assert.match(said, /^ERR_NVME_NAMESPACE: .*more than/);
    await controller.close();
    rig.end();
  }
});

test("no command moves more than the controller takes, whatever the page is", async () => {
  // One page of 4 KiB in a command, and the driver wants pages of 64 KiB.
  const disk = pattern(1 << 20);
  const { rig, device } = await identifying(
    (cns, data) => {
      if (cns === 1) data.setUint8(77, 1);
    },
    { disk },
  );
  const controller = await rig.open({ completions: "poll", cpuPageBytes: 65536 }, device);
  assert.ok(controller.transferBytes <= 8192, `${controller.transferBytes} bytes in a command that takes 8192`);
  const [namespace] = controller.namespaces as [Namespace];
  const into = new Uint8Array(1 << 18);
  await namespace.read(0, into);
  assert.equal(Buffer.compare(into, disk.subarray(0, 1 << 18)), 0);
  await controller.close();
  rig.end();
});

test("Identify with nothing but zeros has no namespaces", async () => {
  const { rig, device } = await identifying((_, data) =>
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength).fill(0),
  );
  const controller = await rig.open({ completions: "poll" }, device);
  assert.equal(controller.namespaces, []);
  await controller.close();
  rig.end();
});

test("completions that say that nothing was ever fetched do not stop the queue: what was answered was fetched", () => {
  const bench = new Bench(3);
  const owner = new Owner();
  for (let round = 0; round < 20; round++) {
    assert.ok(bench.queue.put(owner, round, NOTHING), `command ${round}`);
    bench.answer({ identifier: bench.identifier(round % 4), head: 0 });
    bench.queue.poll();
  }
  assert.is(owner.completions.length, 20);
});

test("an hour for a shutdown is not waited for", async () => {
  const { rig, device } = await identifying((cns, data) => {
    if (cns === 1) data.setUint32(88, 0xffff_ffff, true);
  });
  const controller = await rig.open({ completions: "poll" }, device);
  assert.ok(controller.facts.shutdownMs <= 60_000, `${controller.facts.shutdownMs} ms`);
  await controller.close();
  rig.end();
});

test("data that is moved away while it is read settles its promise, and the driver goes on", async () => {
  const disk = pattern(1 << 20);
  const rig = await makeRig({ disk, completions: "later" });
  const controller = await rig.open({ completions: "poll", depth: 4, buffers: 4 });
  const [namespace] = controller.namespaces as [Namespace];
  for (let round = 0; round < 6; round++) {
    const into = new Uint8Array(4096);
    const reading = outcome(namespace.read(0, into));
    const from = new Uint8Array(4096);
    const writing = outcome(namespace.write(8, from));
    structuredClone([into.buffer, from.buffer], { transfer: [into.buffer, from.buffer] });
    assert.equal([typeof (await reading), typeof (await writing)], ["string", "string"]);
  }
  const odd = Object.defineProperty(new Uint8Array(512), "subarray", { value: () => ({ length: 512 }) });
  for (let round = 0; round < 6; round++) {
    assert.is.not(await outcome(namespace.write(0, odd)), "done");
    assert.is.not(await outcome(namespace.read(0, odd)), "done");
  }
  const into = new Uint8Array(4096);
  await namespace.read(16, into);
  assert.equal(Buffer.compare(into, disk.subarray(8192, 12288)), 0);
  assert.is(controller.resets, 0);
  await controller.close();
  rig.end();
});

test("two that close it at once both wait until it is closed", async () => {
  const rig = await makeRig();
  const controller = await rig.open();
  const both = [controller.close(), controller.close()];
  await both[1];
  assert.is(controller.state, "closed");
  await both[0];
  rig.end();
});

test("a controller that was unplugged is given up in words, whatever was under way", async () => {
  const rig = await makeRig({ completions: "later" });
  let isGone = false;
  const own = rig.device.bar(0);
  const device = inFront(
    rig.device,
    {
      read32: (offset) => (isGone ? 0xffff_ffff : own.read32(offset)),
      write32: (offset, value) => isGone || own.write32(offset, value),
    },
    {
      get gone() {
        return isGone;
      },
    },
  );
  const controller = await rig.open({ completions: "poll", timeoutMs: 40 }, device);
  const [namespace] = controller.namespaces as [Namespace];
  isGone = true;
  const outcomes = await Promise.all([1, 2, 3].map((lba) => outcome(namespace.read(lba, new Uint8Array(512)))));
  for (const one of outcomes) assert.match(one, /^ERR_NVME_/);
  await controller.close().catch(() => {});
  assert.is(controller.state, "closed");
  rig.end();
});

test.after(closeLeft);
test.run();
