/** The configuration space as vfio-pci makes it virtual, on the four machines where it was looked at. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { edu } from "../../src/model/index.ts";
import { CONFIG, errno, type MachineName, machines, nvmeFacts, opened, Probe } from "./rig.ts";

const config = suite("configuration space");
const every = Object.keys(machines) as MachineName[];

/** What is different. */
const atOpen = { x86: 0x103, ps: 0x102, pnv: 0x102, "pnv 64K": 0x102 };
const barKind = { x86: 4, ps: 0, pnv: 4, "pnv 64K": 4 };

for (const name of every) {
  config(`${name}: is as QEMU's nvme was seen: ids, memory on, bus master off, the chain of capabilities`, () => {
    const { rig, fd } = opened(name);
    assert.is(rig.config(fd, 0, 4), 0x00101b36);
    assert.is(rig.config(fd, 8, 4), 0x01080202);
    assert.is(rig.config(fd, 4, 2), atOpen[name]);
    assert.is(rig.config(fd, 6, 2), 0x10);
    assert.is(rig.config(fd, 0x3c, 2), name === "x86" ? 0x10b : 0x100);
    const chain: string[] = [];
    for (let at = rig.config(fd, 0x34, 1); at !== 0; at = rig.config(fd, at + 1, 1)) {
      chain.push(`${rig.config(fd, at, 1).toString(16)}@${at.toString(16)}`);
    }
    assert.equal(chain, ["11@40", "10@80", "1@60"]);
    assert.equal(
      [0x42, 0x44, 0x48].map((at) => rig.config(fd, at, at === 0x42 ? 2 : 4)),
      [0x40, 0x2000, 0x3000],
    );
    assert.is(rig.config(fd, 0x84, 4), 0x10008000);
    assert.is(rig.config(fd, 0x100, 4), 0, "nothing in extended space");
  });

  config(`${name}: is read in any width, and answers EFAULT past the end, also partly`, () => {
    const { kernel, rig, fd } = opened(name);
    const read = (bytes: number, at: number) => kernel.pread(fd, new Uint8Array(bytes), CONFIG + BigInt(at));
    assert.equal([read(4096, 0), read(1, 3), read(4, 1), read(8, 0), read(0, 0)], [4096, 1, 4, 8, 0]);
    assert.equal([read(4, 4094), read(4, 4096), read(1, 4096)], [-errno.EFAULT, -errno.EFAULT, -errno.EFAULT]);
    assert.is(rig.setConfig(fd, 4096, 4, 0), -errno.EFAULT);
    assert.is(rig.setConfig(fd, 4094, 4, 0), -errno.EFAULT);
  });

  config(`${name}: takes writes to what is read-only, and nothing changes`, () => {
    const { rig, fd } = opened(name);
    for (const [at, bytes, value] of [
      [0, 2, 0xffff],
      [6, 2, 0],
      [8, 1, 0],
      [9, 1, 0],
      [0x34, 1, 0x99],
      [0x3d, 1, 4],
      [0x41, 1, 0],
      [0x42, 2, 0x8040], // MSI-X cannot be switched on by hand
      [0x44, 4, 0],
      [0x84, 4, 0],
    ] as const) {
      const before = rig.config(fd, at, bytes);
      assert.is(rig.setConfig(fd, at, bytes, value), bytes);
      assert.is(rig.config(fd, at, bytes), before, `0x${at.toString(16)}`);
    }
  });

  config(`${name}: sizes BARs by their own copy: the device's BAR does not move`, () => {
    const { rig, fd } = opened(name);
    const [low, high] = [rig.config(fd, 0x10, 4), rig.config(fd, 0x14, 4)];
    assert.is(low & 0xf, barKind[name]);
    assert.is(rig.setConfig(fd, 0x10, 4, 0xffffffff), 4);
    assert.is(rig.config(fd, 0x10, 4), 0xffffc000 + barKind[name]);
    rig.setConfig(fd, 0x14, 4, 0xffffffff);
    assert.is(rig.config(fd, 0x14, 4), 0xffffffff);
    rig.setConfig(fd, 0x18, 4, 0xffffffff);
    assert.is(rig.config(fd, 0x18, 4), 0, "a BAR that is not there");
    rig.setConfig(fd, 0x30, 4, 0xffffffff);
    assert.is(rig.config(fd, 0x30, 4), 0, "no ROM");
    assert.is(rig.read(fd, 0n, 4), 0, "the device answers where it always did");
    rig.setConfig(fd, 0x10, 4, low);
    rig.setConfig(fd, 0x14, 4, high);
    assert.equal([rig.config(fd, 0x10, 4), rig.config(fd, 0x14, 4)], [low, high]);
  });

  config(`${name}: lets bus mastering and memory be switched, and keeps INTx disable from the device`, () => {
    const { rig, fd } = opened(name);
    const command = atOpen[name];
    assert.is(rig.setConfig(fd, 4, 2, command | 4), 2);
    assert.is(rig.config(fd, 4, 2), command | 4);
    rig.setConfig(fd, 4, 2, command & ~2);
    assert.is(rig.config(fd, 4, 2), command & ~2);
    assert.is(rig.read(fd, 0n, 4), -errno.EIO);
    assert.is(rig.write(fd, 0n, 4, 1), -errno.EIO);
    rig.setConfig(fd, 4, 2, 0x406);
    assert.is(rig.config(fd, 4, 2), 0x406);
    assert.is(rig.read(fd, 0n, 4), 0);
    rig.setConfig(fd, 5, 1, 0);
    assert.is(rig.config(fd, 4, 2), 6);
  });

  config(`${name}: D3hot is ${name.startsWith("pnv") ? "refused without an error" : "no BAR until D0"}`, () => {
    const device = new Probe();
    const { rig, fd } = opened(name, device);
    const stays = name.startsWith("pnv");
    assert.is(rig.config(fd, 0x64, 2), 8);
    assert.is(rig.setConfig(fd, 0x64, 2, 0xb), 2);
    assert.is(rig.config(fd, 0x64, 2), stays ? 8 : 0xb);
    assert.is(rig.read(fd, 0n, 4), stays ? 0 : -errno.EIO);
    assert.is(rig.write(fd, 0n, 4, 0), stays ? 4 : -errno.EIO);
    assert.is(rig.registers(fd, 0n, 4096).read32(0), stays ? 0 : -errno.EIO);
    const before = device.resets;
    rig.setConfig(fd, 0x64, 2, 8);
    assert.is(rig.config(fd, 0x64, 2), 8);
    assert.is(rig.read(fd, 0n, 4), 0);
    assert.is(rig.config(fd, 4, 2), atOpen[name]);
    assert.is(device.resets, before, "registers stay");
  });

  config(`${name}: the FLR bit resets the device and reads 0; payload sizes are the kernel's own`, () => {
    const device = new Probe();
    const { rig, fd } = opened(name, device);
    rig.setConfig(fd, 4, 2, 6);
    const before = device.resets;
    assert.is(rig.setConfig(fd, 0x88, 2, 0x8000), 2);
    assert.is(device.resets, before + 1);
    assert.is(rig.config(fd, 0x88, 2), 0);
    assert.is(rig.config(fd, 4, 2), 6, "the configuration space comes back");
    rig.setConfig(fd, 0x88, 2, 0x20);
    assert.is(rig.config(fd, 0x88, 2), 0x20);
    assert.is(device.resets, before + 1);
  });
}

config("of a device without FLR has no such bit, and the write does nothing", () => {
  const device = new Probe({ flr: false });
  const { rig, fd } = opened("x86", device);
  assert.is(rig.config(fd, 0x84, 4), 0x8000);
  rig.setConfig(fd, 0x88, 2, 0x8000);
  assert.equal([device.resets, rig.config(fd, 0x88, 2)], [0, 0]);
});

config("of a device that is not on PCI Express has 256 bytes", () => {
  const { kernel, rig, fd } = opened("x86", edu());
  assert.is(kernel.pread(fd, new Uint8Array(256), CONFIG), 256);
  assert.is(kernel.pread(fd, new Uint8Array(257), CONFIG), -errno.EFAULT);
  assert.equal([rig.config(fd, 0x34, 1), rig.config(fd, 0x40, 1), rig.config(fd, 0x41, 1)], [0x40, 5, 0]);
});

config("knows MSI, whose enable bit is SET_IRQS' to set, and which has no more vectors than it can", () => {
  const { msix: _, ...facts } = nvmeFacts;
  const { rig, fd } = opened("x86", new Probe({ msi: 4, msix: undefined as never, ...facts }));
  const msi = 0xc0;
  assert.is(rig.config(fd, msi, 1), 5);
  assert.is(rig.config(fd, msi + 2, 2), 0x84, "four vectors, 64-bit");
  rig.setConfig(fd, msi + 2, 2, 0xff);
  assert.is(rig.config(fd, msi + 2, 2), 0xa4, "not on, and four at most");
  rig.setConfig(fd, msi + 4, 4, 0x12345678);
  assert.is(rig.config(fd, msi + 4, 4), 0x12345678, "its address is the kernel's copy");
});

config("has ports, 32-bit, prefetchable BARs and large ones as they are", () => {
  const { rig, fd } = opened(
    "x86",
    new Probe({
      bars: [
        { index: 0, bytes: 0x20, ports: true },
        { index: 1, bytes: 4096, bits: 32 },
        { index: 2, bytes: 2 ** 33, prefetchable: true },
      ],
      msix: { vectors: 3, bar: 1 },
    }),
  );
  const sized = [0, 1, 2, 3].map((bar) => {
    rig.setConfig(fd, 0x10 + 4 * bar, 4, 0xffffffff);
    return rig.config(fd, 0x10 + 4 * bar, 4);
  });
  assert.equal(sized, [0xffffffe1, 0xfffff000, 0xc, 0xfffffffe]);
});

config.run();
