import { suite } from "uvu";
import * as assert from "uvu/assert";
import { COMPARE, io, PAGE, READ, Rig, WRITE } from "./rig.ts";

const test = suite("the software NVMe's data");

const ZEROES = 8;
const DATASET = 9;

for (const blockBytes of [512, 4096] as const) {
  test(`is written and read in blocks of ${blockBytes}, on bytes that a test sees`, () => {
    const disk = new Uint8Array(64 * blockBytes).fill(0xee);
    const rig = new Rig({ disk, blockBytes }).start();
    const pair = rig.pair(1);
    const [from, into] = [rig.memory(PAGE), rig.memory(PAGE)];
    rig.bytes(from, PAGE).set(Uint8Array.from({ length: PAGE }, (_, at) => at * 7));
    rig.good(io(WRITE, 63, 1, from), pair);
    assert.equal(disk.subarray(63 * blockBytes), rig.bytes(from, blockBytes));
    assert.ok(disk.subarray(0, 63 * blockBytes).every((byte) => byte === 0xee));
    rig.good(io(READ, 63, 1, into), pair);
    assert.equal(rig.bytes(into, blockBytes), rig.bytes(from, blockBytes));
    disk[62 * blockBytes] = 1; // written by the test, and read by the device
    rig.good(io(READ, 62, 1, into), pair);
    assert.is(rig.bytes(into, 1)[0], 1);
  });
}

test("is zeros where nothing was written, on a disk that is larger than any memory", () => {
  const blocks = 2 ** 40;
  const rig = new Rig({ blocks }).start();
  const pair = rig.pair(1);
  const [from, into] = [rig.memory(PAGE), rig.memory(PAGE)];
  rig.bytes(from, PAGE).fill(5);
  rig.bytes(into, PAGE).fill(9);
  rig.good(io(READ, blocks - 8, 8, into), pair);
  assert.ok(rig.bytes(into, PAGE).every((byte) => byte === 0));
  rig.good(io(WRITE, blocks - 3, 3, from), pair);
  rig.good(io(READ, blocks - 8, 8, into), pair);
  assert.ok(rig.bytes(into, 2560).every((byte) => byte === 0));
  assert.ok(rig.bytes(into + 2560n, 1536).every((byte) => byte === 5));
  assert.is(rig.status(io(READ, blocks - 7, 8, into), pair), "0x4080");
});

test("is each namespace's own, and those between are not there", () => {
  const disks = [new Uint8Array(8192), new Uint8Array(8192)] as const;
  const rig = new Rig({ namespaces: [{ disk: disks[0] }, undefined, { disk: disks[1], blockBytes: 4096 }] }).start();
  const pair = rig.pair(1);
  const from = rig.memory(PAGE);
  rig.bytes(from, PAGE).fill(3);
  rig.good(io(WRITE, 1, 1, from, 0n, 1), pair);
  rig.good(io(WRITE, 1, 1, from, 0n, 3), pair);
  assert.is(disks[0].indexOf(3), 512);
  assert.is(disks[0].lastIndexOf(3), 1023);
  assert.is(disks[1].indexOf(3), 4096);
  assert.is(disks[1].lastIndexOf(3), 8191);
  assert.is(rig.status(io(WRITE, 1, 1, from, 0n, 2), pair), "0x4002");
  assert.is(rig.status(io(WRITE, 2, 1, from, 0n, 3), pair), "0x4080");
});

test("is compared, and nothing is changed by that", () => {
  const disk = new Uint8Array(32768).map((_, at) => at * 3);
  const before = disk.slice();
  const rig = new Rig({ disk }).start();
  const pair = rig.pair(1);
  const pages = rig.memory(3 * PAGE);
  rig.bytes(pages + 4n, 8192).set(disk.subarray(512, 512 + 8192));
  const list = rig.memory(PAGE);
  rig.view(list, 16).setBigUint64(0, pages + 4096n, true);
  rig.view(list, 16).setBigUint64(8, pages + 8192n, true);
  rig.good(io(COMPARE, 1, 16, pages + 4n, list), pair);
  for (const at of [4, 4095, 4096, 8195]) {
    const byte = rig.bytes(pages + BigInt(at), 1);
    byte[0] = (byte[0] as number) ^ 1;
    assert.is(rig.status(io(COMPARE, 1, 16, pages + 4n, list), pair), "0x285", `at ${at}`);
    byte[0] = (byte[0] as number) ^ 1;
  }
  rig.good(io(COMPARE, 1, 16, pages + 4n, list), pair);
  assert.equal(disk, before);
});

for (const [kind, options] of [
  ["given bytes", { disk: new Uint8Array(65536) }],
  ["bytes that exist when written", { blocks: 128 }],
] as const) {
  test(`is made zeros by Write Zeroes and by Dataset Management, and no block beside: ${kind}`, () => {
    const rig = new Rig({ ...options, mdts: 0 }).start();
    const pair = rig.pair(1);
    const from = rig.memory(16 * PAGE);
    rig.bytes(from, 65536).fill(7);
    const list = rig.memory(PAGE);
    const view = rig.view(list, PAGE);
    for (let i = 0; i < 15; i++) view.setBigUint64(i * 8, from + BigInt((i + 1) * PAGE), true);
    const ranges = rig.memory(PAGE);
    const seen = () => {
      rig.good(io(READ, 0, 128, from, list), pair);
      const blocks = Array.from({ length: 128 }, (_, block) => rig.bytes(from + BigInt(block * 512), 512));
      return blocks.map((bytes) => (bytes.every((byte) => byte === bytes[0]) ? bytes[0] : "?")).join("");
    };
    rig.good(io(WRITE, 0, 128, from, list), pair);
    rig.good({ ...io(ZEROES, 3, 20, 0n), prp1: 0n }, pair);
    assert.is(seen(), `777${"0".repeat(20)}${"7".repeat(105)}`);
    const range = rig.view(ranges, 48);
    for (const [at, [first, blocks]] of [
      [40, 16],
      [0, 1],
      [127, 1],
    ].entries()) {
      range.setUint32(at * 16 + 4, blocks as number, true);
      range.setBigUint64(at * 16 + 8, BigInt(first as number), true);
    }
    rig.good({ opcode: DATASET, nsid: 1, prp1: ranges, dw10: 2, dw11: 0 }, pair);
    assert.is(seen(), `777${"0".repeat(20)}${"7".repeat(105)}`, "without the attribute: a hint, and no more");
    rig.good({ opcode: DATASET, nsid: 1, prp1: ranges, dw10: 2, dw11: 4 }, pair);
    assert.is(seen(), `077${"0".repeat(20)}${"7".repeat(17)}${"0".repeat(16)}${"7".repeat(71)}0`);
    range.setUint32(16 + 4, 1, true);
    range.setBigUint64(16 + 8, 128n, true);
    range.setBigUint64(8, 60n, true);
    assert.is(rig.status({ opcode: DATASET, nsid: 1, prp1: ranges, dw10: 2, dw11: 4 }, pair), "0x4080");
    assert.is(seen()[60], "7", "no range of a command that has a wrong one is cleared");
  });
}

test("is moved up to MDTS, and no further", () => {
  for (const [mdts, most] of [
    [0, 65536],
    [1, 16],
    [7, 1024],
  ] as const) {
    const rig = new Rig({ blocks: 1 << 20, mdts }).start();
    const pair = rig.pair(1);
    const page = rig.memory(PAGE);
    // All PRPs of the list are the same page, and the list leads to itself.
    const list = rig.memory(PAGE);
    for (let i = 0; i < 512; i++) rig.view(list, PAGE).setBigUint64(i * 8, i === 511 ? list : page, true);
    const second = most === 16 ? page : list;
    rig.good(io(READ, 0, most, page, second), pair);
    if (most < 65536) assert.is(rig.status(io(READ, 0, most + 1, page, list), pair), "0x4002");
  }
});

test.run();
