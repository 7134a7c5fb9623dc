// A test of one's own program without an IOMMU: a device's byte arrives in memory, and nothing is left behind.
import { deepEqual, equal } from "node:assert/strict";
import { MemsegTable, openContainer, planWindow } from "dma-window";
import { modelKernel } from "dma-window/model";

const platform = process.argv[2] ?? "powernv"; // or pseries, type1, noiommu
const noIommu = platform === "noiommu";
const kernel = modelKernel({ platform, groups: [26] });
const memory = new MemsegTable({ kernel, physical: noIommu });
const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1 << 30 });
const container = openContainer({ kernel, groups: [26], noIommu });
const window = container.createWindow(planWindow({ memory, info: container.info(), growTo: 64n << 30n }));
container.attach(memory);
const segment = memory.allocate(list, 1);
deepEqual(kernel.device(26).write(window.iovaOf(segment.va), Uint8Array.of(42)), { bytes: 1 });
equal(segment.bytes[0], 42);
container.close();
memory.close();
deepEqual(kernel.leaks(), []);
