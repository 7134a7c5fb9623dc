/** BARs: what the kernel says of them, and pread, pwrite and mapped registers. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { edu } from "../../src/model/index.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { CONFIG, errno, type MachineName, MSIX, machines, NONE, opened, Probe, TRIGGER } from "./rig.ts";

const every = Object.keys(machines) as MachineName[];
const bars = suite("BARs");

/** Like QEMU's e1000e: memory, ports, MSI-X in a BAR of its own. */
const manyBars = {
  bars: [
    { index: 0, bytes: 0x20000, bits: 32 },
    { index: 1, bytes: 0x20000, bits: 32 },
    { index: 2, bytes: 0x20, ports: true },
    { index: 3, bytes: 0x4000, bits: 32 },
  ],
  msix: { vectors: 5, bar: 3 },
  msi: 1,
  flr: false,
} as const;

for (const name of every) {
  bars(`${name}: GET_REGION_INFO, and how large its struct is`, () => {
    const { rig, fd } = opened(name);
    const ask = (argsz: number, index: number, flags = 0) =>
      rig.ask(fd, VfioCall.DEVICE_GET_REGION_INFO, argsz, flags, index, 0, 0, 0, 0, 0);
    assert.is(ask(128, 0), 0);
    assert.equal(rig.words(10), [128, 0xf, 0, 32, 0x4000, 0, 0, 0, 0x10003, 0]);
    assert.is(ask(32, 0, 0xffff), 0);
    assert.equal(rig.words(4), [40, 0xf, 0, 0], "it wants 40");
    for (let index = 1; index <= 6; index++) {
      assert.is(ask(128, index), 0);
      assert.equal(rig.words(8), [128, 0, index, 0, 0, 0, 0, index * 256]);
    }
    assert.is(ask(128, 7), 0);
    assert.equal(rig.words(8), [128, 3, 7, 0, 0x1000, 0, 0, 0x700]);
    for (const index of [8, 9, 10, 11, 0xffffffff]) assert.is(ask(128, index), -errno.EINVAL, `${index}`);
    for (const argsz of [0, 8, 24, 31]) {
      assert.is(ask(argsz, 0), -errno.EINVAL, `argsz ${argsz}`);
      assert.equal(rig.words(2), [argsz, 0]);
    }
    assert.is(rig.kernel.ioctl(fd, VfioCall.DEVICE_GET_REGION_INFO, 0), -errno.EFAULT);
  });

  bars(`${name}: pread and pwrite are short at the end, EINVAL behind it, and of any width before`, () => {
    const device = new Probe();
    const { kernel, fd } = opened(name, device);
    const read = (bytes: number, at: bigint) => kernel.pread(fd, new Uint8Array(bytes), at);
    device.registers.set("0 0", 0x4018200f0107ffn);
    assert.equal(
      [read(8, 0n), read(4, 0n), read(1, 1n), read(2, 0n), read(4, 2n), read(16, 0n), read(4, 16380n)],
      [8, 4, 1, 2, 4, 16, 4],
    );
    assert.is(read(8, 16380n), 4);
    assert.is(kernel.pwrite(fd, new Uint8Array(8), 16380n), 4);
    assert.is(read(0, 16384n), 0);
    for (const at of [16384n, 16384n + (1n << 20n), 1n << 40n, 6n << 40n, 8n << 40n, 9n << 40n, 1n << 62n]) {
      assert.is(read(4, at), -errno.EINVAL, `${at}`);
      assert.is(kernel.pwrite(fd, new Uint8Array(4), at), -errno.EINVAL, `${at}`);
    }
  });

  bars(`${name}: the table of MSI-X reads ff by pread, drops pwrite, and is itself where it is mapped`, () => {
    const { kernel, rig, fd } = opened(name);
    const bytes = new Uint8Array(16);
    assert.is(kernel.pread(fd, bytes, 0x2000n), 16);
    assert.equal([...bytes], Array(16).fill(0xff));
    assert.is(kernel.pwrite(fd, new Uint8Array(16), 0x2000n), 16);
    assert.is(rig.read(fd, 0x2000n, 4), 0xffffffff);
    const around = new Uint8Array(32);
    assert.is(kernel.pread(fd, around, 0x2000n + 65n * 16n - 16n), 32);
    assert.equal([around[15], around[16]], [0xff, 0]);
    const mapped = rig.registers(fd, 0n, 16384);
    assert.is(mapped.read32(0x2000), 0);
    assert.is(mapped.read32(0x200c), 1, "masked");
    assert.is(rig.setVectors(fd, MSIX, 0, kernel.eventfd()), 0);
    assert.is(mapped.read32(0x2000), 0xfee00000);
    assert.is(mapped.read32(0x200c), 0);
    rig.setIrqs(fd, MSIX, NONE | TRIGGER, 0, 0);
    assert.is(mapped.read32(0x200c), 1);
    mapped.write32(0x3000, 0xffffffff);
    assert.is(mapped.read32(0x3000), 0, "pending bits are not to be written");
  });

  bars(`${name}: mmap takes pages of a BAR up to the end of its last one, and nothing else`, () => {
    const { kernel, rig, fd } = opened(name);
    const page = BigInt(kernel.pageSize);
    const whole = Math.max(16384, kernel.pageSize);
    const takes = (offset: bigint, length: number) => {
      const answer = kernel.registers(fd, offset, length);
      if (typeof answer === "number") return answer;
      assert.is(answer.length, length);
      return answer.unmap();
    };
    assert.is(takes(0n, 16384), 0);
    assert.is(takes(0n, whole), 0);
    assert.is(takes(0n, kernel.pageSize), 0);
    if (page === 4096n) assert.is(takes(0x2000n, 4096), 0, "the page of the table");
    for (const [offset, length] of [
      [0n, whole + kernel.pageSize],
      [BigInt(whole), kernel.pageSize],
      [4n, 4096],
      [0n, 0],
      [1n << 40n, 4096],
      [CONFIG, 4096],
      [6n << 40n, 4096],
      [9n << 40n, 4096],
    ] as const) {
      assert.is(takes(offset, length), -errno.EINVAL, `0x${offset.toString(16)} + ${length}`);
    }
    const behind = rig.registers(fd, 0n, whole);
    if (whole > 16384) assert.equal([behind.write32(16384, 1), behind.read32(16384)], [0, 0], "behind the BAR's end");
  });
}

bars("a ROM is read up to the end of its region, with ones behind its images, and neither written nor mapped", () => {
  for (const [images, region] of [
    [1, 2048],
    [2048, 2048],
    [5000, 8192],
  ] as const) {
    const device = new Probe({ rom: new Uint8Array(images).fill(0x5a) });
    const { kernel, rig, fd, address } = opened("x86", device);
    const at = 6n << 40n;
    assert.is(rig.ask(fd, VfioCall.DEVICE_GET_REGION_INFO, 64, 0, 6, 0, 0, 0, 0, 0), 0);
    assert.equal(rig.words(8), [64, 1, 6, 0, region, 0, 0, 0x600]);
    const bytes = new Uint8Array(region + 1);
    assert.is(kernel.pread(fd, bytes, at), region, "short at its end");
    assert.is(
      bytes.subarray(0, images).every((byte) => byte === 0x5a),
      true,
    );
    assert.is(
      bytes.subarray(images, region).every((byte) => byte === 0xff),
      true,
    );
    assert.is(kernel.pread(fd, bytes, at + BigInt(region)), -errno.EINVAL);
    assert.is(kernel.pwrite(fd, bytes, at), -errno.EINVAL);
    assert.is(kernel.registers(fd, at, 4096), -errno.EINVAL);
    assert.is(rig.config(fd, 0x30, 4) % region, 0, "an address, and the bit that switches it on is off");
    rig.setConfig(fd, 0x30, 4, 0xffff_ffff);
    assert.is(rig.config(fd, 0x30, 4), 2 ** 32 - region + 1, "its size");
    rig.setConfig(fd, 4, 2, 0);
    assert.is(kernel.pread(fd, bytes, at), -errno.ENOMEM, "memory is off");
    assert.equal(device.accesses, [], "the device itself was not asked");
    const line = String(kernel.files.text(`/sys/bus/pci/devices/${address}/resource`)).split("\n")[6];
    assert.match(line ?? "", / 0x0000000000046200$/);
  }
});

bars("are accessed once for each call, of its width, little-endian", () => {
  const device = new Probe();
  const { rig, fd } = opened("x86", device);
  const mapped = rig.registers(fd, 4096n, 4096);
  device.accesses.length = 0;
  mapped.write32(8, 0x11223344);
  mapped.read32(8);
  mapped.write64(16, 0x1122334455667788n);
  assert.is(mapped.read64(16), 0x1122334455667788n);
  mapped.write8(1, 0xff);
  mapped.write16(2, 0xffff);
  assert.equal([mapped.read8(1), mapped.read16(2)], [0xff, 0xffff]);
  assert.equal(device.accesses, [
    ...["write 0 0x1008 4 0x11223344", "read 0 0x1008 4", "write 0 0x1010 8 0x1122334455667788", "read 0 0x1010 8"],
    ...["write 0 0x1001 1 0xff", "write 0 0x1002 2 0xffff", "read 0 0x1001 1", "read 0 0x1002 2"],
  ]);
  device.accesses.length = 0;
  rig.write(fd, 0x1002n, 2, 0x1234);
  rig.read(fd, 0x1002n, 6);
  assert.equal(device.accesses, ["write 0 0x1002 2 0x1234", "read 0 0x1002 2", "read 0 0x1004 4"]);
});

for (const [linux, accesses] of [
  ["6.12.117", ["read 0 0x0 4", "read 0 0x4 4"]],
  ["7.3.4", ["read 0 0x0 8"]],
] as const) {
  bars(`are read 8 bytes at once by pread as Linux ${linux} does on x86`, () => {
    const device = new Probe();
    const { rig, fd } = opened("x86", device, { linux });
    device.accesses.length = 0;
    rig.read(fd, 0n, 8);
    assert.equal(device.accesses, [...accesses]);
  });
}

bars("refuse what no access can be, also after the end of the mapping and of the process", () => {
  const { kernel, rig, fd } = opened();
  const mapped = rig.registers(fd, 0n, 4096);
  const code = (wrong: () => unknown) => {
    try {
      wrong();
    } catch (error) {
      return (error as { code?: string }).code;
    }
    return undefined;
  };
  for (const at of [1, -4, 4096, 4094, Number.NaN, 2 ** 40])
    assert.is(
      code(() => mapped.read32(at)),
      "ERR_OUT_OF_RANGE",
    );
  assert.is(
    code(() => mapped.read32("0" as never)),
    "ERR_INVALID_ARG_TYPE",
  );
  assert.is(
    code(() => mapped.read64(4092)),
    "ERR_OUT_OF_RANGE",
  );
  for (const value of [-1, 2 ** 32, 0.5])
    assert.is(
      code(() => mapped.write32(0, value)),
      "ERR_OUT_OF_RANGE",
    );
  assert.is(
    code(() => mapped.write8(0, 256)),
    "ERR_OUT_OF_RANGE",
  );
  assert.is(
    code(() => mapped.write16(0, 65536)),
    "ERR_OUT_OF_RANGE",
  );
  assert.is(
    code(() => mapped.write64(0, 1n << 64n)),
    "ERR_OUT_OF_RANGE",
  );
  assert.is(
    code(() => mapped.write64(0, 1 as never)),
    "ERR_INVALID_ARG_TYPE",
  );
  assert.is(mapped.bytes(), undefined);
  const other = rig.registers(fd, 0n, 4096);
  assert.equal([mapped.unmap(), mapped.unmap()], [0, 0]);
  assert.is(
    code(() => mapped.read32(0)),
    "ERR_CLOSED",
  );
  assert.is(other.read32(0), 0);
  kernel.exit();
  assert.is(
    code(() => other.read32(0)),
    "ERR_MODEL_PROCESS_ENDED",
  );
});

bars("answer EIO while memory is off, mapped or not, and work when it is on again", () => {
  const { rig, fd } = opened();
  const mapped = rig.registers(fd, 0n, 4096);
  rig.setConfig(fd, 4, 2, 0x101);
  assert.equal(
    [mapped.read8(0), mapped.read32(0), mapped.write32(0, 1), mapped.read64(0)],
    [-errno.EIO, -errno.EIO, -errno.EIO, BigInt(-errno.EIO)],
  );
  rig.setConfig(fd, 4, 2, 0x103);
  assert.equal([mapped.write32(0, 1), mapped.read32(0)], [0, 1]);
});

bars("of many kinds are what GET_REGION_INFO says: ports are not mapped, and have a switch of their own", () => {
  const { kernel, rig, fd } = opened("x86", new Probe(manyBars));
  const flags = [0, 1, 2, 3, 4, 6].map((index) => {
    rig.ask(fd, VfioCall.DEVICE_GET_REGION_INFO, 128, 0, index, 0, 0, 0, 0, 0);
    return rig.words(5).filter((_, place) => place === 1 || place === 4);
  });
  assert.equal(flags, [
    [7, 0x20000],
    [7, 0x20000],
    [3, 0x20],
    [0xf, 0x4000],
    [0, 0],
    [0, 0],
  ]);
  assert.is(kernel.registers(fd, 2n << 40n, 0x20), -errno.EINVAL);
  rig.write(fd, 2n << 40n, 4, 7);
  assert.is(rig.read(fd, 2n << 40n, 4), 7);
  rig.setConfig(fd, 4, 2, 0x102);
  assert.is(rig.read(fd, 2n << 40n, 4), 0xffffffff, "nobody answers at ports that are off");
  rig.setConfig(fd, 4, 2, 0x101);
  assert.is(rig.read(fd, 2n << 40n, 4), 7, "memory is another matter");
  assert.is(rig.read(fd, 0n, 4), -errno.EIO);
});

bars("that are memory are bytes, and no accesses of the device", () => {
  const memory = new Uint8Array(8192);
  const device = new Probe({ bars: [{ index: 0, bytes: 8192, memory }], msix: undefined as never });
  const { rig, fd } = opened("x86", device);
  const mapped = rig.registers(fd, 4096n, 4096);
  device.accesses.length = 0;
  mapped.write32(4, 0x01020304);
  assert.equal([...memory.subarray(4100, 4104)], [4, 3, 2, 1]);
  const bytes = mapped.bytes();
  assert.is(bytes?.length, 4096);
  if (bytes) bytes[8] = 9;
  assert.equal([mapped.read8(8), rig.read(fd, 4104n, 1)], [9, 9]);
  assert.equal(device.accesses, []);
});

bars("are big-endian where a device is, in each width", () => {
  const device = new Probe({ bigEndian: true });
  const { rig, fd } = opened("x86", device);
  const mapped = rig.registers(fd, 0n, 4096);
  device.accesses.length = 0;
  mapped.write32(0, 0x01020304);
  mapped.write16(4, 0x0102);
  mapped.write64(8, 0x0102030405060708n);
  mapped.write8(16, 5);
  assert.equal(device.accesses, [
    "write 0 0x0 4 0x4030201",
    "write 0 0x4 2 0x201",
    "write 0 0x8 8 0x807060504030201",
    "write 0 0x10 1 0x5",
  ]);
  assert.equal([mapped.read32(0), mapped.read64(8)], [0x01020304, 0x0102030405060708n]);
});

bars("are no business of other files, and of none that are closed", () => {
  const { kernel, rig, fd } = opened("x86", edu());
  const into = new Uint8Array(4);
  for (const other of [rig.container, rig.group]) {
    assert.is(kernel.pread(other, into, 0n), -errno.EINVAL);
    assert.is(kernel.pwrite(other, into, 0n), -errno.EINVAL);
    assert.is(kernel.registers(other, 0n, 4096), -errno.ENODEV);
  }
  const event = kernel.eventfd();
  assert.equal([kernel.pread(event, into, 0n), kernel.pwrite(event, into, 0n)], [-errno.ESPIPE, -errno.ESPIPE]);
  assert.equal(
    [kernel.pread(99, into, 0n), kernel.pwrite(-1, into, 0n), kernel.registers(99, 0n, 4096)],
    [-errno.EBADF, -errno.EBADF, -errno.EBADF],
  );
  for (const wrong of [
    () => kernel.pread(fd, [] as never, 0n),
    () => kernel.pread(fd, into, 0 as never),
    () => kernel.pread(fd, into, -1n),
    () => kernel.pread(fd, into, 1n << 63n),
    () => kernel.registers(fd, 0n, 1.5),
  ]) {
    assert.throws(wrong, (error: { code?: string }) => /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/.test(error.code ?? ""));
  }
});

bars.run();
