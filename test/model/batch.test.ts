import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, Rig } from "./rig.ts";

const page = 4n * KiB;

const batches = suite("ioctlBatch");

/** A table of `calls` at 0, and structs of 32 bytes behind it. */
function batch(
  calls: readonly { call: number; fields: readonly bigint[]; argsz: number; flags?: number }[],
): Uint8Array {
  const structs = calls.length * BATCH_ENTRY_BYTES;
  const memory = new Uint8Array(structs + calls.length * 32);
  const view = new DataView(memory.buffer);
  for (const [index, { call, fields, argsz, flags = 0 }] of calls.entries()) {
    const at = structs + index * 32;
    view.setUint32(index * BATCH_ENTRY_BYTES, call, true);
    view.setUint32(index * BATCH_ENTRY_BYTES + 4, at, true);
    view.setInt32(index * BATCH_ENTRY_BYTES + 8, 99, true);
    view.setUint32(at, argsz, true);
    view.setUint32(at + 4, flags, true);
    for (const [place, field] of fields.entries()) view.setBigUint64(at + 8 + place * 8, field, true);
  }
  return memory;
}

const results = (memory: Uint8Array, count: number) =>
  Array.from({ length: count }, (_, index) =>
    new DataView(memory.buffer).getInt32(index * BATCH_ENTRY_BYTES + 8, true),
  );

const register = (va: bigint, size: bigint) => ({
  call: VfioCall.IOMMU_SPAPR_REGISTER_MEMORY,
  fields: [va, size],
  argsz: 24,
});
const map = (va: bigint, iova: bigint, size: bigint) => ({
  call: VfioCall.IOMMU_MAP_DMA,
  fields: [va, iova, size],
  argsz: 32,
  flags: 3,
});

batches("runs its calls in order, and writes each result", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(2n * page);
  const memory = batch([register(va, 2n * page), map(va, 0n, page), map(va + page, page, page)]);
  assert.is(kernel.ioctlBatch(program.container, memory, 0, 3), 3);
  assert.equal(results(memory, 3), [0, 0, 0]);
  assert.is(kernel.tceAt(26, page)?.va, va + page);
});

batches("stops after the first result that is not 0, positive ones too", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(2n * page);
  for (const [bad, result] of [
    [map(va, 1n, page), 1],
    [map(va, 1n << 50n, page), -errno.ENXIO],
  ] as const) {
    program.unregister(va, 2n * page);
    const memory = batch([register(va, 2n * page), bad, map(va, 0n, page)]);
    assert.is(kernel.ioctlBatch(program.container, memory, 0, 3), 1);
    assert.equal(results(memory, 3), [0, result, 99]);
    assert.is(kernel.tceAt(26, 0n), undefined);
  }
});

batches("of no calls does nothing, and on a descriptor that is not open answers EBADF", () => {
  const kernel = modelKernel();
  const memory = batch([register(0n, 0n)]);
  assert.is(kernel.ioctlBatch(99, memory, 0, 0), 0);
  assert.is(kernel.ioctlBatch(99, memory, 0, 1), 0);
  assert.equal(results(memory, 1), [-errno.EBADF]);
});

batches("throws for a table or a struct that leads out of the memory", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const memory = batch([register(0n, 0n)]);
  const out = (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE";
  for (const [table, count] of [
    [4, 1],
    [-8, 1],
    [1000, 1],
    [0, 4],
    [0.5, 1],
  ] as const) {
    assert.throws(() => kernel.ioctlBatch(program.container, memory, table, count), out, `${table}, ${count}`);
  }
  new DataView(memory.buffer).setUint32(4, 32, true);
  assert.throws(() => kernel.ioctlBatch(program.container, memory, 0, 1), out, "24 bytes do not fit from 32 on");
});

batches.run();

const structs = suite("a struct");

structs("lies on a multiple of 8, inside the memory, in whole", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const small = new Uint8Array(40);
  const call = (offset: number) =>
    kernel.ioctlStruct(program.container, VfioCall.IOMMU_SPAPR_TCE_CREATE, small, offset);
  assert.is(call(0), -errno.EINVAL);
  for (const offset of [8, 4, 1, -8, 48, Number.NaN, 0.5]) {
    assert.throws(
      () => call(offset),
      (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE",
      String(offset),
    );
  }
});

structs("is read from the memory that it is given, also when that is another one, or part of a larger one", () => {
  const program = new Rig(modelKernel()).start();
  program.info();
  const large = new Uint8Array(128);
  const part = large.subarray(64);
  large[64] = 32;
  assert.is(program.kernel.ioctlStruct(program.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, part, 0), 0);
  assert.is(large[64 + 4], 1);
  assert.is(large[4], 0);
});

structs("is read anew after wasm memory grew", () => {
  const program = new Rig(modelKernel()).start();
  const wasm = new WebAssembly.Memory({ initial: 1 });
  const info = (memory: Uint8Array) => {
    memory[0] = 32;
    return program.kernel.ioctlStruct(program.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, memory, 0);
  };
  const before = new Uint8Array(wasm.buffer);
  assert.is(info(before), 0);
  wasm.grow(1);
  assert.throws(
    () => info(before),
    (error: unknown) => error instanceof RangeError,
  );
  assert.is(info(new Uint8Array(wasm.buffer)), 0);
});

structs.run();
