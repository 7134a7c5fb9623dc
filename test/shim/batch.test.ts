import { closeSync, openSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BATCH_ENTRY_BYTES, VfioCall } from "../../src/syscalls.ts";
import { errno, refuses, withShim } from "./native.ts";

const structs = 1024;
const untouched = 0x5a5a5a5a;

/** A table at 0 with one entry for each call; all use the struct at 1024, and every result is `untouched`. */
function batchOf(calls: readonly number[], buffer: ArrayBufferLike = new ArrayBuffer(2048)) {
  const memory = new Uint8Array(buffer);
  const table = new DataView(buffer);
  for (const [index, call] of calls.entries()) {
    table.setUint32(index * BATCH_ENTRY_BYTES, call, true);
    table.setUint32(index * BATCH_ENTRY_BYTES + 4, structs, true);
    table.setInt32(index * BATCH_ENTRY_BYTES + 8, untouched, true);
    table.setUint32(index * BATCH_ENTRY_BYTES + 12, untouched, true);
  }
  const results = () => calls.map((_, index) => table.getInt32(index * BATCH_ENTRY_BYTES + 8, true));
  return { memory, table, results };
}

withShim(
  (shim) => {
    const fd = openSync("/dev/null", "r+");
    test.after(() => closeSync(fd));
    const { IOMMU_MAP_DMA, IOMMU_UNMAP_DMA, IOMMU_SPAPR_REGISTER_MEMORY } = VfioCall;

    test("a batch stops at the first failure, writes its result, and leaves the entries after it alone", () => {
      const { memory, table, results } = batchOf([IOMMU_SPAPR_REGISTER_MEMORY, IOMMU_MAP_DMA, IOMMU_UNMAP_DMA]);
      assert.is(shim.ioctlBatch(fd, memory, 0, 3), 0);
      assert.equal(results(), [errno("ENOTTY"), untouched, untouched]);
      assert.is(table.getUint32(12, true), untouched, "the unused word stays as it was");
      assert.is(table.getUint32(0, true), IOMMU_SPAPR_REGISTER_MEMORY);
      assert.is(table.getUint32(4, true), structs);
    });

    test("a batch works in shared memory, and with the table anywhere in it", () => {
      const { memory, table } = batchOf([], new SharedArrayBuffer(2048));
      table.setUint32(512, IOMMU_MAP_DMA, true);
      table.setUint32(516, 0, true);
      assert.is(shim.ioctlBatch(fd, memory, 512, 1), 0);
      assert.is(table.getInt32(520, true), errno("ENOTTY"));
    });

    test("an empty batch succeeds without touching the descriptor or the memory", () => {
      assert.is(shim.ioctlBatch(2 ** 31 - 1, new Uint8Array(0), 0, 0), 0);
      assert.is(shim.ioctlBatch(fd, new Uint8Array(16), 16, 0), 0);
    });

    // Each fault is in the last entry: the first one, which is right, must not have been made.
    const faults: readonly [string, RegExp, (table: DataView) => void][] = [
      ["a call that is unknown", /VFIO_BASE \+ 99/, (table) => table.setUint32(32, 99, true)],
      ["a call with 2^32 - 1", /call/, (table) => table.setUint32(32, 0xffffffff, true)],
      ["a call of VFIO's that is not ours", /call/, (table) => table.setUint32(32, 6, true)],
      ["a call without a struct", /call/, (table) => table.setUint32(32, VfioCall.SET_IOMMU, true)],
      ["a call on a group", /call/, (table) => table.setUint32(32, VfioCall.GROUP_GET_STATUS, true)],
      ["SET_CONTAINER", /call/, (table) => table.setUint32(32, VfioCall.GROUP_SET_CONTAINER, true)],
      ["an unaligned struct", /multiple of 8/, (table) => table.setUint32(36, 1028, true)],
      ["a struct past the end", /bytes/, (table) => table.setUint32(36, 2048 - 16, true)],
      ["a struct far past the end", /bytes/, (table) => table.setUint32(36, 0xfffffff8, true)],
      [
        "an argsz past the end",
        /bytes/,
        (table) => {
          table.setUint32(36, 1536, true);
          table.setUint32(1536, 513, true);
        },
      ],
    ];
    for (const [what, words, spoil] of faults) {
      test(`a batch with ${what} in its last entry is refused before its first call`, () => {
        const { memory, table, results } = batchOf([IOMMU_MAP_DMA, IOMMU_MAP_DMA, IOMMU_UNMAP_DMA]);
        spoil(table);
        refuses(() => shim.ioctlBatch(fd, memory, 0, 3), RangeError, words);
        assert.equal(results(), [untouched, untouched, untouched]);
        // The same batch without its last entry is right.
        assert.is(shim.ioctlBatch(fd, memory, 0, 2), 0);
        assert.equal(results(), [errno("ENOTTY"), untouched, untouched]);
      });
    }

    test("a table that does not fit, or is unaligned, is refused", () => {
      const { memory } = batchOf([IOMMU_MAP_DMA]);
      refuses(() => shim.ioctlBatch(fd, memory, 4, 1), RangeError, /multiple of 8/);
      refuses(() => shim.ioctlBatch(fd, memory, 2040, 1), RangeError, /table/);
      refuses(() => shim.ioctlBatch(fd, memory, 2056, 0), RangeError, /table/);
      refuses(() => shim.ioctlBatch(fd, memory, 0, 129), RangeError, /table/);
      refuses(() => shim.ioctlBatch(fd, memory, 2 ** 32 - 8, 2 ** 32 - 1), RangeError, /table/);
    });
  },
  "ioctlBatch()",
  (kernel) => kernel.ioctlBatch(0, new Uint8Array(16), 0, 0),
);

test.run();
