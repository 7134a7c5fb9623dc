import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, Rig } from "./rig.ts";

const page = 4n * KiB;

function ready(options: ModelOptions = {}, type: number = IommuType.TYPE1v2): Rig {
  return new Rig(modelKernel({ platform: "type1", ...options })).start(26, type);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const information = suite("type1: GET_INFO");

information("is byte for byte what Linux 6.12 wrote on VT-d", () => {
  for (const type of [IommuType.TYPE1v2, IommuType.TYPE1]) {
    const program = ready({}, type);
    assert.is(program.info(200), 0);
    const expected = [
      "c8000000 03000000 0010204000000000 18000000 00000000",
      "0200 0100 38000000 00000000 00000000 0010000000000000 0000001000000000",
      "0300 0100 48000000 ffff0000 00000000",
      "0100 0100 00000000 02000000 00000000",
      "0000000000000000 ffffdffe00000000 0000f0fe00000000 ffffffffffff0000",
      "eeeeeeee",
    ];
    assert.is(hexOf(program.memory.subarray(0, 124)), expected.join("").replaceAll(" ", ""));
  }
});

information("answers 0 and says how much room the capabilities take, when there is not enough", () => {
  for (const argsz of [24, 64, 119]) {
    const program = ready();
    assert.is(program.info(argsz), 0);
    const head = "78000000 03000000 0010204000000000 00000000 00000000".replaceAll(" ", "");
    assert.is(hexOf(program.memory.subarray(0, 32)), `${head}eeeeeeeeeeeeeeee`, `argsz ${argsz}`);
  }
  const program = ready();
  assert.is(program.info(120), 0);
  assert.equal([program.u32(0), program.u32(16)], [120, 24]);
});

information("writes no byte behind argsz, be it in the middle of a field", () => {
  for (let argsz = 16; argsz < 24; argsz++) {
    const program = ready();
    assert.is(program.info(argsz), 0);
    assert.equal([program.u32(0), program.u32(4)], [120, 3]);
    assert.is(hexOf(program.memory.subarray(16, 24)), "00".repeat(argsz - 16).padEnd(16, "e"), `argsz ${argsz}`);
  }
});

information("refuses a struct without room for the page sizes, and touches nothing", () => {
  const program = ready();
  for (const argsz of [0, 8, 15]) {
    assert.is(program.info(argsz), -errno.EINVAL);
    assert.is(program.u32(4), 0xeeee_eeee);
  }
  const call = (number: number) => program.kernel.ioctl(program.container, number as typeof VfioCall.IOMMU_MAP_DMA, 3);
  assert.is(call(VfioCall.IOMMU_SPAPR_TCE_GET_INFO), -errno.EFAULT);
});

information("counts the maps that are left", () => {
  const program = ready({ dmaEntryLimit: 2 });
  const available = () => {
    assert.is(program.info(200), 0);
    return program.u32(64);
  };
  const va = program.allocate(4n * page);
  assert.is(available(), 2);
  program.map(va, 0n, 2n * page);
  assert.is(available(), 1);
  program.map(va, 0n, page);
  assert.is(available(), 1, "a map that failed takes no place");
  program.map(0n, 8n * page, page);
  assert.is(available(), 1);
  program.map(va, 8n * page, page);
  assert.is(available(), 0);
  program.unmap(0n, 16n * page);
  assert.is(available(), 2);
});

information("shows ranges and page sizes as the machine has them", () => {
  const ranges = [
    { start: 0x1000n, last: 0x1fffn },
    { start: 0x2000n, last: 0x2fffn },
    { start: 1n << 40n, last: (1n << 52n) - 1n },
  ];
  const program = ready({ ranges, pgsizes: 0x1000n });
  assert.is(program.info(64), 0);
  assert.is(program.u32(0), 136);
  assert.is(program.info(136), 0);
  assert.is(program.u64(8), 0x1000n);
  assert.is(program.u32(80), 3);
  assert.equal(
    ranges.map((_, index) => ({ start: program.u64(88 + index * 16), last: program.u64(96 + index * 16) })),
    ranges,
  );
  const va = program.allocate(2n * page);
  assert.is(program.map(va, 0n, page), -errno.EINVAL);
  assert.is(program.map(va, 0x1000n, 2n * page), -errno.EINVAL, "two ranges that adjoin are two");
  assert.is(program.map(va, 0x2000n, page), 0);
});

information("shows an SMMU's page sizes with larger CPU pages, and hides those below the CPU's", () => {
  const rows: [ModelOptions, bigint][] = [
    [{ pageSize: 16384 }, 0x200_4000n],
    [{ pageSize: 65536 }, 0x2001_0000n],
    [{ pageSize: 65536, pgsizes: 0x4020_1000n }, 0x4021_0000n],
    [{ pageSize: 16384, pgsizes: 0x4020_5000n }, 0x4020_4000n],
  ];
  for (const [options, shown] of rows) {
    const program = ready(options);
    program.info(200);
    assert.is(program.u64(8), shown);
    assert.is(program.u64(40), BigInt(options.pageSize as number), "the smallest");
  }
});

information("has no capabilities on an old kernel, whatever the room", () => {
  for (const argsz of [16, 200]) {
    const program = ready({ infoCapabilities: false });
    assert.is(program.info(argsz), 0);
    assert.equal([program.u32(0), program.u32(4), program.u64(8)], [argsz, 1, 0x4020_1000n]);
    assert.is(program.u32(16), 0xeeee_eeee);
  }
});

information("throws where the caller's memory ends before the capabilities do", () => {
  const program = ready();
  new DataView(program.memory.buffer).setUint32(160, 120, true);
  assert.throws(
    () => program.kernel.ioctlStruct(program.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, program.memory, 160),
    (error: unknown) => error instanceof RangeError && error.message.includes("120 bytes"),
  );
});

information.run();

const extensions = suite("type1: CHECK_EXTENSION");

function known(program: Rig): number[] {
  const all = Array.from({ length: 12 }, (_, index) => index);
  return all.filter((extension) => program.kernel.ioctl(program.container, VfioCall.CHECK_EXTENSION, extension) > 0);
}

const machines: [string, ModelOptions, number[], number[]][] = [
  ["Linux 6.12", {}, [1, 3, 6, 9], [1, 3, 6, 9, 10]],
  ["a kernel without capabilities", { infoCapabilities: false }, [1, 3, 6], [1, 3, 6]],
  ["a kernel without v2", { iommuVersion: 1 }, [1, 9], [1, 9, 10]],
  ["an old kernel without v2", { iommuVersion: 1, infoCapabilities: false }, [1], [1]],
];

for (const [machine, options, before, after] of machines) {
  extensions(`on ${machine}: ${before.join(", ")} before SET_IOMMU, ${after.join(", ")} after it`, () => {
    const kernel = modelKernel({ platform: "type1", ...options });
    const program = new Rig(kernel);
    program.container = kernel.open("/dev/vfio/vfio");
    assert.equal(known(program), before);
    const group = kernel.open("/dev/vfio/26");
    program.setContainer(group);
    assert.equal(known(program), before);
    assert.is(kernel.ioctl(program.container, VfioCall.SET_IOMMU, IommuType.TYPE1), 0);
    assert.equal(known(program), after);
    kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0);
    assert.equal(known(program), before);
  });
}

extensions.run();
