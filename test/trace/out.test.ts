import { test } from "uvu";
import * as assert from "uvu/assert";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { outOf } from "../../src/trace/out.ts";

/** A struct with an `argsz`, as it was handed over. */
function asked(argsz: number): Uint8Array {
  const memory = new Uint8Array(256);
  new DataView(memory.buffer).setUint32(0, argsz, true);
  return memory;
}

/** vfio_iommu_type1_info and a chain: the ranges, how many more maps, migration, and one that nobody knows. */
function filled(argsz: number): Uint8Array {
  const memory = asked(argsz);
  const view = new DataView(memory.buffer);
  const capability = (at: number, id: number, version: number, next: number): void => {
    view.setUint16(at, id, true);
    view.setUint16(at + 2, version, true);
    view.setUint32(at + 4, next, true);
  };
  view.setUint32(4, 3, true);
  view.setBigUint64(8, 0x4020_1000n, true);
  view.setUint32(16, 24, true);
  capability(24, 1, 1, 80);
  view.setUint32(32, 2, true);
  for (const [i, edge] of [0n, 0xfedf_ffffn, 0xfef0_0000n, 0xffff_ffff_ffffn].entries()) {
    view.setBigUint64(40 + i * 8, edge, true);
  }
  capability(80, 3, 1, 96);
  view.setUint32(88, 65535, true);
  capability(96, 2, 1, 128);
  view.setUint32(104, 0, true);
  view.setBigUint64(112, 4096n, true);
  view.setBigUint64(120, 0x1000_0000n, true);
  capability(128, 9, 4, 0);
  return memory;
}

const info = (before: Uint8Array, after: Uint8Array, type?: number) =>
  outOf(VfioCall.IOMMU_SPAPR_TCE_GET_INFO, before, after, type);

function chainOf(after: Uint8Array): readonly { readonly ranges?: readonly unknown[] }[] {
  const { capabilities } = info(asked(136), after, IommuType.TYPE1v2) ?? {};
  assert.ok(Array.isArray(capabilities));
  return capabilities;
}

test("type1's info is its page sizes and its chain of capabilities, each with its fields", () => {
  assert.equal(info(asked(136), filled(136), IommuType.TYPE1v2), {
    argsz: 136,
    flags: 3,
    pageSizes: "0x40201000",
    capabilities: [
      {
        id: 1,
        version: 1,
        ranges: [
          ["0x0", "0xfedfffff"],
          ["0xfef00000", "0xffffffffffff"],
        ],
      },
      { id: 3, version: 1, available: 65535 },
      { id: 2, version: 1, flags: 0, pageSizes: "0x1000", maxDirtyBitmap: "0x10000000" },
      { id: 9, version: 4 },
    ],
  });
});

test("a struct without room for the offset of the chain has none, whatever lies behind it", () => {
  const out = info(asked(16), filled(136), IommuType.TYPE1);
  assert.equal(out, { argsz: 136, flags: 3, pageSizes: "0x40201000" });
});

test("a chain that leads out of the memory, claims too much, or runs in a ring ends", () => {
  const ring = filled(136);
  new DataView(ring.buffer).setUint32(84, 24, true);
  assert.is(chainOf(ring).length, 64);
  const away = filled(136);
  new DataView(away.buffer).setUint32(28, 250, true);
  assert.is(chainOf(away).length, 1);
  const greedy = filled(136);
  new DataView(greedy.buffer).setUint32(32, 0xffff_ffff, true);
  const [first] = chainOf(greedy);
  assert.is(first?.ranges?.length, 13, "as many as fit into 256 bytes");
});

test("an UNMAP's size is there only when the kernel changed it", () => {
  const before = asked(24);
  const after = asked(24);
  new DataView(before.buffer).setBigUint64(16, 8192n, true);
  new DataView(after.buffer).setBigUint64(16, 8192n, true);
  assert.is(outOf(VfioCall.IOMMU_UNMAP_DMA, before, after, 3), undefined);
  new DataView(after.buffer).setBigUint64(16, 4096n, true);
  assert.equal(outOf(VfioCall.IOMMU_UNMAP_DMA, before, after, 3), { size: "0x1000" });
});

test.run();
