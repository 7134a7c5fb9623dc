/** Registers: each call is one access of its width, checked. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Bar } from "../../src/device/bar.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { driven, machineNames, Probe, refusing, warningsOf } from "./site.ts";

const bars = suite("the registers of a device");

/** The accesses since they were asked for last. */
const taken = ({ accesses }: Probe) => accesses.splice(0);

bars("are read and written by one access of each width", () => {
  for (const machine of machineNames) {
    const { container, device, probe } = driven(new Probe(), { machine });
    const bar = device.bar(0);
    assert.equal([bar.index, bar.length, bar.isMapped, bar.closed], [0, 16384, true, false]);
    taken(probe);
    bar.write8(1, 0xff);
    bar.write16(2, 0xffff);
    bar.write32(4, 0xffff_fffe);
    bar.write64(8, 0xfedc_ba98_7654_3210n);
    bar.write64LoHi(16, 0xfedc_ba98_7654_3210n);
    assert.equal(taken(probe), [
      ...["write 0 0x1 1 0xff", "write 0 0x2 2 0xffff", "write 0 0x4 4 0xfffffffe", "write 0 0x8 8 0xfedcba9876543210"],
      ...["write 0 0x10 4 0x76543210", "write 0 0x14 4 0xfedcba98"],
    ]);
    assert.equal(
      [bar.read8(1), bar.read16(2), bar.read32(4), bar.read64(8), bar.read64LoHi(16)],
      [0xff, 0xffff, 0xffff_fffe, 0xfedc_ba98_7654_3210n, 0xfedc_ba98_7654_3210n],
    );
    assert.equal(taken(probe), [
      ...["read 0 0x1 1", "read 0 0x2 2", "read 0 0x4 4", "read 0 0x8 8", "read 0 0x10 4", "read 0 0x14 4"],
    ]);
    container.close();
  }
});

bars("refuse what is no multiple, past the end, no number, or of more bits, and ask nobody", () => {
  const { container, device, probe } = driven();
  const bar = device.bar(0);
  taken(probe);
  const widths = [
    [1, (at: never) => bar.read8(at), (at: never) => bar.write8(at, 0)],
    [2, (at: never) => bar.read16(at), (at: never) => bar.write16(at, 0)],
    [4, (at: never) => bar.read32(at), (at: never) => bar.write32(at, 0)],
    [8, (at: never) => bar.read64(at), (at: never) => bar.write64(at, 0n)],
    [8, (at: never) => bar.read64LoHi(at), (at: never) => bar.write64LoHi(at, 0n)],
  ] as const;
  for (const [width, ...calls] of widths) {
    const wrong = [
      -width,
      16384,
      16384 - width + 1,
      2 ** 53,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      "0",
      0n,
      undefined,
    ];
    if (width > 1) wrong.push(width / 2, 1);
    for (const call of calls) for (const at of wrong) refusesArgument(() => call(at as never));
  }
  for (const value of [-1, 0x1_0000_0000, 1.5, Number.NaN, 1n, "1"]) {
    for (const write of [bar.write8, bar.write16, bar.write32])
      refusesArgument(() => write.call(bar, 0, value as never));
  }
  refusesArgument(() => bar.write8(0, 0x100));
  refusesArgument(() => bar.write16(0, 0x1_0000));
  for (const value of [-1n, 1n << 64n, 5]) {
    refusesArgument(() => bar.write64(0, value as never));
    refusesArgument(() => bar.write64LoHi(0, value as never));
  }
  assert.equal(taken(probe), []);
  assert.match(
    refusesArgument(() => bar.read32(2)).message,
    "a multiple of 4 from 0 to 16380 of bar 0, which has 16 KiB",
  );
  container.close();
});

bars("are one object for a BAR, mapped once, and mapped anew when it was closed", () => {
  const { model, container, device, plugged } = driven();
  const bar = device.bar(0);
  assert.is(device.bar(0), bar);
  const big = device.bar(0, { endian: "big" });
  assert.is.not(big, bar);
  assert.is(device.bar(0, { endian: "big" }), big);
  bar.write32(0, 0x1122_3344);
  assert.equal(
    [big.read32(0), big.read16(0), big.read8(0)],
    [0x4433_2211, (bar.read16(0) >> 8) | ((bar.read16(0) & 0xff) << 8), bar.read8(0)],
  );
  big.write64(8, 0x0102_0304_0506_0708n);
  assert.equal([bar.read64(8), big.read64(8)], [0x0807_0605_0403_0201n, 0x0102_0304_0506_0708n]);
  big.write16(16, 0xff01);
  assert.equal([bar.read16(16), big.read16(16)], [0x01ff, 0xff01]);
  bar.close();
  bar.close();
  assert.is(bar.closed, true);
  failure("ERR_CLOSED", () => bar.read32(0));
  failure("ERR_CLOSED", () => bar.write32(0, 1));
  failure("ERR_CLOSED", () => bar.bytes());
  assert.is(big.read32(0), 0x4433_2211); // still mapped
  assert.is.not(device.bar(0), bar);
  device.close();
  assert.equal([big.closed, plugged.isOpen], [true, false]);
  failure("ERR_CLOSED", () => big.read32(0));
  failure("ERR_CLOSED", () => device.bar(0));
  container.close();
  assert.equal(model.leaks(), []);
});

bars("that there are none of are refused, with those that there are", () => {
  const { container, device } = driven();
  const error = failure("ERR_NO_BAR", () => device.bar(3));
  assert.match(error.message, "has no bar3: it has bar0");
  assert.equal(error.facts?.has, ["bar0"]);
  for (const index of [7, -1, 0.5, "0", undefined]) refusesArgument(() => device.bar(index as never));
  refusesArgument(() => device.bar(0, { endian: "middle" as never }));
  refusesArgument(() => device.bar(0, { endain: "big" } as never));
  container.close();
});

bars("of ports are read and written by calls, 32 bits at most", () => {
  const facts = {
    bars: [
      { index: 0, bytes: 4096, bits: 32 },
      { index: 2, bytes: 32, bits: 32, ports: true },
    ],
  } as const;
  const { container, device, probe } = driven(new Probe({ ...facts, msix: { vectors: 1, bar: 0 } }));
  const bar = device.bar(2);
  assert.equal([bar.isMapped, bar.length], [false, 32]);
  taken(probe);
  bar.write32(4, 0xdead_beef);
  bar.write16(8, 0x1234);
  bar.write8(31, 0x56);
  assert.equal([bar.read32(4), bar.read16(8), bar.read8(31)], [0xdead_beef, 0x1234, 0x56]);
  bar.write64LoHi(16, 5n << 32n);
  assert.is(bar.read64LoHi(16), 5n << 32n);
  assert.match(failure("ERR_NO_WIDTH", () => bar.read64(0)).message, "use read64LoHi");
  assert.match(failure("ERR_NO_WIDTH", () => bar.write64(0, 1n)).message, "use write64LoHi");
  assert.match(failure("ERR_NOT_MEMORY", () => bar.bytes()).message, "cannot be mapped");
  device.memory = false; // nothing is mapped
  device.memory = true;
  container.close();
});

bars("show bytes where they are like memory, and not where they are registers", () => {
  const memory = new Uint8Array(4096);
  const like = [
    { index: 0, bytes: 4096, memory, prefetchable: true },
    { index: 2, bytes: 4096, prefetchable: true },
    { index: 4, bytes: 4096, memory },
  ] as const;
  const { container, device } = driven(new Probe({ bars: like, msix: { vectors: 1, bar: 2 } }));
  const bytes = device.bar(0).bytes();
  bytes[5] = 7;
  assert.equal([memory[5], device.bar(0).read8(5)], [7, 7]);
  assert.match(failure("ERR_NOT_MEMORY", () => device.bar(2).bytes()).message, "shows no bytes of it");
  assert.match(failure("ERR_NOT_MEMORY", () => device.bar(4).bytes()).message, "not prefetchable");
  assert.is(device.bar(4).bytes({ force: true }).length, 4096);
  refusesArgument(() => device.bar(4).bytes({ force: 1 } as never));
  refusesArgument(() => device.bar(4).bytes({ forced: true } as never));
  container.close();
});

bars("of a device that does not answer say why, and what to do", () => {
  const { container, device, plugged, address } = driven();
  const bar = device.bar(0);
  plugged.unplug();
  for (const access of [
    () => bar.read8(0),
    () => bar.read16(0),
    () => bar.read32(0),
    () => bar.read64(0),
    () => bar.write8(0, 1),
    () => bar.write64(0, 1n),
    () => bar.write64LoHi(0, 1n),
  ]) {
    const error = failure("ERR_DEVICE_OFF", access);
    assert.match(error.message, `bar 0 of device ${address} did not answer`);
    assert.match(error.message, "it has gone");
    assert.equal([error.errno, error.facts?.why], [no.EIO, "gone"]);
  }
  assert.is(device.gone, true);
  assert.equal(
    warningsOf(() => container.close()),
    ["DMA_WINDOW_DEVICE_GONE"],
  );
});

bars("are not mapped while memory is off or the device sleeps: the message says which", () => {
  const { container, device } = driven();
  device.memory = false;
  const off = failure("ERR_DEVICE_OFF", () => device.bar(0));
  assert.match(off.message, "set device.memory = true");
  assert.is(off.facts?.why, "memory off");
  device.memory = true;
  device.powerState = "D3hot";
  const asleep = failure("ERR_DEVICE_OFF", () => device.bar(0));
  assert.match(asleep.message, 'set device.powerState = "D0"');
  assert.is(asleep.facts?.why, "asleep");
  device.powerState = "D0";
  assert.is(device.bar(0).read32(0), 0);
  container.close();
});

bars("that the kernel does not map are an error with its causes, but for the MSI-X table's before Linux 4.16", () => {
  const through = (answer: number, times: number) => (kernel: Parameters<typeof refusing>[0]) =>
    refusing(kernel, { call: "registers", answer, times });
  const busy = driven(new Probe(), { through: through(no.EBUSY, 1) });
  const error = failure("ERR_KERNEL", () => busy.device.bar(0));
  assert.match(error.message, "mmap of bar0 of device");
  assert.match(error.message, "a driver of the kernel has claimed the region");
  assert.is(busy.device.bar(0).isMapped, true);
  busy.container.close();
  const odd = driven(new Probe(), { through: through(no.EINVAL, 1) });
  assert.match(failure("ERR_KERNEL", () => odd.device.bar(0)).message, "the region cannot be mapped");
  odd.container.close();
});

const once = (bar: Bar) => [bar.read32(0)];
bars("of 16 KiB are whole where the CPU has pages of 64 KiB", () => {
  const { container, device } = driven(new Probe(), { machine: "pnv 64K" });
  const bar = device.bar(0);
  assert.is(bar.length, 16384);
  assert.equal(once(bar), [0]);
  bar.write32(16380, 5);
  assert.is(bar.read32(16380), 5);
  refusesArgument(() => bar.read32(16384));
  container.close();
});

bars.run();
