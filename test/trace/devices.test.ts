/** What a program asks of a device, in a trace: its ioctls with what the kernel wrote, its eventfds by name, and nothing of its registers. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { replay } from "../../src/trace/index.ts";
import { answering, Tape, traceOf, words } from "./tape.ts";

/** A kernel with one device: what it answers are the numbers of an NVMe controller; of SET_IRQS it keeps the descriptors. */
function withDevice(answers: Partial<Syscalls> = {}): Syscalls & { readonly irqs: number[][] } {
  let next = 10;
  const irqs: number[][] = [];
  const ioctlStruct: Syscalls["ioctlStruct"] = (_fd, call, memory, at) => {
    const view = new DataView(memory.buffer, memory.byteOffset + at);
    const write = (offset: number, ...values: (number | bigint)[]) => {
      let to = offset;
      for (const value of values) {
        if (typeof value === "bigint") view.setBigUint64(to, value, true);
        else view.setUint32(to, value, true);
        to += typeof value === "bigint" ? 8 : 4;
      }
      return 0;
    };
    const argsz = view.getUint32(0, true);
    switch (call) {
      case VfioCall.GROUP_GET_DEVICE_FD:
        return next++;
      case VfioCall.DEVICE_GET_INFO:
        return write(4, 3, 9, 5);
      case VfioCall.DEVICE_GET_REGION_INFO:
        if (view.getUint32(8, true) > 8) return -22;
        write(0, 72, 15, view.getUint32(8, true), argsz < 72 ? 0 : 32, 16384n, 1n << 40n);
        // MSIX_MAPPABLE, and one area that may be mapped.
        return argsz < 72 ? 0 : write(32, 3 | (1 << 16), 40, 1 | (1 << 16), 0, 1, 0, 0n, 8192n);
      case VfioCall.DEVICE_GET_IRQ_INFO:
        return write(4, 9, view.getUint32(8, true), 65);
      case VfioCall.DEVICE_SET_IRQS: {
        const count = (view.getUint32(4, true) & 4) === 0 ? 0 : view.getUint32(16, true);
        irqs.push(Array.from({ length: count }, (_, i) => view.getInt32(20 + 4 * i, true)));
        return 0;
      }
      case VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO:
        return argsz < 28 ? -28 : write(8, 2, 7, 0x08_01_0001, 8, 0x31_01_0001);
      case VfioCall.DEVICE_PCI_HOT_RESET:
        irqs.push([view.getInt32(12, true)]);
        return 0;
      default:
        return -25;
    }
  };
  const kernel = answering({ open: () => next++, eventfd: () => next++, ioctlStruct, ...answers });
  return Object.assign(kernel, { irqs });
}

/** A session with the device, and its descriptor. */
function opened(kernel: Syscalls): { tape: Tape; device: number; group: number } {
  const tape = new Tape(kernel);
  const group = tape.kernel.open("/dev/vfio/26");
  new TextEncoder().encodeInto("0000:00:06.0\0", tape.memory);
  const device = tape.kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, tape.memory, 0);
  tape.take();
  return { tape, device, group };
}

test("what a device is stands in the trace: its info, regions with their capabilities, interrupts", () => {
  const { tape, device } = opened(withDevice());
  tape.struct(device, VfioCall.DEVICE_GET_INFO, [24, 0, 0, 0]);
  tape.struct(device, VfioCall.DEVICE_GET_REGION_INFO, [32, 0, 1]);
  tape.struct(device, VfioCall.DEVICE_GET_REGION_INFO, [72, 0, 1]);
  tape.struct(device, VfioCall.DEVICE_GET_REGION_INFO, [32, 0, 9]);
  tape.struct(device, VfioCall.DEVICE_GET_IRQ_INFO, [16, 0, 2]);
  tape.kernel.ioctl(device, VfioCall.DEVICE_RESET, 0);
  const region = { argsz: 72, flags: 15, size: "0x4000", offset: "0x10000000000" };
  const capabilities = [
    { id: 3, version: 1 },
    { id: 1, version: 1, areas: [["0x0", "0x2000"]] },
  ];
  const call = "DEVICE_GET_REGION_INFO";
  assert.equal(tape.take(), [
    { call: "DEVICE_GET_INFO", fd: "f2", argsz: 24, answer: 0, out: { flags: 3, regions: 9, irqs: 5 } },
    { call, fd: "f2", argsz: 32, index: 1, answer: 0, out: region },
    { call, fd: "f2", argsz: 72, index: 1, answer: 0, out: { ...region, capabilities } },
    { call, fd: "f2", argsz: 32, index: 9, answer: "EINVAL" },
    { call: "DEVICE_GET_IRQ_INFO", fd: "f2", argsz: 16, index: 2, answer: 0, out: { flags: 9, count: 65 } },
    { call: "DEVICE_RESET", fd: "f2", argument: 0, answer: 0 },
  ]);
});

test("eventfds and groups in a struct have their names; numbers that nobody opened stay numbers", () => {
  const { tape, device, group } = opened(withDevice());
  const events = [tape.kernel.eventfd?.() ?? -1, tape.kernel.eventfd?.() ?? -1] as const;
  tape.struct(device, VfioCall.DEVICE_SET_IRQS, [36, 36, 2, 0, 4, events[1], 0xffff_ffff, 99, events[0]]);
  tape.struct(device, VfioCall.DEVICE_SET_IRQS, [24, 34, 2, 0, 3, 0x010001]);
  tape.struct(device, VfioCall.DEVICE_SET_IRQS, [20, 33, 2, 0, 0]);
  tape.struct(device, VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO, [12, 0, 0]);
  tape.struct(device, VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO, [28, 0, 0]);
  tape.struct(device, VfioCall.DEVICE_PCI_HOT_RESET, [16, 0, 1, group]);
  const irqs = { call: "DEVICE_SET_IRQS", fd: "f2" };
  const devices = [
    { group: 7, address: "0001:01:01.0" },
    { group: 8, address: "0001:01:06.1" },
  ];
  assert.equal(tape.take(), [
    { call: "eventfd", answer: "f3" },
    { call: "eventfd", answer: "f4" },
    { ...irqs, argsz: 36, flags: 36, index: 2, start: 0, count: 4, eventfds: ["f4", -1, 99, "f3"], answer: 0 },
    { ...irqs, argsz: 24, flags: 34, index: 2, start: 0, count: 3, rest: "010001", answer: 0 },
    { ...irqs, argsz: 20, flags: 33, index: 2, start: 0, count: 0, answer: 0 },
    { call: "DEVICE_GET_PCI_HOT_RESET_INFO", fd: "f2", argsz: 12, answer: "ENOSPC" },
    {
      ...{ call: "DEVICE_GET_PCI_HOT_RESET_INFO", fd: "f2", argsz: 28, answer: 0 },
      out: { flags: 0, count: 2, devices },
    },
    { call: "DEVICE_PCI_HOT_RESET", fd: "f2", argsz: 16, flags: 0, count: 1, groups: ["f1"], answer: 0 },
  ]);
});

test("a count that the memory does not hold is written as far as it goes", () => {
  const { tape, device } = opened(withDevice({ ioctlStruct: () => -22 }));
  const memory = new Uint8Array(32);
  const view = new DataView(memory.buffer);
  for (const [at, value] of [20, 36, 2, 0, 2 ** 32 - 1, 7, 8, 9].entries()) view.setUint32(4 * at, value, true);
  assert.is(tape.kernel.ioctlStruct(device, VfioCall.DEVICE_SET_IRQS, memory, 0), -22);
  assert.equal(tape.last.eventfds, [7, 8, 9]);
  assert.equal(tape.kernel.ioctlStruct(device, VfioCall.DEVICE_SET_IRQS, memory, 24), -22);
});

test("reads, writes, registers and listening pass by", () => {
  const listening = { ref() {}, unref() {}, end() {} };
  const { tape, device } = opened(
    withDevice({ pread: () => 4, pwrite: () => 4, takeEvents: () => 2, listen: () => listening, registers: () => -19 }),
  );
  assert.is(tape.kernel.pread?.(device, new Uint8Array(4), 0n), 4);
  assert.is(tape.kernel.pwrite?.(device, new Uint8Array(4), 0n), 4);
  assert.is(tape.kernel.takeEvents?.(9), 2);
  assert.is(
    tape.kernel.listen?.(9, () => {}),
    listening,
  );
  assert.is(tape.kernel.registers?.(device, 0n, 4096), -19);
  assert.equal(tape.take(), []);
});

/** A device's life, to be replayed. */
function life(kernel: Syscalls): string[] {
  const { tape, device } = opened(kernel);
  const again = new Tape(kernel);
  const group = again.kernel.open("/dev/vfio/26");
  new TextEncoder().encodeInto("0000:00:06.0\0", again.memory);
  const fd = again.kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, again.memory, 0);
  const event = again.kernel.eventfd?.() ?? -1;
  again.struct(fd, VfioCall.DEVICE_GET_REGION_INFO, [72, 0, 1]);
  again.struct(fd, VfioCall.DEVICE_SET_IRQS, [28, 36, 2, 0, 2, event, 0xffff_ffff]);
  again.struct(fd, VfioCall.DEVICE_PCI_HOT_RESET, [16, 0, 1, group]);
  again.kernel.close(event);
  tape.kernel.close(device);
  return again.lines;
}

test("a replay hands over descriptors of its own, and lists what is answered otherwise", () => {
  const lines = life(withDevice());
  const same = withDevice();
  same.open(""); // its numbers are others
  assert.equal(words(replay(lines, same).differences), []);
  assert.equal(same.irqs, [[13, -1], [11]]);
  const other = withDevice({ eventfd: () => -24 });
  assert.match(String(words(replay(lines, other).differences)), /eventfd: f3, now EMFILE/);
});

test("a replay where there are no eventfds, and on a kernel of one's own, hands over none", () => {
  const { eventfd: _, ...without } = withDevice();
  const [difference] = words(replay(life(withDevice()), without).differences);
  assert.match(String(difference), /eventfd: f3, now not made: this kernel has no eventfds/);
  const real = withDevice({ name: "linux" } as Partial<Syscalls>);
  const list = (eventfds: unknown[], more = {}) => ({
    ...{ call: "DEVICE_SET_IRQS", fd: "f1", argsz: 28, flags: 36, index: 2, start: 0, count: 2, eventfds, answer: 0 },
    ...more,
  });
  const open = { call: "open", path: "/dev/vfio/26", answer: "f1" };
  replay(traceOf(open, list([0, -1])), real);
  assert.equal(real.irqs, [[2 ** 31 - 1, -1]]);
  const isMalformed = (error: { code?: string }) => error.code === "ERR_TRACE_MALFORMED";
  for (const wrong of [["f9", -1], ["x1", 0], "f1", [0.5], { 0: 1 }, Array(5000).fill(-1)]) {
    assert.throws(
      () => replay(traceOf(open, list(wrong as unknown[])), withDevice()),
      isMalformed,
      JSON.stringify(wrong),
    );
  }
  assert.throws(() => replay(traceOf(open, list([], { groups: [] })), withDevice()), isMalformed);
});

test.run();
