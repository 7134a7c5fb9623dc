/** QEMU's edu as a plugged device: driven by nothing but calls of the seam. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { edu } from "../../src/model/index.ts";
import { EVENTFD, errno, INTX, MiB, MSI, NONE, opened, TRIGGER, turns, UNMASK } from "./rig.ts";

const driven = suite("edu");

driven("is found by its identity, inverts what it is told, and computes factorials", async () => {
  const { rig, fd } = opened("x86", edu());
  const bar = rig.registers(fd, 0n, 1 << 20);
  assert.is(bar.read32(0), 0x010000ed);
  bar.write32(4, 0x12345678);
  assert.is(bar.read32(4), 0xedcba987);
  bar.write32(8, 5);
  assert.is(bar.read32(0x20) & 1, 1, "it computes");
  await turns();
  assert.equal([bar.read32(8), bar.read32(0x20) & 1], [120, 0]);
  bar.write32(8, 13);
  await turns();
  assert.is(bar.read32(8), 6227020800 % 2 ** 32);
  assert.is(bar.read8(0), 0xff, "an access of another width is none of its registers");
});

driven("moves memory to its buffer and back, through the IOMMU as it is then, and only as bus master", async () => {
  const { kernel, rig, fd } = opened("x86", edu());
  const va = rig.allocate(MiB);
  assert.is(rig.map(va, MiB, MiB), 0);
  kernel.write?.(va, Uint8Array.of(1, 2, 3, 4));
  const bar = rig.registers(fd, 0n, 4096);
  const move = async (source: bigint, destination: bigint, command: bigint) => {
    bar.write64(0x80, source);
    bar.write64(0x88, destination);
    bar.write64(0x90, 4n);
    bar.write64(0x98, command);
    assert.is(bar.read64(0x98) & 1n, 1n);
    await turns();
    assert.is(bar.read64(0x98) & 1n, 0n);
  };
  const there = () => {
    const bytes = new Uint8Array(4);
    kernel.read?.(va + 4096n, bytes);
    return [...bytes];
  };
  await move(MiB, 0x40010n, 1n);
  await move(0x40010n, MiB + 4096n, 3n);
  assert.equal(there(), [0, 0, 0, 0], "bus mastering is off");
  rig.setConfig(fd, 4, 2, rig.config(fd, 4, 2) | 4);
  await move(MiB, 0x40010n, 1n);
  await move(0x40010n, MiB + 4096n, 3n);
  assert.equal(there(), [1, 2, 3, 4]);
});

for (const kind of ["MSI", "INTx"] as const) {
  driven(`interrupts by ${kind}, heard in the event loop and by polling`, async () => {
    const { kernel, rig, fd } = opened("x86", edu());
    const [event] = rig.eventfds(1) as [number];
    const index = kind === "MSI" ? MSI : INTX;
    assert.is(rig.setVectors(fd, index, 0, event), 0);
    const bar = rig.registers(fd, 0n, 4096);
    bar.write32(0x60, 0x42);
    assert.equal(rig.fired(event), [1]);
    assert.is(bar.read32(0x24), 0x42);
    bar.write32(0x64, 0x42);
    assert.is(bar.read32(0x24), 0);
    if (kind === "INTx") assert.is(rig.setIrqs(fd, index, NONE | UNMASK, 0, 1), 0);
    const heard: number[] = [];
    const listening = kernel.listen(event, (count) => heard.push(count));
    if (typeof listening === "number") throw new Error(`listen answered ${listening}`);
    bar.write32(0x20, 0x80);
    bar.write32(8, 3);
    await turns();
    assert.equal(heard, [1]);
    assert.is(bar.read32(0x24), 1);
    listening.end();
    assert.is(rig.setIrqs(fd, index, EVENTFD | TRIGGER, 0, 1, [-1]), 0);
    bar.write32(0x60, 1);
    assert.equal(rig.fired(event), [0]);
  });
}

driven("has no reset of its own on a root bus, and one by its bus behind PowerNV's bridge", () => {
  for (const [name, answer] of [
    ["x86", -errno.EINVAL],
    ["ps", -errno.EINVAL],
    ["pnv", 0],
  ] as const) {
    const { kernel, fd } = opened(name, edu());
    assert.is(kernel.ioctl(fd, 0x10b, 0), answer, name);
  }
});

driven("is big-endian on POWER, as QEMU's is", () => {
  for (const [name, identity] of [
    ["x86", 0x010000ed],
    ["ps", 0xed000001],
    ["pnv", 0xed000001],
  ] as const) {
    const { rig, fd } = opened(name, edu());
    assert.is(rig.registers(fd, 0n, 4096).read32(0), identity, name);
    assert.is(rig.read(fd, 0n, 4), identity, `${name}, by pread`);
    assert.is(rig.config(fd, 0, 4), 0x11e81234, "the configuration space is little-endian everywhere");
  }
});

driven.run();
