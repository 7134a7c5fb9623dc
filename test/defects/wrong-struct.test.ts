/**
 * Why the first defect mattered: UNMAP with the struct of a MAP, on the kernel itself. The kernel answers 0, clears
 * everything below the target, and leaves the target.
 *
 *     dma_map      | argsz | flags | vaddr 8 | iova 16 | size 24 |
 *     dma_unmap    | argsz | flags | iova  8 | size 16 |           <- what the kernel reads
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { core } from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { GiB, GROUP, MiB, ready } from "../support/program.ts";

const PAGE = 4096n;

test("three live pages A < B < T: unmapping B with the wrong struct cuts A off and leaves B, and answers 0", () => {
  const { program, window, va } = ready();
  const [a, b, t] = [MiB, 2n * MiB, 3n * MiB];
  for (const [i, iova] of [a, b, t].entries()) window.map({ va: va + BigInt(i) * PAGE, length: PAGE, iova });
  const reach = (iova: bigint) => program.model.tceAt(GROUP, iova) !== undefined;
  assert.equal([reach(a), reach(b), reach(t)], [true, true, true]);
  const struct = new Uint8Array(32);
  const view = new DataView(struct.buffer);
  view.setUint32(0, 32, true);
  view.setBigUint64(16, b, true); // where UNMAP has its size
  view.setBigUint64(24, PAGE, true);
  assert.is(program.model.ioctlStruct(program.seen.fd ?? -1, VfioCall.IOMMU_UNMAP_DMA, struct, 0), 0);
  assert.equal([reach(a), reach(b), reach(t)], [false, true, true]);
});

test("unmap(iova = 0x140000000, length = 0x200000) has its IOVA at byte 8 and its size at byte 16, in 24 bytes", () => {
  const { program } = ready();
  program.container.windows[0]?.close();
  const window = program.window(8n * GiB, { pageSize: 2n * MiB });
  window.map({ va: program.allocate(2n * MiB, 21), length: 2n * MiB, iova: 0x140000000n });
  let bytes: number[] = [];
  const { ioctlStruct } = program.kernel;
  program.kernel.ioctlStruct = (fd, call, memory, offset) => {
    if (call === VfioCall.IOMMU_UNMAP_DMA) bytes = [...memory.subarray(offset, offset + 24)];
    return ioctlStruct.call(program.kernel, fd, call, memory, offset);
  };
  window.unmap({ iova: 0x140000000n, length: 0x200000 });
  assert.equal(bytes, [24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0]);
  const at = core.structScratch();
  core.writeUnmap(at, 0x140000000n, 0x200000n);
  assert.equal([...core.bytes().subarray(at, at + 24)], bytes);
});

test.run();
