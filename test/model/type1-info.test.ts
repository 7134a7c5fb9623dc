/** GET_INFO of type1, byte for byte: what its rows do not show. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { KiB, Rig } from "./rig.ts";

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

information("writes no byte behind argsz, be it in the middle of a field", () => {
  for (let argsz = 16; argsz < 24; argsz++) {
    const program = ready();
    assert.is(program.info(argsz), 0);
    assert.equal([program.u32(0), program.u32(4)], [120, 3]);
    assert.is(hexOf(program.memory.subarray(16, 24)), "00".repeat(argsz - 16).padEnd(16, "e"), `argsz ${argsz}`);
  }
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

information("throws where the caller's memory ends before the capabilities do", () => {
  const program = ready();
  new DataView(program.memory.buffer).setUint32(160, 120, true);
  assert.throws(
    () => program.kernel.ioctlStruct(program.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, program.memory, 160),
    (error: unknown) => error instanceof RangeError && error.message.includes("120 bytes"),
  );
});

information.run();
