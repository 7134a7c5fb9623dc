import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NvmeOptions } from "../../../src/model/index.ts";
import { io, PAGE, READ, Rig } from "./rig.ts";

const test = suite("the software NVMe's admin commands");

const AER = 0x0c;
const ABORT = 8;

function words(rig: Rig, at: bigint, length: number): string {
  return Buffer.from(rig.bytes(at, length)).toString("latin1").trimEnd();
}

function identified(options: NvmeOptions, dw10: number, nsid = 0): { rig: Rig; at: bigint; view: DataView } {
  const rig = new Rig(options).start();
  const at = rig.memory(PAGE);
  rig.bytes(at, PAGE).fill(0xff);
  rig.good({ opcode: 6, nsid, prp1: at, dw10 });
  return { rig, at, view: rig.view(at, PAGE) };
}

test("identify the controller", () => {
  const { rig, at, view } = identified({ serial: "S-17", model: "a disk", mdts: 5, queues: 3 }, 1);
  assert.equal([view.getUint16(0, true), view.getUint16(2, true)], [0x1b36, 0x1af4]);
  assert.equal([words(rig, at + 4n, 20), words(rig, at + 24n, 40)], ["S-17", "a disk"]);
  assert.is(view.getUint8(77), 5, "MDTS");
  assert.is(view.getUint32(80, true), 0x10400, "VER");
  assert.is(view.getUint8(111), 1, "CNTRLTYPE");
  assert.equal([view.getUint8(258), view.getUint8(259)], [3, 3], "ACL, AERL");
  assert.equal([view.getUint8(512), view.getUint8(513)], [0x66, 0x44], "SQES, CQES");
  assert.is(view.getUint32(516, true), 256, "NN");
  assert.is(view.getUint16(520, true), 0b1101, "ONCS: Compare, Dataset Management, Write Zeroes");
  assert.is(view.getUint8(525), 7, "VWC");
  assert.is(view.getUint32(536, true), 0, "no SGLs");
  assert.match(words(rig, at + 768n, 256), /^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f-]{36}\0+$/);
});

test("identify namespaces", () => {
  const options: NvmeOptions = { namespaces: [{ blocks: 100 }, undefined, { blocks: 2 ** 35, blockBytes: 4096 }] };
  const first = identified(options, 0, 1).view;
  assert.equal([first.getBigUint64(0, true), first.getBigUint64(8, true)], [100n, 100n]);
  assert.equal([first.getUint8(25), first.getUint8(26), first.getUint8(130)], [0, 0, 9], "one format, of 512");
  const { rig, at } = identified(options, 0, 2);
  assert.ok(
    rig.bytes(at, PAGE).every((byte) => byte === 0),
    "one that is not there",
  );
  const third = identified(options, 0, 3).view;
  assert.equal([third.getBigUint64(0, true), third.getUint8(130)], [2n ** 35n, 12]);
});

test("list namespaces above a number", () => {
  const options: NvmeOptions = { namespaces: [{ blocks: 1 }, undefined, { blocks: 1 }, { blocks: 1 }] };
  for (const [above, expected] of [
    [0, [1, 3, 4, 0]],
    [1, [3, 4, 0, 0]],
    [3, [4, 0, 0, 0]],
    [4, [0, 0, 0, 0]],
  ] as const) {
    const { view } = identified(options, 2, above);
    assert.equal(
      [0, 4, 8, 12].map((offset) => view.getUint32(offset, true)),
      expected,
    );
  }
  const { view } = identified({ namespaces: 1024, blocks: 1 }, 2);
  assert.is(view.getUint32(4092, true), 1024);
});

test("name namespaces by ids that are theirs alone, and the same on every run", () => {
  const ids = (serial: string, nsid: number) => {
    const { rig, at } = identified({ serial, namespaces: 2 }, 3, nsid);
    const bytes = rig.bytes(at, 36);
    assert.equal([bytes[0], bytes[1], bytes[12], bytes[13], bytes[32]], [1, 8, 3, 16, 0]);
    return Buffer.from(bytes).toString("hex");
  };
  const all = [ids("a", 1), ids("a", 2), ids("b", 1)];
  assert.is(new Set(all).size, 3);
  assert.is(new Set(all.map((one) => one.slice(8, 24))).size, 3, "EUI-64");
  assert.is(new Set(all.map((one) => one.slice(32, 64))).size, 3, "UUID");
  assert.is(ids("a", 1), all[0]);
});

test("keep what failed, the newest first, and count it", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1);
  const at = rig.memory(PAGE);
  for (let i = 0; i < 70; i++) assert.is(rig.status({ ...io(READ, 2 ** 33 + i, 1, at), id: 1000 + i }, pair), "0x4080");
  rig.good({ opcode: 2, nsid: 0xffff_ffff, prp1: at, dw10: 1 | (1023 << 16) });
  const view = rig.view(at, PAGE);
  assert.equal([view.getBigUint64(0, true), view.getBigUint64(63 * 64, true)], [70n, 7n]);
  assert.equal([view.getUint16(8, true), view.getUint16(10, true), view.getUint16(12, true)], [1, 1069, 0x4080 << 1]);
  assert.equal([view.getBigUint64(16, true), view.getUint32(24, true)], [2n ** 33n + 69n, 1]);
  rig.good({ opcode: 2, nsid: 0xffff_ffff, prp1: at, dw10: 2 | (127 << 16) });
  assert.is(view.getBigUint64(176, true), 70n);
});

test("count what was read and written, for each namespace and in all", () => {
  const rig = new Rig({ namespaces: 2 }).start();
  const pair = rig.pair(1);
  const at = rig.memory(PAGE);
  for (let i = 0; i < 251; i++) rig.good(io(2, 0, 8, at, 0n, 1), pair);
  for (let i = 0; i < 3; i++) rig.good(io(1, 0, 8, at, 0n, 2), pair);
  const counts = (nsid: number) => {
    rig.good({ opcode: 2, nsid, prp1: at, dw10: 2 | (127 << 16) });
    return [32, 48, 64, 80].map((offset) => Number(rig.view(at, 512).getBigUint64(offset, true)));
  };
  assert.equal(counts(0xffff_ffff), [3, 1, 251, 3], "thousands of 512 bytes, and commands");
  assert.equal(counts(1), [3, 0, 251, 0]);
  assert.equal(counts(2), [0, 1, 0, 3]);
  assert.is(rig.view(at, 512).getUint16(1, true), 323, "kelvin");
});

test("give a part of a log page, and write nothing behind it", () => {
  const rig = new Rig().start();
  const at = rig.memory(2 * PAGE);
  rig.bytes(at, 2 * PAGE).fill(0xaa);
  rig.good({ opcode: 2, nsid: 0xffff_ffff, prp1: at, dw10: 3 | (255 << 16), dw12: 8 });
  assert.is(words(rig, at, 8), "1.0");
  assert.ok(
    rig.bytes(at + 504n, 512).every((byte) => byte === 0xaa),
    "the page has 504 bytes more, whatever was asked for",
  );
  rig.bytes(at, PAGE).fill(0xaa);
  rig.good({ opcode: 2, nsid: 0xffff_ffff, prp1: at, dw10: 3 });
  assert.equal([...rig.bytes(at, 5)], [1, 0, 0, 0, 0xaa]);
});

test("forget features with a reset, and not what is on the disk", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1);
  const at = rig.memory(PAGE);
  rig.bytes(at, 512).fill(3);
  rig.good(io(1, 5, 1, at), pair);
  rig.good({ opcode: 9, dw10: 4, dw11: 400 });
  rig.good({ opcode: 9, dw10: 5, nsid: 1, dw11: 4 });
  rig.w32(0x14, 0);
  rig.start();
  assert.is(rig.good({ opcode: 0x0a, dw10: 4 }).result, 343);
  assert.is(rig.good({ opcode: 0x0a, dw10: 5, nsid: 1 }).result, 0);
  rig.bytes(at, 512).fill(0);
  rig.good(io(2, 5, 1, at), rig.pair(1));
  assert.is(rig.bytes(at, 1)[0], 3);
});

/** Requests for events that are held. */
function requests(rig: Rig, many: number): number[] {
  const ids = Array.from({ length: many }, () => rig.submit({ opcode: AER }, rig.admin));
  rig.ring(rig.admin);
  rig.bus.settle();
  return ids;
}

test("hold requests for events, four of them", () => {
  const rig = new Rig().start();
  requests(rig, 4);
  assert.is(rig.reap(rig.admin), undefined);
  assert.is(rig.status({ opcode: AER }), "0x105");
  rig.good({ opcode: 0x0a, dw10: 7 });
});

test("tell of doorbells that nobody has, once until the log was read", () => {
  const rig = new Rig().start();
  rig.w32(0x1000 + 8 * 5, 1);
  const [first, second] = requests(rig, 2);
  assert.is(rig.reap(rig.admin), undefined, "what happened before nobody asked is not told");
  rig.w32(0x1000 + 8 * 5, 1);
  const event = rig.reap(rig.admin);
  assert.equal([event?.id, event?.status, event?.result], [first, 0, 0x1_0000]);
  rig.w32(0x1000 + 8 * 5 + 4, 1);
  assert.is(rig.reap(rig.admin), undefined);
  const at = rig.memory(PAGE);
  rig.good({ opcode: 2, nsid: 0xffff_ffff, prp1: at, dw10: 1 | 0x8000 });
  assert.is(rig.reap(rig.admin), undefined, "read, and retained");
  rig.submit({ opcode: 2, nsid: 0xffff_ffff, prp1: at, dw10: 1 }, rig.admin);
  rig.ring(rig.admin);
  const both = rig.reapAll(rig.admin);
  assert.ok(both.some(({ id, result }) => id === second && result === 0x1_0000));
  assert.is(both.length, 2);
});

test("tell of a doorbell with a wrong value before they stop", () => {
  const rig = new Rig().start();
  const pair = rig.pair(1);
  const [request] = requests(rig, 1);
  rig.ring(pair, 16);
  const event = rig.reap(rig.admin);
  assert.equal([event?.id, event?.result], [request, 0x1_0100]);
  assert.is(rig.csts, 2);
});

test("tell that it is too warm, when that is wanted", () => {
  const rig = new Rig().start();
  const [request] = requests(rig, 1);
  rig.good({ opcode: 9, dw10: 4, dw11: 300 });
  assert.is(rig.reap(rig.admin), undefined);
  rig.good({ opcode: 9, dw10: 11, dw11: 2 });
  rig.submit({ opcode: 9, dw10: 4, dw11: 300 }, rig.admin);
  rig.ring(rig.admin);
  const found = rig.reapAll(rig.admin);
  assert.equal(found.find(({ id }) => id === request)?.result, 0x2_0101);
  const at = rig.memory(PAGE);
  rig.good({ opcode: 2, nsid: 0xffff_ffff, prp1: at, dw10: 2 | (127 << 16) });
  assert.is(rig.bytes(at, 1)[0], 2, "and SMART says so");
});

test("tell of an event when there is room to", () => {
  const rig = new Rig().start({ entries: 2 });
  const [request] = requests(rig, 1);
  rig.submit({ opcode: 0x0a, dw10: 7 }, rig.admin);
  rig.ring(rig.admin);
  rig.w32(0x1000 + 8 * 5, 1);
  const first = rig.reap(rig.admin, true);
  assert.ok(first !== undefined && first.id !== request);
  assert.is(rig.reap(rig.admin, true), undefined);
  rig.consumed(rig.admin);
  assert.is(rig.reap(rig.admin)?.id, request);
});

test("abort what waits, and nothing else", () => {
  const rig = new Rig({ faults: ({ queue, opcode }) => (queue === 1 && opcode === READ ? "lost" : undefined) }).start();
  const pair = rig.pair(1);
  const id = rig.submit(io(READ, 0, 1, rig.memory(PAGE)), pair);
  rig.ring(pair);
  assert.is(rig.reap(pair), undefined);
  assert.is(rig.good({ opcode: ABORT, dw10: 1 | ((id + 1) << 16) }).result, 1);
  assert.is(rig.good({ opcode: ABORT, dw10: 1 | (id << 16) }).result, 0);
  const aborted = rig.reap(pair);
  assert.equal([aborted?.id, aborted?.status], [id, 0x0007]);
  assert.is(rig.good({ opcode: ABORT, dw10: 1 | (id << 16) }).result, 1, "it was aborted already");
  const [request = 0] = requests(rig, 1);
  rig.submit({ opcode: ABORT, dw10: request << 16 }, rig.admin);
  rig.ring(rig.admin);
  assert.equal(
    rig.reapAll(rig.admin).map(({ status }) => status),
    [7, 0],
  );
});

test("abort what is on its way with the queue that is deleted", () => {
  const rig = new Rig({ faults: ({ queue, opcode }) => (queue === 1 && opcode === READ ? "lost" : undefined) }).start();
  const pair = rig.pair(1);
  const ids = [0, 1, 2].map((block) => rig.submit(io(READ, block, 1, rig.memory(PAGE)), pair));
  rig.ring(pair);
  rig.good({ opcode: 0, dw10: 1 });
  const found = rig.reapAll(pair);
  assert.equal(found.map(({ id }) => id).sort(), ids);
  assert.ok(found.every(({ status }) => status === 0x0008));
  rig.good({ opcode: 4, dw10: 1 });
});

test("make no I/O queues before CC has the sizes of their entries", () => {
  const rig = new Rig().start({ cc: 1 });
  const [cq, sq] = [rig.memory(PAGE), rig.memory(PAGE)];
  const [completion, submission] = [
    { opcode: 5, prp1: cq, dw10: 1 | (15 << 16), dw11: 1 },
    { opcode: 1, prp1: sq, dw10: 1 | (15 << 16), dw11: 1 | (1 << 16) },
  ];
  assert.is(rig.status(completion), "0x4102");
  rig.w32(0x14, 0x40_0001);
  rig.good(completion);
  assert.is(rig.status(submission), "0x4102");
  rig.w32(0x14, 0x46_0001);
  rig.good(submission);
});

test.run();
