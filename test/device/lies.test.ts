/** What a kernel interface says of a device is not trusted: whatever it says, a device opens and is whole, or an error says what is wrong. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { modelKernel } from "../../src/model/index.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { hiding, machines, Probe } from "./site.ts";

/** Changes what the kernel wrote into a struct of a call. */
type Lie = (struct: DataView) => void;

function lying(call: VfioCall, lie: Lie) {
  const model = modelKernel({ ...machines.x86, devices: [new Probe()] });
  const kernel = hiding(model, [], {
    ioctlStruct(fd, asked, memory, at) {
      const answer = model.ioctlStruct(fd, asked, memory, at);
      if (asked === call && answer === 0) lie(new DataView(memory.buffer, memory.byteOffset + at, memory.length - at));
      return answer;
    },
  });
  const container = openContainer({ kernel, groups: [26] });
  return { model, container, open: () => container.device(model.device(26).name) };
}

const FLAGS = 4;
const MMAP = 4;
const CAPS = 8;

/** Of one region. */
const ofRegion =
  (index: number, lie: Lie): Lie =>
  (struct) => {
    if (struct.getUint32(8, true) === index) lie(struct);
  };

for (const mappable of [true, false]) {
  for (const [size, offset] of [
    [1n << 53n, 0n],
    [1n << 60n, 0n],
    [(1n << 64n) - 1n, 0n],
    [4096n, (1n << 63n) - 4096n + 1n],
    [4096n, (1n << 64n) - 4096n],
  ] as const) {
    test(`a BAR of ${size} bytes at offset ${offset}, ${mappable ? "" : "not "}to be mapped, is none that could be reached`, () => {
      const lie = ofRegion(0, (struct) => {
        struct.setUint32(FLAGS, (struct.getUint32(FLAGS, true) & ~MMAP) | (mappable ? MMAP : 0), true);
        struct.setBigUint64(16, size, true);
        struct.setBigUint64(24, offset, true);
      });
      const { model, container, open } = lying(VfioCall.DEVICE_GET_REGION_INFO, lie);
      const error = failure("ERR_MALFORMED_INFO", open);
      assert.match(error.message, "bar0");
      container.close();
      assert.equal(model.leaks(), []);
    });
  }
}

test("a configuration space of a size that none has is refused", () => {
  for (const size of [0n, 63n, 4097n, 1n << 63n]) {
    const lie = ofRegion(7, (struct) => struct.setBigUint64(16, size, true));
    const { model, container, open } = lying(VfioCall.DEVICE_GET_REGION_INFO, lie);
    failure("ERR_MALFORMED_INFO", open);
    container.close();
    assert.equal(model.leaks(), []);
  }
});

test("what is no PCI device is not driven", () => {
  const { model, container, open } = lying(VfioCall.DEVICE_GET_INFO, (struct) => struct.setUint32(FLAGS, 1, true));
  failure("ERR_NOT_PCI", open);
  container.close();
  assert.equal(model.leaks(), []);
});

test("capabilities of a region that lead in a circle, or out of the answer, end there", () => {
  for (const [first, next] of [
    [32, 32],
    [16, 0],
    [0xffff_fff8, 0],
    [40, 0xffff_ffff],
    [31, 31],
  ] as const) {
    const lie = ofRegion(0, (struct) => {
      struct.setUint32(0, 64, true);
      struct.setUint32(FLAGS, struct.getUint32(FLAGS, true) | CAPS, true);
      struct.setUint32(12, first, true);
      for (const at of [32, 40]) if (at + 8 <= struct.byteLength) struct.setUint32(at + 4, next, true);
    });
    const { model, container, open } = lying(VfioCall.DEVICE_GET_REGION_INFO, lie);
    const device = open();
    assert.type(device.bar(0).read32(0), "number");
    container.close();
    assert.equal(model.leaks(), []);
  }
});

test("more vectors than PCI knows are not asked for", () => {
  const { model, container, open } = lying(VfioCall.DEVICE_GET_IRQ_INFO, (struct) =>
    struct.setUint32(12, 0xffff_ffff, true),
  );
  const { irqs, info } = open();
  assert.equal([info.irqs.msix.count, info.irqs.msi.count, info.irqs.intx.count], [2048, 32, 1]);
  assert.equal([info.irqs.error.count, info.irqs.request.count], [1, 1]);
  failure("ERR_TOO_MANY_VECTORS", () => irqs.msix(0xffff_ffff));
  container.close();
  assert.equal(model.leaks(), []);
});

test("no vectors at all: the device opens, and says so", () => {
  const { model, container, open } = lying(VfioCall.DEVICE_GET_IRQ_INFO, (struct) => struct.setUint32(12, 0, true));
  const device = open();
  assert.match(failure("ERR_NO_MSIX", () => device.irqs.msix()).message, "no interrupts at all");
  failure("ERR_NO_NOTICE", () => device.on("request", () => {}));
  container.close();
  assert.equal(model.leaks(), []);
});

test("a reset in the background is refused in the middle of another operation, as each of them", async () => {
  const model = modelKernel({ ...machines.x86, devices: [new Probe()] });
  let within: (() => void) | undefined;
  const kernel = hiding(model, [], {
    close(fd) {
      within?.();
      return model.close(fd);
    },
  });
  const container = openContainer({ kernel, groups: [26] });
  const device = container.device(model.device(26).name);
  let code: unknown;
  within = () => {
    within = undefined;
    device.resetAsync().catch((error: { code?: unknown }) => {
      code = error.code;
    });
  };
  device.irqs.msix(1).disable(); // closes an eventfd
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(code, "ERR_BUSY");
  container.close();
  assert.equal(model.leaks(), []);
});

test.run();
