/**
 * The software kernel alone: it is in the loop of every property test, so it has to do 300,000 pairs of a map and an unmap a
 * second through the seam (3.3 us for a pair) on one core, on every kind of machine.
 */
import { strict as assert } from "node:assert";
import { modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, IommuType, MapFlag, Protection, type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";

const PAGE = 4096n;
const IOVA = 0x10000n;
const PLATFORMS = ["powernv", "pseries", "type1"] as const;

/** Where the structs lie: a table of two calls, then their structs. */
const MAP = 64;
const UNMAP = 128;

interface Ready {
  readonly kernel: Syscalls;
  readonly container: number;
  readonly memory: Uint8Array;
}

function write(view: DataView, at: number, argsz: number, flags: number, ...fields: readonly bigint[]): void {
  view.setUint32(at, argsz, true);
  view.setUint32(at + 4, flags, true);
  for (const [i, field] of fields.entries()) view.setBigUint64(at + 8 + i * 8, field, true);
}

/** A container that maps, and the two structs in memory. */
function ready(platform: (typeof PLATFORMS)[number]): Ready {
  const kernel = modelKernel({ platform });
  const container = kernel.open("/dev/vfio/vfio");
  const group = kernel.open("/dev/vfio/26");
  const memory = new Uint8Array(256);
  const view = new DataView(memory.buffer);
  view.setInt32(0, container, true);
  assert.equal(kernel.ioctlStruct(group, VfioCall.GROUP_SET_CONTAINER, memory, 0), 0);
  const type = platform === "type1" ? IommuType.TYPE1v2 : IommuType.SPAPR_TCE_V2;
  assert.equal(kernel.ioctl(container, VfioCall.SET_IOMMU, type), 0);
  const va = kernel.mmap(0n, PAGE, Protection.READ | Protection.WRITE, MapFlag.POPULATE, 0);
  if (platform !== "type1") {
    write(view, 0, 24, 0, va, PAGE);
    assert.equal(kernel.ioctlStruct(container, VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, memory, 0), 0);
  }
  write(view, MAP, 32, 3, va, IOVA, PAGE);
  write(view, UNMAP, 24, 0, IOVA, PAGE);
  view.setUint32(0, VfioCall.IOMMU_MAP_DMA, true);
  view.setUint32(4, MAP, true);
  view.setUint32(BATCH_ENTRY_BYTES, VfioCall.IOMMU_UNMAP_DMA, true);
  view.setUint32(BATCH_ENTRY_BYTES + 4, UNMAP, true);
  return { kernel, container, memory };
}

function contenders(platform: (typeof PLATFORMS)[number]): Contender[] {
  const scope = { ...ready(platform), map: VfioCall.IOMMU_MAP_DMA, unmap: VfioCall.IOMMU_UNMAP_DMA };
  return [
    inJavaScript({
      name: `${platform}, one call each`,
      once: `sum += kernel.ioctlStruct(container, map, memory, ${MAP}) === 0 ? 1 : 0;
        sum += kernel.ioctlStruct(container, unmap, memory, ${UNMAP}) === 0 ? 1 : 0;`,
      scope,
      expected: 2,
    }),
    inJavaScript({
      name: `${platform}, in one batch`,
      once: "sum += kernel.ioctlBatch(container, memory, 0, 2);",
      scope,
      expected: 2,
    }),
  ];
}

export const model: Group = {
  name: "model",
  title: "The software kernel: map and unmap a page",
  unit: "ns per pair",
  rows: [],
  run: async (bench) => ({
    figures: figures(await bench.compete("model", PLATFORMS.flatMap(contenders)), 1),
    rows: [],
  }),
};
