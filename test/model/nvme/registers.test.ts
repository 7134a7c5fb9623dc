import { suite } from "uvu";
import * as assert from "uvu/assert";
import { softwareNvme } from "../../../src/model/index.ts";
import { FakeBus } from "./fake-bus.ts";
import { io, READ, Rig } from "./rig.ts";

const test = suite("the software NVMe's registers");

const READY = 1;
const FATAL = 2;

test("are those of QEMU's nvme: ids, class, 16 KiB with the MSI-X table and its pending bits, 65 vectors", () => {
  const { facts } = softwareNvme();
  assert.equal([facts.vendor, facts.device, facts.class], [0x1b36, 0x0010, 0x010802]);
  assert.equal(facts.bars, [{ index: 0, bytes: 16384, bits: 64 }]);
  assert.equal(facts.msix, { vectors: 65, bar: 0, table: 0x2000, pending: 0x3000 });
  assert.equal([facts.intx, facts.flr], [true, true]);
});

test("grow with queues, strides and vectors, and nothing lies on anything else", () => {
  for (const options of [
    { queues: 1 },
    { queues: 65535 },
    { doorbellStride: 4096 },
    { vectors: 2048 },
    { vectors: 1 },
  ]) {
    const { bars, msix } = softwareNvme(options).facts;
    const { queues = 64, doorbellStride = 4, vectors = 65 } = options as Record<string, number>;
    const { table = 0, pending = 0 } = msix ?? {};
    assert.ok(0x1000 + 2 * (queues + 1) * doorbellStride <= table, `${JSON.stringify(options)}: the table`);
    assert.ok(table + vectors * 16 <= pending, `${JSON.stringify(options)}: the pending bits`);
    assert.ok(pending + Math.ceil(vectors / 64) * 8 <= (bars[0]?.bytes ?? 0), `${JSON.stringify(options)}: the end`);
    assert.ok(Number.isInteger(Math.log2(bars[0]?.bytes ?? 0)));
  }
});

test("say what the controller can do, whole and in halves", () => {
  const rig = new Rig({ maxQueueEntries: 1024, doorbellStride: 64 });
  const cap = rig.device.read(0, 0, 8) as bigint;
  assert.is(cap & 0xffffn, 1023n, "MQES");
  assert.is((cap >> 16n) & 1n, 1n, "CQR");
  assert.is((cap >> 24n) & 0xffn, 15n, "TO");
  assert.is((cap >> 32n) & 15n, 4n, "DSTRD: 4 << 4 bytes");
  assert.is((cap >> 37n) & 0xffn, 1n, "CSS: the NVM command set");
  assert.is((cap >> 48n) & 0xffn, 0x40n, "MPSMIN and MPSMAX: 4 to 64 KiB");
  assert.is(BigInt(rig.r32(0)) | (BigInt(rig.r32(4)) << 32n), cap);
  assert.is(rig.device.read(0, 0, 2), 1023);
  assert.is(rig.device.read(0, 1, 1), 3);
  assert.is(rig.r32(8), 0x10400);
  assert.is(new Rig().r32(0), 0x0f0107ff, "as QEMU's");
});

test("take queue addresses of 64 bits whole, and in halves in either order", () => {
  const rig = new Rig();
  rig.w64(0x28, 0x1122_3344_5566_7000n);
  assert.is(rig.device.read(0, 0x28, 8), 0x1122_3344_5566_7000n);
  rig.w32(0x34, 0x8000_0001);
  rig.w32(0x30, 0xffff_f000);
  assert.is(rig.device.read(0, 0x30, 8), 0x8000_0001_ffff_f000n);
});

test("do not change where they can only be read, or by parts of a word", () => {
  const rig = new Rig().start();
  const before = [0, 4, 8, 0x1c].map((offset) => rig.r32(offset));
  for (const offset of [0, 4, 8, 0x1c]) rig.w32(offset, 0xffff_ffff);
  assert.equal(
    [0, 4, 8, 0x1c].map((offset) => rig.r32(offset)),
    before,
  );
  rig.device.write(0, 0x14, 1, 0);
  rig.device.write(0, 0x14, 2, 0);
  assert.is(rig.r32(0x14), 0x46_0001);
  for (const offset of [0x20, 0x38, 0x3c, 0xe00, 0x1000, 0x1004]) assert.is(rig.r32(offset), 0, `at ${offset}`);
});

test("become ready when enabled, and not when disabled; the queues' registers stay", () => {
  const rig = new Rig();
  assert.is(rig.csts, 0);
  rig.start();
  assert.is(rig.csts, READY);
  const asq = rig.device.read(0, 0x28, 8);
  rig.pair(1);
  rig.w32(0x14, 0);
  assert.is(rig.csts, 0);
  assert.is(rig.device.read(0, 0x28, 8), asq);
  assert.is(rig.r32(0x24), 0xf000f);
  rig.start();
  assert.is(rig.csts, READY);
  rig.pair(1); // the queue of that number went with the reset
});

for (const [what, cc, aqa, asqLow] of [
  ["a page above MPSMAX", 0x46_0281, 0xf000f, 0],
  ["a command set that is not there", 0x46_0011, 0xf000f, 0],
  ["weighted round robin", 0x46_0801, 0xf000f, 0],
  ["an admin queue of one entry", 0x46_0001, 0xf0000, 0],
  ["an admin completion queue of one entry", 0x46_0001, 0x0000f, 0],
  ["a queue that does not begin at a page", 0x46_0001, 0xf000f, 0x10],
  ["a queue that does not begin at a page of 64 KiB", 0x46_0201, 0xf000f, 0x1000],
] as const) {
  test(`go fatal when enabled with ${what}, and recover`, () => {
    const rig = new Rig();
    rig.w32(0x24, aqa);
    rig.w64(0x28, rig.memory(4096, 65536) + BigInt(asqLow));
    rig.w64(0x30, rig.memory(4096, 65536));
    rig.w32(0x14, cc);
    assert.is(rig.csts, FATAL);
    rig.w32(0x14, 0);
    assert.is(rig.csts, 0);
    rig.start();
    assert.is(rig.csts, READY);
    rig.good({ opcode: 0x0a, dw10: 7 });
  });
}

test("take pages of 4 to 64 KiB", () => {
  for (const shift of [0, 1, 2, 3, 4]) {
    const rig = new Rig().start({ cc: 0x46_0001 | (shift << 7), align: 65536 });
    assert.is(rig.csts, READY);
    const into = rig.memory(65536, 65536);
    // One page from the middle on, and the next one: pages are as large as CC says.
    const half = BigInt(2048 << shift);
    rig.good({ opcode: 6, dw10: 1, prp1: into + half, prp2: into + (half << 1n) });
    assert.is(rig.view(into + half, 4096).getUint16(0, true), 0x1b36);
  }
});

test("shut down, and carry nothing out until they are enabled anew", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1);
  rig.w32(0x14, 0x46_4001);
  assert.is(rig.csts, READY | 8, "SHST: complete");
  const done = rig.bus.transfers.length;
  rig.submit(io(READ, 0, 1, rig.memory(4096)), pair);
  rig.ring(pair);
  assert.is(rig.bus.transfers.length, done);
  rig.w32(0x14, 0x46_0000);
  assert.is(rig.csts, 0);
  rig.start();
  assert.is(rig.csts, READY);
});

test("say that they shut down while it lasts", () => {
  const bus = new FakeBus();
  const rig = new Rig({ completions: "later" }, bus).start();
  rig.w32(0x14, 0x46_8001);
  assert.is(rig.csts, READY | 4, "SHST: occurring");
  bus.turn();
  assert.is(rig.csts, READY | 8);
});

test("become ready later, where completions come later", () => {
  const bus = new FakeBus();
  const rig = new Rig({ completions: "later" }, bus);
  rig.w32(0x24, 0xf000f);
  rig.w64(0x28, rig.memory(4096));
  rig.w64(0x30, rig.memory(4096));
  rig.w32(0x14, 0x46_0001);
  assert.is(rig.csts, 0);
  rig.w32(0x1000, 1);
  bus.turn();
  assert.is(rig.csts, READY);
  assert.equal(bus.transfers, [], "a doorbell before that is not heard");
  rig.w32(0x14, 0);
  assert.is(rig.csts, READY);
  bus.turn();
  assert.is(rig.csts, 0);
});

test("are as after power-on after a reset of the device, and what was to come later does not", () => {
  const bus = new FakeBus();
  const rig = new Rig({ completions: "later" }, bus).start();
  const pair = rig.pair(1);
  rig.submit(io(READ, 0, 1, rig.memory(4096)), pair);
  rig.ring(pair);
  assert.is(bus.waiting, 1);
  rig.device.reset();
  bus.forget();
  for (const offset of [0x0c, 0x14, 0x1c, 0x24, 0x28, 0x2c, 0x30, 0x34]) assert.is(rig.r32(offset), 0, `at ${offset}`);
  rig.start();
  assert.is(rig.csts, READY);
  rig.good({ opcode: 0x0a, dw10: 7 });
});

test("hold the line for as long as there is something to consume, unless it is masked", () => {
  const rig = new Rig().start();
  const { lines } = rig.bus;
  assert.equal(lines, []);
  rig.submit({ opcode: 0x0a, dw10: 7 }, rig.admin);
  rig.submit({ opcode: 0x0a, dw10: 7 }, rig.admin);
  rig.ring(rig.admin);
  assert.equal(lines, [true]);
  rig.w32(0x0c, 1);
  assert.equal(lines, [true, false]);
  assert.equal([rig.r32(0x0c), rig.r32(0x10)], [1, 1]);
  rig.w32(0x10, 1);
  assert.equal(lines, [true, false, true]);
  rig.reap(rig.admin);
  assert.equal(lines, [true, false, true], "one is left");
  rig.reap(rig.admin);
  assert.equal(lines, [true, false, true, false]);
});

test("hold the line for two queues of one vector, and drop it with the last queue, and with a reset", () => {
  const rig = new Rig().start();
  const [one, two] = [rig.pair(1, { vector: 3 }), rig.pair(2, { vector: 3 })];
  const { lines } = rig.bus;
  lines.length = 0;
  for (const pair of [one, two]) {
    rig.submit({ opcode: 0, nsid: 1 }, pair);
    rig.ring(pair);
  }
  assert.equal(lines, [true]);
  rig.reap(one);
  assert.equal(lines, [true]);
  rig.w32(0x0c, 1); // so that the admin queue is not in the way
  rig.good({ opcode: 0, dw10: 2 });
  rig.good({ opcode: 4, dw10: 2 });
  assert.equal(lines, [true, false]);
  rig.submit({ opcode: 0, nsid: 1 }, one);
  rig.ring(one);
  assert.equal(lines, [true, false, true]);
  rig.w32(0x14, 0);
  assert.equal(lines, [true, false, true, false]);
  assert.is(rig.r32(0x0c), 0, "nothing is masked after a reset");
});

test("raise the vector of the queue, and none where the queue has none", () => {
  const rig = new Rig().start();
  const [loud, quiet] = [rig.pair(1, { vector: 64 }), rig.pair(2, { vector: 5, interrupts: false })];
  rig.bus.raised.length = 0;
  rig.good({ opcode: 0, nsid: 1 }, loud);
  rig.good({ opcode: 0, nsid: 1 }, quiet);
  rig.good({ opcode: 0, nsid: 1 }, loud);
  assert.equal(rig.bus.raised, [64, 64]);
});

test("have doorbells a stride apart, and nothing between them", () => {
  for (const doorbellStride of [4, 8, 64, 4096] as const) {
    const rig = new Rig({ doorbellStride, queues: 8 }).start();
    const pair = rig.pair(8);
    rig.good({ opcode: 0, nsid: 1 }, pair);
    if (doorbellStride === 4) continue;
    rig.submit({ opcode: 0, nsid: 1 }, pair);
    rig.w32(0x1000 + 2 * 8 * doorbellStride + 4, pair.tail);
    assert.is(rig.reap(pair), undefined);
    rig.ring(pair);
    assert.is(rig.reap(pair)?.status, 0);
  }
});

test.run();
