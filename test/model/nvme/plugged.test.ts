/** The software NVMe in a model: driven by nothing but calls of the seam, on all platforms. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type NvmeOptions, softwareNvme } from "../../../src/model/index.ts";
import { type Registers, VfioCall } from "../../../src/syscalls.ts";
import { INTX, type MachineName, MiB, MSIX, machines, NONE, opened, turns, UNMASK } from "../../devices/rig.ts";
import { entryOf, type Fields, io, PAGE, READ, WRITE } from "./rig.ts";

const test = suite("the software NVMe, plugged into a model");

/** Where memory is mapped for the device. */
const IOVA = MiB;
const BYTES = MiB;
const ASQ = 0;
const ACQ = 1;
const SQ = 2;
const CQ = 3;
const DATA = 4;

function machine(name: MachineName, options: NvmeOptions = {}) {
  const { kernel, rig, fd } = opened(name, softwareNvme(options));
  const va = rig.allocate(BYTES);
  if (name !== "x86") assert.is(rig.register(va, BYTES), 0);
  assert.is(rig.map(va, IOVA, BYTES), 0);
  const registers: Registers = rig.registers(fd, 0n, 16384);
  const master = (on: boolean) => rig.setConfig(fd, 4, 2, on ? 0x406 : 0x402);
  const iova = (page: number) => IOVA + BigInt(page * PAGE);
  const put = (page: number, at: number, bytes: Uint8Array) => kernel.write?.(va + BigInt(page * PAGE + at), bytes);
  const get = (page: number, at: number, length: number) => {
    const bytes = new Uint8Array(length);
    kernel.read?.(va + BigInt(page * PAGE + at), bytes);
    return bytes;
  };
  const tails = [0, 0];
  const heads = [0, 0];
  const submit = (queue: 0 | 1, fields: Fields, id: number) => {
    put(queue === 0 ? ASQ : SQ, (tails[queue] as number) * 64, entryOf(fields, id));
    tails[queue] = ((tails[queue] as number) + 1) % 16;
    registers.write32(0x1000 + 8 * queue, tails[queue] as number);
  };
  /** Of queues that have not wrapped. */
  const reap = (queue: 0 | 1): string | undefined => {
    const entry = new DataView(get(queue === 0 ? ACQ : CQ, (heads[queue] as number) * 16, 16).buffer);
    if ((entry.getUint16(14, true) & 1) === 0) return undefined;
    heads[queue] = (heads[queue] as number) + 1;
    registers.write32(0x1000 + 8 * queue + 4, heads[queue] as number);
    return `${entry.getUint16(12, true)}: 0x${(entry.getUint16(14, true) >> 1).toString(16)}`;
  };
  /** Enables the controller, and makes a pair of queues. Whatever comes later has come when it returns. */
  const start = async (vector = 1) => {
    for (const page of [ACQ, CQ]) put(page, 0, new Uint8Array(PAGE));
    tails.fill(0);
    heads.fill(0);
    registers.write32(0x24, 0xf000f);
    registers.write64(0x28, iova(ASQ));
    registers.write64(0x30, iova(ACQ));
    registers.write32(0x14, 0x46_0001);
    while (registers.read32(0x1c) === 0) await turns(1);
    const queues: Fields[] = [
      { opcode: 5, prp1: iova(CQ), dw10: 1 | (15 << 16), dw11: 3 | (vector << 16) },
      { opcode: 1, prp1: iova(SQ), dw10: 1 | (15 << 16), dw11: 1 | (1 << 16) },
    ];
    for (const [id, fields] of queues.entries()) {
      submit(0, fields, id);
      assert.is(await completion(0), `${id}: 0x0`);
    }
  };
  const completion = async (queue: 0 | 1) => {
    for (let look = 0; look < 100; look++) {
      const found = reap(queue);
      if (found !== undefined) return found;
      await turns(1);
    }
    return undefined;
  };
  return { kernel, rig, fd, registers, master, iova, put, get, submit, reap, completion, start };
}

for (const name of Object.keys(machines) as MachineName[]) {
  test(`reads and writes memory through the IOMMU: ${name}`, async () => {
    const disk = new Uint8Array(1 << 20).map((_, at) => (at >> 8) ^ at);
    const { rig, registers, master, iova, put, get, submit, reap, start } = machine(name, { disk });
    master(true);
    await start();
    submit(1, io(READ, 8, 16, iova(DATA), iova(DATA + 2)), 7);
    assert.is(reap(1), "7: 0x0");
    assert.equal(get(DATA, 0, PAGE), disk.slice(PAGE, 2 * PAGE));
    assert.equal(get(DATA + 2, 0, PAGE), disk.slice(2 * PAGE, 3 * PAGE));
    put(DATA, 100, Uint8Array.of(1, 2, 3));
    submit(1, io(WRITE, 0, 1, iova(DATA) + 100n), 8);
    assert.is(reap(1), "8: 0x0");
    assert.equal([...disk.subarray(0, 3)], [1, 2, 3]);
    submit(1, io(READ, 0, 1, IOVA + BYTES), 9);
    assert.is(reap(1), "9: 0x4", "nothing is mapped there");
    assert.is(registers.read32(0x1c), 1);
    assert.is(rig.unmap(IOVA, BYTES), 0);
    submit(1, io(READ, 0, 1, iova(DATA)), 10);
    assert.is(registers.read32(0x1c), 2, "nor are the queues, after an UNMAP");
  });
}

test("is fatal where bus mastering is off, and comes back by a reset of the controller", async () => {
  const { registers, master, start, submit, iova, reap } = machine("x86");
  registers.write32(0x24, 0xf000f);
  registers.write64(0x28, iova(ASQ));
  registers.write64(0x30, iova(ACQ));
  registers.write32(0x14, 0x46_0001);
  assert.is(registers.read32(0x1c), 1);
  submit(0, { opcode: 0x0a, dw10: 7 }, 1);
  assert.is(registers.read32(0x1c), 2);
  master(true);
  registers.write32(0x14, 0);
  await start();
  submit(1, io(READ, 0, 1, iova(DATA)), 3);
  assert.is(reap(1), "3: 0x0");
});

for (const completions of ["now", "later", { seed: 7 }] as const) {
  test(`is heard by the vector of the queue, completions ${JSON.stringify(completions)}`, async () => {
    const { rig, fd, master, start, submit, iova, completion } = machine("x86", { completions });
    const events = rig.eventfds(4);
    assert.is(rig.setVectors(fd, MSIX, 0, ...events), 0);
    master(true);
    await start(3);
    assert.equal(rig.fired(...events), [2, 0, 0, 0]);
    for (let id = 0; id < 12; id++) submit(1, io(READ, id, 1, iova(DATA + id)), id);
    const found: (string | undefined)[] = [];
    for (let id = 0; id < 12; id++) found.push(await completion(1));
    const expected = Array.from({ length: 12 }, (_, id) => `${id}: 0x0`);
    assert.equal([...found].sort(), [...expected].sort());
    assert.is(found.join() === expected.join(), typeof completions === "string");
    assert.equal(rig.fired(...events), [0, 0, 0, 12]);
  });
}

test("is heard by its line, once until it is unmasked", async () => {
  const { rig, fd, start, submit, iova, reap } = machine("x86");
  const [event] = rig.eventfds(1) as [number];
  assert.is(rig.setVectors(fd, INTX, 0, event), 0);
  rig.setConfig(fd, 4, 2, 6); // bus master, and the line is not disabled
  await start(0);
  assert.equal(rig.fired(event), [1]);
  submit(1, io(READ, 0, 1, iova(DATA)), 3);
  assert.equal(rig.fired(event), [0], "masked");
  assert.is(rig.setIrqs(fd, INTX, NONE | UNMASK, 0, 1), 0);
  assert.equal(rig.fired(event), [1], "still up");
  assert.is(reap(1), "3: 0x0");
  assert.is(rig.setIrqs(fd, INTX, NONE | UNMASK, 0, 1), 0);
  assert.equal(rig.fired(event), [0], "consumed, so down");
});

test("has nothing on its way after DEVICE_RESET, and its registers are as after power-on", async () => {
  for (const completions of ["later", { seed: 1 }] as const) {
    const { kernel, fd, registers, master, start, submit, iova, get, reap } = machine("x86", {
      blocks: 64,
      completions,
    });
    master(true);
    await start();
    for (let id = 0; id < 12; id++) submit(1, io(READ, id, 1, iova(DATA + id)), id);
    assert.is(kernel.ioctl(fd, VfioCall.DEVICE_RESET, 0), 0);
    assert.equal([registers.read32(0x14), registers.read32(0x1c), registers.read32(0x24)], [0, 0, 0]);
    const before = get(CQ, 0, PAGE);
    await turns(20);
    assert.equal(get(CQ, 0, PAGE), before);
    assert.is(reap(1), undefined);
    await start();
  }
});

test("is part of the machine's hash", async () => {
  const { kernel, registers, master, start } = machine("x86");
  master(true);
  const before = kernel.hash();
  await start();
  const started = kernel.hash();
  assert.is.not(started, before);
  registers.write32(0x0c, 1);
  assert.is.not(kernel.hash(), started);
  registers.write32(0x10, 1);
  assert.is(kernel.hash(), started);
});

test.run();
