import { test } from "uvu";
import * as assert from "uvu/assert";
import { core } from "../../src/core.ts";
import { modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../../src/syscalls.ts";
import { faulty, no } from "./faulty.ts";
import { ready } from "./program.ts";
import { recording } from "./recording.ts";

/** Three calls that the model answers with 0, in a batch: an unmap that clears nothing, on a window that is there. */
function batch() {
  const { program, window, va } = ready();
  window.map({ va, length: 4096 });
  const memory = new Uint8Array(256);
  const view = new DataView(memory.buffer);
  const results = () => [0, 1, 2].map((i) => view.getInt32(i * BATCH_ENTRY_BYTES + 8, true));
  for (let i = 0; i < 3; i++) {
    view.setUint32(i * BATCH_ENTRY_BYTES, VfioCall.IOMMU_UNMAP_DMA, true);
    view.setUint32(i * BATCH_ENTRY_BYTES + 4, 64 + i * 32, true);
    view.setInt32(i * BATCH_ENTRY_BYTES + 8, 99, true);
    view.setUint32(64 + i * 32, 24, true);
    view.setBigUint64(64 + i * 32 + 8, 0x10000n, true);
    view.setBigUint64(64 + i * 32 + 16, 4096n, true);
  }
  program.record.take();
  return { program, memory, results, fd: program.seen.fd ?? -1 };
}

test("a batch stops at the call that fails, writes its answer, and leaves the rest as it was", () => {
  const { program, memory, results, fd } = batch();
  program.kernel.fail({ nth: 1, answer: no.EIO });
  assert.is(program.kernel.ioctlBatch(fd, memory, 0, 3), 1);
  assert.equal(results(), [0, no.EIO, 99]);
  assert.equal(program.record.takeNames(), ["UNMAP_DMA"]);
  assert.equal(program.kernel.refused, ["VFIO_IOMMU_UNMAP_DMA"]);
});

test("a batch without a fault passes as a whole, and is written down call by call", () => {
  const { program, memory, results, fd } = batch();
  assert.is(program.kernel.ioctlBatch(fd, memory, 0, 3), 3);
  assert.equal(results(), [0, 0, 0]);
  assert.equal(program.record.takeNames(), ["UNMAP_DMA", "UNMAP_DMA", "UNMAP_DMA"]);
});

test("a fault counts the calls of its name alone, and REGISTER is no UNREGISTER", () => {
  const kernel = faulty(modelKernel(), { call: "REGISTER_MEMORY", nth: 1, answer: 7 });
  const at = core.structScratch();
  const ask = (call: VfioCall) => kernel.ioctlStruct(3, call, core.bytes(), at);
  assert.is(ask(VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY), no.EBADF);
  assert.is(ask(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY), no.EBADF);
  assert.is(ask(VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY), no.EBADF);
  assert.is(ask(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY), 7);
  assert.is(ask(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY), no.EBADF);
});

test("fields are written down as they were asked, before the kernel wrote into the struct", () => {
  const kernel = recording(modelKernel());
  kernel.open("/dev/vfio/none");
  kernel.mmap(0n, 4096n, 0, 0, 0);
  const [open, mmap] = kernel.take();
  assert.equal(open, { call: "open", path: "/dev/vfio/none", answer: no.ENOENT });
  assert.equal([mmap?.call, mmap?.length, mmap?.protection], ["mmap", 4096n, 0]);
});

test.run();
