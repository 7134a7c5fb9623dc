/** What a device needs passes through the interfaces in front of a kernel: as it is, absent where it is absent, and failed on purpose. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { asked } from "../../src/asked.ts";
import { faulty } from "../../src/model/faults.ts";
import type { Listening, Registers, Syscalls } from "../../src/syscalls.ts";
import { recordTrace } from "../../src/trace/index.ts";

const MEMBERS = ["pread", "pwrite", "registers", "eventfd", "takeEvents", "listen"] as const;

const registers = { length: 4096, read32: () => 0, write32: () => 0, unmap: () => 0 } as unknown as Registers;
const listening: Listening = { ref() {}, unref() {}, end() {} };

/** With arguments that each of them could have. */
function call(kernel: Syscalls, member: (typeof MEMBERS)[number]): unknown {
  return (kernel[member] as (...words: unknown[]) => unknown)(
    5,
    member === "listen" ? () => {} : new Uint8Array(8),
    0n,
  );
}

/** A kernel whose members for devices say what they were asked, and are methods of it. */
function kernelOfDevices(more: Partial<Syscalls> = {}) {
  const made: unknown[][] = [];
  const kernel = {
    made,
    name: "plain",
    pageSize: 4096,
    lockedMemory: () => ({ limit: null, used: 0n, privileged: true }),
    ioctlBatch: () => 0,
    mmap: () => 0n,
    pread(this: { made: unknown[][] }, ...words: unknown[]) {
      this.made.push(["pread", ...words]);
      return 4;
    },
    pwrite(this: { made: unknown[][] }, ...words: unknown[]) {
      this.made.push(["pwrite", ...words]);
      return 3;
    },
    registers(this: { made: unknown[][] }, ...words: unknown[]) {
      this.made.push(["registers", ...words]);
      return registers;
    },
    eventfd(this: { made: unknown[][] }) {
      this.made.push(["eventfd"]);
      return 77;
    },
    takeEvents(this: { made: unknown[][] }, fd: number) {
      this.made.push(["takeEvents", fd]);
      return 9;
    },
    listen(this: { made: unknown[][] }, fd: number, listener: unknown) {
      this.made.push(["listen", fd, listener]);
      return listening;
    },
    ...more,
  };
  return kernel as unknown as Syscalls & { made: unknown[][] };
}

const fronts: Readonly<Record<string, (kernel: Syscalls) => Syscalls>> = {
  asked,
  faulty,
  recordTrace: (kernel) => recordTrace(kernel, () => {}),
  "all three": (kernel) => asked(recordTrace(faulty(kernel), () => {})),
};

for (const [name, front] of Object.entries(fronts)) {
  test(`${name}: a device's calls reach the kernel with their arguments, and its answers come back`, () => {
    const kernel = kernelOfDevices();
    const before = front(kernel);
    const [bytes, listener] = [new Uint8Array(4), () => {}];
    assert.is(before.pread?.(5, bytes, 1n << 40n), 4);
    assert.is(before.pwrite?.(5, bytes, 7n), 3);
    assert.is(before.registers?.(5, 1n << 41n, 4096), registers);
    assert.is(before.eventfd?.(), 77);
    assert.is(before.takeEvents?.(77), 9);
    assert.is(before.listen?.(77, listener), listening);
    const made = kernel.made.map((words) => words.filter((word) => word !== undefined));
    assert.equal(made.slice(0, 5), [
      ["pread", 5, bytes, 1n << 40n],
      ["pwrite", 5, bytes, 7n],
      ["registers", 5, 1n << 41n, 4096],
      ["eventfd"],
      ["takeEvents", 77],
    ]);
    assert.is(made[5]?.[2], listener);
  });

  test(`${name}: what the kernel has not is not there, and an errno stays one`, () => {
    const none = front(kernelOfDevices(Object.fromEntries(MEMBERS.map((member) => [member, undefined]))));
    for (const member of MEMBERS) assert.is(none[member], undefined, member);
    const refusing = front(kernelOfDevices(Object.fromEntries(MEMBERS.map((member) => [member, () => -19]))));
    for (const member of MEMBERS) assert.is(call(refusing, member), -19, member);
  });
}

test("each of a device's calls can be failed by its name, before or after the kernel did it", () => {
  for (const member of MEMBERS) {
    for (const made of [false, true]) {
      const kernel = kernelOfDevices();
      const failing = faulty(kernel).fail({ call: member, answer: -5, made });
      assert.is(call(failing, member), -5, member);
      assert.is(kernel.made.length, made ? 1 : 0);
      assert.equal(failing.refused, [member]);
      assert.is.not(call(failing, member), -5, member);
    }
  }
});

test("what is no answer of a kernel, or is thrown, is an error of its interface", () => {
  const wrong: Readonly<Record<(typeof MEMBERS)[number], readonly unknown[]>> = {
    pread: [undefined, "4", 4n, 0.5],
    pwrite: [undefined, null, {}],
    registers: [undefined, 0, 4096, {}, null],
    eventfd: [undefined, 3n],
    takeEvents: [undefined, NaN, true],
    listen: [undefined, 0, {}, () => {}],
  };
  const isInterface = (error: { code?: string }) => error.code === "ERR_INTERFACE";
  for (const member of MEMBERS) {
    for (const answer of wrong[member]) {
      const kernel = asked(kernelOfDevices({ [member]: () => answer }));
      assert.throws(() => call(kernel, member), isInterface, `${member}: ${String(answer)}`);
    }
    const throwing = asked(
      kernelOfDevices({
        [member]: () => {
          throw new Error("no");
        },
      }),
    );
    assert.throws(() => call(throwing, member), isInterface, member);
  }
});

test.run();
