// A mapped buffer and a first register: node examples/first-register.mjs [type1|powernv|pseries|linux] [ADDRESS]
import { DmaHeap, edu, linuxKernel, MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";

const [platform = "type1", address = "0000:01:00.0"] = process.argv.slice(2);
const kernel = platform === "linux" ? linuxKernel() : modelKernel({ platform, devices: [edu({ address })] });

const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: kernel.pageSize, maxBytes: 64 << 20 }); // address space; pages when asked for
const container = openContainer({ kernel, devices: [address] }); // the device's group, with the IOMMU that is there
const window = container.createWindow(planWindow({ memory, info: container.info() }));
container.attach(memory);

const heap = new DmaHeap({ memory, list, window });
const buffer = heap.buffer(4096);
console.log(`a device finds ${buffer.length} bytes at IOVA 0x${buffer.iova.toString(16)}`);

const device = container.device(address);
console.log(`the first register of bar 0 is 0x${device.bar(0).read32(0).toString(16)}`);

for (const each of [device, buffer, heap, container, memory]) each.close(); // the device is stopped before memory goes
